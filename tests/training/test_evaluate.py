"""The figures a model is judged by, on evidence chosen by hand and on phantoms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.cine.pooling import Evidence
from service.manifest import Label, LabelledClip
from tests.fakes.inputs import MODEL_ALONE, SPEC, constant_engine
from tests.fakes.phantoms import small_phantom
from training.calibrate import CalibrationClip
from training.controls import Control, Seen
from training.evaluate import (
    ReadClip,
    against_controls,
    for_calibration,
    lung_point_composites,
    on_phantoms,
    pleura_error_px,
    read_clips,
    verdicts,
)
from training.recipe import Source

SLIDE_ALONE = replace(MODEL_ALONE, model_logit=0.0, log_slide_past_wall=3.0, intercept=-1.0)
"""The clip's logit is 3 log(slide of the lung / slide of the wall) - 1."""
NO_SOURCE = Source.__new__(Source)
"""Where the figures look at the evidence alone."""


def evidence(slide_px: float, wall_px: float = 0.3) -> Evidence:
    """One window of four columns; the model says 0 throughout."""
    shape = (1, 4)
    return Evidence(
        lung_logit=np.zeros(shape),
        wall_logit=np.zeros(shape),
        lung_sq=np.full(shape, slide_px**2),
        wall_sq=np.full(shape, wall_px**2),
        tracking=np.ones(shape),
        interspace=np.zeros(4, np.int64),
    )


def read_clip(index: int, label: Label, slide_px: float, control_px: float, *, is_doubted: bool = False) -> ReadClip:
    as_is, control = Seen(evidence(slide_px), is_doubted), Seen(evidence(control_px), is_doubted)
    return ReadClip(index, f"P{index}", label, 4.0, NO_SOURCE, as_is, dict.fromkeys(Control, control))


CLIPS = [read_clip(0, Label.PRESENT, 3.0, 0.3), read_clip(1, Label.HEALTHY, 4.0, 0.2), read_clip(2, Label.UNKNOWN, 0.3, 0.3)]


def test_a_lung_that_slides_more_than_every_control_of_it_has_an_auroc_of_1() -> None:
    table = against_controls(CLIPS, SLIDE_ALONE)

    assert list(table) == ["own_wall", *Control]
    assert {row["auroc"] for row in table.values()} == {1.0}
    assert {tuple(row["interval"]) for row in table.values()} == {(1.0, 1.0)}


def test_each_witness_is_judged_alone_as_well() -> None:
    """The model says the same of everything, so its AUROC is 0.5; the slide is right by itself."""
    row = against_controls(CLIPS, SLIDE_ALONE)["mirror"]

    assert (row["model_alone"], row["slide_alone"]) == (0.5, 1.0)


def test_clips_of_which_sliding_is_not_known_are_not_in_the_table() -> None:
    assert {row["clips"] for row in against_controls(CLIPS, SLIDE_ALONE).values()} == {2}


def test_a_control_that_slides_is_counted_as_called_present() -> None:
    clips = [read_clip(0, Label.PRESENT, 3.0, 3.0), read_clip(1, Label.PRESENT, 3.0, 0.3)]
    row = against_controls(clips, SLIDE_ALONE)["locked"]

    assert (row["called_present"], row["as_is_called_absent"]) == (0.5, 0.0)
    assert row["auroc"] == 0.75  # of the four pairs two are right and two are ties


def test_a_pair_of_which_one_cannot_be_read_is_left_out() -> None:
    silent = read_clip(3, Label.PRESENT, 3.0, float("nan"))

    assert against_controls([*CLIPS, silent], SLIDE_ALONE)["frozen"]["clips"] == 2


def test_a_control_that_no_clip_can_be_held_against_has_no_figures() -> None:
    row = against_controls([read_clip(0, Label.UNKNOWN, 3.0, 0.3)], SLIDE_ALONE)["wall"]

    assert row["clips"] == 0
    assert np.isnan([row["auroc"], *row["interval"], row["model_alone"], row["slide_alone"], row["called_present"]]).all()


