"""Patches out of labels: only where the label holds of the patch, and as many of one class as of the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.motion import Motion, Shifts
from service.errors import UnreadableClip
from service.manifest import Label, LabelledClip
from tests.fakes.inputs import SPEC
from tests.fakes.phantoms import small_phantom
from training.examples import ExampleWriter, read_examples
from training.labelled import (
    NO_PLEURA,
    LabelledSettings,
    add_labelled,
    both_labels,
    counted,
    examples_of,
    labelled_clips,
    moving_columns,
    read_labelled,
)
from training.recipe import Source

SETTINGS = LabelledSettings(patches_per_clip=4, windows_per_clip=1, seed=3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("present", "absent"):
        small_phantom(name, 2.5).write(folder / f"{name}.mp4")
    (folder / "damaged.mp4").write_bytes((folder / "present.mp4").read_bytes()[:600])
    return {path.stem: path for path in folder.iterdir()}


def clips_of(files: dict[str, Path], labels: str) -> list[LabelledClip]:
    """One patient a letter: p(resent), a(bsent), h(ealthy)."""
    named = {"p": Label.PRESENT, "a": Label.ABSENT, "h": Label.HEALTHY}
    shown = {"p": "present", "a": "absent", "h": "present"}
    return [LabelledClip(files[shown[letter]], f"P{k}", named[letter], row=k + 2) for k, letter in enumerate(labels)]


def motion(lung_px: list[float], wall_px: list[float], tracking: float = 0.9) -> Motion:
    """Eight pairs in which each column's lung shifts to and fro by so many px, and its wall likewise; columns 60 px apart."""
    sign = np.where(np.arange(8) % 2, -1, 1)[:, None].astype(np.float32)

    def shifts(px: list[float]) -> Shifts:
        along: NDArray[np.float32] = sign * np.array(px, np.float32)
        return Shifts(along, np.zeros_like(along), np.full_like(along, tracking))

    lung = [a + b for a, b in zip(lung_px, wall_px, strict=True)]
    return Motion(np.arange(8), 60 * np.arange(len(lung_px)), shifts(wall_px), shifts(lung))


def test_a_column_moves_when_its_lung_goes_a_third_of_a_pixel_past_its_wall() -> None:
    assert moving_columns(motion([0.0, 0.3, 0.4, 2.0], [5.0, 5.0, 5.0, 5.0])).tolist() == [False, False, True, True]


def test_a_slide_no_larger_than_the_walls_own_jitter_is_none() -> None:
    """Walls that go 1 px to opposite sides pass each other by 2 px: only 3 px and more are a slide."""
    assert moving_columns(motion([2.9, 3.1, 0.0, 9.0], [1.0, -1.0, 1.0, -1.0])).tolist() == [False, True, False, True]


def test_what_was_not_tracked_is_not_seen_to_move() -> None:
    assert not moving_columns(motion([9.0, 9.0], [0.0, 0.0], tracking=0.4)).any()


@pytest.mark.parametrize(("labels", "enough"), [("ppaa", True), ("ppah", False), ("paa", False), ("pppp", False), ("", False)])
def test_labels_are_learned_from_when_two_patients_have_each(files: dict[str, Path], labels: str, enough: bool) -> None:
    clips = clips_of(files, labels)

    assert both_labels(clips) is enough
    assert len(labelled_clips(clips)) == (len(labels) if enough else 0)


def test_without_both_labels_nothing_is_added(files: dict[str, Path], tmp_path: Path) -> None:
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        assert list(add_labelled(writer, clips_of(files, "pppp"), SPEC, SETTINGS)) == []
        assert len(writer) == 0


def test_there_are_as_many_of_one_class_as_of_the_other(files: dict[str, Path], tmp_path: Path) -> None:
    """Two present clips of 4 patches set 8, which three absent ones share: 3, 3 and 2."""
    clips = clips_of(files, "papaah")
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_labelled(writer, clips, SPEC, SETTINGS))
    examples = read_examples(tmp_path / "examples")

    assert lines == ["row 2: 4 examples", "row 4: 4 examples", "row 3: 3 examples", "row 5: 3 examples", "row 6: 2 examples"]
    assert examples.kind.tolist() == ["present"] * 8 + ["absent"] * 8
    assert examples.label.tolist() == [1.0] * 8 + [0.0] * 8
    assert set(examples.pair) == {""}
    assert examples.patient[[0, 4, 8, 11, 14]].tolist() == ["P0", "P2", "P1", "P3", "P4"]


