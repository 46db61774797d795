"""An answer beside its label: what was right, what was the opposite of the truth, what leant the wrong way."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.findings import Verdict
from service.manifest import Label, LabelledClip
from service.validation.answers import Answer

ANSWERED = ("present", "absent")
OUTCOMES = (*ANSWERED, "lung point", "cannot tell", "not assessable", "not read")
"""What can become of a clip, in the words of the report."""


@dataclass(frozen=True, slots=True)
class Case:
    """One clip of the manifest with what was answered."""

    clip: LabelledClip
    answer: Answer
    healthy_is_present: bool = False

    @property
    def truth(self) -> int | None:
        """1 where the lung slides, 0 where it does not, None where nobody says, or where it does both."""
        if self.clip.label is Label.PRESENT or (self.healthy_is_present and self.clip.label is Label.HEALTHY):
            return 1
        return 0 if self.clip.label is Label.ABSENT else None

    @property
    def has_lung_point(self) -> bool:
        return self.clip.label is Label.LUNG_POINT

    @property
    def is_judged(self) -> bool:
        """Whether there is a truth to hold the answer against."""
        return self.truth is not None or self.has_lung_point

    @property
    def is_answered(self) -> bool:
        """Whether sliding was called present or absent."""
        return self.answer.verdict in (Verdict.PRESENT, Verdict.ABSENT)

    @property
    def is_right(self) -> bool:
        """A lung point is right when it is suspected and sliding is not called present."""
        if self.has_lung_point:
            return self.answer.lung_point and self.answer.verdict in (Verdict.INDETERMINATE, Verdict.ABSENT)
        return self.truth is not None and self.answer.verdict is (Verdict.PRESENT if self.truth else Verdict.ABSENT)

    @property
    def is_opposite(self) -> bool:
        """The worst answer: a truth denied without hesitation. Of a lung point, half a pneumothorax called sliding."""
        if self.has_lung_point:
            return self.answer.verdict is Verdict.PRESENT
        return self.truth is not None and self.answer.verdict is (Verdict.ABSENT if self.truth else Verdict.PRESENT)

    @property
    def outcome(self) -> str:
        """One of OUTCOMES. "lung point" stands for every answer that suspects one, as its words come first."""
        if self.answer.lung_point and self.answer.verdict is not Verdict.PRESENT:
            return "lung point"
        return _OUTCOME_OF[self.answer.verdict]

    @property
    def label_words(self) -> str:
        return str(self.clip.label).replace("_", " ")

    @property
    def error_distance(self) -> float:
        """How far the probability is from the truth, 0..1; 0 where either is missing."""
        if self.truth is None or self.answer.probability is None:
            return 0.0
        return abs(self.answer.probability - self.truth)


_OUTCOME_OF = {
    Verdict.PRESENT: "present",
    Verdict.ABSENT: "absent",
    Verdict.INDETERMINATE: "cannot tell",
    Verdict.NOT_ASSESSABLE: "not assessable",
    None: "not read",
}


def worst(cases: Sequence[Case], num: int) -> list[Case]:
    """Opposite answers first, then healthy lungs called still, then those that lean the wrong way, the furthest first."""
    ranked = [(_badness(case), case) for case in cases]
    bad = sorted((pair for pair in ranked if pair[0] > 0), key=lambda pair: (-pair[0], pair[1].clip.row))
    return [case for _, case in bad[:num]]


def _badness(case: Case) -> float:
    if case.is_opposite:
        return 3 + case.error_distance
    if case.clip.label is Label.HEALTHY and case.truth is None and case.answer.verdict is Verdict.ABSENT:
        return 2 - (case.answer.probability or 0.0)
    return case.error_distance if case.error_distance > 0.5 and not case.is_right else 0.0
