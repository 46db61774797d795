"""Clips into runs of frames: which are made, what is true of them, and that nothing is made twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.cine.clip import Clip
from service.cine.frame_runs import frame_runs
from service.cine.frame_spec import FrameSpec
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.errors import UnreadableClip
from service.manifest import Label, LabelledClip, Manifest
from tests.training.signs.bars import Bar, small_preset
from training.array_clip import ArrayClip
from training.recording.take import Recording
from training.recording.timing import at_rate
from training.signs.answers import NOT_KNOWN
from training.signs.make import make_runs
from training.signs.preset import read_preset
from training.signs.runs import BESIDE, NoRuns, open_runs
from training.signs.sources import Contradiction, Truths, labelled, simulated


def test_a_run_shows_the_sign_where_three_frames_of_it_do(tmp_path: Path) -> None:
    (runs,) = make_runs(small_preset(), [Bar(0, first=13)], tmp_path)

    assert runs.starts_s == pytest.approx((0.0, 8 / 30, 16 / 30))
    assert runs.labels == ((0,), (1,), (1,))
    assert runs.frame_labels[1] == (0, 0, 0, 0, 0, 1, 1, 1)
    assert (runs.probe, runs.distinct_fps) == ("linear", pytest.approx(30, rel=0.1))


def test_a_run_of_which_only_a_moment_shows_it_is_left_out(tmp_path: Path) -> None:
    (runs,) = make_runs(small_preset(), [Bar(0, first=14)], tmp_path)

    assert runs.labels == ((0,), (1,))
    assert runs.num_unclear == 1


def test_what_was_made_is_not_made_again_and_another_size_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = small_preset()
    first = list(make_runs(preset, [Bar(0)], tmp_path))
    with monkeypatch.context() as closed:
        closed.setattr(Bar, "open", lambda _: pytest.fail("opened again"))
        assert list(make_runs(preset, [Bar(0)], tmp_path)) == first
    larger = replace(preset, frames=replace(preset.frames, side_px=32))

    list(make_runs(larger, [Bar(0)], tmp_path))

    assert {np.load(path).shape for path in tmp_path.glob("*.npy")} == {(3, 8, 16, 16), (3, 8, 32, 32)}


@pytest.mark.slow
def test_several_processes_make_the_same(tmp_path: Path) -> None:
    bars = [Bar(0), Bar(1, first=5)]

    together = list(make_runs(small_preset(), bars, tmp_path / "two", num_processes=2))

    assert together == list(make_runs(small_preset(), bars, tmp_path / "one"))


class Odd(Bar):
    """Not a clip, or none with echoes, or too short for a run."""

    def open(self) -> tuple[Clip, Truths]:
        if self.number == 0:
            raise UnreadableClip("Broken.")
        dark = np.zeros((24, 64, 64), np.uint8)
        grey = np.random.default_rng(0).integers(60, 90, (4, 64, 64), dtype=np.uint8)
        return ArrayClip(dark if self.number == 1 else grey, 30.0), Truths((0,))


def test_a_clip_that_gives_none_says_why_and_without_any_there_is_nothing_to_learn(tmp_path: Path) -> None:
    made = list(make_runs(small_preset(), [Odd(0), Odd(1), Odd(2)], tmp_path))

    assert [clip.reason for clip in made] == ["unreadable_clip", "no_sector", "too_short"]
    with pytest.raises(NoRuns, match=r"^No clip gave a run of frames: all are too short, or no echoes were found in them\.$"):
        open_runs(tmp_path, made)


def test_flow_is_kept_in_the_place_of_frames_where_a_network_takes_it(tmp_path: Path) -> None:
    preset = read_preset("cmwra", quick=True)
    (runs,) = make_runs(preset, [Bar(1)], tmp_path)

    kept = np.load(tmp_path / f"{runs.key}.npy")
    assert (kept.shape, kept.dtype) == ((3, 2, 7, 32, 32), np.float16)


def test_what_is_learnt_from_is_what_the_service_will_give_bit_for_bit(tmp_path: Path) -> None:
    for name in ("cmwra", "cmwru"):
        preset = read_preset(name, quick=True)
        (runs,) = make_runs(preset, [Bar(1)], tmp_path)
        clip, _ = Bar(1).open()
        sector = find_sector(look_over(clip), clip.info.region)
        assert sector is not None

        served = np.stack([run.given for run in frame_runs(clip, sector, preset.frames)])

        kept = np.load(tmp_path / f"{runs.key}.npy")
        np.testing.assert_array_equal(kept.astype(served.dtype).reshape(served.shape), served)


class Retimed(Bar):
    """At 24 frames a second on the scanner, the bar from frame 12 on; in the file at 30, as exporters do, every fifth frame once more."""

    def open(self) -> tuple[Clip, Truths]:
        grey = np.random.default_rng(0).integers(60, 90, (24, 64, 64), dtype=np.uint8)
        shown = np.arange(24) >= 12
        grey[shown, :, 16:24] = 250
        return at_rate(Recording.at(grey, 24.0), 30.0), Truths((1,), shown, 24.0)


def test_a_frame_is_labelled_by_what_is_on_it_whatever_the_exporter_did_to_the_times(tmp_path: Path) -> None:
    preset = replace(small_preset(), frames=FrameSpec(30.0, 30, 30, 16, "uint8"))
    (runs,) = make_runs(preset, [Retimed(0)], tmp_path)

    frames = np.load(tmp_path / f"{runs.key}.npy")[0]
    assert runs.frame_labels[0] == tuple((frames.max(axis=(1, 2)) > 150).astype(int).tolist())
    assert sum(runs.frame_labels[0]) == 15


def clip(folder: Path, name: str, label: Label, signs: frozenset[str] | None, **more: Any) -> LabelledClip:
    (folder / name).write_bytes(more.pop("content", name).encode())
    return LabelledClip(file=folder / name, patient=name, label=label, signs=signs, **more)


def test_of_a_manifest_only_clips_are_taken_that_say_what_is_learnt(tmp_path: Path) -> None:
    both = frozenset({"a_lines", "b_lines"})
    table = Manifest(
        (
            clip(tmp_path, "a", Label.PRESENT, None),
            clip(tmp_path, "b", Label.ABSENT, frozenset()),
            clip(tmp_path, "c", Label.UNKNOWN, frozenset({"b_lines"})),
            clip(tmp_path, "d", Label.HEALTHY, both),
            clip(tmp_path, "e", Label.ABSENT, None, region="1,1 2,1 2,2"),
        )
    )

    assert [one.label for one in labelled(read_preset("cmwru"), table)] == [(0,), (1,)]
    assert [one.label for one in labelled(read_preset("blines-c2d-a"), table)] == [(0,), (1,), (1,)]
    assert [one.label for one in labelled(read_preset("four-signs"), table)] == [(0, 1, 0, 0)]


def test_clips_kept_for_testing_are_in_no_fold_and_keep_their_part_in_one_split(tmp_path: Path) -> None:
    seen = frozenset({"b_lines"})
    table = Manifest((clip(tmp_path, "a", Label.UNKNOWN, seen, split="test"), clip(tmp_path, "b", Label.UNKNOWN, seen, split="train")))

    assert [one.patient for one in labelled(read_preset("blines-c2d-a"), table)] == ["b"]
    assert [one.part for one in labelled(read_preset("four-signs"), table)] == ["test", "train"]


def test_a_file_that_is_there_twice_counts_once_and_two_labels_of_it_are_refused(tmp_path: Path) -> None:
    seen, none = frozenset({"b_lines"}), frozenset[str]()
    first = clip(tmp_path, "a", Label.UNKNOWN, seen, row=2, content="the same")
    twice = clip(tmp_path, "b", Label.UNKNOWN, seen, row=3, content="the same")
    other = clip(tmp_path, "c", Label.UNKNOWN, none, row=4, content="the same")

    assert len(labelled(read_preset("blines-c2d-a"), Manifest((first, twice)))) == 1
    with pytest.raises(Contradiction, match=r"^Rows 2 and 4 name the same file, and do not say the same of it\.$"):
        labelled(read_preset("blines-c2d-a"), Manifest((first, twice, other)))


def test_simulated_clips_are_as_many_as_asked_for_and_each_a_patient_of_its_own() -> None:
    clips = simulated(read_preset("cmwru", quick=True))

    assert (len(clips), len({one.identity() for one in clips}), len({one.patient for one in clips})) == (10, 10, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blines-c2d-a", "four-signs", "cmwru"])
def test_a_phantom_of_each_class_becomes_runs_with_its_label(name: str, tmp_path: Path) -> None:
    preset = read_preset(name, quick=True)
    made = list(make_runs(preset, simulated(preset)[: max(2, len(preset.signs))], tmp_path))

    assert all(len(clip) for clip in made)
    assert len({label for clip in made for label in clip.labels}) == max(2, len(preset.signs))


def test_beside_phantoms_healthy_lung_is_taken_to_show_no_disease_and_nothing_is_known_of_its_a_lines(tmp_path: Path) -> None:
    several = frozenset({"effusion", "consolidation"})
    table = Manifest(
        (
            clip(tmp_path, "a", Label.HEALTHY, None),
            clip(tmp_path, "b", Label.UNKNOWN, several, split="test"),
            clip(tmp_path, "c", Label.UNKNOWN, None),
        )
    )

    signs, b_lines = (labelled(read_preset(name), table) for name in ("signs-small", "blines-small"))

    assert [one.label for one in signs] == [(NOT_KNOWN, 0, 0, 0), (0, 0, 1, 1)]
    assert [one.label for one in b_lines] == [(0,), (0,)]
    # Kept for test: judged, though in folds.
    assert [one.part for one in signs] == ["", "test"]


@pytest.mark.slow
def test_phantoms_of_several_signs_have_all_of_them_in_their_label_and_b_lines_by_the_frame() -> None:
    signs, b_lines = (simulated(replace(read_preset(name, quick=True), phantom_s=1.2), BESIDE) for name in ("signs-small", "blines-small"))

    truths = [one.open()[1] for one in signs[:4]]
    (timed,) = (one.open()[1] for one in b_lines[:1])

    assert {one.part for one in (*signs, *b_lines)} == {BESIDE}
    assert all(len(truth.label) == 4 and truth.shown is None for truth in truths)
    assert len({truth.label for truth in truths}) > 1
    assert timed.shown is not None
    assert timed.shown.any() <= bool(timed.label[0])
