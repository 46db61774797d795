"""The figures said of a model: computed on labels (1: sliding is present) and probabilities of it, numpy only.

Clips of one patient are not independent, so every interval is a bootstrap over patients, never over clips.
Beware small numbers: a bootstrap of ten right answers out of ten says [1, 1], which is not what is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Statistic = Callable[[Labels, Probabilities], float]
"""Figure of (labels (n,), probabilities (n,)); NaN where it is not defined, as an AUROC of one class."""

_LOG_FLOOR = 1e-7
"""A probability of exactly 0 or 1 that is wrong would make the log loss infinite."""


def auroc(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The chance that a clip with sliding is ranked above one without; a tie counts half. NaN without both classes.

    Any score will do: only its order counts.
    """
    labels, scores = _checked(labels, probabilities)
    num_present = int(labels.sum())
    num_absent = len(labels) - num_present
    if num_present == 0 or num_absent == 0:
        return float("nan")
    # Mann-Whitney: a group of tied scores shares the mean of the ranks it takes up.
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(sizes) - (sizes - 1) / 2
    rank_sum = float(mean_ranks[group][labels == 1].sum())
    return (rank_sum - num_present * (num_present + 1) / 2) / (num_present * num_absent)


@dataclass(frozen=True, slots=True)
class Counts:
    """Answers at one threshold, sliding being the positive."""

    true_present: int
    false_present: int
    """Called sliding and is not: a pneumothorax reassured away."""
    true_absent: int
    false_absent: int

    @property
    def accuracy(self) -> float:
        return _ratio(self.true_present + self.true_absent, self.total)

    @property
    def sensitivity(self) -> float:
        """Share of the sliding that is called sliding."""
        return _ratio(self.true_present, self.true_present + self.false_absent)

    @property
    def specificity(self) -> float:
        """Share of the not sliding that is called not sliding."""
        return _ratio(self.true_absent, self.true_absent + self.false_present)

    @property
    def precision(self) -> float:
        return _ratio(self.true_present, self.true_present + self.false_present)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_present, 2 * self.true_present + self.false_present + self.false_absent)

    @property
    def total(self) -> int:
        return self.true_present + self.false_present + self.true_absent + self.false_absent


def _ratio(part: float, whole: float) -> float:
    """NaN of nothing: a sensitivity without a single positive is not 0."""
    return part / whole if whole else float("nan")


def count(labels: ArrayLike, probabilities: ArrayLike, threshold: float) -> Counts:
    """Call it sliding at the threshold and above."""
    labels, probabilities = _checked(labels, probabilities)
    called, is_present = probabilities >= threshold, labels == 1
    return Counts(
        true_present=int((called & is_present).sum()),
        false_present=int((called & ~is_present).sum()),
        true_absent=int((~called & ~is_present).sum()),
        false_absent=int((~called & is_present).sum()),
    )


@dataclass(frozen=True, slots=True)
class Abstention:
    """What a band of "cannot tell" buys. `counts` are of the answered clips only."""

    counts: Counts
    num_clips: int

    @property
    def coverage(self) -> float:
        """Share of the clips that got an answer."""
        return _ratio(self.counts.total, self.num_clips)

    @property
    def risk(self) -> float:
        """Share of the answers that are wrong; NaN without an answer."""
        return _ratio(self.counts.false_present + self.counts.false_absent, self.counts.total)


def abstain(labels: ArrayLike, probabilities: ArrayLike, *, absent_below: float, present_from: float) -> Abstention:
    """Absent below the band, present at its upper edge and above, no answer between. NaN probabilities are no answer."""
    labels, probabilities = _checked(labels, probabilities, allow_nan=True)
    if absent_below > present_from:
        raise ValueError(f"The band runs from {absent_below:g} to {present_from:g}; its lower edge must not be above its upper.")
    answered = (probabilities < absent_below) | (probabilities >= present_from)
    return Abstention(count(labels[answered], probabilities[answered], present_from), len(labels))


