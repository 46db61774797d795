"""Signs of which a run shows exactly one: who was taken for whom, and the figures of each sign and of all together.

Of each sign, against all the others: precision, specificity, recall, F1, accuracy, Cohen's kappa. Of all together, twice:

    macro      the mean over the signs, each counting alike
    weighted   the mean over the signs, each by how many runs show it

but for accuracy and kappa, which are those of the whole matrix in both: the share of runs answered rightly, and that beyond chance.
The weighted recall is always the accuracy; the macro recall is, where every sign has as many runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics import Counts
from training.signs.answers import SignAnswers
from training.signs.figures import Estimate, Indices, estimates

Matrix = NDArray[np.int64]
"""Runs by what is there (row) and by what was said (column), (K, K)."""

FIGURES = ("precision", "specificity", "recall", "f1", "accuracy", "kappa")
MACRO, WEIGHTED = "macro", "weighted"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class OneOfSigns:
    """Runs known to show one of the signs and no other, and the sign of greatest probability said of them."""

    signs: tuple[str, ...]
    truth: NDArray[np.int64]
    """Which of the signs, (m,)."""
    answered: NDArray[np.int64]
    """(m,)"""
    probability: NDArray[np.float64]
    """Of what was answered, (m,)."""
    patient: NDArray[np.str_]
    clip: NDArray[np.str_]
    """Keys, (m,)."""

    @classmethod
    def of(cls, answers: SignAnswers) -> "OneOfSigns":
        """Runs with no sign, with several, or with one of which it is not known are left out."""
        kept = np.flatnonzero((answers.label >= 0).all(axis=1) & (answers.label.sum(axis=1) == 1))
        label, probability = answers.label[kept], answers.probability[kept]
        truth, answered = label.argmax(axis=1), probability.argmax(axis=1)
        return cls(answers.signs, truth, answered, probability.max(axis=1), answers.patient[kept], answers.clip[kept])

    def __len__(self) -> int:
        return len(self.truth)

    def matrix(self, chosen: Indices | None = None) -> Matrix:
        truth, answered = (self.truth, self.answered) if chosen is None else (self.truth[chosen], self.answered[chosen])
        num = len(self.signs)
        return np.bincount(truth * num + answered, minlength=num * num).reshape(num, num).astype(np.int64)

    def figures(self) -> dict[tuple[str, str], Estimate]:
        """(a sign, "macro" or "weighted"; a name of `FIGURES`) -> its estimate."""
        return estimates(lambda drawn: figures_of(self.matrix(drawn), self.signs), self.patient)


def figures_of(matrix: Matrix, signs: Sequence[str]) -> dict[tuple[str, str], float]:
    """NaN where a figure is not defined, as the precision of a sign that was never said; a mean over it is not defined either."""
    of_signs = [_of_sign(matrix, k) for k in range(len(signs))]
    found = {(sign, name): figures[name] for sign, figures in zip(signs, of_signs, strict=True) for name in FIGURES}
    num_shown, num = matrix.sum(axis=1).astype(np.float64), matrix.sum()
    whole = {"accuracy": float(np.trace(matrix) / num) if num else float("nan"), "kappa": kappa(matrix)}
    for total, weight in ((MACRO, np.ones(len(signs))), (WEIGHTED, num_shown)):
        means = {name: _mean([figures[name] for figures in of_signs], weight) for name in FIGURES}
        found |= {(total, name): value for name, value in (means | whole).items()}
    return found


def kappa(matrix: Matrix) -> float:
    """Agreement of the answers with the truth beyond chance: 0 is chance, 1 is perfect; NaN where chance alone agrees always.

    (agreed - by chance) / (1 - by chance). Cohen 1960, DOI 10.1177/001316446002000104.
    """
    num = int(matrix.sum())
    # In whole numbers, multiplied by num squared: shares of them would leave rounding where there is nothing.
    agreed, by_chance = int(np.trace(matrix)) * num, int(matrix.sum(axis=1) @ matrix.sum(axis=0))
    return (agreed - by_chance) / (num * num - by_chance) if num * num != by_chance else float("nan")


def _of_sign(matrix: Matrix, k: int) -> dict[str, float]:
    right, shown, said, num = (int(n) for n in (matrix[k, k], matrix[k].sum(), matrix[:, k].sum(), matrix.sum()))
    counts = Counts(true_present=right, false_present=said - right, true_absent=num - shown - said + right, false_absent=shown - right)
    against = np.array([[counts.true_present, counts.false_absent], [counts.false_present, counts.true_absent]])
    of_counts = (counts.precision, counts.specificity, counts.sensitivity, counts.f1, counts.accuracy)
    return dict(zip(FIGURES, (*of_counts, kappa(against)), strict=True))


def _mean(values: Sequence[float], weight: NDArray[np.float64]) -> float:
    """A sign without weight does not count, defined or not."""
    counting = weight > 0
    return float(np.average(np.array(values)[counting], weights=weight[counting])) if counting.any() else float("nan")
