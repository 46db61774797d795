"""From out-of-fold answers to what a bundle says of each sign: a calibrated probability, and where "present" and "absent" begin.

The limits are conformal (split conformal prediction; Angelopoulos and Bates 2021, arXiv 2107.07511): one more patient without the sign is
called present, in any clip, with a chance of at most MAX_WRONG, and one more with it absent, as far as such patients are like those. What
they come to is asked of patients that they were not set on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics import auroc, patient_draws, percentile_interval
from service.sign_bundle import Told, run_logits
from training.signs.answers import NOT_KNOWN, SignAnswers
from training.signs.tellings import tellings

MAX_WRONG = 0.1
"""Of patients without the sign who may be called present, and of those with it who may be called absent."""
MIN_RIGHT, MIN_SAID = 0.9, 5
"""Of what is called present (or absent) of clips whose patients the limit was not set on, and how many such clips there must be: else
that word is never said. A sign may be rare, and then one patient in ten without it is most of those who are called so. Nor is it said
where the network that is served is right less often, of as many clips that it did not learn from."""
MIN_PATIENTS = 10
"""With the sign, and without it: fewer show nothing."""
DRAWS, SEED = 2000, 1
NEWTON_STEPS = 100
_EDGE = 1e-6
"""Least spread and scale, and what keeps Newton's steps finite."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ClipLogits:
    """Clips of which it is known whether they show a sign."""

    logit: Floats
    """Mean over the clip's runs, (n,)."""
    label: NDArray[np.int64]
    patient: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.logit)

    def at(self, chosen: NDArray[np.bool_]) -> "ClipLogits":
        return ClipLogits(self.logit[chosen], self.label[chosen], self.patient[chosen])


@dataclass(frozen=True, slots=True)
class Limits:
    """Of logits: above the first a sign is called present, below the second absent."""

    above: float
    below: float


@dataclass(frozen=True, slots=True)
class Word:
    """One of the two verdicts, of clips of patients that nothing was learnt from."""

    said: int
    right: int
    """By limits set without the patient."""
    served_said: int
    served_right: int
    """By the very limits and network that are served, of clips that this network did not learn from; it may be surer than those judged."""

    @property
    def may_be_said(self) -> bool:
        is_right_enough = self.said >= MIN_SAID and self.right >= MIN_RIGHT * self.said
        return is_right_enough and (self.served_said < MIN_SAID or self.served_right >= MIN_RIGHT * self.served_said)


@dataclass(frozen=True, slots=True)
class Worth:
    """How well a sign is told on patients that nothing was learnt from."""

    auroc: float
    interval: tuple[float, float]
    stated_auroc: float
    stated_interval: tuple[float, float]
    """Of the clips of which every sign is known: who is only called healthy is easily told from the sick of another hospital."""
    num_clips: int
    num_patients: int
    num_there: int
    fewest_patients: int
    """With the sign, or without it, whichever are fewer."""
    present: Word
    absent: Word

    @property
    def is_offered(self) -> bool:
        """A model that may be a coin is not, nor one of which nobody can know."""
        is_told = self.interval[0] > 0.5 and self.stated_interval[0] > 0.5
        return is_told and self.fewest_patients >= MIN_PATIENTS


def clips_of(answers: SignAnswers, sign: str, *, stated_alone: bool = False) -> ClipLogits:
    """One logit a clip, as the service pools them. `sign` is one of `tellings`. Clips of which it is not known whether they show it are
    left out, and with `stated_alone` those of which any sign is not known."""
    outputs = tellings(answers.signs)[sign]
    with np.errstate(divide="ignore"):  # of what is sure to the last digit, which `run_logits` bounds
        logit = run_logits(np.log(answers.probability) - np.log1p(-answers.probability), outputs)
    label = _any_of(answers.label[:, list(outputs)])
    known = (answers.label != NOT_KNOWN).all(axis=1) if stated_alone else label != NOT_KNOWN
    clips, first, of_clip = np.unique(answers.clip[known], return_index=True, return_inverse=True)
    mean = np.bincount(of_clip, logit[known], len(clips)) / np.bincount(of_clip)
    return ClipLogits(mean, label[known][first], answers.patient[known][first])


def _any_of(label: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, m) -> (n,): there when one of them is, and not there only when all are known not to be."""
    is_there, is_known = (label == 1).any(axis=1), (label != NOT_KNOWN).all(axis=1)
    return np.where(is_there, 1, np.where(is_known, 0, NOT_KNOWN))


def platt(clips: ClipLogits) -> tuple[float, float]:
    """(scale, offset) of the logit, with Platt's targets for few clips (Platt 1999; Lin et al. 2007, doi:10.1007/s10994-007-5018-6)."""
    there, not_there = int(clips.label.sum()), int((1 - clips.label).sum())
    target = np.where(clips.label == 1, (there + 1) / (there + 2), 1 / (not_there + 2))
    spread = max(float(clips.logit.std()), _EDGE)  # Newton's steps are safe where what is given is about 1
    given, weights = np.stack([clips.logit / spread, np.ones(len(clips))], axis=1), np.zeros(2)
    for _ in range(NEWTON_STEPS):
        told = 1 / (1 + np.exp(-given @ weights))
        curvature = (given.T * (told * (1 - told))) @ given + _EDGE * np.eye(2)
        weights -= np.linalg.solve(curvature, given.T @ (told - target))
    return float(weights[0]) / spread, float(weights[1])


