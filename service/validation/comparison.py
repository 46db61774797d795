"""Two models on the same clips. Everything is paired: a hard clip is hard for both and says nothing about which is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.metrics import auroc, mcnemar_exact, paired_difference_interval
from service.validation.cases import Case
from service.validation.estimates import FEW_PATIENTS, SEED, patients_of_rarer_class

Pair = tuple[Case, Case]


@dataclass(frozen=True, slots=True)
class Comparison:
    """First minus second. NaN where a class is missing."""

    num_ranked: int
    """Clips labelled present or absent to which both gave a probability."""
    auroc_first: float
    auroc_second: float
    difference: tuple[float, float]
    """95 % interval of the difference, by a paired bootstrap over patients."""
    num_judged: int
    both_right: int
    only_first_right: int
    only_second_right: int
    neither_right: int
    mcnemar_p: float
    opposite_first: int
    opposite_second: int
    differing_rows: tuple[int, ...]
    """Where the two were answered differently, labelled or not; worst first."""
    few_patients: bool
    """Behind the right and wrong answers, or behind the rarer class of the AUROCs."""

    @property
    def auroc_difference(self) -> float:
        return self.auroc_first - self.auroc_second


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Of one clip each, the same clip in both."""
    judged = [pair for pair in pairs if pair[0].is_judged]
    right = [(first.is_right, second.is_right) for first, second in judged]
    only_first, only_second = right.count((True, False)), right.count((False, True))
    ranked = _ranked(pairs)
    auroc_first, auroc_second, difference = _aurocs(ranked)
    return Comparison(
        num_ranked=len(ranked),
        auroc_first=auroc_first,
        auroc_second=auroc_second,
        difference=difference,
        num_judged=len(judged),
        both_right=right.count((True, True)),
        only_first_right=only_first,
        only_second_right=only_second,
        neither_right=right.count((False, False)),
        mcnemar_p=mcnemar_exact(only_first, only_second),
        opposite_first=sum(first.is_opposite for first, _ in judged),
        opposite_second=sum(second.is_opposite for _, second in judged),
        differing_rows=tuple(first.clip.row for first, _ in differing(pairs)),
        few_patients=_fewest_patients(judged, ranked) < FEW_PATIENTS,
    )


def differing(pairs: Sequence[Pair]) -> list[Pair]:
    """Clips the two answer differently: those of which one said the opposite first, then where one was right, then by row."""
    found = [pair for pair in pairs if pair[0].outcome != pair[1].outcome]
    return sorted(found, key=lambda pair: (not _is_opposite(pair), pair[0].is_right == pair[1].is_right, pair[0].clip.row))


def _is_opposite(pair: Pair) -> bool:
    return pair[0].is_opposite or pair[1].is_opposite


def _ranked(pairs: Sequence[Pair]) -> list[tuple[int, float, float, str]]:
    """(truth, probability of the first, of the second, patient) of the clips that have all."""
    return [
        (first.truth, first.answer.probability, second.answer.probability, first.clip.patient)
        for first, second in pairs
        if first.truth is not None and first.answer.probability is not None and second.answer.probability is not None
    ]


def _aurocs(ranked: Sequence[tuple[int, float, float, str]]) -> tuple[float, float, tuple[float, float]]:
    nan = float("nan")
    if len({row[0] for row in ranked}) < 2:
        return nan, nan, (nan, nan)
    truths, firsts, seconds, patients = ([row[k] for row in ranked] for k in range(4))
    difference = paired_difference_interval(auroc, truths, firsts, seconds, list(map(str, patients)), seed=SEED)
    return auroc(truths, firsts), auroc(truths, seconds), difference


def _fewest_patients(judged: Sequence[Pair], ranked: Sequence[tuple[int, float, float, str]]) -> int:
    num_judged = len({first.clip.patient for first, _ in judged})
    if len({row[0] for row in ranked}) < 2:
        return num_judged
    return min(num_judged, patients_of_rarer_class([row[0] for row in ranked], [row[3] for row in ranked]))
