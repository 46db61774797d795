"""Two models on the same clips."""

import math

import pytest

from service.findings import Verdict
from service.manifest import Label
from service.validation.comparison import compare, differing
from tests.fakes.cases import case, ward


def test_only_where_one_is_right_alone_counts_for_mcnemar() -> None:
    found = compare(list(zip(ward(20, wrong=0), ward(20, wrong=5), strict=True)))

    assert (found.both_right, found.only_first_right, found.only_second_right, found.neither_right) == (35, 5, 0, 0)
    assert found.mcnemar_p == 2 / 32
    assert (found.opposite_first, found.opposite_second) == (0, 5)
    assert found.differing_rows == (2, 4, 6, 8, 10)


def test_the_aurocs_are_compared_on_the_clips_both_gave_a_probability() -> None:
    found = compare(list(zip(ward(20, wrong=0), ward(20, wrong=5), strict=True)))

    assert (found.num_ranked, found.auroc_first, found.auroc_second) == (40, 1.0, 0.75)
    assert found.auroc_difference == 0.25
    assert found.difference[0] < 0.25 < found.difference[1]
    assert not found.few_patients


def test_one_model_against_itself_does_not_differ() -> None:
    found = compare(list(zip(ward(3), ward(3), strict=True)))

    assert (found.auroc_difference, found.mcnemar_p, found.differing_rows) == (0.0, 1.0, ())
    assert found.few_patients


def test_without_labels_only_differences_are_told() -> None:
    first = case(Label.UNKNOWN, Verdict.PRESENT, 0.9, row=2)
    found = compare([(first, case(Label.UNKNOWN, Verdict.INDETERMINATE, 0.6, row=2))])

    assert (found.num_judged, found.num_ranked, found.differing_rows) == (0, 0, (2,))
    assert math.isnan(found.auroc_difference)


def test_opposite_answers_come_first_then_what_one_got_right() -> None:
    def pair(row: int, label: Label, first: Verdict, second: Verdict) -> tuple[object, object]:
        return case(label, first, 0.5, row=row), case(label, second, 0.5, row=row)

    pairs = [
        pair(2, Label.UNKNOWN, Verdict.PRESENT, Verdict.ABSENT),
        pair(3, Label.PRESENT, Verdict.PRESENT, Verdict.INDETERMINATE),
        pair(4, Label.ABSENT, Verdict.PRESENT, Verdict.INDETERMINATE),
        pair(5, Label.ABSENT, Verdict.ABSENT, Verdict.ABSENT),
    ]

    assert [first.clip.row for first, _ in differing(pairs)] == [4, 3, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("num_patients", [9, 10])
def test_below_ten_patients_there_are_few(num_patients: int) -> None:
    assert compare(list(zip(ward(num_patients), ward(num_patients), strict=True))).few_patients == (num_patients < 10)
