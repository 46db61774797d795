"""What is made of a clip and of phantoms: twins that share a pair, walls, and labels that say what the patch shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.prepare import StripWindow
from service.cine.tiling import plan_patches
from service.manifest import Label, LabelledClip
from tests.fakes.inputs import SPEC, flat_grid
from tests.fakes.phantoms import preset_phantom, small_phantom
from training.array_clip import ArrayClip
from training.counterfactual import Base, Twin
from training.examples import ExampleSet, ExampleWriter, read_examples
from training.phantom.simulate import Scanner
from training.recipe import RecipeSettings, Source, _label, add_clips, add_phantoms, random_phantom, read_source, true_slides

SETTINGS = RecipeSettings(windows_per_clip=2, pairs_per_window=2, walls_per_window=2, phantoms=1, phantom_patches=3, seed=5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> LabelledClip:
    """A healthy lung of one patient, 2.5 s, as a file."""
    file = tmp_path_factory.mktemp("clips") / "a.mp4"
    small_phantom("present", 2.5).write(file)
    return LabelledClip(file, "P1", Label.HEALTHY)


@pytest.fixture(scope="module")
def examples(clip: LabelledClip, tmp_path_factory: pytest.TempPathFactory) -> ExampleSet:
    folder = tmp_path_factory.mktemp("examples") / "of a clip"
    with ExampleWriter(folder, SPEC) as writer:
        lines = list(add_clips(writer, [clip], SPEC, SETTINGS))
        assert lines == [f"clip 0: {len(writer)} examples"]
    return read_examples(folder)


def patches_of(examples: ExampleSet, pair: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(negative, positive)"""
    members = np.flatnonzero(examples.pair == pair)
    negative, positive = members[np.argsort(examples.label[members])]
    return examples.take(np.array([negative]))[0], examples.take(np.array([positive]))[0]


def test_every_pair_holds_one_that_slides_and_one_that_does_not(examples: ExampleSet) -> None:
    pairs = {str(pair) for pair in examples.pair if pair}

    assert len(pairs) >= 6  # 2 windows, 3 bases, up to 2 patches of each
    assert [sorted(examples.label[examples.pair == pair].tolist()) for pair in pairs] == [[0.0, 1.0]] * len(pairs)
    assert [len(set(examples.kind[examples.pair == pair])) for pair in pairs] == [1] * len(pairs)


def test_all_three_bases_and_the_clips_own_wall_are_there_and_are_one_patient(examples: ExampleSet) -> None:
    assert set(examples.kind) == {*Base, "own_wall"}
    assert set(examples.patient) == {"P1"}


def test_the_wall_is_a_negative_without_a_twin(examples: ExampleSet) -> None:
    walls = examples.kind == "own_wall"

    assert 2 <= walls.sum() <= 4
    assert set(examples.label[walls]) == {0.0}
    assert set(examples.pair[walls]) == {""}


def test_twins_look_alike_and_are_not_the_same(examples: ExampleSet) -> None:
    for pair in {str(pair) for pair in examples.pair if pair}:
        negative, positive = patches_of(examples, pair)
        assert not np.array_equal(negative[0], positive[0])
        assert abs(float(negative[0].mean()) - float(positive[0].mean())) < 12  # grey levels: brightness does not tell them apart


def test_the_same_seed_makes_the_same_examples(clip: LabelledClip, examples: ExampleSet, tmp_path: Path) -> None:
    with ExampleWriter(tmp_path / "again", SPEC) as writer:
        list(add_clips(writer, [clip], SPEC, SETTINGS))
    again = read_examples(tmp_path / "again")

    assert again.fingerprint == examples.fingerprint
    assert np.array_equal(again.take(np.arange(len(again))), examples.take(np.arange(len(examples))))


def test_a_clip_that_cannot_be_read_is_passed_over_and_told_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "Mustermann.mp4").write_text("no clip")
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_clips(writer, [LabelledClip(tmp_path / "Mustermann.mp4", "P1", Label.HEALTHY)], SPEC, SETTINGS))

    assert lines == ["clip 0: passed over (unsupported_format)"]


def test_windows_are_spread_over_the_clip() -> None:
    phantom = small_phantom("present", 6.5)
    source = read_source(ArrayClip(phantom.frames, phantom.spec.fps), SPEC, max_windows=2)

    assert source is not None
    assert [window.start_frame for window in source.windows] == [0, 135]  # of 195 frames, the last window is pulled back


@pytest.mark.parametrize("seconds", [1.0, 1.9])
def test_a_clip_shorter_than_a_window_gives_nothing(seconds: float) -> None:
    frames = small_phantom("present", 2.5).frames[: round(seconds * 30)]

    assert read_source(ArrayClip(frames, 30.0), SPEC) is None


def left_half(source: Source) -> str:
    """A polygon around the left half of the line that was found."""
    line, middle = source.grid.zero_row, source.grid.num_columns // 2
    x, y = source.grid.x[line, : middle + 1], source.grid.y[line, : middle + 1]
    left, right, top, bottom = float(x.min()), float(x.max()), float(y.min()) - 12, float(y.max()) + 12
    return f"{left:.0f},{top:.0f} {right:.0f},{top:.0f} {right:.0f},{bottom:.0f} {left:.0f},{bottom:.0f}"


