"""Ten frames of four signs, written out.

           called  A  B  E  C
A-lines            3  1  .  .     4
B-lines            .  2  .  .     2
effusion           .  .  1  1     2
consolidation      .  .  .  2     2
                   3  3  1  3    10
"""

import math

import numpy as np
import pytest

from tests.fakes.sign_answers import FOUR, frame_answers, sign_answers
from training.signs.confusion import FIGURES, OneOfSigns, figures_of, kappa

TEN = OneOfSigns.of(frame_answers("AA AA AA AB BB BB EE EC CC CC"))


def values(row: str) -> list[float]:
    found = figures_of(TEN.matrix(), FOUR)
    return [found[row, name] for name in FIGURES]


def test_the_matrix_has_the_truth_in_rows_and_the_answers_in_columns() -> None:
    assert TEN.matrix().tolist() == [[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 2]]


def test_each_sign_stands_against_all_the_others() -> None:
    # Precision, specificity, recall, F1, accuracy, kappa. B-lines: agreed 9/10, by chance (2 * 3 + 8 * 7) / 100.
    assert values("b_lines") == pytest.approx([2 / 3, 7 / 8, 1, 4 / 5, 9 / 10, (0.9 - 0.62) / (1 - 0.62)])
    assert values("effusion")[:5] == pytest.approx([1, 1, 1 / 2, 2 / 3, 9 / 10])


def test_macro_is_the_mean_of_the_signs_with_accuracy_and_kappa_of_the_whole() -> None:
    # Agreed 8/10, by chance (4 * 3 + 2 * 3 + 2 * 1 + 2 * 3) / 100.
    whole_kappa = (0.8 - 0.26) / (1 - 0.26)

    assert values("macro") == pytest.approx(
        [(1 + 2 / 3 + 1 + 2 / 3) / 4, (1 + 7 / 8 + 1 + 7 / 8) / 4, (3 / 4 + 1 + 1 / 2 + 1) / 4, (6 / 7 + 4 / 5 + 2 / 3 + 4 / 5) / 4]
        + [8 / 10, whole_kappa]
    )


def test_weighted_counts_each_sign_by_its_runs_and_its_recall_is_the_accuracy() -> None:
    precision, specificity, recall, _, accuracy, _ = values("weighted")

    assert precision == pytest.approx((4 * 1 + 2 * 2 / 3 + 2 * 1 + 2 * 2 / 3) / 10)
    assert specificity == pytest.approx((4 * 1 + 2 * 7 / 8 + 2 * 1 + 2 * 7 / 8) / 10)
    assert recall == pytest.approx(accuracy) == pytest.approx(0.8)


def test_kappa_by_hand() -> None:
    # Two readers and 50 cases: agreed 35/50 = 0.7; by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert kappa(np.array([[5, 5], [5, 5]])) == 0
    assert kappa(np.array([[5, 0], [0, 5]])) == 1


def test_kappa_is_not_defined_where_chance_alone_agrees_always() -> None:
    assert math.isnan(kappa(np.array([[5, 0], [0, 0]])))


def test_a_sign_that_was_never_said_has_no_precision_and_nor_has_the_mean() -> None:
    found = figures_of(np.array([[2, 0], [1, 0]]), ("a_lines", "b_lines"))

    assert math.isnan(found["b_lines", "precision"])
    assert math.isnan(found["macro", "precision"])
    assert (found["b_lines", "recall"], found["macro", "recall"]) == (0, 0.5)


def test_a_sign_that_nothing_shows_weighs_nothing() -> None:
    found = figures_of(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]), ("a_lines", "b_lines", "effusion"))

    assert found["weighted", "recall"] == pytest.approx(3 / 4)


def test_runs_with_no_sign_several_or_an_unknown_one_are_left_out() -> None:
    labels = [[1, 0], [0, 0], [1, 1], [1, -1], [0, 1]]
    one = OneOfSigns.of(sign_answers(labels, [[0.6, 0.4]] * 5, signs=("a_lines", "b_lines")))

    assert (one.truth.tolist(), one.answered.tolist(), one.clip.tolist()) == ([0, 1], [0, 0], ["c0", "c4"])


def test_the_estimates_are_the_figures_with_an_interval_around_them() -> None:
    found = TEN.figures()

    assert set(found) == {(row, name) for row in (*FOUR, "macro", "weighted") for name in FIGURES}
    assert found["weighted", "accuracy"] == pytest.approx((0.8, 0.5, 1.0), abs=0.06)
    assert found["macro", "kappa"].low < found["macro", "kappa"].value < found["macro", "kappa"].high
