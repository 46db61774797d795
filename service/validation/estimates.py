"""A figure with its interval, and how the interval was made.

Clips of one patient are not independent, so the interval is a bootstrap over patients. Where that is blind, with all (or
nearly all) alike or few patients, it would say [1, 1]; there it is Wilson's, with as many trials as there are patients.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.metrics import auroc, bootstrap_interval, share_interval, wilson_interval

SEED = 20230512
FEW_CLIPS = 5
"""Of those that hit, or of those that do not: below it a bootstrap of a share is narrower than what is known."""
FEW_PATIENTS = 10
"""Below it draws of patients repeat each other too much to say anything."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """NaN where there is nothing to estimate it from; `missing` then says why."""

    value: float
    low: float
    high: float
    num_clips: int
    num_patients: int
    method: str
    """Of the interval: "bootstrap" or "Wilson"."""
    num_hits: int | None = None
    """Of a share: of how many clips it is so."""
    missing: str = ""

    @property
    def is_defined(self) -> bool:
        return math.isfinite(self.value)

    @property
    def is_small(self) -> bool:
        return self.num_patients < FEW_PATIENTS


def share(hits: Sequence[bool], patients: Sequence[str], missing: str) -> Estimate:
    """Of the clips, those that hit."""
    num_patients = len(set(patients))
    if not hits:
        return _undefined(0, 0, missing)
    num_hits = sum(hits)
    value = num_hits / len(hits)
    if num_patients < FEW_PATIENTS or min(num_hits, len(hits) - num_hits) < FEW_CLIPS:
        (low, high), method = wilson_interval(value * num_patients, num_patients), "Wilson"
    else:
        (low, high), method = share_interval(hits, patients, seed=SEED), "bootstrap"
    return Estimate(value, low, high, len(hits), num_patients, method, num_hits)


def ranking(truths: Sequence[int], probabilities: Sequence[float], patients: Sequence[str]) -> Estimate:
    """AUROC. Its Wilson interval counts the patients of the rarer class, of which it can know no more than they show."""
    num_patients = len(set(patients))
    if len(set(truths)) < 2:
        return _undefined(len(truths), num_patients, _class_missing(truths))
    value = auroc(truths, probabilities)
    low, high = bootstrap_interval(auroc, truths, probabilities, patients, seed=SEED)
    method, rarer = "bootstrap", patients_of_rarer_class(truths, patients)
    if rarer < FEW_PATIENTS or not math.isfinite(low) or high - low < 1e-9:
        (low, high), method = wilson_interval(value * rarer, rarer), "Wilson"
    return Estimate(value, low, high, len(truths), num_patients, method)


def patients_of_rarer_class(truths: Sequence[int], patients: Sequence[str]) -> int:
    return min(len({patient for patient, t in zip(patients, truths, strict=True) if t == truth}) for truth in (0, 1))


def _class_missing(truths: Sequence[int]) -> str:
    if not truths:
        return "no clip labelled present or absent got a probability"
    return f"every clip with a probability is labelled {'present' if truths[0] else 'absent'}; both are needed"


def _undefined(num_clips: int, num_patients: int, missing: str) -> Estimate:
    nan = float("nan")
    return Estimate(nan, nan, nan, num_clips, num_patients, "", None, missing)
