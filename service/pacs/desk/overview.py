"""What the administrator asks: what came, what became of it, what waits for whom and why."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.jobs.entries import Entries
from service.jobs.ledger import Entry, Ledger, State
from service.jobs.reading import FAILED, READ, REFUSED
from service.pacs.incoming.intake import READ_INSTANCE
from service.pacs.instance_work import SKIPPED
from service.pacs.outgoing.delivery import DELIVER, Letter, Stage, letter_of

STAGES = ("waiting", "reading", "read", "skipped", "not read", "cancelled")
"""Of an instance, in the order in which it passes them."""
KEPT_S = 5.0
"""How long an answer is given again before the ledger is asked anew: pages and Prometheus ask often."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One received instance."""

    job: str
    came_at: datetime
    stage: str
    """One of STAGES."""
    detail: str
    """The verdict, or the reason."""
    can_be_read_again: bool
    """It was not read because of us, not because of the clip."""
    ended_at: datetime | None = None
    code: str = ""
    """Of the problem for which it was not read."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One destination."""

    destination: str
    waiting: int
    delivered: int
    dead: int
    oldest_waiting_s: float
    """0 where nothing waits."""
    last_failure: str
    """Why the newest one that waits or is dead was not delivered."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Of everything that the ledger still knows."""

    instances: tuple[Instance, ...]
    """The newest first."""
    queues: tuple[Queue, ...]
    letters: tuple[Letter, ...]
    """Those that wait or are dead, the newest first. A dead letter that was sent again counts as its successor alone."""

    @property
    def by_stage(self) -> dict[str, int]:
        counts = Counter(instance.stage for instance in self.instances)
        return {stage: counts[stage] for stage in STAGES}

    @property
    def dead(self) -> tuple[Letter, ...]:
        return tuple(letter for letter in self.letters if letter.stage is Stage.DEAD)

    @property
    def waiting(self) -> tuple[Letter, ...]:
        return tuple(letter for letter in self.letters if letter.stage is Stage.WAITING)


class Watch:
    """Looks at the ledger again and again. What has ended does not change any more, and is read once. For several threads."""

    def __init__(self, ledger: Ledger, destinations: Sequence[str] = ()) -> None:
        """`destinations`: of the site file; others that were once sent to are shown after them."""
        self._ledger = ledger
        self._destinations = destinations
        self._instances = Entries(ledger, READ_INSTANCE)
        self._deliveries = Entries(ledger, DELIVER)
        self._lock = threading.Lock()
        self._last: Overview | None = None
        self._looked_at_s = 0.0

    def overview(self, max_age_s: float = KEPT_S) -> Overview:
        """Raises: LedgerUnavailable."""
        with self._lock:
            if self._last is None or time.monotonic() - self._looked_at_s > max_age_s:
                self._last = self._look()
                self._looked_at_s = time.monotonic()
            return self._last

    def _look(self) -> Overview:
        instances = tuple(_instance(entry) for entry in self._instances.look())
        letters = [letter_of(entry, self._ledger) for entry in _latest(self._deliveries.look())]
        names = dict.fromkeys((*self._destinations, *sorted({letter.destination for letter in letters})))
        open_ones = tuple(letter for letter in letters if letter.stage is not Stage.DELIVERED)
        return Overview(instances, tuple(_queue(name, letters) for name in names), open_ones)


_OUTCOMES = {READ: "read", SKIPPED: "skipped", REFUSED: "not read", FAILED: "not read"}
_STATES = {State.QUEUED: "waiting", State.RUNNING: "reading", State.CANCELLED: "cancelled", State.FAILED: "not read"}
_BROKE_OFF = "The service met an error of its own while it was read, or was stopped again and again. Its log says more."


def _instance(entry: Entry) -> Instance:
    result = entry.result or {}
    stage = _OUTCOMES.get(result.get("outcome", ""), _STATES.get(entry.state, "not read"))
    has_broken_off = entry.state is State.FAILED
    detail = _BROKE_OFF if has_broken_off else result.get("verdict") or result.get("detail", "")
    again = has_broken_off or result.get("outcome") == FAILED
    code = "internal_error" if has_broken_off else result.get("code", "")
    return Instance(entry.id, entry.asked_at, stage, detail, can_be_read_again=again, ended_at=entry.ended_at, code=code)


def _latest(entries: Collection[Entry]) -> list[Entry]:
    """Of each job and destination the last delivery: those before it are dead letters that were sent again."""
    last: dict[tuple[str, str], Entry] = {}
    for entry in sorted(entries, key=lambda entry: (entry.asked_at, _number(entry))):
        last[entry.arguments["job"], entry.arguments["destination"]] = entry
    return [*reversed(last.values())]


def _number(entry: Entry) -> int:
    return int(entry.id.rsplit("-", 1)[1])


def _queue(destination: str, every: Sequence[Letter]) -> Queue:
    mine = [letter for letter in every if letter.destination == destination]
    stages = Counter(letter.stage for letter in mine)
    failures = (letter.detail for letter in mine if letter.stage is not Stage.DELIVERED and letter.detail)
    ages_s = [(datetime.now(UTC) - letter.asked_at).total_seconds() for letter in mine if letter.stage is Stage.WAITING]
    oldest_s = max(ages_s, default=0.0)
    return Queue(destination, stages[Stage.WAITING], stages[Stage.DELIVERED], stages[Stage.DEAD], oldest_s, next(failures, ""))
