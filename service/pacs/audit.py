"""The audit trail: who sent what, which model said what, where it went. Lines are added, never changed; no names, no pixels.

One JSON object a line, in `<data>/audit/<year>-<month>.<node>.jsonl`. An instance is known by its SOP Instance UID, so that an
auditor can find it in the archive. After a crash an event may stand there twice; none is missing.
"""

import json
import threading
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from service.jobs.folder import append_line, make_folder

Fact = str | int | float | bool | None


class Event(StrEnum):
    """What is written down."""

    RECEIVED = "received"
    RECEIVED_AGAIN = "received_again"
    SKIPPED = "skipped"
    READ = "read"
    NOT_READ = "not_read"
    QUEUED = "queued"
    DELIVERED = "delivered"
    COMMITTED = "committed"
    NOT_COMMITTED = "not_committed"
    DEAD_LETTER = "dead_letter"
    RETRIED = "retried"


class AuditTrail:
    """Safe to write from several threads, and from several processes under different node names."""

    def __init__(self, folder: Path, node: str) -> None:
        self._folder = folder
        self._node = node
        self._lock = threading.Lock()

    def write(self, event: Event, job: str, **facts: Fact) -> None:
        """On the disk when this returns. Facts are UIDs, AE titles, codes, figures: nothing that names a patient."""
        now = datetime.now(UTC)
        line = {"at": now.isoformat(timespec="milliseconds"), "node": self._node, "event": event.value, "job": job, **facts}
        with self._lock:
            make_folder(self._folder)
            append_line(self._folder / f"{now:%Y-%m}.{self._node}.jsonl", json.dumps(line))
