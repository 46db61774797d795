"""All work of one name, looked at again and again: what has ended does not change any more, and is read once."""

import time
from datetime import UTC, datetime, timedelta

from service.jobs.ledger import Entry, Ledger, State

OVERLAP = timedelta(minutes=5)
"""What ended so long before the last look is looked at again: the clocks of several nodes differ a little."""
ANEW_S = 3600.0
"""So often all of it is read again, and what the ledger has forgotten since is let go: a node runs for months."""


class Entries:
    """For one thread at a time."""

    def __init__(self, ledger: Ledger, work: str, *, kept: timedelta | None = None) -> None:
        """`kept`: what ended longer ago is left out. Without it, what the ledger has forgotten is still there for up to ANEW_S."""
        self._ledger = ledger
        self._work = work
        self._kept = kept
        self._ended: dict[str, Entry] = {}
        self._since: datetime | None = None
        self._looked_s = self._anew_s = time.monotonic()

    def look(self) -> list[Entry]:
        """The newest first. Raises: LedgerUnavailable."""
        if time.monotonic() - self._anew_s > ANEW_S:
            self._ended, self._since, self._anew_s = {}, None, time.monotonic()
        now, passed = _now(), timedelta(seconds=time.monotonic() - self._looked_s)
        # The clock may have been set back since: then what ended meanwhile bears a time before the last look.
        since = min(self._since, now - passed - OVERLAP) if self._since else self._first(now)
        under_way = self._ledger.list(work=self._work, states=[state for state in State if state is not State.DONE])
        ended = self._ledger.list(work=self._work, states=[State.DONE], ended_after=since)
        self._since, self._looked_s = now - OVERLAP, time.monotonic()
        self._ended.update((entry.id, entry) for entry in ended)
        self._leave_out(self._first(now))
        found = {**{entry.id: entry for entry in under_way}, **{entry.id: entry for entry in ended}}  # it may have ended in between
        return sorted({**self._ended, **found}.values(), key=lambda entry: entry.asked_at, reverse=True)

    def _first(self, now: datetime) -> datetime | None:
        return None if self._kept is None else now - self._kept

    def _leave_out(self, before: datetime | None) -> None:
        if before is not None:
            self._ended = {id: entry for id, entry in self._ended.items() if entry.ended_at is None or entry.ended_at > before}


def _now() -> datetime:
    return datetime.now(UTC)
