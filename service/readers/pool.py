"""The reader processes of this machine: kept warm, lent out one by one, replaced when they have died or have done their share."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from service.errors import EngineFailed
from service.readers.process import ReaderLost, ReaderProcess
from service.reading import Wanted
from service.standing import ProcessesStanding

ORDERS_A_PROCESS = 500
"""Then another takes its place: whatever a decoder leaks or a clip has bent ends with it."""
LOOK_EVERY_S = 0.05

log = logging.getLogger(__name__)


class ReaderPool:
    """At most `size` processes. They are started when they are needed, or all by `warm_up`."""

    def __init__(self, settings: dict[str, Any], size: int, *, must_be_caged: bool = False) -> None:
        """`settings`: what the processes may know (`Settings.of_readers`)."""
        self._settings = settings
        self._must_be_caged = must_be_caged
        self._is_warned = False
        self._size = size
        self._changed = threading.Condition()
        self._idle: list[ReaderProcess] = []
        self._all: set[ReaderProcess] = set()
        self._num_starting = 0
        self._num_lost = 0
        self._is_closed = False

    @property
    def pids(self) -> list[int]:
        """Of the processes that have been started."""
        with self._changed:
            return [process.pid for process in self._all]

    def standing(self) -> ProcessesStanding:
        """How the processes are. One that died between two clips is replaced, and counted, when the next clip comes."""
        with self._changed:
            alive = sum(process.is_alive for process in self._all)
            busy = len(self._all) - len(self._idle)
            return ProcessesStanding(self._size, len(self._all), alive, busy, self._num_lost)

    def warm_up(self, count: int) -> None:
        """Have so many processes ready. Raises: EngineFailed."""
        with self._changed:
            missing = min(count, self._size) - len(self._all) - self._num_starting
        with ThreadPoolExecutor(max(1, missing)) as threads:
            for ready in [threads.submit(self._add) for _ in range(missing)]:
                ready.result()

    @contextmanager
    def lend(self, wanted: Wanted) -> Iterator[ReaderProcess]:
        """A process of one's own, waited for. Raises: EngineFailed; whatever `wanted` raises while it waits."""
        process = self._take(wanted)
        try:
            yield process
        finally:
            self._take_back(process)

    def close(self) -> None:
        """End all of them, whatever they are doing."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._all -= set(idle)
            for lent in self._all:
                lent.kill()  # whoever works with it puts it away
        for process in idle:
            process.end()

    def _take(self, wanted: Wanted) -> ReaderProcess:
        while True:
            wanted()
            with self._changed:
                if self._is_closed:
                    raise EngineFailed("The service is stopping; no clips are read any more.")
                if not self._idle and not self._has_room:
                    self._changed.wait(LOOK_EVERY_S)
                while self._idle:
                    process = self._idle.pop()  # the last one used: its caches are warm
                    if process.is_alive:
                        return process
                    self._all.discard(process)
                    self._num_lost += 1
                    process.end()
                is_short = self._has_room
            if is_short:
                self._add()

    @property
    def _has_room(self) -> bool:
        return len(self._all) + self._num_starting < self._size

    def _take_back(self, process: ReaderProcess) -> None:
        is_lost = False
        try:
            process.settle()
            is_kept = process.num_orders < ORDERS_A_PROCESS
        except ReaderLost:
            is_kept, is_lost = False, True
        with self._changed:
            self._num_lost += is_lost and not self._is_closed
            if is_kept and not self._is_closed:
                self._idle.append(process)
                self._changed.notify()
                return
            self._all.discard(process)
        process.end()
        threading.Thread(target=self._replace, name="reader replaced", daemon=True).start()

    def _replace(self) -> None:
        try:
            self._add()
        except EngineFailed as error:
            log.error("%s: %s %s", error.code, error, error.log_detail)

    def _add(self) -> None:
        """Start one, if there is room for it. Raises: EngineFailed."""
        with self._changed:
            if self._is_closed or not self._has_room:
                return
            self._num_starting += 1
        process = None
        try:
            process = self._started()
        finally:
            with self._changed:  # counted as one that starts until it is counted as one that runs, or one too many would be started
                self._num_starting -= 1
                is_wanted = process is not None and not self._is_closed
                if process is not None and is_wanted:
                    self._all.add(process)
                    self._idle.append(process)
                self._changed.notify_all()
            if process is not None and not is_wanted:
                process.end()

    def _started(self) -> ReaderProcess:
        try:
            process = ReaderProcess.started(self._settings)
        except (ReaderLost, OSError) as error:
            raise EngineFailed("No process could be started to read clips in.", log_detail=repr(error)) from error
        self._check_cage(process)
        return process

    def _check_cage(self, process: ReaderProcess) -> None:
        """Raises: EngineFailed when it has gaps and must not; the process is ended then."""
        if not process.gaps:
            return
        gaps = " ".join(process.gaps)
        if self._must_be_caged:
            process.end()
            raise EngineFailed(
                "The processes that read clips cannot be caged on this machine, and SEASHORE_CAGE=require asks for it.", log_detail=gaps
            )
        if not self._is_warned:
            self._is_warned = True
            log.warning("THE CAGE IS NOT WHOLE around the processes that read clips, which may come from anybody: %s", gaps)
