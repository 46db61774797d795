"""Where received instances become jobs: the real `Inbox`, behind the DICOM listener and STOW-RS alike."""

import logging
import os
from typing import Any

from service.errors import OperatorError, RequestError
from service.jobs.folder import CLIP, JobFolder
from service.jobs.ledger import State
from service.jobs.office import JobOffice
from service.jobs.reading import Asked, is_our_fault
from service.options import parse_signs
from service.pacs.audit import AuditTrail, Event
from service.pacs.incoming.inbox import InboxFull, Received
from service.pacs.incoming.screen import screen
from service.pacs.incoming.stripped import strip_identity
from service.pacs.site import Site
from service.pipeline import Options
from service.reader import Reader
from service.reading import Saliency
from service.shelf import ModelEntry

READ_INSTANCE = "read_instance"
INSTANCES_QUEUE = "instances"
RECEIVED = "received.json"

log = logging.getLogger(__name__)


class Intake:
    """One job an instance, by its SOP Instance UID and the model: the same clip again is not read again, by a new model it is."""

    def __init__(self, office: JobOffice, reader: Reader, audit: AuditTrail, site: Site) -> None:
        self._office = office
        self._reader = reader
        self._audit = audit
        self._site = site
        self.folder = office.incoming

    def accept(self, received: Received) -> None:
        """Raises: InboxFull when the job cannot be recorded or the file not be kept; the sender keeps it and comes again."""
        try:
            self._accept(received)
        except OperatorError as error:
            log.error("instance not taken: %s: %s %s", error.code, error, error.log_detail)
            raise InboxFull("The job cannot be recorded just now.") from None
        except OSError as error:
            log.error("instance not taken: %s", os.strerror(error.errno or 0))
            raise InboxFull("The instance cannot be kept just now.") from None

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool:
        """Kept, or already read: the file goes when its results are delivered and its time is over."""
        job = self.job_of(sop_instance_uid)
        facts = self._office.folder(job).read_json(RECEIVED)
        return facts is not None and facts["sop_class_uid"] == sop_class_uid and self._office.ledger.find(job) is not None

    def job_of(self, sop_instance_uid: str) -> str:
        """Of the model that reads when none is named. Raises: BadBundle."""
        return self._job(sop_instance_uid, self._reader.find(None))

    def _job(self, sop_instance_uid: str, entry: ModelEntry) -> str:
        return self._office.job_id(READ_INSTANCE, sop_instance_uid, str(entry), self._reader.digest(entry))

    def _accept(self, received: Received) -> None:
        entry = self._reader.find(None)
        job = self._job(received.sop_instance_uid, entry)
        known = self._office.ledger.find(job)
        if known is not None and known.state is not State.CANCELLED and not is_our_fault(known):
            self._audit.write(Event.RECEIVED_AGAIN, job, **self._audited(received))
            return
        self._keep(self._office.folder(job), received)
        self._audit.write(Event.RECEIVED, job, **self._audited(received), size_bytes=received.size_bytes)
        if known is not None:
            self._office.ledger.forget([job])
        self._enqueue(job, entry)

    def _enqueue(self, job: str, entry: ModelEntry) -> None:
        asked = Asked(str(entry), Options(saliency=Saliency.VANILLA, signs=parse_signs(self._site.signs)))
        self._office.ledger.enqueue(INSTANCES_QUEUE, READ_INSTANCE, job, {"job": job, "asked": asked.to_json()})

    def take_up_strays(self) -> int:
        """Take on what lies here whole and the ledger does not know: it was lost, or begun anew, or a process died just before it was
        written down. Gives how many there were. Raises: LedgerUnavailable, BadBundle."""
        facts = (self._office.data_dir / "jobs").glob(f"*/{RECEIVED}")
        kept = [path.parent.name for path in facts if path.with_name(CLIP).exists()]
        known = {entry.id for entry in self._office.ledger.list(work=READ_INSTANCE)}
        strays = [job for job in kept if job not in known]
        for job in strays:
            self._enqueue(job, self._reader.find(None))
        return len(strays)

    def _keep(self, folder: JobFolder, received: Received) -> None:
        """The facts first: where the clip is, they are."""
        folder.make()
        folder.write_json(RECEIVED, self._without_identity(received) if self._site.strip_identity else _facts(received))
        folder.keep_clip(received.path)

    def _audited(self, received: Received) -> dict[str, str]:
        """Who sent it; and what it was, unless the site wants no trace of the patient."""
        uid = {} if self._site.strip_identity else {"sop_instance_uid": received.sop_instance_uid}
        return uid | {"calling_ae_title": received.calling_ae_title}

    def _without_identity(self, received: Received) -> dict[str, Any]:
        """The facts, of a file that is without identity from here on. The rule is asked first: what it asks for may go."""
        because = screen(received.path, self._site.rule)
        try:
            strip_identity(received.path, received.sop_instance_uid)
        except RequestError as error:
            because = because or str(error)
            received.path.write_bytes(b"")
        return {"sop_class_uid": received.sop_class_uid, "calling_ae_title": received.calling_ae_title, "because": because}


def _facts(received: Received) -> dict[str, Any]:
    return {
        "sop_class_uid": received.sop_class_uid,
        "sop_instance_uid": received.sop_instance_uid,
        "study_instance_uid": received.study_instance_uid,
        "series_instance_uid": received.series_instance_uid,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "calling_ae_title": received.calling_ae_title,
        "size_bytes": received.size_bytes,
    }


def received_facts(folder: JobFolder) -> dict[str, Any]:
    """What was written down of the instance when it came. Raises: FileNotFoundError."""
    facts = folder.read_json(RECEIVED)
    if facts is None:
        raise FileNotFoundError(RECEIVED)
    return facts
