"""The back room: what goes on behind the requests. Jobs, the PACS node where the site has one, and the sweeping up."""

import logging
import threading
from collections.abc import Callable

from service.errors import LedgerUnavailable, SeashoreError
from service.findings import Analysis
from service.jobs.nodes import Nodes
from service.jobs.office import JobOffice, Sweeper
from service.jobs.workers import Workers
from service.pacs.node import PacsNode
from service.pacs.site_file import load_site
from service.reader import Reader
from service.settings import Settings

RETRY_AFTER_S = 5.0

log = logging.getLogger(__name__)


class BackRoom:
    """Started when the service starts, stopped when it stops; whatever was under way goes on at the next start."""

    def __init__(self, settings: Settings, office: JobOffice, node: PacsNode | None) -> None:
        self._settings = settings
        self.office = office
        self.node = node
        self._workers: Workers | None = None
        self._nodes = Nodes(settings.data_dir / "nodes", settings.node)
        self._sweeper = Sweeper(office, *([] if node is None else [node]))
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @classmethod
    def furnish(cls, settings: Settings, reader: Reader, on_read: Callable[[Analysis], None]) -> "BackRoom | None":
        """None where nothing is to be kept on disk. `on_read` hears of every answer of a job. Raises: BadSite."""
        if not settings.jobs:
            return None
        office = JobOffice.furnish(settings, reader, on_read)
        return cls(settings, office, None if settings.site is None else PacsNode(load_site(settings.site), settings, office, reader))

    def start(self) -> None:
        """Blocks until jobs are taken and the DICOM port is open. Raises: LedgerUnavailable, BadSite."""
        with self._lock:
            if self._stopping.is_set():
                return
            self.office.prepare()
            self.office.ledger.require_sound()
            self._nodes.join()
            self._workers = Workers(self.office.ledger.url, self._settings.node)
            self.office.offer_work(self._workers)
            if self.node is not None:
                self.node.offer_work(self._workers)
            self._start_workers(self._workers)
            if self._stopping.is_set():
                return
            self._nodes.watch(self._workers.take_over)
            if self.node is not None:
                self.node.listen()
            self._sweeper.start()

    def _start_workers(self, workers: Workers) -> None:
        """Where the database is away, as after a power cut that its server takes longer to get over, it is waited for."""
        while not self._stopping.is_set():
            try:
                workers.start()
                break
            except LedgerUnavailable as error:
                log.error("%s Trying again in %g s: %s", error, RETRY_AFTER_S, error.log_detail)
            self._stopping.wait(RETRY_AFTER_S)

    def stop_waiting(self) -> None:
        """A start that waits for a database ends; nothing else is stopped yet."""
        self._stopping.set()

    def stop(self) -> None:
        """First nothing more comes in, then what is under way is let go of: it is written down how far it was."""
        self._stopping.set()
        self._sweeper.stop()
        with self._lock:
            if self.node is not None:
                self.node.stop()
            if self._workers is not None:
                self._workers.stop()
            self._nodes.leave()
            self.office.board.close()
            self.office.ledger.close()


def start_or_tell(room: BackRoom) -> SeashoreError | None:
    """Start it; what stands in the way, for `/readyz`."""
    try:
        room.start()
    except SeashoreError as error:
        log.error("not ready: %s: %s %s", error.code, error, error.log_detail)
        return error
    return None
