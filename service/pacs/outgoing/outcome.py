"""What became of sending results to one destination, and when to try again. Plain values; nothing here touches the network."""

from dataclasses import dataclass
from random import Random

BASE_DELAY_S = 2.0
MAX_DELAY_S = 15 * 60.0
PERMANENT_ATTEMPTS = 8
"""How often to offer what was refused for good, over some four minutes. Not once only: Orthanc answers C000 to whatever goes wrong
inside it, a locked database too. Afterwards it is a dead letter, which a person may send again."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination accepted every object. `accepted` are SOP Instance UIDs; `warnings` what it changed or found odd."""

    accepted: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """It answered, and did not take them all.

    `is_permanent`: the same objects will be refused again (see PERMANENT_ATTEMPTS); otherwise waiting, or its administrator, may
    help. `status` is DICOM's or HTTP's. `accepted` are those it did take, which need not be sent again.
    """

    is_permanent: bool
    sentence: str
    status: int | None = None
    accepted: tuple[str, ...] = ()
    retry_after_s: float = 0.0
    """It asked to be left alone for this long."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """It could not be reached, or fell silent. Always worth another try."""

    sentence: str
    accepted: tuple[str, ...] = ()


Outcome = Delivered | Refused | Unreachable


class NodeFailed(Exception):
    """Another node could not be reached or would not serve: `str(error)` says what was found, `advice` what to do.

    Not of the tree in `service.errors`: it does not leave `service.pacs`, but becomes an Outcome, a Check, or there an error of the tree.
    """

    def __init__(
        self,
        message: str,
        advice: str,
        *,
        is_reached: bool = True,
        is_permanent: bool = False,
        status: int | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.advice = advice
        self.is_reached = is_reached
        self.is_permanent = is_permanent
        self.status = status
        self.retry_after_s = retry_after_s

    def outcome(self, accepted: tuple[str, ...] = ()) -> Refused | Unreachable:
        sentence = f"{self} {self.advice}"
        if not self.is_reached:
            return Unreachable(sentence, accepted)
        return Refused(self.is_permanent, sentence, self.status, accepted, self.retry_after_s)


def next_delay_s(attempt: int, rng: Random, at_least_s: float = 0.0) -> float:
    """How long to wait after failed attempt 0, 1, 2...: anything up to 2, 4, 8 s... and never more than 15 minutes.

    Full jitter: an archive that comes back is not met by all that waits at once (Brooker, "Exponential backoff and jitter", AWS
    2015). `at_least_s` is what the destination asked for; it is added to, so that those who were told the same do not return together.
    """
    return at_least_s + rng.uniform(0.0, min(MAX_DELAY_S, BASE_DELAY_S * 2.0 ** min(attempt, 32)))
