"""Sums up what one destination said of each object of a set."""

from collections import Counter
from dataclasses import dataclass, field

from service.pacs.outgoing.outcome import Delivered, Refused, Unreachable
from service.pacs.outgoing.statuses import Verdict, judge


@dataclass(slots=True)
class Tally:
    """`name` is the destination's, for sentences. Objects are told apart by SOP Instance UID."""

    name: str
    accepted: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[int, Verdict]] = field(default_factory=list)

    def note(self, sop_instance_uid: str, status: int) -> None:
        verdict = judge(status)
        if not verdict.is_accepted:
            self.refusals.append((status, verdict))
            return
        self.accepted.append(sop_instance_uid)
        if verdict.words:
            self.warnings[verdict.words] += 1

    def note_untaken(self, verdict: Verdict) -> None:
        """Refused without a status."""
        self.refusals.append((0, verdict))

    def outcome(self) -> Delivered | Refused | Unreachable:
        if not self.refusals:
            return Delivered(tuple(self.accepted), self._warnings())
        status, first = self.refusals[0]
        total = len(self.accepted) + len(self.refusals)
        code = f" ({status:04X})" if status else ""
        sentence = f"{self.name} refused {len(self.refusals)} of {total} {_objects(total)}: {first.words}{code}. {first.advice}"
        is_permanent = all(verdict.is_permanent for _, verdict in self.refusals)
        return Refused(is_permanent, sentence, status or None, tuple(self.accepted))

    def _warnings(self) -> tuple[str, ...]:
        return tuple(f"{self.name} took {number} {_objects(number)} and {words}." for words, number in self.warnings.items())


def _objects(number: int) -> str:
    return "object" if number == 1 else "objects"
