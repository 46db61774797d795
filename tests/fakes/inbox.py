"""An inbox that is a folder: what it accepted lies there under its SOP Instance UID. And a reporter that tells at once."""

import os
import threading
from pathlib import Path

from service.pacs.incoming.commitment import Transaction, report
from service.pacs.incoming.inbox import Inbox, InboxFull, Received, RefusedInstance
from service.pacs.site import Node


class FolderInbox:
    """`refusal` is raised instead, as a bug or a full queue would; `hold` makes `accept` wait for `released`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "parts"
        self.kept = folder / "kept"
        self.received: list[Received] = []
        self.refusal: Exception | None = None
        self.hold = False
        self.entered, self.released = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.folder.mkdir(parents=True)
        self.kept.mkdir()

    def accept(self, received: Received) -> None:
        self.entered.set()
        if self.hold:
            self.released.wait(10)
        if self.refusal is not None:
            raise self.refusal
        with received.path.open("rb") as file:
            os.fsync(file.fileno())
        with self._lock:
            received.path.rename(self.kept / received.sop_instance_uid)
            self.received.append(received)

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool:
        return any((r.sop_class_uid, r.sop_instance_uid) == (sop_class_uid, sop_instance_uid) for r in self.received)

    @property
    def parts(self) -> list[str]:
        """What lies where instances come in: nothing, when nothing is coming in."""
        return sorted(path.name for path in self.folder.iterdir())


FULL = InboxFull("The job could not be recorded.")
UNWANTED = RefusedInstance(0xC001, "This instance is not wanted.")


class ReportsAtOnce:
    """Storage Commitment answered once, from a thread, to whoever listens. The real one is durable and tries again."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def take(self, transaction: Transaction, node: Node) -> None:
        threading.Thread(target=report, args=(transaction, node, self._inbox), kwargs={"ae_title": "SEASHORE"}, daemon=True).start()