def test_a_region_drawn_by_hand_bounds_the_pleura() -> None:
    phantom = small_phantom("present", 2.5)
    opened = ArrayClip(phantom.frames, phantom.spec.fps)
    whole = read_source(opened, SPEC, 1)
    assert whole is not None
    half, middle = read_source(opened, SPEC, 1, left_half(whole)), whole.grid.num_columns / 2

    assert half is not None
    assert half.plan.lung_columns[-1].x0 + SPEC.patch_px < middle < whole.plan.lung_columns[-1].x0
    assert read_source(opened, SPEC, 1, "1,1 4,1 4,4") is None


def test_the_region_of_a_manifest_bounds_what_is_made_of_the_clip(clip: LabelledClip, tmp_path: Path) -> None:
    """No pleura is found in a corner of the picture; a region that is none is told, and the clip passed over."""
    clips = [replace(clip, region=region) for region in ("1,1 4,1 4,4", "here")]
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_clips(writer, clips, SPEC, SETTINGS))

    assert lines == ["clip 0: 0 examples", "clip 1: passed over (bad_option)"]


# --- labels ---

GRID = flat_grid(300, 50, 68, ((0, 300),))
PLAN = plan_patches(GRID, SPEC, num_rows=1)
"""Ten patches, 30 px wide, side by side."""


def labels_of(slide_at: NDArray[np.float32]) -> list[float | None]:
    """What each of the ten patches is called when the lung goes to and fro by `slide_at` (columns,) px in 2 s."""
    slide = np.sin(np.pi * np.arange(60) / 30)[:, None] * slide_at[None, :]
    twin = Twin(StripWindow(0, np.zeros((60, 118, 300), np.uint8), np.arange(60) / 30), slide.astype(np.float32))
    return [_label(twin, PLAN, n, 30.0) for n, patch in enumerate(PLAN.patches) if patch.row == 0]


def test_beside_a_lung_point_a_patch_is_what_it_shows_and_one_across_it_is_neither() -> None:
    """The lung slides right of column 165, in the middle of the sixth patch."""
    slide_at = np.where(np.arange(300) < 165, 0.0, 8.0).astype(np.float32)

    assert labels_of(slide_at) == [0.0] * 5 + [None] + [1.0] * 4


@pytest.mark.parametrize(("amplitude_px", "label"), [(0.0, 0.0), (0.1, 0.0), (0.6, None), (3.0, 1.0)])
def test_too_little_to_be_seen_is_neither(amplitude_px: float, label: float | None) -> None:
    """An amplitude of 1 px is an RMS of 0.29 px in 4 frames: 0.03, 0.18 and 0.88 px here, against 0.05 and 0.35."""
    assert set(labels_of(np.full(300, amplitude_px, np.float32))) == {label}


# --- phantoms ---


@pytest.mark.parametrize("index", range(3))
def test_phantom_twins_are_one_patient_under_one_probe(index: int) -> None:
    """Tissue to the last scatterer, and every movement but the slide."""
    sliding, still = (random_phantom(9, index, slides=slides, duration_s=0.1) for slides in (True, False))
    tissues = [Scanner(phantom.spec, phantom.seed).tissue for phantom in (sliding, still)]

    assert replace(sliding.spec, slide_mm=0.0) == still.spec
    assert sliding.seed == still.seed
    assert np.array_equal(tissues[0].pleura_mm, tissues[1].pleura_mm)
    for layer in ("wall", "mirror", "haze"):
        for a, b in zip(vars_of(getattr(tissues[0], layer)), vars_of(getattr(tissues[1], layer)), strict=True):
            assert np.array_equal(a, b)
    assert np.array_equal(sliding.truth.wall_mm, still.truth.wall_mm)
    assert not still.truth.slide_mm.any()


def vars_of(layer: object) -> list[NDArray[np.float32]]:
    names = getattr(layer, "__slots__", None) or vars(layer)
    return [np.asarray(getattr(layer, name)) for name in names]


def test_phantoms_of_one_pair_are_one_patient_so_that_no_split_parts_them(tmp_path: Path) -> None:
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_phantoms(writer, SPEC, replace(SETTINGS, seed=1)))
    examples = read_examples(tmp_path / "examples")

    assert lines == [f"phantom pair 0: {len(examples)} examples"]
    assert len(examples) <= 2 * 3
    assert set(examples.patient) == {"phantom-0"}
    assert set(examples.label) == {0.0, 1.0}


def source_of(name: str) -> Source:
    phantom = preset_phantom(name)
    source = read_source(ArrayClip(phantom.frames, phantom.spec.fps), SPEC, 1)
    assert source is not None
    return source


def test_the_true_slide_of_a_column_is_the_phantoms_own() -> None:
    present = true_slides(preset_phantom("present"), source_of("present"), SPEC)
    absent = true_slides(preset_phantom("absent"), source_of("absent"), SPEC)

    assert present.min() == present.max() > 1.0
    assert absent.tolist() == [0.0] * len(absent)


def test_beside_the_lung_point_of_a_phantom_one_side_slides() -> None:
    slides = true_slides(preset_phantom("lung_point"), source_of("lung_point"), SPEC)
    known = slides[np.isfinite(slides)]

    assert known[0] == 0 < known[-1]  # sliding is on the right
    assert np.array_equal(np.sort(known), known)
