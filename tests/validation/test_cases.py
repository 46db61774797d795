"""Right, opposite, leaning the wrong way."""

import pytest

from service.findings import Verdict
from service.manifest import Label
from service.validation.cases import OUTCOMES, worst
from tests.fakes.cases import case

P, A, I, N = Verdict.PRESENT, Verdict.ABSENT, Verdict.INDETERMINATE, Verdict.NOT_ASSESSABLE  # noqa: E741


@pytest.mark.parametrize(
    ("label", "verdict", "is_right", "is_opposite"),
    [
        (Label.PRESENT, P, True, False),
        (Label.PRESENT, A, False, True),
        (Label.PRESENT, I, False, False),
        (Label.PRESENT, None, False, False),
        (Label.ABSENT, A, True, False),
        (Label.ABSENT, P, False, True),
        (Label.ABSENT, N, False, False),
        (Label.UNKNOWN, P, False, False),
        (Label.UNKNOWN, A, False, False),
        (Label.HEALTHY, A, False, False),
    ],
)
def test_an_answer_is_right_opposite_or_neither(label: Label, verdict: Verdict | None, is_right: bool, is_opposite: bool) -> None:
    found = case(label, verdict)

    assert (found.is_right, found.is_opposite) == (is_right, is_opposite)


@pytest.mark.parametrize(
    ("verdict", "suspected", "is_right", "is_opposite"),
    [
        (I, True, True, False),
        (A, True, True, False),
        (I, False, False, False),
        (A, False, False, False),
        (P, False, False, True),
        (P, True, False, True),
    ],
)
def test_a_lung_point_must_be_suspected_and_never_called_present(
    verdict: Verdict, suspected: bool, is_right: bool, is_opposite: bool
) -> None:
    found = case(Label.LUNG_POINT, verdict, lung_point=suspected)

    assert (found.is_right, found.is_opposite) == (is_right, is_opposite)


def test_healthy_lungs_slide_only_where_that_was_asked_for() -> None:
    assert case(Label.HEALTHY, A).truth is None
    assert case(Label.HEALTHY, A, healthy_is_present=True).truth == 1
    assert case(Label.HEALTHY, A, healthy_is_present=True).is_opposite


def test_every_clip_has_one_outcome() -> None:
    found = [case(Label.UNKNOWN, verdict).outcome for verdict in (P, A, I, N, None)]

    assert found == ["present", "absent", "cannot tell", "not assessable", "not read"]
    assert case(Label.UNKNOWN, I, lung_point=True).outcome == "lung point"
    assert set(found) | {"lung point"} == set(OUTCOMES)


def test_the_worst_come_first_and_what_is_right_does_not_come() -> None:
    cases = [
        case(Label.PRESENT, P, 0.9, row=2),
        case(Label.PRESENT, I, 0.2, row=3),
        case(Label.ABSENT, P, 0.95, row=4),
        case(Label.HEALTHY, A, 0.1, row=5),
        case(Label.ABSENT, P, 0.99, row=6),
        case(Label.ABSENT, I, 0.4, row=7),
        case(Label.UNKNOWN, P, 0.99, row=8),
    ]

    assert [bad.clip.row for bad in worst(cases, 9)] == [6, 4, 5, 3]
    assert [bad.clip.row for bad in worst(cases, 1)] == [6]
