"""Figures that can be counted by hand."""

import math

import pytest

from service.findings import ReasonCode, Verdict
from service.manifest import Label
from service.validation.figures import figures_of
from tests.fakes.cases import case, ward

P, A, I, N = Verdict.PRESENT, Verdict.ABSENT, Verdict.INDETERMINATE, Verdict.NOT_ASSESSABLE  # noqa: E741
MIXED = [
    case(Label.PRESENT, P, 0.9, row=2, patient="A", probe="linear"),
    case(Label.PRESENT, I, 0.6, row=3, patient="A", probe="linear"),
    case(Label.ABSENT, P, 0.8, row=4, patient="B", probe="convex"),
    case(Label.ABSENT, A, 0.1, row=5, patient="C", probe="convex"),
    case(Label.ABSENT, N, None, row=6, patient="C", probe="convex", reasons=(ReasonCode.NO_PLEURA,)),
    case(Label.LUNG_POINT, I, 0.5, row=7, patient="D", lung_point=True),
    case(Label.UNKNOWN, A, 0.2, row=8, patient="E"),
    case(Label.ABSENT, None, row=9, patient="F"),
]


def test_whoever_abstains_is_not_right_but_only_of_all() -> None:
    accuracy = figures_of(MIXED).accuracy

    assert (accuracy.present_of_given.num_hits, accuracy.present_of_given.num_clips) == (1, 1)
    assert (accuracy.present_of_all.num_hits, accuracy.present_of_all.num_clips) == (1, 2)
    assert (accuracy.absent_of_given.num_hits, accuracy.absent_of_given.num_clips) == (1, 2)
    assert (accuracy.absent_of_all.num_hits, accuracy.absent_of_all.num_clips) == (1, 4)


def test_unknown_labels_count_for_coverage_alone() -> None:
    accuracy = figures_of(MIXED).accuracy

    assert (accuracy.coverage.num_hits, accuracy.coverage.num_clips) == (4, 8)
    assert (accuracy.opposite.num_hits, accuracy.opposite.num_clips) == (1, 7)
    assert (accuracy.lung_points.num_hits, accuracy.lung_points.num_clips) == (1, 1)
    assert accuracy.auroc.value == 0.75  # 0.9 beats 0.8 and 0.1, 0.6 only 0.1


def test_opposites_reasons_and_errors_are_told_by_row() -> None:
    figures = figures_of(MIXED)

    assert figures.opposite_rows == (4,)
    assert figures.reasons == {"no_pleura": 1}
    assert figures.doubts == {"": 1}
    assert figures.errors == {"unreadable_clip": (9,)}


def test_every_clip_is_in_the_confusion_once() -> None:
    confusion = figures_of(MIXED).confusion

    assert sum(sum(counts.values()) for counts in confusion.values()) == len(MIXED)
    assert confusion["lung point"]["lung point"] == 1
    assert confusion["absent"] == {"present": 1, "absent": 1, "lung point": 0, "cannot tell": 0, "not assessable": 1, "not read": 1}
    assert list(confusion)[-1] == "unknown"


def test_groups_are_by_column_the_largest_first_and_none_where_all_are_alike() -> None:
    groups = [group for group in figures_of(MIXED).groups]

    assert [(group.column, group.value, group.accuracy.num_clips) for group in groups] == [
        ("probe", "", 3),
        ("probe", "convex", 3),
        ("probe", "linear", 2),
    ]


def test_time_is_of_the_clips_that_were_read() -> None:
    assert figures_of(MIXED).total_ms_median == 1000.0
    assert math.isnan(figures_of([case(Label.ABSENT, None)]).total_ms_median)


def test_calibration_and_abstention_of_a_ward() -> None:
    figures = figures_of(ward(20, wrong=5))
    assert figures.calibration is not None
    assert figures.abstention is not None

    # 15 x (0.9 - 1)^2 + 5 x (0.05 - 1)^2 + 20 x 0.1^2, over 40
    assert figures.calibration.brier == pytest.approx((15 * 0.01 + 5 * 0.9025 + 20 * 0.01) / 40)
    assert figures.abstention.chosen_coverage == 1.0
    assert figures.abstention.chosen_risk == pytest.approx(5 / 40)
    assert figures.abstention.coverage[-1] == 1.0


def test_the_risk_curve_ends_where_clips_have_no_probability() -> None:
    figures = figures_of([*ward(1), case(Label.PRESENT, N, None, row=9), case(Label.ABSENT, None, row=10)])
    assert figures.abstention is not None

    assert figures.abstention.coverage[-1] == 0.5
    assert figures.abstention.chosen_coverage == 0.5


def test_one_class_has_neither() -> None:
    figures = figures_of([case(Label.PRESENT, P, 0.9)])

    assert figures.calibration is None
    assert figures.abstention is None
