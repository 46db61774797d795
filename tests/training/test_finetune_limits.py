"""Limits that a site's few clips set: never a narrower band than the parent's."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes.inputs import MODEL_ALONE
from tests.training.test_calibrate import clip_of, evidence
from training.calibrate import CalibrationClip
from training.controls import Control
from training.finetune_limits import cautious, set_on

PARENT = replace(MODEL_ALONE, absent_below=0.2, present_above=0.8)


def clips(sliding: int, locked: int, absent: int = 0, wall: int = 0) -> list[CalibrationClip]:
    moves, rests = evidence(3.0, 3.0), evidence(-3.0, 0.1)
    kinds = [(Control.LOCKED, locked), ("absent", absent), (Control.WALL, wall)]
    still = [clip_of(rests, False, f"P{k}", kind) for kind, num in kinds for k in range(num)]
    return [clip_of(moves, True, f"P{k}", "as_is") for k in range(sliding)] + still


@pytest.mark.parametrize(
    ("sliding", "locked", "absent", "band"),
    [(19, 19, 0, (0.3, 0.7)), (19, 18, 0, (0.3, 0.8)), (18, 19, 0, (0.2, 0.7)), (19, 40, 3, (0.3, 0.8)), (5, 5, 0, (0.2, 0.8))],
)
def test_a_limit_set_on_fewer_than_nineteen_clips_of_a_kind_never_narrows_the_band(
    sliding: int, locked: int, absent: int, band: tuple[float, float]
) -> None:
    narrower, wider = (replace(MODEL_ALONE, absent_below=low, present_above=high) for low, high in ((0.3, 0.7), (0.1, 0.9)))
    found = cautious(narrower, PARENT, clips(sliding, locked, absent))

    assert (found.absent_below, found.present_above) == band
    assert cautious(wider, PARENT, clips(sliding, locked, absent)) == wider


def test_the_rarest_kind_of_control_counts_and_the_wall_which_sets_no_limit_does_not() -> None:
    assert set_on(clips(sliding=7, locked=5, absent=3, wall=1)) == (7, 3)


def test_a_clip_without_a_lung_that_can_be_tracked_sets_no_limit() -> None:
    unseen = replace(evidence(3.0, 3.0), tracking=np.zeros((2, 4)), lung_logit=np.full((2, 4), np.nan))

    assert set_on([*clips(sliding=2, locked=2), clip_of(unseen, True, "P9", "as_is")]) == (2, 2)
