"""The line of patches before the device: who goes next, and in which batch. Arithmetic only; `batcher` brings the threads.

    clip A  -- [20 patches] --+  interactive lane                +-- batch of A, A, A, A
    clip B  -- [ 6 patches] --+  the one that has had least first +-- batch of B, B, B, B
    job  C  -- [30 patches] --+  background lane                 +-- batch of A, A, B, B

A batch is for one graph and has one of the engine's bucket sizes, which were warmed. Between the clips of a lane the one that has
had least of the device goes first, so a long clip is parted and starves nobody. The background lane gets what the interactive one
leaves, and every tenth batch, so that jobs end on a busy day.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane

BACKGROUND_EVERY = 10
"""Batches: one of so many is the background lane's, however busy the other is."""
COST = {Task.CLASSIFY: 1.0, Task.EXPLAIN: 2.3}
"""Of a patch, in forward passes: what fairness and the backlog are counted in."""


@dataclass(slots=True, eq=False)
class Place:
    """One clip's place in the line."""

    lane: Lane
    served: float = 0.0
    """What it has had of the device, in forward passes of a patch, on the lane's clock."""
    asks: "deque[Ask]" = field(default_factory=deque)
    """Those of which some patches have not begun."""
    is_left: bool = False


@dataclass(slots=True, eq=False)
class Ask:
    """Patches on their way through one graph."""

    place: Place
    task: Task
    patches: Grey
    future: "Future[Answer]" = field(default_factory=Future)
    num_begun: int = 0
    num_done: int = 0
    device_s: float = 0.0
    logits: NDArray[np.float32] = field(init=False)
    """(N,), or (N, F) once the first of them have come from a graph that tells F numbers of each."""
    gradients: NDArray[np.float32] | None = field(init=False)

    def __post_init__(self) -> None:
        self.logits = np.empty(len(self.patches), np.float32)
        self.gradients = np.empty(self.patches.shape, np.float32) if self.task is Task.EXPLAIN else None

    def take(self, part: slice, logits: NDArray[np.float32]) -> None:
        """What was told of some of its patches."""
        if logits.shape[1:] != self.logits.shape[1:]:
            self.logits = np.empty((len(self.patches), *logits.shape[1:]), np.float32)
        self.logits[part] = logits

    @property
    def num_waiting(self) -> int:
        return len(self.patches) - self.num_begun


@dataclass(frozen=True, slots=True)
class Portion:
    """A run of one ask's patches within a batch."""

    ask: Ask
    part: slice

    @property
    def patches(self) -> Grey:
        return self.ask.patches[self.part]

    def __len__(self) -> int:
        return int(self.part.stop - self.part.start)


class Line:
    """Who waits. Not for several threads at once."""

    def __init__(self, buckets: dict[Task, tuple[int, ...]], streams: int) -> None:
        self._buckets = buckets
        self._streams = streams
        self._places: dict[Lane, list[Place]] = {lane: [] for lane in Lane}
        self._clock = dict.fromkeys(Lane, 0.0)
        """What the clip served last had had. Who comes begins here, or it would be served alone until it had caught up with the oldest."""
        self._since_background = 0

    def __len__(self) -> int:
        """Clips that wait."""
        return sum(map(len, self._places.values()))

    @property
    def waiting_passes(self) -> float:
        """Work that has not begun, in forward passes of a patch."""
        return sum(COST[ask.task] * ask.num_waiting for place in self._all() for ask in place.asks)

    def join(self, ask: Ask) -> None:
        place = ask.place
        if not place.asks:
            place.served = max(place.served, self._clock[place.lane])
            self._places[place.lane].append(place)
        place.asks.append(ask)

    def leave(self, place: Place) -> tuple[Ask, ...]:
        """What of it had not begun, or not all."""
        dropped = tuple(place.asks)
        for ask in dropped:
            self.drop(ask)
        return dropped

    def drop(self, ask: Ask) -> None:
        """What of it has not begun waits no longer."""
        place = ask.place
        if ask in place.asks:
            place.asks.remove(ask)
            if not place.asks:
                self._places[place.lane].remove(place)

    def next_batch(self) -> list[Portion]:
        """Empty when nobody waits."""
        lane = self._next_lane()
        return [] if lane is None else list(self._fill(lane))

    def _all(self) -> Iterator[Place]:
        for places in self._places.values():
            yield from places

    def _next_lane(self) -> Lane | None:
        waiting = [lane for lane in Lane if self._places[lane]]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        self._since_background = (self._since_background + 1) % BACKGROUND_EVERY
        return Lane.INTERACTIVE if self._since_background else Lane.BACKGROUND

    def _fill(self, lane: Lane) -> Iterator[Portion]:
        """For the graph that the clip asks which has had least; what room is left goes to the next ones that ask the same."""
        places = sorted(self._places[lane], key=lambda place: place.served)
        task = places[0].asks[0].task
        self._clock[lane] = places[0].served
        asks = [ask for place in places for ask in place.asks if ask.task is task]
        room = self._size(task, sum(ask.num_waiting for ask in asks))
        for ask in asks:
            if count := min(room, ask.num_waiting):
                room -= count
                yield self._begin(ask, count)

    def _size(self, task: Task, num_waiting: int) -> int:
        """The largest bucket that they fill, once they are shared out to the streams."""
        share = -(-num_waiting // self._streams)
        return next(size for size in self._buckets[task] if size <= share)

    def _begin(self, ask: Ask, count: int) -> Portion:
        portion = Portion(ask, slice(ask.num_begun, ask.num_begun + count))
        ask.num_begun += count
        ask.place.served += COST[ask.task] * count
        if ask.num_waiting == 0:
            self.drop(ask)
        return portion
