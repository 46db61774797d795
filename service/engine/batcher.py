"""Patches of many clips go through one engine: the unit of work is the patch, not the request.

Nothing waits for a batch to fill: a stream that is idle takes what there is (`line` says which). A clip whose turn is left is out
before the next batch; a clip that spoils a batch is answered apart from the others.
"""

import threading
import time
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Engine, Grey, Task
from service.engine.line import COST, Ask, Line, Place, Portion
from service.engine.turn import Answer, Lane
from service.errors import EngineFailed

IDLE_S = 10.0
"""A stream's thread that has had nothing to do for so long ends; the next ask starts another."""
RATE_WEIGHT = 0.1
"""Of the newest batch in the running mean of the device's speed."""


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

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._changed = threading.Condition()
        self._line: Line | None = None  # made with the first ask: the engine's graphs may not be open yet
        self._num_threads = 0
        self._num_idle = 0
        self._seconds_a_pass = 0.0
        self._is_closed = False

    @property
    def device(self) -> str:
        return self.engine.device

    @property
    def backlog_s(self) -> float:
        """How long the device will take for what waits; 0 before it has been seen at work."""
        with self._changed:
            return 0.0 if self._line is None else self._line.waiting_passes * self._seconds_a_pass

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> BatcherTurn:
        return BatcherTurn(self, lane)

    def put(self, ask: Ask) -> "Future[Answer]":
        """Let patches wait for a stream. Raises: EngineFailed once the batcher is closed."""
        with self._changed:
            if self._is_closed or ask.place.is_left:
                raise EngineFailed("The model is being put away; no more is read with it.")
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
            self._is_closed = True
            while self._line is not None and (batch := self._line.next_batch()):
                for portion in batch:
                    self._fail(portion.ask, EngineFailed("The model was put away before the clip was read."))
            self._changed.notify_all()

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
            self._changed.wait_for(lambda: self._is_closed or len(self._waiting()), timeout=IDLE_S)
            self._num_idle -= 1
            batch = [] if self._is_closed else self._waiting().next_batch()
            self._num_threads -= not batch
            return batch

    def _run(self, batch: list[Portion]) -> None:
        begun_s = time.perf_counter()
        try:
            logits, gradients = self._figures(batch)
        except Exception as error:
            self._run_apart(batch, error)
        else:
            self._deliver(batch, logits, gradients, (time.perf_counter() - begun_s) / self.engine.streams)

    def _run_apart(self, batch: list[Portion], error: Exception) -> None:
        if len(batch) > 1:
            for portion in batch:
                self._run([portion])
            return
        with self._changed:
            self._fail(batch[0].ask, error)

    def _figures(self, batch: list[Portion]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        patches = batch[0].patches if len(batch) == 1 else np.concatenate([portion.patches for portion in batch])
        if batch[0].ask.task is Task.EXPLAIN:
            return self.engine.logits_and_gradients(patches.astype(np.float32, copy=False))
        return self.engine.logits(patches), None  # type: ignore[arg-type]  # the task says which type of pixels they are

    def _deliver(self, batch: list[Portion], logits: NDArray[np.float32], gradients: NDArray[np.float32] | None, device_s: float) -> None:
        start = 0
        for portion in batch:
            of = slice(start, start + len(portion))
            start = of.stop
            portion.ask.logits[portion.part] = logits[of]
            if gradients is not None and portion.ask.gradients is not None:
                portion.ask.gradients[portion.part] = gradients[of]
        with self._changed:
            self._note_speed(device_s / (COST[batch[0].ask.task] * len(logits)))
            for portion in batch:
                portion.ask.num_done += len(portion)
                portion.ask.device_s += device_s * len(portion) / len(logits)
                _answer(portion.ask)

    def _note_speed(self, seconds_a_pass: float) -> None:
        weight = RATE_WEIGHT if self._seconds_a_pass else 1.0
        self._seconds_a_pass += weight * (seconds_a_pass - self._seconds_a_pass)

    def _fail(self, ask: Ask, error: Exception) -> None:
        self._waiting().drop(ask)
        if not ask.future.done():
            ask.future.set_exception(error)


def _answer(ask: Ask) -> None:
    """When all of it is done and nobody has left or failed it meanwhile."""
    if ask.num_done == len(ask.patches) and not ask.future.done():
        ask.future.set_result(Answer(ask.logits, ask.gradients, ask.device_s))
