"""The figures of one sign, there or not, each with its interval; and how any table takes its intervals from the same draws of patients.

A run is said to show the sign from a probability of 0.5 on. Where the sign is absent sliding, absence is the positive.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.metrics import auroc, count, patient_draws, percentile_interval
from training.signs.answers import SignAnswers
from training.study.figures import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, THRESHOLD

Indices = NDArray[np.intp]
Name = TypeVar("Name", bound=Hashable)

BINARY = ("accuracy", "precision", "recall", "specificity", "f1", "auroc")
"""Recall is what medicine calls sensitivity."""


class Estimate(NamedTuple):
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def estimates(figures: Callable[[Indices], Mapping[Name, float]], patients: NDArray[np.str_]) -> dict[Name, Estimate]:
    """Every figure that `figures` makes of some of the items, with an interval by a bootstrap over patients, one an item, (n,).

    Each draw of patients serves all the figures, so that they go together as they would in another sample of patients.
    """
    draws = [figures(drawn) for drawn in patient_draws(patients.tolist(), seed=BOOTSTRAP_SEED, num=BOOTSTRAP_DRAWS)]
    everything = figures(np.arange(len(patients)))
    return {name: Estimate(value, *percentile_interval([draw[name] for draw in draws])) for name, value in everything.items()}


def binary_figures(answers: SignAnswers, sign: str) -> dict[str, Estimate]:
    """A name of `BINARY` -> its estimate, over the runs of which it is known whether the sign is there."""
    known, k = answers.known(sign), answers.signs.index(sign)
    label, probability = answers.label[known, k], answers.probability[known, k]
    return estimates(lambda drawn: _binary(label[drawn], probability[drawn]), answers.patient[known])


def _binary(label: NDArray[np.int64], probability: NDArray[np.float64]) -> dict[str, float]:
    counts = count(label, probability, THRESHOLD)
    of_counts = (counts.accuracy, counts.precision, counts.sensitivity, counts.specificity, counts.f1)
    return dict(zip(BINARY, (*of_counts, auroc(label, probability)), strict=True))
