"""From patches to the clip, in numbers computed by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.motion import Motion, Shifts
from service.cine.pooling import (
    MIN_PAIRS,
    SLIDE_FLOOR_PX,
    Calibration,
    Evidence,
    Pooled,
    Summary,
    contrasts,
    decide,
    find_lung_point,
    gather,
    logit_of,
    pool,
    sigmoid,
    summarise,
)
from service.cine.tiling import WALL_ONLY, WALL_ROW, Column, Patch, Plan
from service.errors import BadBundle
from service.findings import Verdict
from tests.fakes.inputs import MODEL_ALONE

NAN = float("nan")

Rows = list[list[float]]


def evidence(
    lung_logit: Rows,
    *,
    wall_logit: Rows | None = None,
    lung_sq: Rows | None = None,
    wall_sq: Rows | None = None,
    interspace: list[int] | None = None,
) -> Evidence:
    """One row a window, one number a column; the lung moves 1 px past its wall and the wall not at all unless given."""
    lung = np.array(lung_logit, float)

    def given(values: Rows | None, otherwise: float) -> NDArray[np.float64]:
        return np.full(lung.shape, otherwise) if values is None else np.array(values, float)

    groups = [0] * lung.shape[1] if interspace is None else interspace
    return Evidence(lung, given(wall_logit, NAN), given(lung_sq, 1.0), given(wall_sq, 0.0), np.ones(lung.shape), np.array(groups))


# --- four numbers of one clip ---


def test_columns_are_pooled_by_their_median_and_interspaces_by_their_mean() -> None:
    found = summarise(evidence([[1, 2, 9, 4]], interspace=[0, 0, 0, 1]))

    assert found.lung_logit == (2 + 4) / 2


def test_the_windows_that_speak_most_for_sliding_count() -> None:
    assert summarise(evidence([[1], [5], [-7], [3]])).lung_logit == (5 + 3) / 2  # a breath held in the other half
    assert summarise(evidence([[1], [5], [3]])).lung_logit == (5 + 3) / 2


def test_the_slide_is_the_root_of_the_mean_square_over_all_windows() -> None:
    found = summarise(evidence([[0, 0, 0], [0, 0, 0]], lung_sq=[[1, 3, 9], [5, 5, 5]]))

    assert found.slide_px == math.sqrt((3 + 5) / 2)


def test_the_walls_slide_is_taken_from_every_column_with_those_that_are_wall_alone() -> None:
    found = summarise(evidence([[0, 0]], wall_sq=[[1, NAN, 4, 9]]))

    assert found.wall_px == 2.0


def test_part_of_a_clip_is_pooled_like_the_whole() -> None:
    clip = evidence([[1, 2], [3, 4]], lung_sq=[[1, 4], [9, 16]])

    found = summarise(clip, columns=np.array([1]), windows=np.array([0]))

    assert (found.lung_logit, found.slide_px) == (2, 2)


def test_what_says_nothing_is_left_out() -> None:
    found = summarise(evidence([[NAN, 3, 5], [NAN, NAN, NAN]], lung_sq=[[NAN, 4, 4], [NAN, NAN, NAN]]))

    assert (found.lung_logit, found.slide_px) == (4, 2)


def test_a_clip_that_says_nothing_has_no_summary() -> None:
    assert not summarise(evidence([[NAN, NAN]])).is_complete
    assert not summarise(evidence([[1, 1]], lung_sq=[[NAN, NAN]])).is_complete


# --- the logit ---


def test_both_witnesses_are_held_against_the_wall() -> None:
    summary = Summary(lung_logit=2.0, wall_logit=-1.0, slide_px=1.0 - SLIDE_FLOOR_PX, wall_px=math.exp(-2) - SLIDE_FLOOR_PX)

    assert summary.features() == pytest.approx([2.0, 2.0 - -1.0, math.log(1.0), 0.0 - -2.0])


def test_without_a_wall_nothing_is_held_against_it() -> None:
    assert Summary(2.0, NAN, 1.0 - SLIDE_FLOOR_PX, NAN).features() == pytest.approx([2.0, 0.0, 0.0, 0.0])


def test_the_logit_is_the_weighted_sum() -> None:
    calibration = replace(MODEL_ALONE, intercept=0.5, model_logit=1.0, model_past_wall=10.0, log_slide=100.0, log_slide_past_wall=1000.0)
    summary = Summary(2.0, -1.0, math.e - SLIDE_FLOOR_PX, 1.0 - SLIDE_FLOOR_PX)

    assert logit_of(summary, calibration) == pytest.approx(0.5 + 2 + 10 * 3 + 100 * 1 + 1000 * 1)


def test_a_sigmoid_of_the_largest_numbers_is_still_a_probability() -> None:
    assert sigmoid(0.0) == 0.5
    assert 0 < sigmoid(-1e9) < 1e-12
    assert 1 - 1e-12 < sigmoid(1e9) <= 1


# --- the clip ---


def pooled(clip: Evidence, calibration: Calibration = MODEL_ALONE) -> Pooled:
    found = pool(clip, calibration)
    assert found is not None
    return found


def test_a_clip_that_says_nothing_is_not_pooled() -> None:
    assert pool(evidence([[NAN, NAN]]), MODEL_ALONE) is None


def test_probability_of_clip_windows_and_columns() -> None:
    found = pooled(evidence([[2, 4], [NAN, NAN], [-1, 1]]))

    assert found.probability == sigmoid(3)  # the better half of the two windows that say anything
    assert found.window_probabilities == (sigmoid(3), None, sigmoid(0))
    assert found.column_probabilities == (sigmoid(2), sigmoid(4))


def test_the_interval_is_that_of_windows_and_interspaces() -> None:
    found = pooled(evidence([[2, 4], [-1, -1]], interspace=[0, 1]))

    # Four cells 2, 4, -1, -1: mean 1, variance (1 + 9 + 4 + 4) / 3 = 6. The clip's logit is its better window's, 3.
    spread = 1.96 * math.sqrt(6 / 4)
    assert found.interval == pytest.approx((sigmoid(3 - spread), sigmoid(3 + spread)))


def test_a_single_cell_has_a_wide_interval() -> None:
    assert pooled(evidence([[1, 1]])).interval == pytest.approx((sigmoid(1 - 1.5), sigmoid(1 + 1.5)))


def test_the_wall_control_puts_the_wall_in_the_lungs_place() -> None:
    by_model = pooled(evidence([[5, 5]], wall_logit=[[-2, -2]]))
    by_slide = pooled(
        evidence([[5, 5]], wall_logit=[[-2, -2]], lung_sq=[[9, 9]], wall_sq=[[0.85**2, 0.85**2]]),
        replace(MODEL_ALONE, model_logit=0.0, log_slide=1.0, log_slide_past_wall=7.0, model_past_wall=7.0),
    )

    assert by_model.wall_control == pytest.approx(sigmoid(-2))
    assert by_slide.wall_control == pytest.approx(sigmoid(math.log(0.85 + 0.15)))  # past itself it does not move


def test_without_a_wall_there_is_no_wall_control() -> None:
    assert pooled(evidence([[5, 5]])).wall_control is None


# --- the lung point ---


@pytest.mark.parametrize("border", [2, 3, 4])
@pytest.mark.parametrize("sliding_side", [1, -1])
def test_the_lung_point_lies_between_the_columns_that_slide_and_those_that_do_not(border: int, sliding_side: int) -> None:
    logits = [3.0 * sliding_side] * border + [-3.0 * sliding_side] * (6 - border)

    assert find_lung_point(evidence([logits]), MODEL_ALONE) == border - 0.5


def test_a_column_that_says_nothing_does_not_hide_the_lung_point() -> None:
    assert find_lung_point(evidence([[3, NAN, 3, -3, NAN, -3]]), MODEL_ALONE) == 2.5


def test_one_odd_column_is_no_lung_point() -> None:
    assert find_lung_point(evidence([[3, 3, 3, 3, -9]]), MODEL_ALONE) is None


def test_two_stretches_that_both_slide_are_no_lung_point() -> None:
    assert find_lung_point(evidence([[9, 9, 1, 1]]), MODEL_ALONE) is None


def test_a_contrast_below_the_calibrated_one_is_no_lung_point() -> None:
    assert find_lung_point(evidence([[1.9, 1.9, -1.9, -1.9]]), MODEL_ALONE) is None  # 3.8; 4 are needed
    assert find_lung_point(evidence([[2.1, 2.1, -2.1, -2.1]]), MODEL_ALONE) == 1.5


def test_contrasts_are_differences_of_medians() -> None:
    assert contrasts(evidence([[3, 5, -1, -1]]), MODEL_ALONE).tolist() == [0, 4 - -1, 0]  # two columns a side at least


@pytest.mark.parametrize("num_columns", [0, 1])
def test_a_pleura_of_no_width_has_no_lung_point(num_columns: int) -> None:
    assert find_lung_point(evidence([[3.0] * num_columns]), MODEL_ALONE) is None


# --- the verdict ---


def verdict(
    probability: float,
    *,
    interval: tuple[float, float] | None = None,
    wall_control: float | None = 0.1,
    lung_point: float | None = None,
    duration_s: float = 4.0,
) -> Verdict:
    around = interval or (probability - 0.1, probability + 0.1)
    return decide(Pooled(probability, around, wall_control, (), (), lung_point), MODEL_ALONE, duration_s)


def test_windows_that_disagree_leave_it_open() -> None:
    assert verdict(0.94, interval=(0.41, 0.99)) is Verdict.INDETERMINATE
    assert verdict(0.94, interval=(0.51, 0.99)) is Verdict.PRESENT
    assert verdict(0.06, interval=(0.01, 0.55)) is Verdict.INDETERMINATE
    assert verdict(0.06, interval=(0.01, 0.45)) is Verdict.ABSENT


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.19, Verdict.ABSENT),
        (0.2, Verdict.INDETERMINATE),
        (0.5, Verdict.INDETERMINATE),
        (0.8, Verdict.INDETERMINATE),
        (0.81, Verdict.PRESENT),
    ],
)
def test_between_absent_below_and_present_above_nothing_is_said(probability: float, said: Verdict) -> None:
    assert verdict(probability) is said


def test_a_clip_too_short_for_a_breath_is_never_called_absent() -> None:
    assert verdict(0.01, duration_s=3.5) is Verdict.ABSENT
    assert verdict(0.01, duration_s=3.4) is Verdict.INDETERMINATE
    assert verdict(0.99, duration_s=2.0) is Verdict.PRESENT


def test_a_wall_that_seems_to_slide_leaves_it_open() -> None:
    assert verdict(0.99, wall_control=0.91) is Verdict.INDETERMINATE
    assert verdict(0.01, wall_control=0.91) is Verdict.INDETERMINATE
    assert verdict(0.99, wall_control=0.9) is Verdict.PRESENT
    assert verdict(0.99, wall_control=None) is Verdict.PRESENT


def test_a_lung_point_is_never_called_present_nor_absent() -> None:
    assert verdict(0.99, lung_point=2.5) is Verdict.INDETERMINATE
    assert verdict(0.01, lung_point=2.5) is Verdict.INDETERMINATE


# --- sorting what was said into columns ---

PLAN = Plan(
    columns=(Column(0, 0), Column(30, 1), Column(90, WALL_ONLY)),
    patches=(Patch(0, 0, 0, 0), Patch(0, 1, 0, 1), Patch(1, 0, 30, 0), Patch(WALL_ROW, 1, -34, 2)),
    patch_px=30,
)


def motion(lung_px: list[float], wall_px: list[float]) -> Motion:
    """Every pair the same."""

    def band(values: list[float]) -> Shifts:
        along = np.repeat(np.array([values], np.float32), MIN_PAIRS, axis=0)
        return Shifts(along, np.zeros_like(along), np.where(np.isnan(along), 0, 0.9).astype(np.float32))

    return Motion(np.arange(MIN_PAIRS), PLAN.centres, band(wall_px), band(lung_px))


def test_each_column_takes_the_median_of_its_rows_and_its_own_wall() -> None:
    found = gather(PLAN, [motion([2, 3, 0], [0, 0, 0])], [np.array([1, 5, 3, -7], np.float32)])

    assert found.lung_logit.tolist() == [[2, 5]]
    assert np.isnan(found.wall_logit[0, 0])
    assert found.wall_logit[0, 1] == -7
    assert found.interspace.tolist() == [0, 1]


def test_lung_is_measured_on_the_columns_with_lung_and_wall_on_all() -> None:
    found = gather(PLAN, [motion([2, 3, 99], [0, 1, 2])], [np.zeros(4, np.float32)])

    assert found.lung_sq.tolist() == [[(2 - 0) ** 2, (3 - 1) ** 2]]
    assert found.wall_sq.tolist() == [[(0 - 2) ** 2, (1 - 2) ** 2, (2 - 0.5) ** 2]]  # centres 15, 45, 105: 90, 60 and both
    assert found.tracking.shape == (1, 2)


def test_a_lost_column_says_nothing_of_its_slide() -> None:
    found = gather(PLAN, [motion([NAN, 3, 0], [0, 1, 2])], [np.zeros(4, np.float32)])

    assert np.isnan(found.lung_sq[0, 0])
    assert found.lung_sq[0, 1] == 4


def test_a_clip_without_windows_is_gathered_to_nothing() -> None:
    found = gather(PLAN, [], [])

    assert found.lung_logit.shape == found.lung_sq.shape == found.tracking.shape == (0, 2)
    assert pool(found, MODEL_ALONE) is None


# --- the calibration ---


def test_a_calibration_survives_json() -> None:
    assert Calibration.from_json(MODEL_ALONE.to_json()) == MODEL_ALONE


def test_limits_of_the_verdicts_are_ordered() -> None:
    with pytest.raises(ValueError, match="absent_below and present_above must be ordered probabilities."):
        replace(MODEL_ALONE, absent_below=0.9)


@pytest.mark.parametrize("fields", [{}, MODEL_ALONE.to_json() | {"temperature": 1.0}, MODEL_ALONE.to_json() | {"present_above": 2.0}])
def test_a_calibration_of_another_kind_is_a_bad_bundle(fields: dict[str, float]) -> None:
    with pytest.raises(BadBundle, match="The bundle's calibration is not one this version can read."):
        Calibration.from_json(fields)
