"""How many seconds of work are here: when a clip that comes now would have its turn, and when it is worth asking again."""

import heapq
import math
import time
from collections import deque
from collections.abc import Callable

FIRST_GUESS_S = 1.0
"""Of a reading, before one has ended."""
NEWEST_WEIGHT = 0.2
"""Of the reading that ended last in the running mean."""
TRUSTED_SHARE = 0.15
"""Of the work done, from which on it tells how long the rest takes. Until then a reading takes what they take on average."""
MOST_RETRY_AFTER_S = 120


class Work:
    """One clip that waits or is read."""

    __slots__ = ("begun_s", "share")

    def __init__(self) -> None:
        self.begun_s: float | None = None
        self.share = 0.0


class Backlog:
    """The clips that are here, `num_places` of which are read at once. Not for several threads at once."""

    def __init__(self, num_places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._num_places = num_places
        self._clock = clock
        self._works: list[Work] = []
        self._mean_s = FIRST_GUESS_S
        self._told: deque[float] = deque()
        """When those who were sent away were told to come back."""

    def __len__(self) -> int:
        return len(self._works)

    @property
    def num_begun(self) -> int:
        """Those that are being read."""
        return sum(work.begun_s is not None for work in self._works)

    def longest_read_s(self) -> float:
        """How long the one that was begun first has been read; 0 where none is."""
        return max((self._clock() - work.begun_s for work in self._works if work.begun_s is not None), default=0.0)

    def add(self) -> Work:
        work = Work()
        self._works.append(work)
        return work

    def begin(self, work: Work) -> None:
        work.begun_s = self._clock()

    def end(self, work: Work, *, is_finished: bool) -> None:
        """`is_finished`: it was read to its end, so that the time it took says something of the next ones."""
        self._works.remove(work)
        if is_finished and work.begun_s is not None:
            self._mean_s += NEWEST_WEIGHT * (self._clock() - work.begun_s - self._mean_s)

    def wait_s(self) -> float:
        """How long a clip that comes now waits for its turn: everyone before it takes the place that is free first."""
        free = [self._rest_s(work) for work in self._works if work.begun_s is not None]
        free += [0.0] * (self._num_places - len(free))
        heapq.heapify(free)
        for _ in (work for work in self._works if work.begun_s is None):
            heapq.heapreplace(free, free[0] + self._mean_s)
        return free[0]

    def retry_after_s(self, longest_wait_s: float) -> int:
        """When a clip that is sent away now would wait no longer than that, if all who were sent away before it come back as told.

        Without them everybody would be told the same moment, and most of them sent away again.
        """
        now = self._clock()
        while self._told and self._told[0] <= now:
            self._told.popleft()
        rest_s = self.wait_s() - longest_wait_s + self._mean_s / self._num_places * (1 + len(self._told))
        seconds = min(max(math.ceil(rest_s), 1), MOST_RETRY_AFTER_S)
        self._told.append(now + seconds)
        return seconds

    def _rest_s(self, work: Work) -> float:
        elapsed_s = self._clock() - (work.begun_s or 0.0)
        if work.share >= TRUSTED_SHARE:
            return elapsed_s / work.share * (1 - work.share)
        return max(self._mean_s - elapsed_s, 0.1 * self._mean_s)