def limits_of(clips: ClipLogits) -> Limits:
    """As wide as MAX_WRONG allows; infinite where patients are too few to promise it. Limits that overlap meet half way."""
    there = clips.label == 1
    above, below = _limit(clips.logit[~there], clips.patient[~there]), -_limit(-clips.logit[there], clips.patient[there])
    middle = (above + below) / 2
    return Limits(above, below) if above >= below else Limits(middle, middle)


def worth_of(clips: ClipLogits, stated: ClipLogits, served: ClipLogits) -> Worth:
    """AUROC with its 95 % interval over patients, also of those that are `stated`; what limits say of patients they were not set on, and
    what the network that is `served` says of clips that it did not learn from."""
    present, absent = np.zeros(len(clips), np.bool_), np.zeros(len(clips), np.bool_)
    for patient in np.unique(clips.patient):
        judged = clips.patient == patient
        limits = limits_of(clips.at(~judged))
        present[judged], absent[judged] = clips.logit[judged] > limits.above, clips.logit[judged] < limits.below
    there, of_served, limits = clips.label == 1, served.label == 1, limits_of(clips)
    called_present, called_absent = served.logit > limits.above, served.logit < limits.below
    return Worth(
        auroc(clips.label, clips.logit),
        _interval(clips),
        auroc(stated.label, stated.logit),
        _interval(stated),
        len(clips),
        len(np.unique(clips.patient)),
        int(there.sum()),
        min(len(np.unique(clips.patient[there])), len(np.unique(clips.patient[~there]))),
        Word(*_counted(present, there), *_counted(called_present, of_served)),
        Word(*_counted(absent, ~there), *_counted(called_absent, ~of_served)),
    )


def _counted(said: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[int, int]:
    """How often it was said, and how often rightly."""
    return int(said.sum()), int((said & true).sum())


def told_of(answers: SignAnswers, served: SignAnswers, sign: str, clips_words: str) -> tuple[Told, Worth]:
    """What a bundle says of one sign, and what that is worth. `answers` are out of fold, `served` of the network in the bundle, of clips
    that it did not learn from. `clips_words`: what the clips are, such as "public POCUS clips"."""
    clips = clips_of(answers, sign)
    worth = worth_of(clips, clips_of(answers, sign, stated_alone=True), clips_of(served, sign))
    limits, (scale, offset) = limits_of(clips), platt(clips)
    scale = max(scale, _EDGE)  # of what is worse than a coin, which is not offered
    above, below = (float(1 / (1 + np.exp(-(scale * logit + offset)))) for logit in (limits.above, limits.below))
    said = above if worth.present.may_be_said else 1.0, below if worth.absent.may_be_said else 0.0
    return Told(sign, tellings(answers.signs)[sign], scale, offset, *said, _words(worth, clips_words)), worth


def _interval(clips: ClipLogits) -> tuple[float, float]:
    """Of the AUROC."""
    draws = [(clips.label[drawn], clips.logit[drawn]) for drawn in patient_draws(clips.patient.tolist(), seed=SEED, num=DRAWS)]
    return percentile_interval([auroc(label, logit) for label, logit in draws if 0 < label.sum() < len(label)] or [np.nan])


def _limit(value: Floats, patient: NDArray[np.str_]) -> float:
    """Above which the greatest value of one more such patient lies with a chance of at most MAX_WRONG; infinite for too few."""
    patients, of_patient = np.unique(patient, return_inverse=True)
    greatest = np.full(len(patients), -np.inf)
    np.maximum.at(greatest, of_patient, value)
    rank = int(np.ceil((len(patients) + 1) * (1 - MAX_WRONG)))
    return float(np.sort(greatest)[rank - 1]) if rank <= len(patients) else np.inf


def _words(worth: Worth, clips_words: str) -> str:
    low, high = worth.interval
    present, absent = _right("present", worth.present), _right("absent", worth.absent)
    return (
        f"{worth.num_clips} {clips_words} of {worth.num_patients} patients, none learnt from: "
        f"AUROC {worth.auroc:.2f} ({low:.2f}-{high:.2f}){_stated(worth)}; {present}, {absent}."
    )


def _stated(worth: Worth) -> str:
    low, high = worth.stated_interval
    is_other = (worth.stated_auroc, worth.stated_interval) != (worth.auroc, worth.interval)
    return f", {worth.stated_auroc:.2f} ({low:.2f}-{high:.2f}) without those only called healthy" if is_other else ""


def _right(name: str, word: Word) -> str:
    if word.may_be_said:
        return f'"{name}" was right in {word.right} of {word.said}'
    by_served = f"; by this network in {word.served_right} of {word.served_said}" if word.served_said else ""
    return f'"{name}" is never said (right in {word.right} of {word.said}{by_served})'
