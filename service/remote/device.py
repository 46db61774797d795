"""A `Device` in other processes: `analyse` runs as it does beside its own engine."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane, nothing_asked
from service.remote.calls import Replicas
from service.remote.engine_desk import ClipWork
from service.shelf import ModelEntry

Note = Callable[[str], None]
"""Told the device that answered."""


class RemoteTurn:
    """One clip's place at all the engines. Leaving it drops whatever has not begun there."""

    def __init__(self, engines: Replicas, threads: ThreadPoolExecutor, work: ClipWork, note: Note) -> None:
        self._engines = engines
        self._threads = threads
        self._work = work
        self._note = note
        self._left = threading.Event()

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        if len(patches) == 0:
            return nothing_asked(task, patches)
        return self._threads.submit(self._answer, task, patches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._left.set()

    def _answer(self, task: Task, patches: Grey) -> Answer:
        answer: Answer
        answer, device = self._engines.call("ask", self._work, task, patches, wanted=self._check)
        self._note(device)
        return answer

    def _check(self) -> None:
        if self._left.is_set():
            raise CancelledError


class RemoteDevice:
    """The engines of a cluster, for one model. `for_clip` gives the same for one clip, which then knows where it was read."""

    def __init__(self, engines: Replicas, threads: ThreadPoolExecutor, entry: ModelEntry, sha256: str, device: str) -> None:
        self._engines = engines
        self._threads = threads
        self._entry = entry
        self._sha256 = sha256
        self._stated = device
        self._seen: set[str] = set()

    @property
    def device(self) -> str:
        """Where the patches were really classified; until there are any, where they would be."""
        return " and ".join(sorted(self._seen)) or self._stated

    def for_clip(self) -> "RemoteDevice":
        return RemoteDevice(self._engines, self._threads, self._entry, self._sha256, self._stated)

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> RemoteTurn:
        work = ClipWork(self._entry, self._sha256, uuid.uuid4().hex, lane)
        return RemoteTurn(self._engines, self._threads, work, self._seen.add)