def risk_coverage(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage (k,) rising to 1, and risk (k,), when the clips nearest to 0.5 are left unanswered first.

    Clips equally near are answered together, so k is the number of different distances.
    """
    labels, probabilities = _checked(labels, probabilities)
    # Rounded, so that 0.4 and 0.6, equal distances on paper, are not told apart by their last bit.
    distance = np.round(np.abs(probabilities - 0.5), 9)
    order = np.argsort(-distance, kind="stable")
    wrong = np.cumsum((probabilities >= 0.5)[order] != (labels[order] == 1))
    answered = np.flatnonzero(np.append(np.diff(distance[order]) != 0, len(labels) > 0)) + 1
    return answered / len(labels), wrong[answered - 1] / answered


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance of the probabilities from what was true; 0 is best, 0.25 is always saying 0.5."""
    labels, probabilities = _checked(labels, probabilities)
    return float(np.mean((probabilities - labels) ** 2))


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative log likelihood in nats; 0 is best, 0.693 is always saying 0.5."""
    labels, probabilities = _checked(labels, probabilities)
    given_to_truth = np.where(labels == 1, probabilities, 1 - probabilities)
    return float(-np.mean(np.log(np.clip(given_to_truth, _LOG_FLOOR, 1.0))))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Of the clips given a probability in [low, high), how many really slide."""

    low: float
    high: float
    num_clips: int
    mean_probability: float
    """NaN in an empty bin."""
    share_present: float


def reliability(labels: ArrayLike, probabilities: ArrayLike, *, num_bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width over 0..1, empty ones too; the last takes in 1.0."""
    labels, probabilities = _checked(labels, probabilities)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    index = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, num_bins - 1)
    return tuple(_bin(edges[k], edges[k + 1], labels[index == k], probabilities[index == k]) for k in range(num_bins))


def _bin(low: float, high: float, labels: Labels, probabilities: Probabilities) -> ReliabilityBin:
    n = len(labels)
    return ReliabilityBin(float(low), float(high), n, _ratio(float(probabilities.sum()), n), _ratio(int(labels.sum()), n))


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error: mean distance of a bin's probability from its share, weighted by its clips."""
    filled = [b for b in bins if b.num_clips]
    return _ratio(sum(b.num_clips * abs(b.mean_probability - b.share_present) for b in filled), sum(b.num_clips for b in filled))


def bootstrap_interval(
    statistic: Statistic,
    labels: ArrayLike,
    probabilities: ArrayLike,
    patients: Sequence[str],
    *,
    seed: int,
    num: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of the statistic when patients, with all their clips, are drawn with replacement.

    Draws in which the statistic is NaN (no absent clip in them, say) are left out; (NaN, NaN) when it is so in half of
    them or more: then the sample cannot carry an interval.
    """
    labels, probabilities = _checked(labels, probabilities)
    if len(patients) != len(labels):
        raise ValueError(f"There are {len(labels)} labels and {len(patients)} patients; one patient a label is needed.")
    clips_of = _clips_by_patient(patients)
    generator = np.random.default_rng(seed)
    figures = np.empty(num)
    for draw in range(num):
        drawn = np.concatenate([clips_of[k] for k in generator.integers(len(clips_of), size=len(clips_of))])
        figures[draw] = statistic(labels[drawn], probabilities[drawn])
    defined = figures[np.isfinite(figures)]
    if 2 * len(defined) <= num:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _clips_by_patient(patients: Sequence[str]) -> list[NDArray[np.intp]]:
    _, group = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    return [np.flatnonzero(group == k) for k in range(group.max() + 1)]


def _checked(labels: ArrayLike, probabilities: ArrayLike, *, allow_nan: bool = False) -> tuple[Labels, Probabilities]:
    """Equal in length, labels 0 or 1, probabilities numbers; anything else would give a figure that means nothing."""
    given, scores = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if given.shape != scores.shape or given.ndim != 1:
        raise ValueError(f"There are labels of shape {given.shape} and probabilities of {scores.shape}; one of each a clip is needed.")
    if not np.isin(given, (0, 1)).all():
        raise ValueError("A label is neither 0 nor 1; clips of unknown label must be left out.")
    if not allow_nan and np.isnan(scores).any():
        raise ValueError("A probability is NaN; clips without an answer must be left out, or counted with `abstain`.")
    return given.astype(np.int64), scores
