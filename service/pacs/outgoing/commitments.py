"""After delivery: the archive is asked to keep the results (Storage Commitment, PS3.4 J), and what it says is waited for.

Archives answer when they have time, some at night. So this is work of its own, and no delivery waits behind it.
"""

import logging
from threading import BoundedSemaphore
from typing import Any

from pydicom import dcmread

from service.jobs.folder import JobFolder
from service.jobs.office import JobOffice
from service.jobs.workers import Workers, step, step_again, wait_for
from service.pacs.audit import AuditTrail, Event
from service.pacs.incoming.identity import is_uid
from service.pacs.outgoing.commitment_scu import CommitmentReport, Reference, new_transaction_uid, request_commitment
from service.pacs.outgoing.outbox import result_path
from service.pacs.site import Site

COMMIT = "commit"
COMMITMENTS_QUEUE = "commitments"
AT_ONCE = 500
"""Each a thread that sleeps until the report comes, and that may be tomorrow."""
LINES = 4
"""To one destination: associations for questions that an archive sees from this process at the same time. Many take ten at most."""
REPORT = "report"
WAIT_S = 12 * 3600.0
"""For a report, before asking again."""
ASK_AGAIN_AFTER_S = (60.0, 600.0, 3600.0, 6 * 3600.0)
"""When the archive could not be asked."""

log = logging.getLogger(__name__)


class Commitments:
    """The work `commit`."""

    def __init__(self, office: JobOffice, site: Site, audit: AuditTrail) -> None:
        self._office = office
        self._site = site
        self._audit = audit
        self._lines = {destination.name: BoundedSemaphore(LINES) for destination in site.destination}

    def offer(self, workers: Workers) -> None:
        workers.offer(COMMIT, self._work)
        workers.listen(COMMITMENTS_QUEUE, at_once=AT_ONCE, look_every_s=2.0)

    def enqueue(self, job: str, destination: str) -> None:
        id = f"{job}-{destination}-commit"
        self._office.ledger.enqueue(COMMITMENTS_QUEUE, COMMIT, id, {"id": id, "job": job, "destination": destination})

    def take_report(self, report: CommitmentReport) -> None:
        """What an archive says, handed to the work that waits for it. Raises: LedgerUnavailable."""
        waiting = self._transactions.read_json(f"{report.transaction_uid}.json") if is_uid(report.transaction_uid) else None
        if waiting is None:
            log.warning("A storage commitment report came for a transaction that is not known here.")
            return
        self._office.ledger.tell(waiting["id"], REPORT, {"failed": len(report.failed)})

    @property
    def _transactions(self) -> JobFolder:
        return JobFolder(self._office.data_dir / "transactions")

    def _work(self, id: str, job: str, destination: str) -> dict[str, Any]:
        uid = step("transaction", self._begin, id)
        asked = step_again("ask", self._ask, job, destination, uid, until=lambda said: said["is_asked"], waits_s=ASK_AGAIN_AFTER_S)
        report = {"failed": asked["failed"]} if "failed" in asked else wait_for(REPORT, WAIT_S) if asked["is_asked"] else None
        return step("note", self._note, job, destination, uid, report)

    def _begin(self, id: str) -> str:
        """Written down before it is asked: the report may be here before the question is over."""
        uid = new_transaction_uid()
        self._transactions.make()
        self._transactions.write_json(f"{uid}.json", {"id": id})
        return uid

    def _ask(self, job: str, name: str, uid: str) -> dict[str, Any]:
        destination = self._site.destination_named(name)
        if destination is None or destination.dicom is None:
            return {"is_asked": False}
        folder = self._office.folder(job)
        references = [_reference(folder, kind) for kind in destination.results]
        ae_title = self._site.receive.ae_title
        with self._lines[name]:
            answer = request_commitment(destination.dicom, references, uid, ae_title=ae_title, timeout_s=destination.timeout_s)
        if isinstance(answer, CommitmentReport):
            return {"is_asked": True, "failed": len(answer.failed)}
        return {"is_asked": not hasattr(answer, "sentence")}

    def _note(self, job: str, destination: str, uid: str, report: dict[str, Any] | None) -> dict[str, Any]:
        is_kept = report is not None and report["failed"] == 0
        because = "" if is_kept else "no report came" if report is None else f"{report['failed']} objects will not be kept"
        self._audit.write(Event.COMMITTED if is_kept else Event.NOT_COMMITTED, job, destination=destination, because=because)
        self._transactions.file(f"{uid}.json").unlink(missing_ok=True)
        return {"committed": is_kept, "because": because}


def _reference(folder: JobFolder, kind: Any) -> Reference:
    read = dcmread(result_path(folder, kind), stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
    return Reference(str(read.SOPClassUID), str(read.SOPInstanceUID))
