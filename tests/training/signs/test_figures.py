"""Figures of one sign, small enough to check in the head."""

import math

import numpy as np
import pytest

from tests.fakes.sign_answers import of_one_sign
from training.signs.figures import BINARY, binary_figures, estimates

# Found 3 of 4; of 6 that do not show it, 2 called so: TP 3, FN 1, FP 2, TN 4.
TEN = of_one_sign([1] * 4 + [0] * 6, [0.9, 0.8, 0.7, 0.2, 0.6, 0.6, 0.1, 0.1, 0.1, 0.1])


def test_ten_runs_by_hand() -> None:
    found = {name: estimate.value for name, estimate in binary_figures(TEN, "b_lines").items()}

    assert found == pytest.approx(
        {
            "accuracy": 7 / 10,
            "precision": 3 / 5,
            "recall": 3 / 4,
            "specificity": 4 / 6,
            "f1": 6 / 9,
            # 3 of the 4 rank above all 6; the fourth, at 0.2, above 4.
            "auroc": (3 * 6 + 4) / 24,
        }
    )


def test_runs_of_which_it_is_not_known_do_not_count() -> None:
    found = binary_figures(of_one_sign([1, 0, -1], [0.9, 0.1, 0.9]), "b_lines")

    assert [found[name].value for name in BINARY] == [1.0] * 6


def test_of_nothing_known_nothing_is_said() -> None:
    assert all(math.isnan(number) for estimate in binary_figures(of_one_sign([-1], [0.9]), "b_lines").values() for number in estimate)


def test_the_interval_is_over_patients_and_lies_about_the_value() -> None:
    found = binary_figures(of_one_sign([1] * 20, [0.9] * 15 + [0.1] * 5), "b_lines")  # 15 of 20

    assert found["accuracy"] == pytest.approx((0.75, 0.55, 0.95), abs=0.06)


def test_the_same_draws_of_patients_serve_every_figure() -> None:
    """The accuracy and the share of errors of the same draws add up to 1 in every draw, so their intervals mirror each other."""
    right = np.array([1.0] * 7 + [0.0] * 3)
    found = estimates(lambda i: {"right": right[i].mean(), "wrong": 1 - right[i].mean()}, TEN.patient)

    assert found["wrong"].low == pytest.approx(1 - found["right"].high)
    assert found["wrong"].high == pytest.approx(1 - found["right"].low)
