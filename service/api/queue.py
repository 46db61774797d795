"""Clips waiting for their turn: so many read at once, so many seconds of work waiting, none for longer than the deadline."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from service.api.backlog import Backlog, Work
from service.errors import DeadlineExceeded, Overloaded, Stopping
from service.tracing import waited

Result = TypeVar("Result")

RESTARTED_WITHIN_S = 10
"""A service that is stopped is mostly started again, and is ready within seconds."""

STANDING_AFTER_S = 30.0
"""A burst has been read by then. Where somebody has waited all that time, more comes than can be read."""
STANDING_WAIT_S = 6.0
"""The longest wait in a queue that stands. A longer one reads not one clip more: everybody is answered later, and so is whoever comes
in the first seconds after it is over."""


class Stopped(Exception):
    """Raised inside a reading that nobody waits for any more."""


class CallerGone(Exception):
    """The caller hung up; there is nobody to answer."""


class Stop:
    """Tells a reading to end. A thread cannot be killed: the reading looks here whenever it reports progress, or waits for the device."""

    def __init__(self, note: Callable[[float], None] = lambda share: None) -> None:
        self._event = threading.Event()
        self.note = note
        """How far it is, 0..1."""
        self.waited_s = 0.0
        """For its turn."""

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def check(self, share: float = 0.0, stage: str = "") -> None:
        """A `Progress`. Raises: Stopped."""
        if self._event.is_set():
            raise Stopped
        self.note(share)


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """How much is here, and how much more may come."""

    reading: int
    waiting: int
    wait_s: float
    """How long a clip that comes now waits for its turn."""
    longest_read_s: float
    """How long the one that was begun first has been read."""
    is_full: bool
    """One that comes now is sent away."""
    is_stopping: bool
    max_reading: int
    max_waiting: int
    max_wait_s: float


class ReadingQueue:
    """Runs readings in threads. A place is given back when its thread has really ended, not when its caller has gone."""

    def __init__(self, *, max_concurrent: int, max_queued: int, max_wait_s: float, deadline_s: float, drain_s: float) -> None:
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="reading")
        self._max_reading = max_concurrent
        self._max_pending = max_concurrent + max_queued
        self._max_wait_s = max_wait_s
        self._deadline_s = deadline_s
        self._drain_s = drain_s
        self._is_stopping = False
        self._drained = asyncio.Event()
        self._lock = threading.Lock()
        self._backlog = Backlog(max_concurrent)
        self._stops: set[Stop] = set()
        self._waited_since_s: float | None = None
        """Since when there has always been somebody who waits."""

    @property
    def num_pending(self) -> int:
        """Readings under way or waiting."""
        return len(self._backlog)

    def standing(self) -> QueueStanding:
        with self._lock:
            reading, wait_s = self._backlog.num_begun, self._backlog.wait_s()
            return QueueStanding(
                reading=reading,
                waiting=len(self._backlog) - reading,
                wait_s=wait_s,
                longest_read_s=self._backlog.longest_read_s(),
                is_full=self._is_full(wait_s),
                is_stopping=self._is_stopping,
                max_reading=self._max_reading,
                max_waiting=self._max_pending - self._max_reading,
                max_wait_s=self._max_wait_s,
            )

    def _is_full(self, wait_s: float) -> bool:
        return len(self._backlog) >= self._max_pending or wait_s > self._longest_wait_s()

    def _longest_wait_s(self) -> float:
        """That is put up with just now."""
        is_standing = self._waited_since_s is not None and time.monotonic() - self._waited_since_s > STANDING_AFTER_S
        return min(self._max_wait_s, STANDING_WAIT_S) if is_standing else self._max_wait_s

    def _note_waiting(self) -> None:
        if len(self._backlog) <= self._max_reading:
            self._waited_since_s = None
        elif self._waited_since_s is None:
            self._waited_since_s = time.monotonic()

    def refuse_when_full(self) -> None:
        """Raises: Overloaded. Asked once before the upload, so that it is not received in vain."""
        with self._lock:
            self._refuse_when_full()

    def _refuse_when_full(self) -> None:
        if self._is_stopping:
            raise _stopping()
        num_pending, wait_s = len(self._backlog), self._backlog.wait_s()
        if not self._is_full(wait_s):
            return
        retry_after_s = self._backlog.retry_after_s(self._longest_wait_s() if num_pending < self._max_pending else 0.0)
        raise Overloaded(
            f"{num_pending} clips are being read or waiting, {wait_s:.0f} s of work before yours. Try again in {retry_after_s} s.",
            retry_after_s=retry_after_s,
        )

    async def run(self, reading: Callable[[Stop], Result], *, caller_leaves: Callable[[], Awaitable[None]]) -> Result:
        """The result of `reading`, once it has had its turn.

        Raises: Overloaded, Stopping, DeadlineExceeded, CallerGone; and whatever `reading` raises.
        """
        work, stop = self._admit()
        answer = asyncio.wrap_future(self._submit(reading, work, stop))
        leaving = asyncio.ensure_future(caller_leaves())
        drained = asyncio.ensure_future(self._drained.wait())
        first: set[asyncio.Future[Any]] = {answer, leaving, drained}
        try:
            await asyncio.wait(first, timeout=self._deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if leaving.done():
                raise CallerGone
            if drained.done():
                raise _stopping()
            raise DeadlineExceeded(f"The clip was not read within {self._deadline_s:g} s. A shorter clip or saliency=none is quicker.")
        finally:
            stop.set()
            for waited in first:
                waited.cancel()

    def drain(self) -> None:
        """Take no more clips, and read those that are here for another `drain_s`; the rest is told to ask again. On the loop."""
        self._is_stopping = True
        asyncio.get_running_loop().call_later(self._drain_s, self._drained.set)

    def close(self) -> None:
        """Stop whatever is under way."""
        with self._lock:
            for stop in self._stops:
                stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _admit(self) -> tuple[Work, Stop]:
        with self._lock:
            self._refuse_when_full()
            work = self._backlog.add()
            self._note_waiting()
            stop = Stop(lambda share: setattr(work, "share", share))
            self._stops.add(stop)
        return work, stop

    def _submit(self, reading: Callable[[Stop], Result], work: Work, stop: Stop) -> Future[Result]:
        context = contextvars.copy_context()  # lines of the log that the reading writes are this request's
        future = self._threads.submit(context.run, self._read, reading, work, stop, time.monotonic())
        future.add_done_callback(lambda ended: self._give_back(ended, work, stop))
        return future

    def _read(self, reading: Callable[[Stop], Result], work: Work, stop: Stop, asked_s: float) -> Result:
        stop.check()
        stop.waited_s = time.monotonic() - asked_s
        waited("queue", stop.waited_s)
        with self._lock:
            self._backlog.begin(work)
        return reading(stop)

    def _give_back(self, ended: Future[Result], work: Work, stop: Stop) -> None:
        with self._lock:
            self._stops.discard(stop)
            self._backlog.end(work, is_finished=not ended.cancelled() and ended.exception() is None)
            self._note_waiting()


def _stopping() -> Stopping:
    return Stopping(f"The service is stopping. Try again in {RESTARTED_WITHIN_S} s.", retry_after_s=RESTARTED_WITHIN_S)
