"""The processes that share a ledger: which of them live, and who goes on with the work of one that does not.

Each touches a file of its own in the shared data folder. Times are compared on that folder's own clock, so the machines' clocks
need not agree. A node that was only paused for long finds its work taken over: what it does twice leaves one result (same UIDs).
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from service.errors import LedgerUnavailable
from service.jobs.folder import make_folder
from service.telemetry import describe_bug

BEAT_EVERY_S = 10.0
DEAD_AFTER_S = 60.0
"""Six beats missed: a start takes ten seconds, a network file system may stall for longer."""

log = logging.getLogger(__name__)


class Nodes:
    """This process among those that share the data folder."""

    def __init__(self, folder: Path, node: str, *, beat_every_s: float = BEAT_EVERY_S, dead_after_s: float = DEAD_AFTER_S) -> None:
        self._folder = folder
        self._node = node
        self._beat_every_s = beat_every_s
        self._dead_after_s = dead_after_s
        self._lock: int | None = None
        self._stop = threading.Event()

    def join(self) -> None:
        """Take this node's name. Raises: LedgerUnavailable when a living process has it: the two would do each other's work."""
        make_folder(self._folder)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LedgerUnavailable(f"Another process is the node '{self._node}' already. Give each its own name: SEASHORE_NODE.") from None
        self._lock = descriptor
        self.beat()

    def leave(self) -> None:
        """The file stays, without its lock: what was left unfinished is for the next start, or for another node."""
        self._stop.set()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def beat(self) -> None:
        """Show that this process lives. Writing, not touching: the file system puts its own time on it."""
        assert self._lock is not None
        os.pwrite(self._lock, b"alive\n", 0)
        os.fsync(self._lock)

    def dead(self) -> list[str]:
        """Other nodes that have not been heard of for long."""
        now_s = self._path.stat().st_mtime
        others = (path for path in self._folder.iterdir() if path != self._path)
        return [path.name for path in others if now_s - path.stat().st_mtime > self._dead_after_s]

    def forget(self, node: str) -> None:
        (self._folder / node).unlink(missing_ok=True)

    def watch(self, take_over: Callable[[list[str]], None]) -> None:
        """From a thread: beat, and hand the names of dead nodes to `take_over`."""
        threading.Thread(target=self._watch, args=(take_over,), name="nodes", daemon=True).start()

    def _watch(self, take_over: Callable[[list[str]], None]) -> None:
        while not self._stop.wait(self._beat_every_s):
            try:
                self.beat()
                self._bury(take_over)
            except Exception as error:  # the disk or the ledger is away: the next beat may find them
                log.error("node %s: %s", self._node, describe_bug(error))

    def _bury(self, take_over: Callable[[list[str]], None]) -> None:
        dead = self.dead()
        if dead:
            log.warning("Nodes not heard of for %g s; their work is taken over: %s", self._dead_after_s, ", ".join(dead))
            take_over(dead)
            for node in dead:
                self.forget(node)

    @property
    def _path(self) -> Path:
        return self._folder / self._node
