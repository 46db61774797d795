"""Seashore as a node of the hospital's DICOM network: everything of one site file, started and stopped together."""

import logging
from datetime import datetime, timedelta

from service.jobs.office import JobOffice
from service.jobs.reading import is_our_fault
from service.jobs.workers import Workers
from service.pacs.audit import AuditTrail
from service.pacs.incoming.commitment_reports import DurableReporter
from service.pacs.incoming.inbox import Limits
from service.pacs.incoming.intake import READ_INSTANCE, RECEIVED, Intake
from service.pacs.incoming.scp import Listener
from service.pacs.instance_work import InstanceWork
from service.pacs.outgoing.commitments import Commitments
from service.pacs.outgoing.delivery import DELIVER, Deliveries
from service.pacs.site import Site
from service.reader import Reader
from service.settings import Settings

log = logging.getLogger(__name__)


class PacsNode:
    """The listener, the intake behind it, the work on what came in, and the deliveries."""

    def __init__(self, site: Site, settings: Settings, office: JobOffice, reader: Reader) -> None:
        self.site = site
        self._settings = settings
        self._office = office
        self.audit = AuditTrail(settings.data_dir / "audit", settings.node)
        self.inbox = Intake(office, reader, self.audit, site)
        self._commitments = Commitments(office, site, self.audit)
        self.deliveries = Deliveries(office, site, self.audit, self._commitments)
        self._work = InstanceWork(office, reader, site, self.audit, self.deliveries)
        self._reporter = DurableReporter(office, self.inbox, site.receive)
        self._listener = Listener(site.receive, self.inbox, self._reporter, on_report=self._commitments.take_report)

    @property
    def limits(self) -> Limits:
        """Of instances, whichever way they come."""
        return Limits(self.site.receive.max_instance_bytes, self.site.receive.min_free_bytes)

    @property
    def port(self) -> int:
        """Of the DICOM listener. Only after `listen`."""
        return self._listener.port

    def offer_work(self, workers: Workers) -> None:
        """Once, before the workers start."""
        self._work.offer(workers, self._settings.max_background)
        self.deliveries.offer(workers)
        self._commitments.offer(workers)
        self._reporter.offer(workers)

    def listen(self) -> None:
        """When the workers run. Raises: BadSite, LedgerUnavailable, BadBundle."""
        strays = self.inbox.take_up_strays()
        if strays:
            log.warning("%d instances lay here that the ledger did not know; they are read now", strays)
        self._listener.start()
        log.info("DICOM: %s listens on %s:%d", self.site.receive.ae_title, self.site.receive.address, self.port)

    def stop(self) -> None:
        self._listener.stop()

    def sweep(self, now: datetime) -> int:
        """Remove the pictures of what was read and has gone out, later the record too: until then the same instance is known again.

        What was not read because of us, and dead letters, stay until somebody has seen to them.
        """
        ledger, keep = self._office.ledger, timedelta(hours=self._settings.job_keep_hours)
        record_ends = now - timedelta(days=self._settings.record_keep_days)
        unfinished = self.deliveries.unfinished()
        needed = {entry.arguments["job"] for entry in unfinished}
        over = [e for e in ledger.list(work=READ_INSTANCE, ended_before=now - keep) if e.id not in needed and not is_our_fault(e)]
        for entry in over:
            self._office.folder(entry.id).empty(keep=(RECEIVED,))
        old = [entry.id for entry in over if entry.ended_at is not None and entry.ended_at < record_ends]
        for id in old:
            self._office.folder(id).remove()
        open_letters = {entry.id for entry in unfinished}
        letters = [e.id for e in ledger.list(work=DELIVER, ended_before=record_ends) if e.id not in open_letters]
        ledger.forget(old + letters)
        return len(over)
