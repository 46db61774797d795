"""Where received instances go: the seam between whatever brings them in (C-STORE, STOW-RS) and the durable jobs.

An instance is acknowledged when `Inbox.accept` has returned, and not before: a sender deletes what was acknowledged.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

PART_PREFIX = "incoming-"
PART_SUFFIX = ".part"
STALE_AFTER_S = 3600.0
"""A part nothing was written to for so long belongs to nobody: its association would have been ended long ago."""
FREE_SPACE_EVERY_BYTES = 16 * 2**20

OUT_OF_RESOURCES = 0xA700
"""PS3.4 B.2.3. Senders keep the instance and send it again later."""


class StoreRefused(Exception):
    """The instance is not taken. `status` is DIMSE's (PS3.4 B.2.3); the sentence goes to the sender and holds nothing of the instance."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class InboxFull(StoreRefused):
    """No room, or nobody to record the job; the sender should try again later."""

    def __init__(self, sentence: str) -> None:
        super().__init__(OUT_OF_RESOURCES, sentence)


class TooLarge(StoreRefused):
    """A700 as well, for DIMSE has nothing better; but waiting will not help."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(OUT_OF_RESOURCES, f"An instance may have {max_bytes} bytes; this one has more.")


class RefusedInstance(StoreRefused):
    """This instance cannot be taken, now or later."""


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """An instance that has arrived whole: a Part-10 file with its file meta information."""

    path: Path
    """In the inbox's folder. `accept` moves it; what still lies there afterwards is removed."""
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    """Empty, as the series', where the object does not say."""
    series_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    """Empty for what came by STOW-RS."""
    size_bytes: int

    def __repr__(self) -> str:
        return f"Received({self.size_bytes} bytes, SOP class {self.sop_class_uid}, transfer syntax {self.transfer_syntax_uid})"


class Inbox(Protocol):
    """Every method blocks and may be called from several threads at once."""

    folder: Path
    """Where parts are written; on the file system of what is kept."""

    def accept(self, received: Received) -> None:
        """Returns when the file is on the disk (fsync) and its job is recorded. The same instance again is accepted again.

        Raises: InboxFull, RefusedInstance.
        """
        ...

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool:
        """Whether this instance was accepted and is kept: Storage Commitment says so to the sender."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one instance, and of the disk it is written to."""

    max_instance_bytes: int
    min_free_bytes: int


class Part:
    """A file that grows while an instance comes in. It never raises while it is written: what went wrong is told at the end.

    After the first failure the rest is dropped, so that the sender gets an answer and not a broken connection.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._file: BinaryIO | None = None
        self._failure: StoreRefused | None = None
        self._num_bytes = 0
        self._checked_at = 0
        self.path: Path | None = None

    def write(self, data: bytes) -> None:
        if self._failure is not None:
            return
        try:
            self._write(data)
        except OSError:  # ENOSPC, a quota, a disk that is gone
            self.refuse(InboxFull("The disk could not be written to."))

    def finish(self) -> int:
        """Close it; its size in bytes. Raises: StoreRefused, and then no file is left."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError:
            self.refuse(InboxFull("The disk could not be written to."))
        if self._failure is not None:
            raise self._failure
        return self._num_bytes

    def refuse(self, failure: StoreRefused) -> None:
        """Take nothing more, and say at the end why."""
        self._failure = failure
        self.discard()

    def discard(self) -> None:
        """Leave no file. A second time does nothing."""
        self._failure = self._failure or InboxFull("The transfer was given up.")
        path, self.path = self.path, None
        with suppress(OSError):  # the disk is already in trouble; the sweep takes what is left
            if self._file is not None:
                self._file.close()
        with suppress(OSError):
            if path is not None:
                path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        if self._num_bytes + len(data) > self._limits.max_instance_bytes:
            self.refuse(TooLarge(self._limits.max_instance_bytes))
            return
        if self._file is None or self._num_bytes - self._checked_at >= FREE_SPACE_EVERY_BYTES:
            self._checked_at = self._num_bytes
            if shutil.disk_usage(self._folder).free < self._limits.min_free_bytes:
                self.refuse(InboxFull("There is too little space on the disk."))
                return
        if self._file is None:
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=PART_PREFIX, suffix=PART_SUFFIX)
            self.path, self._file = Path(name), os.fdopen(descriptor, "wb")
        self._file.write(data)
        self._num_bytes += len(data)


def hand_over(inbox: Inbox, received: Received) -> None:
    """`inbox.accept`, and no file left behind whatever comes of it. Raises: StoreRefused, and what `accept` raises."""
    try:
        inbox.accept(received)
    finally:
        with suppress(OSError):
            received.path.unlink(missing_ok=True)


def sweep(folder: Path, older_than_s: float = STALE_AFTER_S) -> int:
    """Remove the parts of transfers that a killed process never finished; how many."""
    before_s = time.time() - older_than_s
    stale = [path for path in folder.glob(f"{PART_PREFIX}*{PART_SUFFIX}") if path.stat().st_mtime < before_s]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
