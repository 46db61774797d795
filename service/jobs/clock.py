"""What time it is, for whoever deletes or gives up by age: a wall clock that is set by hours ages nothing."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

SLEW = timedelta(minutes=1)
"""What a clock that is only put right may differ by between two looks."""
BELIEVED_AFTER = timedelta(hours=24)
"""A clock that has been set forward and stays so is right: after a power cut it may have begun years ago."""

log = logging.getLogger(__name__)


class CautiousClock:
    """Never later than the time at its making and what has passed since, until a new time has stood for a day; from any thread.

    A clock that is set back is followed at once: everything is then younger than it was, and stays.
    """

    def __init__(self, wall: Callable[[], datetime] = lambda: datetime.now(UTC), passed_s: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._passed_s = passed_s
        self._lock = threading.Lock()
        self._at, self._at_s = wall(), passed_s()
        self._set_forward_s: float | None = None

    def now(self) -> datetime:
        with self._lock:
            wall, passed_s = self._wall(), self._passed_s()
            expected = self._at + timedelta(seconds=passed_s - self._at_s)
            if wall > expected + SLEW and not self._is_believed(passed_s, wall - expected):
                return expected
            self._at, self._at_s, self._set_forward_s = wall, passed_s, None
            return wall

    def _is_believed(self, passed_s: float, by: timedelta) -> bool:
        if self._set_forward_s is None:
            self._set_forward_s = passed_s
            log.warning("The clock was set forward by %.1f h. For a day nothing is deleted on account of that.", by / timedelta(hours=1))
        return passed_s - self._set_forward_s >= BELIEVED_AFTER.total_seconds()
