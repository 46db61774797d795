"""A clip of nobody sent to our own listener, read, its results delivered, and found again where they went: `seashore doctor --round-trip`.

The running service does the work; this only sends, and looks at the ledger and into the archives.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from service.bundle_files import GOLDEN_CLIP
from service.errors import SeashoreError
from service.jobs.ledger import Entry
from service.jobs.office import JobOffice
from service.jobs.reading import READ, kept_analysis
from service.pacs.audit import AuditTrail
from service.pacs.desk.doctor_network import doctors_ae_title, own_node
from service.pacs.desk.echo import Check
from service.pacs.desk.specimen import PATIENT_ID, PATIENT_NAME, Specimen, write_specimen
from service.pacs.incoming.intake import Intake
from service.pacs.instance_work import SKIPPED
from service.pacs.objects.uids import read_by, result_uid, series_uid
from service.pacs.outgoing.delivery import Stage, letter_of
from service.pacs.outgoing.outcome import Delivered, NodeFailed
from service.pacs.outgoing.query import holds
from service.pacs.outgoing.store_scu import store
from service.pacs.site import Destination, ResultKind, Site
from service.pacs.site_meaning import KINDS
from service.reader import Reader
from service.settings import Settings

POLL_S = 0.3
QUERY_TIMEOUT_S = 10.0
HOW_TO_DELETE = (
    f"The test is a study of its own, of the patient {PATIENT_NAME.replace('^', ', ')} with the ID {PATIENT_ID}: delete that patient in "
    "the archives. What Seashore keeps of it goes by itself (SEASHORE_JOB_KEEP_HOURS)."
)


@dataclass(frozen=True, slots=True)
class Trip:
    """One test under way."""

    site: Site
    office: JobOffice
    specimen: Specimen
    job: str
    started_s: float
    within_s: float

    @property
    def took_s(self) -> float:
        return time.monotonic() - self.started_s

    @property
    def is_over(self) -> bool:
        return self.took_s > self.within_s


def round_trip(settings: Settings, site: Site, reader: Reader, within_s: float = 120.0) -> Iterator[Check]:
    """Each stage as soon as it is reached; the first that is not ends it."""
    office = JobOffice.furnish(settings, reader)
    try:
        with TemporaryDirectory(prefix="seashore-") as folder:
            trip = _set_out(settings, site, reader, office, Path(folder), within_s)
            yield from _travel(trip)
    except SeashoreError as error:
        yield Check("test clip", False, str(error), "See what is said above.")
    finally:
        office.ledger.close()


def _set_out(settings: Settings, site: Site, reader: Reader, office: JobOffice, folder: Path, within_s: float) -> Trip:
    """Raises: SeashoreError."""
    entry = reader.find(None)
    clip = reader.open(settings.model_store / entry.name / entry.version / GOLDEN_CLIP)
    specimen = write_specimen(clip, folder, datetime.now())
    job = Intake(office, reader, AuditTrail(settings.data_dir / "audit", settings.node), site).job_of(specimen.instance)
    return Trip(site, office, specimen, job, time.monotonic(), within_s)


def _travel(trip: Trip) -> Iterator[Check]:
    sent = _send(trip)
    yield sent
    if not sent.ok:
        return
    read = _await_reading(trip)
    yield read
    if read.ok:
        for destination in trip.site.destination:
            yield _await_delivery(trip, destination)


def _send(trip: Trip) -> Check:
    receive = trip.site.receive
    size_mb = trip.specimen.path.stat().st_size / 1e6
    outcome = store([trip.specimen.path], own_node(receive), ae_title=doctors_ae_title(receive), timeout_s=QUERY_TIMEOUT_S)
    if isinstance(outcome, Delivered):
        return Check("test clip sent", True, f"{receive.ae_title} took it ({size_mb:.1f} MB) in {trip.took_s:.1f} s.")
    over_tls = " Over TLS the certificate must name the address that is called." if receive.tls is not None else ""
    advice = f"Start the service with `seashore serve`, where it does not run.{over_tls}"
    return Check("test clip sent", False, outcome.sentence, advice)


def _await_reading(trip: Trip) -> Check:
    name = "test clip read"
    entry = _await_end(trip, trip.job)
    if entry is None:
        advice = "Run the doctor with the service's own SEASHORE_ settings; else `seashore pacs queue` shows what is read before it."
        return Check(name, False, f"It was not read within {trip.within_s:.0f} s.", advice)
    result = entry.result or {}
    if result.get("outcome") == SKIPPED:
        advice = "The test cannot pass this rule (`analyse` in the site file). Send a clip of your own instead, with dcmtk's storescu."
        return Check(name, False, f"The site's rule left it out: {result['detail']}", advice)
    if result.get("outcome") != READ:
        return Check(name, False, f"It could not be read: {result.get('detail', '')}", "The service's log says more.")
    return Check(name, True, f"Lung sliding {str(result['verdict']).replace('_', ' ')}, after {trip.took_s:.1f} s.")


def _await_end(trip: Trip, id: str) -> Entry | None:
    """None when the time is over."""
    while not trip.is_over:
        entry = trip.office.ledger.find(id)
        if entry is not None and entry.ended_at is not None:
            return entry
        time.sleep(POLL_S)
    return None


def _await_delivery(trip: Trip, destination: Destination) -> Check:
    name, id = f"results at '{destination.name}'", f"{trip.job}-{destination.name}-1"
    has_ended = _await_end(trip, id) is not None
    entry = trip.office.ledger.find(id)
    letter = None if entry is None else letter_of(entry, trip.office.ledger)
    because = "" if letter is None else letter.detail
    if not has_ended:
        return Check(
            name, False, f"Not delivered within {trip.within_s:.0f} s. {because}".strip(), "`seashore pacs queue` shows what waits."
        )
    if letter is None or letter.stage is not Stage.DELIVERED:
        return Check(name, False, f"Not delivered. {because}".strip(), "`seashore pacs dead` says what to do.")
    return _found_there(trip, destination, f"Accepted after {trip.took_s:.1f} s")


def _found_there(trip: Trip, destination: Destination, accepted: str) -> Check:
    name = f"results at '{destination.name}'"
    try:
        missing = _await_results(trip, destination)
    except NodeFailed as failure:  # many archives take objects from those whose questions they do not answer
        return Check(name, True, f"{accepted}; whether they can be found there could not be asked: {failure}")
    if missing:
        found = f"{accepted}, but not found there: {_listed(missing)}."
        return Check(name, False, found, "Its log should say what became of them; some archives hold back what they must first match.")
    return Check(name, True, f"{accepted}, and found there after {trip.took_s:.1f} s: {_listed(destination.results)}.")


def _await_results(trip: Trip, destination: Destination) -> list[ResultKind]:
    """Which are not found before the time is over. Raises: NodeFailed."""
    missing = list(destination.results)
    while missing:
        missing = [kind for kind in missing if not _is_there(trip, destination, kind)]
        if trip.is_over:
            break
        if missing:
            time.sleep(POLL_S)
    return missing


def _is_there(trip: Trip, destination: Destination, kind: ResultKind) -> bool:
    source, analysis = trip.specimen.instance, kept_analysis(trip.office.folder(trip.job))
    if analysis is None:
        return False
    series, instance = series_uid(source, read_by(analysis), kind), result_uid(source, read_by(analysis), kind)
    ae_title = trip.site.receive.ae_title
    return holds(destination, trip.specimen.study, series, instance, ae_title=ae_title, timeout_s=QUERY_TIMEOUT_S)


def _listed(kinds: Sequence[ResultKind]) -> str:
    return ", ".join(KINDS[kind] for kind in kinds)
