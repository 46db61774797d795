"""What is done with one received instance: is it a clip to be read, read it, write the results, hand them on.

screen -> read -> write SR, SC, PDF -> one delivery a destination
   |        |
skipped  not read                     recorded with the reason; nothing is sent
"""

from datetime import UTC, datetime
from typing import Any

from service.cine.clip import Clip
from service.cine.dicom_object import text
from service.evidence.identity import Identity
from service.findings import Analysis
from service.jobs.folder import ANALYSIS, JobFolder
from service.jobs.office import JobOffice
from service.jobs.reading import FAILED, READ, Asked, kept_analysis, read_job
from service.jobs.workers import Workers, step, step_again
from service.pacs.audit import AuditTrail, Event
from service.pacs.incoming.intake import INSTANCES_QUEUE, READ_INSTANCE, received_facts
from service.pacs.incoming.screen import screen
from service.pacs.objects.results import write_results
from service.pacs.objects.source import SourceInstance, read_source
from service.pacs.outgoing.delivery import Deliveries
from service.pacs.site import Site
from service.reader import Reader

SKIPPED = "skipped"
RETRY_AFTER_S = (5.0, 30.0, 120.0, 600.0)
"""Between tries of a clip that could not be read because of us: a device that was lost may come back."""


class InstanceWork:
    """The work `read_instance`. Every step may be done again after a crash, and then does the same."""

    def __init__(self, office: JobOffice, reader: Reader, site: Site, audit: AuditTrail, deliveries: Deliveries) -> None:
        self._office = office
        self._reader = reader
        self._site = site
        self._audit = audit
        self._deliveries = deliveries

    def offer(self, workers: Workers, at_once: int) -> None:
        workers.offer(READ_INSTANCE, self._work)
        workers.listen(INSTANCES_QUEUE, at_once=at_once)

    def _work(self, job: str, asked: dict[str, Any]) -> dict[str, Any]:
        because = step("screen", self._screen, job)
        if because:
            return {"outcome": SKIPPED, "detail": because}
        result = self._read(job, asked)
        if result["outcome"] != READ:
            step("not read", self._note_not_read, job, result)
            return result
        step("write", self._write, job, step("now", _now))
        result["destinations"] = step("hand on", self._hand_on, job, result["verdict"])
        return result

    def _screen(self, job: str) -> str:
        """Why it is not to be read, or ""."""
        folder = self._office.folder(job)
        asked_before = received_facts(folder).get("because")
        because = screen(folder.clip, self._site.rule) if asked_before is None else asked_before
        if because:
            self._audit.write(Event.SKIPPED, job, because=because)
        return because

    def _read(self, job: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What is our own fault is tried again before it is given up."""
        return step_again("read", self._read_once, job, asked, until=lambda said: said["outcome"] != FAILED, waits_s=RETRY_AFTER_S)

    def _read_once(self, job: str, asked: dict[str, Any]) -> dict[str, Any]:
        return read_job(self._reader, job, self._office.folder(job), Asked.from_json(asked), self._office.board)

    def _note_not_read(self, job: str, result: dict[str, Any]) -> None:
        self._audit.write(Event.NOT_READ, job, code=result["code"])

    def _write(self, job: str, written_at: str) -> list[str]:
        """Of all kinds that any destination wants."""
        wanted = {kind for destination in self._site.destination for kind in destination.results}
        if not wanted:
            return []
        folder = self._office.folder(job)
        analysis = kept_analysis(folder)
        if analysis is None:
            raise FileNotFoundError(ANALYSIS)
        clip = self._reader.open(folder.clip, unhurried=True)
        when = datetime.fromisoformat(written_at)
        paths = write_results(
            folder.clip,
            lambda out, marks: self._reader.render(clip, out, marks=marks),
            analysis,
            wanted,
            folder.path,
            report_pdf=lambda: self._report(clip, analysis, folder, when),
            show_outside_region=self._site.show_outside_region,
            written_at=when,
        )
        return [kind.value for kind in paths]

    def _report(self, clip: Clip, analysis: Analysis, folder: JobFolder, when: datetime) -> bytes:
        page, identity = folder.file("report.pdf"), identity_of(read_source(folder.clip))
        show = self._site.show_outside_region
        self._reader.report(clip, analysis, page, analysed_at=when, identity=identity, show_outside_region=show)
        return page.read_bytes()

    def _hand_on(self, job: str, verdict: str) -> list[str]:
        facts = received_facts(self._office.folder(job))
        self._audit.write(Event.READ, job, sop_instance_uid=facts.get("sop_instance_uid"), verdict=verdict)
        return [self._deliveries.enqueue(job, destination.name) for destination in self._site.destination]


def identity_of(source: SourceInstance) -> Identity:
    """For the report, which lies in the patient's own study."""
    known = source.patient_and_study
    return Identity(
        patient_name=text(known, "PatientName"),
        patient_id=text(known, "PatientID"),
        birth_date=text(known, "PatientBirthDate"),
        study_date=text(known, "StudyDate"),
        accession_number=text(known, "AccessionNumber"),
    )


def _now() -> str:
    """Written down before the results are, so that what is written again after a crash is the same."""
    return datetime.now(UTC).isoformat()
