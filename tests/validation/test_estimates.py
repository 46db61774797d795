"""A figure is never surer than its patients allow."""

import pytest

from service.metrics import wilson_interval
from service.validation.estimates import ranking, share


def patients(num: int) -> list[str]:
    return [f"P{k}" for k in range(num)]


def test_all_right_is_not_certain() -> None:
    found = share([True] * 40, patients(40), "")

    assert (found.value, found.num_hits, found.method) == (1.0, 40, "Wilson")
    assert (found.low, found.high) == wilson_interval(40, 40)


def test_forty_clips_of_four_patients_are_worth_four() -> None:
    found = share([True] * 40, patients(4) * 10, "")

    assert (found.low, found.high) == wilson_interval(4, 4)
    assert (found.num_clips, found.num_patients, found.is_small) == (40, 4, True)
    assert share([True, True, False, False] * 10, patients(4) * 10, "").method == "Wilson"


def test_a_few_wrong_among_many_are_not_left_to_the_bootstrap() -> None:
    assert share([True] * 96 + [False] * 4, patients(100), "").method == "Wilson"
    assert share([True] * 95 + [False] * 5, patients(100), "").method == "bootstrap"


def test_a_share_of_many_patients_is_bootstrapped_over_them() -> None:
    found = share([True] * 30 + [False] * 30, patients(60), "")

    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.37, 0.63), abs=0.02)


def test_a_share_of_nothing_says_what_is_missing() -> None:
    found = share([], [], "no clip is labelled absent")

    assert not found.is_defined
    assert found.missing == "no clip is labelled absent"


def test_a_perfect_order_of_few_patients_is_not_certain() -> None:
    found = ranking([1, 1, 1, 0], [0.9, 0.8, 0.7, 0.1], patients(4))

    assert (found.value, found.method) == (1.0, "Wilson")
    assert (found.low, found.high) == wilson_interval(1, 1)  # one patient whose lung does not slide


def test_an_order_of_one_class_is_not_computed() -> None:
    assert ranking([1, 1], [0.9, 0.8], patients(2)).missing == "every clip with a probability is labelled present; both are needed"
    assert ranking([0], [0.9], patients(1)).missing == "every clip with a probability is labelled absent; both are needed"
    assert ranking([], [], []).missing == "no clip labelled present or absent got a probability"


def test_an_order_of_many_patients_is_bootstrapped_over_them() -> None:
    found = ranking([0, 1] * 30, [0.3, 0.7] * 28 + [0.7, 0.3] * 2, patients(60))

    assert found.method == "bootstrap"
    assert found.low < found.value < found.high < 1.0
