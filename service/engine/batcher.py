"""Patches of many clips go through one engine: the unit of work is the patch, not the request.

Nothing waits for a batch to fill: a stream that is idle takes what there is (`line` says which). A clip whose turn is left is out
before the next batch; a batch that fails is tried once in smaller ones, each clip by itself, so that one that spoils a batch is
answered apart from the others. Whether then the clip is at fault or the engine, black patches tell (`healing` does the rest).
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Engine, Grey, Task
from service.engine.line import COST, Ask, Line, Place, Portion
from service.engine.turn import Answer, Lane
from service.errors import EngineFailed
from service.standing import BatchCount, DeviceStanding

IDLE_S = 10.0
"""A stream's thread that has had nothing to do for so long ends; the next ask starts another."""
RATE_WEIGHT = 0.1
"""Of the newest batch in the running mean of the device's speed."""

Why = Callable[[], EngineFailed]
"""Makes an error anew for each who is told: one exception raised in many threads would gather all their traces."""
Lost = Callable[["Batcher", Exception], None]


class BatcherTurn:
    """A `Turn` at a `Batcher`."""

    def __init__(self, batcher: "Batcher", lane: Lane) -> None:
        self._batcher = batcher
        self._place = Place(lane)

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        return self._batcher.put(Ask(self._place, task, patches))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._batcher.leave(self._place)


