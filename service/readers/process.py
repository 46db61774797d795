"""One reader process, as the service sees it: started, told what to do, listened to, ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.disk import no_room
from service.engine.base import Grey, PatchShape, PatchType, Task
from service.engine.turn import Answer
from service.errors import BadBundle, EngineFailed, NoRoom, RequestError, SeashoreError
from service.pipeline import Progress
from service.readers.bell import Bell
from service.readers.wire import Wire
from service.readers.words import (
    ASKED,
    BROKEN,
    CALL,
    DONE,
    MEMORY,
    OUTPUT,
    READY,
    REFUSED,
    ROOM,
    SPENT,
    TIME,
    TOLD,
    Answered,
    Drop,
    Garbled,
    Order,
    Said,
    Word,
    hear,
    order,
)
from service.reading import LOOK_EVERY_S
from service.remote.calls import RemoteBug
from service.sandbox.cage import ONE_THREAD
from service.sandbox.limits import allow_seconds

CHILD = "service.readers.child"
START_WITHIN_S = 60.0
"""Its imports take one second of a core; more when many start at once on few."""
BEGINS_WITHIN_S = 60.0
"""Nothing but a machine out of breath keeps it from saying so at once."""
DROP_WITHIN_S = 1.0
"""A reader that is told to stop and goes on for longer, deep inside a decoder, is ended."""
REFUSALS: tuple[type[SeashoreError], ...] = (*RequestError.__subclasses__(), BadBundle, EngineFailed)
"""What may be wrong with a clip, or with the bundle as the reader finds it."""
ENDS = (DONE, REFUSED, BROKEN, SPENT)
ENDED_BY = {-signal.SIGXCPU: TIME, -signal.SIGSYS: CALL}
"""What the kernel ends a process with that runs into a limit of its cage."""
DIES_WITHIN_S = 1.0
"""Once it has hung up."""

Put = Callable[[Task, Grey], "Future[Answer]"] | Callable[[Task, Grey], "Future[Answer | None]"]
"""None where the answer can be done without."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process may ask of one device. A graph given anything else fails, and would pass for lost."""

    put: Put
    shape: PatchShape
    takes: Mapping[Task, tuple[PatchType, ...]]

    def is_known(self, task: Task, patches: NDArray[Any]) -> bool:
        return patches.shape[1:] == self.shape and any(patches.dtype == kind for kind in self.takes.get(task, ()))


Asks = Mapping[str, Ask]
"""By model: SLIDING, or the name of one of signs."""


class ReaderLost(Exception):
    """The process died, fell silent, or said what no reader says."""


class NeverBegan(ReaderLost):
    """The process was gone before it had the clip: that says nothing about the clip."""


