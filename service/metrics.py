"""The figures said of a model: computed on labels (1: sliding is present) and probabilities of it, numpy only.

Clips of one patient are not independent, so every interval is a bootstrap over patients, never over clips.
Beware small numbers: a bootstrap of ten right answers out of ten says [1, 1], which is not what is known.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

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


def roc_points(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """1 - specificity (k,) and sensitivity (k,), from (0, 0) to (1, 1), a point for each different probability.

    Raises: ValueError without both classes.
    """
    false_present, true_present, num_absent, num_present = _cumulated(labels, probabilities)
    if num_present == 0 or num_absent == 0:
        raise ValueError(f"There are {num_present} clips with sliding and {num_absent} without; an ROC curve needs both.")
    return np.append(0.0, false_present / num_absent), np.append(0.0, true_present / num_present)


def precision_recall_points(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall (k,) rising to 1, and precision (k,), a point for each different probability. ValueError without sliding."""
    false_present, true_present, _, num_present = _cumulated(labels, probabilities)
    if num_present == 0:
        raise ValueError("There is no clip with sliding; precision and recall need one.")
    return true_present / num_present, true_present / (true_present + false_present)


def _cumulated(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """False and true present (k,) as the threshold falls past each different probability; how many are absent and present."""
    labels, scores = _checked(labels, probabilities)
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, len(scores) > 0))
    true_present = np.cumsum(labels[order])[last_of_tie]
    num_present = int(labels.sum())
    return last_of_tie + 1 - true_present, true_present, len(labels) - num_present, num_present


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
    return percentile_interval(
        [statistic(labels[drawn], probabilities[drawn]) for drawn in patient_draws(patients, seed=seed, num=num)], level=level
    )


def patient_draws(patients: Sequence[str], *, seed: int, num: int) -> Iterator[NDArray[np.intp]]:
    """`num` times: as many patients as there are, drawn with replacement, as the indices of all their clips.

    Figures of one table take their intervals from the same draws. `patients` is one a clip.
    """
    clips_of = _clips_by_patient(patients)
    generator = np.random.default_rng(seed)
    for _ in range(num):
        yield np.concatenate([clips_of[k] for k in generator.integers(len(clips_of), size=len(clips_of))])


def percentile_interval(figures: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Of a figure's bootstrap draws. NaN draws are left out; (NaN, NaN) when half of them or more are."""
    drawn = np.asarray(figures, dtype=np.float64)
    defined = drawn[np.isfinite(drawn)]
    if 2 * len(defined) <= len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def share_interval(hits: ArrayLike, patients: Sequence[str], *, seed: int, num: int = 2000, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of a share (of the clips, those that hit), patients drawn with replacement; (NaN, NaN) of no clips."""
    is_hit = np.asarray(hits, dtype=np.float64)
    if is_hit.shape != (len(patients),):
        raise ValueError(f"There are hits of shape {is_hit.shape} and {len(patients)} patients; one patient a clip is needed.")
    if not len(is_hit):
        return float("nan"), float("nan")
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    num_hits, num_clips = np.bincount(patient, is_hit), np.bincount(patient)
    generator = np.random.default_rng(seed)
    shares = np.empty(num)
    for draw in range(num):  # one draw at a time: all at once, 10 000 patients would fill 160 MB
        drawn = generator.integers(len(num_clips), size=len(num_clips))
        shares[draw] = num_hits[drawn].sum() / num_clips[drawn].sum()
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference_interval(
    statistic: Statistic,
    labels: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    patients: Sequence[str],
    *,
    seed: int,
    num: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of statistic(first) - statistic(second) on the same clips: each draw of patients is given to both.

    What the two share, hard clips above all, cancels out, so it is narrower than two intervals side by side would suggest.
    """
    labels, first = _checked(labels, first)
    _, second = _checked(labels, second)

    def difference(drawn_labels: Labels, drawn: Probabilities) -> float:
        index = drawn.astype(np.intp)
        return statistic(drawn_labels, first[index]) - statistic(drawn_labels, second[index])

    return bootstrap_interval(difference, labels, np.arange(len(labels)), patients, seed=seed, num=num, level=level)


def wilson_interval(part: float, whole: float, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the share part / whole of independent trials; honest at 0 and 1, where a bootstrap has no width.

    (NaN, NaN) of no trials. Wilson 1927, DOI 10.1080/01621459.1927.10502953.
    """
    if whole <= 0:
        return float("nan"), float("nan")
    share, z = part / whole, NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z / (1 + z * z / whole) * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of as uneven a split of the clips only one of two models gets right, were both as good; 1 without such clips.

    Exact binomial. It takes clips as independent, so clips of one patient make it look surer than it is.
    """
    num = only_first + only_second
    tail = sum(math.comb(num, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << num))


def _clips_by_patient(patients: Sequence[str]) -> list[NDArray[np.intp]]:
    _, group = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    return np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])


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