def test_every_kind_of_clip_has_its_verdicts_counted() -> None:
    """3 and 4 px over a wall of 0.3 px are present; 0.3 over 0.3 has a logit of -1, a probability of 0.27: it does not decide."""
    table = verdicts([*CLIPS, read_clip(3, Label.UNKNOWN, float("nan"), 0.3)], SLIDE_ALONE)

    assert set(table) == {"as_is_present", "as_is_healthy", "as_is_unknown", *Control}
    assert table["as_is_present"] == table["as_is_healthy"] == {"present": 1}
    assert table["as_is_unknown"] == {"indeterminate": 1, "not_assessable": 1}
    assert sum(table["mirror"].values()) == 4


def test_a_clip_that_serving_doubts_is_counted_as_open() -> None:
    table = verdicts([read_clip(0, Label.PRESENT, 3.0, 0.3, is_doubted=True)], SLIDE_ALONE)

    assert table["as_is_present"] == table["mirror"] == {"indeterminate": 1}


def test_calibration_takes_the_lungs_that_slide_and_the_controls_of_all() -> None:
    clips = for_calibration(CLIPS)

    assert all(isinstance(clip, CalibrationClip) for clip in clips)
    assert [(clip.kind, clip.patient) for clip in clips if clip.slides] == [("as_is", "P0"), ("as_is", "P1")]
    assert sorted(clip.kind for clip in clips if not clip.slides) == sorted(list(Control) * 3)


def test_the_error_of_a_line_is_the_median_height_between_the_two_where_both_are() -> None:
    truth = np.array([[10.0, 100.0], [20.0, 100.0]])
    x = np.arange(0, 31, dtype=np.float32)

    assert pleura_error_px(x, np.full(31, 103, np.float32), truth) == 3
    assert pleura_error_px(x, np.where(x < 14, 180, 100).astype(np.float32), truth) == 0  # 4 of 11 places are far off
    assert pleura_error_px(x + 100, np.full(31, 100, np.float32), truth) == float("inf")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> list[ReadClip]:
    """Two phantoms that slide, of two patients, and a file that is no clip."""
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for index, preset in enumerate(("linear_present", "linear_present")):
        small_phantom(preset, 2.5, index).write(folder / f"{index}.mp4")
        clips.append(LabelledClip(folder / f"{index}.mp4", f"P{index}", Label.PRESENT))
    (folder / "text.mp4").write_text("no clip")
    return list(read_clips([*clips, LabelledClip(Path(folder / "text.mp4"), "P9", Label.PRESENT)], constant_engine(0.0), SPEC, seed=0))


def test_clips_are_read_with_all_their_controls_and_what_is_no_clip_is_passed_over(read: list[ReadClip]) -> None:
    assert [(clip.index, clip.patient) for clip in read] == [(0, "P0"), (1, "P1")]
    assert all(set(clip.controls) == set(Control) for clip in read)


def test_a_clip_is_judged_inside_its_region(tmp_path: Path) -> None:
    """There is no pleura in a corner of the picture."""
    small_phantom("present", 2.5).write(tmp_path / "a.mp4")
    clip = LabelledClip(tmp_path / "a.mp4", "P", Label.PRESENT, region="1,1 4,1 4,4")

    assert list(read_clips([clip], constant_engine(0.0), SPEC, seed=0)) == []


def test_phantoms_that_slide_are_told_from_every_control_by_their_slide_alone(read: list[ReadClip]) -> None:
    assert {name: row["slide_alone"] for name, row in against_controls(read, SLIDE_ALONE).items()} == dict.fromkeys(
        ["own_wall", *Control], 1.0
    )


def test_composites_take_their_halves_from_two_patients(read: list[ReadClip]) -> None:
    found = lung_point_composites(read, constant_engine(0.0), SPEC, SLIDE_ALONE, seed=0)
    alone = lung_point_composites(read[:1], constant_engine(0.0), SPEC, SLIDE_ALONE, seed=0)

    assert found["composites"] == 2
    assert 0 <= found["found"] <= 2
    assert alone == {"composites": 0, "found": 0, "median_error_share_of_width": None}


@pytest.mark.slow
def test_on_phantoms_the_measured_slide_alone_tells_sliding_from_not() -> None:
    figures = on_phantoms(constant_engine(0.0), SPEC, SLIDE_ALONE, pairs=4, seed=3)

    assert figures["phantoms"] >= 6
    assert figures["pleura_median_error_px"] < 3
    assert figures["sliding_auroc"] >= 0.9