class LimitReached(ReaderLost):
    """The process ran into a limit of its cage: with this clip, any other would as well."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class ReaderProcess:
    """Reads one clip at a time. Used by one thread at a time."""

    def __init__(self, cpu_s: int) -> None:
        """`cpu_s`: for each order."""
        here, there = socket.socketpair()
        with there:
            command = [sys.executable, "-m", CHILD, str(there.fileno())]
            # Settings hold the database's password, which a process that decodes strangers' clips has no use for.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("SEASHORE_")} | ONE_THREAD
            self._child = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, env=environment)
        self._wire = Wire(here)
        self._is_busy = False
        self._is_lost = False
        self._cpu_s = cpu_s
        self.num_orders = 0
        self.gaps: tuple[str, ...] = ()
        """What its cage leaves open, on this machine."""

    @classmethod
    def started(cls, settings: dict[str, Any]) -> "ReaderProcess":
        """Ready for its first order. Raises: OSError, ReaderLost."""
        process = cls(settings["cage_cpu_s"])
        try:
            process._send(settings)
            ready = process._hear_within(START_WITHIN_S)
            if ready.kind != READY:
                raise ReaderLost
            process.gaps = tuple(map(str, ready.fields["gaps"]))
        except ReaderLost:
            process.end()
            raise
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def run(self, ordered: Order, files: Sequence[int], asks: Asks, tell: Progress) -> Word:
        """What the reader says when it is done. `files` are the clip and, where something is drawn, what it is drawn to; they stay open.
        `asks` put patches to the devices; `tell` hears how far it is, every few milliseconds.

        Raises: ReaderLost, NeverBegan, LimitReached; RequestError; EngineFailed; RemoteBug; whatever `tell` raises. After those the
        reader may still be at it until `settle`.
        """
        self.num_orders += 1
        self._is_busy = True
        self._allow_time()
        self._begin(ordered, files)
        with Answers() as bell:
            told, num_asked, heard_s = (0.0, "decode"), 0, time.monotonic()
            while True:
                for number, answered in bell.take():
                    self._send(Answered(number, answered.result()))
                    num_asked, heard_s = num_asked - 1, time.monotonic()
                tell(*told)
                if self._wire.end not in wait([self._wire.end, bell.near], LOOK_EVERY_S):
                    self._check_awake(heard_s, num_asked)
                    continue
                word, heard_s = self._hear(), time.monotonic()
                if word.kind == TOLD:
                    told = _progress(word)
                elif word.kind == ASKED:
                    number, put, task, patches = _question(word, asks)
                    num_asked += 1
                    put(task, patches).add_done_callback(partial(_ring, bell, number))
                elif word.kind in ENDS:
                    return _done(word)

    def _begin(self, ordered: Order, files: Sequence[int]) -> None:
        """Its first word is that it has begun. Raises: NeverBegan."""
        try:
            self._send(ordered, files)
            if self._hear_within(BEGINS_WITHIN_S).kind != TOLD:
                raise ReaderLost
        except ReaderLost as lost:
            raise NeverBegan from lost

    def settle(self) -> None:
        """Have it drop what it is at. Raises: ReaderLost when it would not, or has been killed."""
        if self._is_lost:
            raise ReaderLost
        if self._is_busy:
            self._send(Drop())
            end_s = time.monotonic() + DROP_WITHIN_S
            while self._is_busy:
                self._hear_within(end_s - time.monotonic())

    def kill(self) -> None:
        """Whatever it is doing. From any thread: whoever works with it finds it lost."""
        self._is_lost = True
        self._child.kill()

    def end(self) -> None:
        self.kill()
        self._child.wait()
        self._wire.close()

    def _allow_time(self) -> None:
        """It may be dead by now: whoever sends to it will see."""
        with suppress(OSError, ValueError, AttributeError):  # AttributeError: another system than Linux, which has no cage
            allow_seconds(self.pid, self._cpu_s)

    def _check_awake(self, heard_s: float, num_asked: int) -> None:
        """A decoder that waits for ever takes no computing time. Raises: LimitReached."""
        if num_asked == 0 and time.monotonic() - heard_s > self._cpu_s:
            raise LimitReached(TIME)

    def _send(self, word: Said, files: Sequence[int] = ()) -> None:
        try:
            order(self._wire, word, files)
        except OSError as error:
            raise self._why_lost() from error

    def _why_lost(self) -> ReaderLost:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(DIES_WITHIN_S)
        limit = ENDED_BY.get(self._child.returncode)
        return ReaderLost(f"exit code {self._child.returncode}") if limit is None else LimitReached(limit)

    def _hear_within(self, seconds: float) -> Word:
        if not wait([self._wire.end], max(0.0, seconds)):
            raise ReaderLost
        return self._hear()

    def _hear(self) -> Word:
        try:
            word = hear(self._wire)
        except OSError as error:
            raise self._why_lost() from error
        except Garbled as error:
            raise ReaderLost from error
        self._is_busy = self._is_busy and word.kind not in ENDS
        return word


Answers = Bell[tuple[int, "Future[Answer]"]]


def _ring(bell: Answers, number: int, answered: "Future[Answer]") -> None:
    bell.put((number, answered))


def _progress(word: Word) -> tuple[float, str]:
    share, stage = word.fields.get("share"), word.fields.get("stage")
    if not isinstance(share, float) or not isinstance(stage, str):
        raise ReaderLost
    return share, stage


def _question(word: Word, asks: Asks) -> tuple[int, Put, Task, Grey]:
    number, task, patches = word.fields.get("number"), word.fields.get("task"), word.arrays.get("patches", np.empty(0))
    ask = asks.get(str(word.fields.get("of")))
    if not isinstance(number, int) or ask is None or task not in [known.value for known in Task]:
        raise ReaderLost
    if not ask.is_known(Task(task), patches):
        raise ReaderLost
    return number, ask.put, Task(task), patches


def _done(word: Word) -> Word:
    """Raises: what it says instead of being done."""
    if word.kind == BROKEN:
        raise RemoteBug(str(word.fields.get("where")))
    if word.kind == REFUSED:
        raise _refusal(word)
    if word.kind == SPENT:
        raise _spent(word)
    return word


def _spent(word: Word) -> ReaderLost | NoRoom:
    limit = word.fields.get("limit")
    if limit == ROOM:
        return no_room()
    return LimitReached(limit) if limit in (MEMORY, OUTPUT) else ReaderLost()


def _refusal(word: Word) -> SeashoreError:
    kinds: dict[str, type[SeashoreError]] = {kind.code: kind for kind in REFUSALS}
    kind = kinds.get(str(word.fields.get("code")))
    if kind is None:
        raise ReaderLost
    return kind(str(word.fields.get("message")), log_detail=str(word.fields.get("log_detail")))
