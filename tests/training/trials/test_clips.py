"""What is made of one real clip, and of two."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.manifest import Label, LabelledClip
from tests.fakes.inputs import MODEL_ALONE, SPEC, constant_engine
from tests.fakes.phantoms import small_phantom
from tests.training.trials.sources import swaying
from training.controls import Control
from training.counterfactual import Base
from training.recording import Recording
from training.trials.answers import Judge, Kind
from training.trials.clips import Played, Subject, _as_is, in_turn, open_subject, rows_of_clip, rows_of_two
from training.trials.conditions import of_files

JUDGE = Judge(constant_engine(0.0), SPEC, MODEL_ALONE)
EMPTY = Recording.at(np.zeros((90, 8, 8), np.uint8), 22.5)
"""4 s; has no pleura, so that it is not read at other speeds."""


def subject(number: int, seed: int) -> Subject:
    return Subject(number, f"patient-{number}", EMPTY, swaying(seed, fps=22.5))


def test_each_condition_falls_to_one_base_and_moves_on_from_clip_to_clip() -> None:
    files = of_files(22.2)

    for number in range(3):
        shares = [in_turn(files, number, base) for base in range(3)]
        assert sorted(map(str, files)) == sorted(str(condition) for share in shares for condition in share)
    assert [files[0] in in_turn(files, number, 0) for number in range(4)] == [True, False, False, True]


def test_a_clip_played_at_double_speed_lasts_half_as_long_and_shows_the_same_frames() -> None:
    fast = Played(EMPTY, 2.0)

    assert (fast.info.duration_s, fast.info.fps, len(list(fast.frames()))) == (2.0, 45.0, 90)
    assert len(list(fast.rgb_frames())) == 90


def test_a_clip_is_tried_inside_its_region_at_every_speed(tmp_path: Path) -> None:
    """There is no pleura in a corner of the picture."""
    small_phantom("present", 2.5).write(tmp_path / "a.mp4")
    labelled = LabelledClip(tmp_path / "a.mp4", "P", Label.PRESENT)
    whole = open_subject(0, "patient-0", labelled, JUDGE, 1)
    assert whole is not None
    elsewhere = replace(whole, region="1,1 4,1 4,4")
    said = [{row.condition for row in _as_is(subject, JUDGE, 1, 1)} for subject in (whole, elsewhere)]

    assert open_subject(0, "patient-0", replace(labelled, region=elsewhere.region), JUDGE, 1) is None
    assert said[0] - said[1] == {"half speed"}  # at double speed 2.5 s are too short


@pytest.mark.slow
def test_a_clip_gives_twins_under_every_condition_its_controls_and_itself() -> None:
    rows = list(rows_of_clip(subject(0, 0), JUDGE, 1, 2))
    twins = [row for row in rows if row.kind is Kind.COUNTERFACTUAL]

    assert Counter(row.slides for row in twins) == {True: 27, False: 27}  # 3 bases plain and as trained, 2 orders, 4 rates, 15 codings
    assert {row.base for row in twins if row.condition == "plain"} == set(Base)
    assert [row.condition for row in rows if row.kind is Kind.CONTROL] == ["own_wall", *Control]
    assert [row.condition for row in rows if row.kind is Kind.AS_IS] == ["plain", "reversed", "shuffled"]
    assert {row.subject for row in rows} == {"patient-0"}


def test_two_clips_give_twins_with_the_others_lung_and_a_lung_point() -> None:
    rows = list(rows_of_two(subject(0, 0), subject(1, 1), JUDGE, 1))

    assert [(row.kind, row.slides) for row in rows] == [(Kind.SWAPPED, False), (Kind.SWAPPED, True), (Kind.COMPOSITE, None)]
    assert rows[2].true_point == pytest.approx(0.5, abs=0.2)
    assert {row.subject for row in rows} == {"patient-0"}
