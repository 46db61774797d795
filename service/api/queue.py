"""Clips waiting for their turn: so many read at once, so many waiting, none for longer than the deadline."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from service.errors import DeadlineExceeded, Overloaded

Result = TypeVar("Result")


class Stopped(Exception):
    """Raised inside a reading that nobody waits for any more."""


class CallerGone(Exception):
    """The caller hung up; there is nobody to answer."""


class Stop:
    """Tells a reading to end. A thread cannot be killed: the reading looks here whenever it reports progress."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def check(self, share: float = 0.0, stage: str = "") -> None:
        """A `Progress`. Raises: Stopped."""
        if self._event.is_set():
            raise Stopped


class ReadingQueue:
    """Runs readings in threads. A place is given back when its thread has really ended, not when its caller has gone."""

    def __init__(self, *, max_concurrent: int, max_queued: int, deadline_s: float) -> None:
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="reading")
        self._max_concurrent = max_concurrent
        self._max_pending = max_concurrent + max_queued
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._stops: set[Stop] = set()
        self._seconds_a_reading = 1.0

    @property
    def num_pending(self) -> int:
        """Readings under way or waiting."""
        return len(self._stops)

    def retry_after_s(self) -> int:
        """When it is worth asking again: as long as those already here should take, 1 to 60 s."""
        return min(max(math.ceil(self.num_pending * self._seconds_a_reading / self._max_concurrent), 1), 60)

    def refuse_when_full(self) -> None:
        """Raises: Overloaded. Asked once before the upload, so that it is not received in vain."""
        if self.num_pending >= self._max_pending:
            raise Overloaded(f"{self.num_pending} clips are being read or waiting, as many as fit. Try again in {self.retry_after_s()} s.")

    async def run(self, reading: Callable[[Stop], Result], *, caller_leaves: Callable[[], Awaitable[None]]) -> Result:
        """The result of `reading`, once it has had its turn.

        Raises: Overloaded, DeadlineExceeded, CallerGone; and whatever `reading` raises.
        """
        stop = Stop()
        answer = asyncio.wrap_future(self._submit(reading, stop))
        leaving = asyncio.ensure_future(caller_leaves())
        either: set[asyncio.Future[Any]] = {answer, leaving}
        try:
            await asyncio.wait(either, timeout=self._deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if leaving.done():
                raise CallerGone
            raise DeadlineExceeded(f"The clip was not read within {self._deadline_s:g} s. A shorter clip or saliency=none is quicker.")
        finally:
            stop.set()
            answer.cancel()
            leaving.cancel()

    def close(self) -> None:
        """Stop whatever is under way."""
        with self._lock:
            for stop in self._stops:
                stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, reading: Callable[[Stop], Result], stop: Stop) -> Future[Result]:
        with self._lock:
            self.refuse_when_full()
            self._stops.add(stop)
        future = self._threads.submit(self._time, reading, stop)
        future.add_done_callback(lambda _: self._give_back(stop))
        return future

    def _time(self, reading: Callable[[Stop], Result], stop: Stop) -> Result:
        stop.check()
        start_s = time.monotonic()
        try:
            return reading(stop)
        finally:
            self._seconds_a_reading += 0.2 * (time.monotonic() - start_s - self._seconds_a_reading)

    def _give_back(self, stop: Stop) -> None:
        with self._lock:
            self._stops.discard(stop)
