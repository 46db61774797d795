"""The figures of one model on these clips: for all of them, and for each device, probe, site and source."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from service.metrics import ReliabilityBin, brier, calibration_error, reliability, risk_coverage
from service.validation.cases import OUTCOMES, Case
from service.validation.estimates import Estimate, ranking, share

GROUPED_BY = ("device", "probe", "site", "source")
"""Columns of the manifest, fields of `LabelledClip`."""
NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often the answer was what the label says. Sliding and not sliding are each a class of their own here."""

    num_clips: int
    num_patients: int
    auroc: Estimate
    present_of_given: Estimate
    """Of the sliding lungs called present or absent, those called present."""
    absent_of_given: Estimate
    """Of the still lungs called present or absent, those called absent."""
    present_of_all: Estimate
    """Of all sliding lungs, those called present: whoever abstains is not right."""
    absent_of_all: Estimate
    coverage: Estimate
    """Of all clips, labelled or not, read or not, those called present or absent."""
    opposite: Estimate
    """Of the labelled clips, those given the opposite of the truth."""
    lung_points: Estimate
    """Of the labelled lung points, those suspected and not called present."""


@dataclass(frozen=True, slots=True)
class Group:
    """The clips with one value in one column."""

    column: str
    value: str
    accuracy: Accuracy


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    bins: tuple[ReliabilityBin, ...]
    expected_error: float
    brier: float
    num_clips: int


@dataclass(frozen=True, slots=True)
class AbstentionFigures:
    """Of the clips labelled present or absent."""

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    chosen_coverage: float
    chosen_risk: float
    """At the verdicts really given; NaN where none was."""


@dataclass(frozen=True, slots=True)
class Figures:
    accuracy: Accuracy
    groups: tuple[Group, ...]
    confusion: dict[str, dict[str, int]]
    """Label -> outcome -> clips."""
    opposite_rows: tuple[int, ...]
    reasons: dict[str, int]
    """Why clips were not assessable, by the first reason."""
    doubts: dict[str, int]
    """Why sliding was called neither present nor absent though it could be assessed, by the first reason; "" where there is none."""
    errors: dict[str, tuple[int, ...]]
    """Code of the error -> rows that could not be read."""
    calibration: CalibrationFigures | None
    """None without both classes."""
    abstention: AbstentionFigures | None
    total_ms_median: float
    total_ms_longest: float


def figures_of(cases: Sequence[Case]) -> Figures:
    total_ms = [case.answer.total_ms for case in cases if case.answer.is_read]
    return Figures(
        accuracy=accuracy_of(cases),
        groups=tuple(group for column in GROUPED_BY for group in _groups(cases, column)),
        confusion=_confusion(cases),
        opposite_rows=tuple(case.clip.row for case in cases if case.is_opposite),
        reasons=_first_reasons(cases, "not assessable"),
        doubts=_first_reasons(cases, "cannot tell"),
        errors=_errors(cases),
        calibration=_calibration(cases),
        abstention=_abstention(cases),
        total_ms_median=median(total_ms) if total_ms else float("nan"),
        total_ms_longest=max(total_ms, default=float("nan")),
    )


def accuracy_of(cases: Sequence[Case]) -> Accuracy:
    sliding = [case for case in cases if case.truth == 1]
    still = [case for case in cases if case.truth == 0]
    return Accuracy(
        num_clips=len(cases),
        num_patients=len({case.clip.patient for case in cases}),
        auroc=_auroc(cases),
        present_of_given=_right([c for c in sliding if c.is_answered], "no sliding lung was called present or absent"),
        absent_of_given=_right([c for c in still if c.is_answered], "no still lung was called present or absent"),
        present_of_all=_right(sliding, "no clip is labelled present"),
        absent_of_all=_right(still, "no clip is labelled absent"),
        coverage=_share(cases, lambda case: case.is_answered, "there is no clip"),
        opposite=_share([c for c in cases if c.is_judged], lambda case: case.is_opposite, "no clip has a label to judge by"),
        lung_points=_right([case for case in cases if case.has_lung_point], "no clip is labelled lung_point"),
    )


def ranked(cases: Sequence[Case]) -> list[tuple[int, float, str]]:
    """(truth, probability, patient) of the clips that have both."""
    pairs = [(case.truth, case.answer.probability, case.clip.patient) for case in cases]
    return [(truth, probability, patient) for truth, probability, patient in pairs if truth is not None and probability is not None]


def column_value(case: Case, column: str) -> str:
    """What the manifest says in one of GROUPED_BY; "" where it says nothing."""
    return str(getattr(case.clip, column))


def _auroc(cases: Sequence[Case]) -> Estimate:
    rows = ranked(cases)
    return ranking([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def _right(cases: Sequence[Case], missing: str) -> Estimate:
    return _share(cases, lambda case: case.is_right, missing)


def _share(cases: Sequence[Case], is_hit: Callable[[Case], bool], missing: str) -> Estimate:
    return share([is_hit(case) for case in cases], [case.clip.patient for case in cases], missing)


def _groups(cases: Sequence[Case], column: str) -> list[Group]:
    """The largest group first; none where the column says the same of all clips."""
    values = Counter(column_value(case, column) for case in cases)
    if len(values) < 2:
        return []
    ordered = sorted(values, key=lambda value: (-values[value], value))
    return [Group(column, value, accuracy_of([case for case in cases if column_value(case, column) == value])) for value in ordered]


def _confusion(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    counts = Counter((case.label_words, case.outcome) for case in cases)
    labels = sorted({label for label, _ in counts}, key=lambda label: (label == "unknown", label))
    return {label: {outcome: counts[label, outcome] for outcome in OUTCOMES} for label in labels}


def _first_reasons(cases: Sequence[Case], outcome: str) -> dict[str, int]:
    answers = [case.answer for case in cases if case.outcome == outcome]
    return dict(Counter(str(answer.reasons[0]) if answer.reasons else "" for answer in answers).most_common())


def _errors(cases: Sequence[Case]) -> dict[str, tuple[int, ...]]:
    failed = [case for case in cases if not case.answer.is_read]
    codes = sorted({case.answer.error for case in failed})
    return {code: tuple(case.clip.row for case in failed if case.answer.error == code) for code in codes}


def _calibration(cases: Sequence[Case]) -> CalibrationFigures | None:
    rows = ranked(cases)
    truths, probabilities = [row[0] for row in rows], [row[1] for row in rows]
    if len(set(truths)) < 2:
        return None
    bins = reliability(truths, probabilities, num_bins=NUM_BINS)
    return CalibrationFigures(bins, calibration_error(bins), brier(truths, probabilities), len(rows))


def _abstention(cases: Sequence[Case]) -> AbstentionFigures | None:
    rows = ranked(cases)
    if len({row[0] for row in rows}) < 2:
        return None
    judged = [case for case in cases if case.truth is not None]
    coverage, risk = risk_coverage([row[0] for row in rows], [row[1] for row in rows])
    given = [case for case in judged if case.is_answered]
    wrong = sum(not case.is_right for case in given)
    return AbstentionFigures(
        # Clips without a probability can never be answered: the curve ends where they begin.
        tuple(np.asarray(coverage * len(rows) / len(judged)).tolist()),
        tuple(risk.tolist()),
        len(given) / len(judged),
        wrong / len(given) if given else float("nan"),
    )
