"""The figures of a row, by patch and by clip, each with its interval over patients.

Sliding present is the positive. A clip's probability is the mean of its patches' (Kolarik 2023 pools patches by clip; how
is not in what we have of the paper). Called present from a probability of 0.5 on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metrics import Counts, Statistic, auroc, bootstrap_interval, brier, count

THRESHOLD = 0.5
BOOTSTRAP_SEED, BOOTSTRAP_DRAWS = 0, 1000


def _of_counts(figure: str) -> Statistic:
    def statistic(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
        return float(getattr(count(labels, probabilities, THRESHOLD), figure))

    return statistic


def _balanced_accuracy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    counts = count(labels, probabilities, THRESHOLD)
    return (counts.sensitivity + counts.specificity) / 2


FIGURES: Mapping[str, Statistic] = {
    **{name: _of_counts(name) for name in ("accuracy", "sensitivity", "specificity", "f1")},
    "balanced_accuracy": _balanced_accuracy,
    "auroc": auroc,
    "brier": brier,
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Answers:
    """Probabilities given to patches, or to clips, of known label."""

    label: NDArray[np.int64]
    """1 slides, 0 does not, (n,)."""
    probability: NDArray[np.float64]
    """Of sliding, (n,)."""
    patient: NDArray[np.str_]
    clip: NDArray[np.str_]
    """Keys; patches of one clip share theirs, in the order they were written."""

    def __len__(self) -> int:
        return len(self.label)

    @property
    def counts(self) -> Counts:
        return count(self.label, self.probability, THRESHOLD)

    def by_clip(self) -> "Answers":
        """One answer a clip: the mean of its patches' probabilities."""
        clips, first, of_clip = np.unique(self.clip, return_index=True, return_inverse=True)
        means = np.bincount(of_clip, self.probability) / np.bincount(of_clip)
        return Answers(self.label[first], means, self.patient[first], clips)

    def figures(self) -> dict[str, list[float]]:
        """Name -> [value, low, high]; NaN where it is not defined."""
        patients = self.patient.tolist()
        return {
            name: [statistic(self.label, self.probability), *self._interval(statistic, patients)] for name, statistic in FIGURES.items()
        }

    def _interval(self, statistic: Statistic, patients: list[str]) -> tuple[float, float]:
        return bootstrap_interval(statistic, self.label, self.probability, patients, seed=BOOTSTRAP_SEED, num=BOOTSTRAP_DRAWS)

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, label=self.label, probability=self.probability, patient=self.patient, clip=self.clip)
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Answers":
        with np.load(path) as saved:
            return cls(saved["label"], saved["probability"], saved["patient"], saved["clip"])


def written(values: Any, *, digits: int = 2) -> str:
    """[value, low, high] -> "0.91 [0.85, 0.96]"; what is not defined is a dash."""
    value, low, high = values
    if not math.isfinite(value):
        return "–"
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else " (no interval)"
    return f"{value:.{digits}f}{interval}"