class Batcher:
    """A `Device` over one engine, shared by all who read clips with it."""

    def __init__(self, engine: Engine, on_lost: Lost | None = None) -> None:
        """`on_lost` hears, from a stream's thread, of an engine that does not even classify black patches any more."""
        self.engine = engine
        self._on_lost = on_lost
        self._changed = threading.Condition()
        self._line: Line | None = None  # made with the first ask: the engine's graphs may not be open yet
        self._num_threads = 0
        self._num_idle = 0
        self._seconds_a_pass = 0.0
        self._closed_because: Why | None = None
        self._running: dict[int, tuple[float, list[Portion]]] = {}
        """By thread: since when, on `time.monotonic`, and what."""
        self._slowest_s = 0.0
        self._done: dict[tuple[Task, int], BatchCount] = {}

    @property
    def device(self) -> str:
        return self.engine.device

    @property
    def backlog_s(self) -> float:
        """How long the device will take for what waits; 0 before it has been seen at work."""
        with self._changed:
            return self._backlog_s()

    def _backlog_s(self) -> float:
        return 0.0 if self._line is None else self._line.waiting_passes * self._seconds_a_pass

    def standing(self) -> DeviceStanding:
        """Waits for no batch."""
        longest_s = self.longest_batch_s
        with self._changed:
            return DeviceStanding(self._backlog_s(), longest_s, tuple(self._done.values()))

    @property
    def longest_batch_s(self) -> float:
        """How long the batch that was begun first has been with the engine; 0 when none is."""
        with self._changed:
            return max((time.monotonic() - begun_s for begun_s, _ in self._running.values()), default=0.0)

    @property
    def slowest_batch_s(self) -> float:
        """That came back so far."""
        return self._slowest_s

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> BatcherTurn:
        return BatcherTurn(self, lane)

    def put(self, ask: Ask) -> "Future[Answer]":
        """Let patches wait for a stream. Raises: EngineFailed once the batcher is closed."""
        with self._changed:
            if self._closed_because is not None:
                raise self._closed_because()
            if ask.place.is_left:
                raise _put_away()
            if len(ask.patches) == 0:
                _answer(ask)
            else:
                self._waiting().join(ask)
                self._wake(len(ask.patches))
        return ask.future

    def leave(self, place: Place) -> None:
        """Drop what of it has not begun."""
        with self._changed:
            place.is_left = True
            for ask in self._waiting().leave(place) if place.asks else ():
                ask.future.cancel()

    def close(self) -> None:
        """Take no more. What has begun is finished, what waits is answered with EngineFailed."""
        with self._changed:
            self._closed_because = self._closed_because or _put_away
            self._fail_waiting(lambda: EngineFailed("The model was put away before the clip was read."))
            self._changed.notify_all()

    def abandon(self, why: Why) -> None:
        """Take no more. What waits and what has begun is answered with `why`: a batch that is stuck may never come back."""
        with self._changed:
            self._closed_because = why
            self._fail_waiting(why)
            for portion in (portion for _, batch in self._running.values() for portion in batch):
                self._fail(portion.ask, why())
            self._changed.notify_all()

    def _fail_waiting(self, why: Why) -> None:
        while self._line is not None and (batch := self._line.next_batch()):
            for portion in batch:
                self._fail(portion.ask, why())

    def _waiting(self) -> Line:
        if self._line is None:
            self._line = Line({task: self.engine.buckets(task) for task in Task}, self.engine.streams)
        return self._line

    def _wake(self, num_patches: int) -> None:
        self._changed.notify(num_patches)
        for _ in range(min(self.engine.streams - self._num_threads, num_patches - self._num_idle)):
            self._num_threads += 1
            threading.Thread(target=self._stream, name="engine", daemon=True).start()

    def _stream(self) -> None:
        while batch := self._next():
            self._run(batch)

    def _next(self) -> list[Portion]:
        """The next batch once there is one; empty when this thread may end."""
        with self._changed:
            self._num_idle += 1
            self._changed.wait_for(lambda: self._closed_because or len(self._waiting()), timeout=IDLE_S)
            self._num_idle -= 1
            batch = [] if self._closed_because else self._waiting().next_batch()
            self._num_threads -= not batch
            return batch

    def _run(self, batch: list[Portion]) -> None:
        try:
            self._answered(batch)
        except Exception as error:
            self._run_smaller(batch, error)

    def _run_smaller(self, batch: list[Portion], error: Exception) -> None:
        """Once: of a batch that was too large for the memory half may do, and no clip goes with another that spoils it."""
        num_patches = sum(map(len, batch))
        if num_patches == 1:
            self._blame(batch[0], error)
            return
        for portion in batch:
            for piece in _pieces(portion, num_patches // 2):
                self._run_piece(piece)

    def _run_piece(self, piece: Portion) -> None:
        if self._closed_because is not None:
            self._end(piece.ask, self._closed_because())
        elif not piece.ask.future.done():  # else it has left, or failed
            try:
                self._answered([piece])
            except Exception as error:
                self._blame(piece, error)

    def _blame(self, portion: Portion, error: Exception) -> None:
        """The clip, where the engine still does its work with other patches; else the engine."""
        if self._on_lost is not None and not self._answers_black(portion):
            self._on_lost(self, error)
        self._end(portion.ask, error if self._closed_because is None else self._closed_because())

    def _answers_black(self, portion: Portion) -> bool:
        """Whether the engine still does its work, with patches that nothing can be wrong with."""
        try:
            self._figures([Portion(Ask(portion.ask.place, portion.ask.task, np.zeros_like(portion.patches[:1])), slice(0, 1))])
        except Exception:
            return False
        return True

    def _answered(self, batch: list[Portion]) -> None:
        """May raise whatever the engine raises."""
        begun_s = time.perf_counter()
        logits, gradients = self._figures(batch)
        self._deliver(batch, logits, gradients, (time.perf_counter() - begun_s) / self.engine.streams)

    def _figures(self, batch: list[Portion]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        patches = batch[0].patches if len(batch) == 1 else np.concatenate([portion.patches for portion in batch])
        with self._noted(batch):
            if batch[0].ask.task is Task.EXPLAIN:
                return self.engine.logits_and_gradients(patches.astype(np.float32, copy=False))
            return self.engine.logits(patches), None

    @contextmanager
    def _noted(self, batch: list[Portion]) -> Iterator[None]:
        """While a batch is with the engine it is known since when."""
        thread, begun_s = threading.get_ident(), time.monotonic()
        with self._changed:
            self._running[thread] = begun_s, batch
        try:
            yield
        finally:
            with self._changed:
                del self._running[thread]
                self._slowest_s = max(self._slowest_s, time.monotonic() - begun_s)

    def _deliver(self, batch: list[Portion], logits: NDArray[np.float32], gradients: NDArray[np.float32] | None, device_s: float) -> None:
        parts, start = [], 0
        for portion in batch:
            parts.append(slice(start, start + len(portion)))
            start += len(portion)
            if gradients is not None and portion.ask.gradients is not None:
                portion.ask.gradients[portion.part] = gradients[parts[-1]]
        with self._changed:
            for portion, of in zip(batch, parts, strict=True):
                portion.ask.take(portion.part, logits[of])
            self._count(batch[0].ask.task, len(logits), device_s)
            self._note_speed(device_s / (COST[batch[0].ask.task] * len(logits)))
            for portion in batch:
                portion.ask.num_done += len(portion)
                portion.ask.device_s += device_s * len(portion) / len(logits)
                _answer(portion.ask)

    def _count(self, task: Task, patches: int, device_s: float) -> None:
        new = BatchCount(task.value, patches, self.engine.buckets(task)[0], 0, 0.0)
        known = self._done.get((task, patches), new)
        self._done[task, patches] = replace(known, count=known.count + 1, device_s=known.device_s + device_s)

    def _note_speed(self, seconds_a_pass: float) -> None:
        weight = RATE_WEIGHT if self._seconds_a_pass else 1.0
        self._seconds_a_pass += weight * (seconds_a_pass - self._seconds_a_pass)

    def _end(self, ask: Ask, error: Exception) -> None:
        with self._changed:
            self._fail(ask, error)

    def _fail(self, ask: Ask, error: Exception) -> None:
        self._waiting().drop(ask)
        if not ask.future.done():
            ask.future.set_exception(error)


def _put_away() -> EngineFailed:
    return EngineFailed("The model is being put away; no more is read with it.")


def _pieces(portion: Portion, size: int) -> Iterator[Portion]:
    for start in range(portion.part.start, portion.part.stop, size):
        yield Portion(portion.ask, slice(start, min(start + size, portion.part.stop)))


def _answer(ask: Ask) -> None:
    """When all of it is done and nobody has left or failed it meanwhile."""
    if ask.num_done == len(ask.patches) and not ask.future.done():
        ask.future.set_result(Answer(ask.logits, ask.gradients, ask.device_s))