def test_absent_clips_give_no_more_than_the_present_ones_could(files: dict[str, Path], tmp_path: Path) -> None:
    """One of the two present clips never moves, so that half of what was wanted is there."""
    clips = clips_of(files, "ppaa")
    clips[1] = replace(clips[1], file=files["absent"])
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        list(add_labelled(writer, clips, SPEC, replace(SETTINGS, patches_per_clip=1000)))
    label = read_examples(tmp_path / "examples").label

    assert len(label) == 2 * label.sum() > 0


def test_present_clips_give_no_more_than_the_absent_ones_could(files: dict[str, Path], tmp_path: Path) -> None:
    """Four present clips could give four times what the one absent clip that can be read has."""
    clips = clips_of(files, "ppppaa")
    clips[-1] = replace(clips[-1], file=files["damaged"])
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        list(add_labelled(writer, clips, SPEC, replace(SETTINGS, patches_per_clip=1000)))
    examples = read_examples(tmp_path / "examples")

    assert set(examples.patient[examples.label == 0]) == {"P4"}
    assert len(examples) == 2 * examples.label.sum() > 0


def test_where_no_absent_clip_can_be_read_nothing_is_learned_from_labels(files: dict[str, Path], tmp_path: Path) -> None:
    clips = [replace(clip, file=files["damaged"]) if clip.label is Label.ABSENT else clip for clip in clips_of(files, "ppaa")]
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_labelled(writer, clips, SPEC, SETTINGS))

        assert lines[2:] == ["row 4: passed over (unreadable_clip)", "row 5: passed over (unreadable_clip)"]
        assert len(writer) == 0


def test_a_lung_that_does_not_slide_gives_no_positive_whatever_its_label_says(files: dict[str, Path]) -> None:
    wrongly = LabelledClip(files["absent"], "P", Label.PRESENT, row=2)

    assert examples_of(wrongly, SPEC, SETTINGS, 4) == []


def test_a_clip_that_cannot_be_read_is_passed_over_and_the_others_fill_its_place(files: dict[str, Path], tmp_path: Path) -> None:
    clips = clips_of(files, "ppaa")
    clips[0] = replace(clips[0], file=files["damaged"])
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        lines = list(add_labelled(writer, clips, SPEC, SETTINGS))

    assert lines == ["row 2: passed over (unreadable_clip)", "row 3: 8 examples", "row 4: 4 examples", "row 5: 4 examples"]


def test_the_same_patches_are_drawn_again(files: dict[str, Path]) -> None:
    (clip,) = clips_of(files, "p")
    first, again = (examples_of(clip, SPEC, SETTINGS, 2) for _ in range(2))

    assert [patch.tobytes() for patch, _ in first] == [patch.tobytes() for patch, _ in again]
    assert len(first) == 2


def test_a_region_drawn_by_hand_bounds_the_lung_that_the_label_is_of(files: dict[str, Path]) -> None:
    (clip,) = clips_of(files, "p")
    whole = read_labelled(clip, SPEC, 1)
    assert isinstance(whole, Source)
    middle = whole.grid.num_columns // 2
    x = whole.grid.x[whole.grid.zero_row]
    y = float(whole.grid.y[whole.grid.zero_row, middle])
    left, right = float(x[middle - 40]), float(x[middle + 40])
    region = f"{left:.0f},{y - 12:.0f} {right:.0f},{y - 12:.0f} {right:.0f},{y + 12:.0f} {left:.0f},{y + 12:.0f}"
    half = read_labelled(replace(clip, region=region), SPEC, 1)

    assert isinstance(half, Source)
    assert 0 < len(half.plan.lung_columns) < len(whole.plan.lung_columns)


def test_a_region_without_a_pleura_and_a_clip_shorter_than_a_window_give_nothing(files: dict[str, Path], tmp_path: Path) -> None:
    (clip,) = clips_of(files, "p")
    small_phantom("present", 1.0).write(tmp_path / "short.mp4")

    assert read_labelled(replace(clip, file=tmp_path / "short.mp4"), SPEC, 1) == NO_PLEURA
    assert examples_of(replace(clip, region="1,1 4,1 4,4"), SPEC, SETTINGS, 4) == NO_PLEURA


def test_a_damaged_clip_is_the_error_of_serving(files: dict[str, Path]) -> None:
    with pytest.raises(UnreadableClip):
        read_labelled(LabelledClip(files["damaged"], "P", Label.ABSENT), SPEC, 1)


def test_labels_are_counted_in_their_own_order(files: dict[str, Path]) -> None:
    assert counted(clips_of(files, "haap")) == {"present": 1, "absent": 2, "healthy": 1}
