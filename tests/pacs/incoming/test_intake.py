"""Received instances become jobs: one each, written down before the sender is told, and never lost between two places."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.findings import ALL_SIGNS
from service.jobs.ledger import State
from service.jobs.office import JobOffice
from service.jobs.reading import Asked
from service.jobs.workers import Workers
from service.pacs.audit import AuditTrail
from service.pacs.incoming.inbox import InboxFull, Received
from service.pacs.incoming.intake import INSTANCES_QUEUE, READ_INSTANCE, Intake
from service.pacs.site import Site
from service.settings import Settings
from tests.fakes.orthanc import free_port
from tests.fakes.service import MODEL, WordReader

MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[JobOffice]:
    """Its ledger's tables are made; nobody works."""
    made = JobOffice.furnish(Settings(data_dir=tmp_path / "data"), WordReader())
    made.prepare()
    workers = Workers(made.ledger.url, "node-1")
    workers.start()
    workers.stop()
    yield made
    made.ledger.close()


@pytest.fixture
def intake(office: JobOffice) -> Intake:
    return Intake(office, WordReader(), AuditTrail(office.data_dir / "audit", "node-1"), Site())


def arrived(intake: Intake, content: bytes = b"clip", sop_instance_uid: str = "1.2.3") -> Received:
    path = intake.folder / "incoming-1.part"
    path.write_bytes(content)
    return Received(path, MULTI_FRAME, sop_instance_uid, "1.2", "1.2.1", "1.2.840.10008.1.2.1", "MODALITY", len(content))


def audited(office: JobOffice) -> list[str]:
    (path,) = (office.data_dir / "audit").iterdir()
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def test_an_instance_is_kept_and_its_job_written_down(intake: Intake, office: JobOffice) -> None:
    intake.accept(arrived(intake))

    (entry,) = office.ledger.list()
    assert (entry.id, entry.work, entry.state) == (intake.job_of("1.2.3"), READ_INSTANCE, State.QUEUED)
    assert entry.arguments["asked"]["model"] == str(MODEL)
    assert office.folder(entry.id).clip.read_bytes() == b"clip"
    assert intake.holds(MULTI_FRAME, "1.2.3")
    assert not intake.holds("1.2.840.10008.5.1.4.1.1.3", "1.2.3")
    assert audited(office) == ["received"]


@pytest.mark.parametrize(("signs", "asked"), [("none", ()), ("all", ALL_SIGNS), ("effusion,b_lines", ("b_lines", "effusion"))])
def test_the_site_says_which_signs_are_looked_for(office: JobOffice, signs: str, asked: tuple[str, ...]) -> None:
    intake = Intake(office, WordReader(), AuditTrail(office.data_dir / "audit", "node-1"), Site(signs=signs))
    intake.accept(arrived(intake))

    (entry,) = office.ledger.list()
    assert Asked.from_json(entry.arguments["asked"]).options.signs == asked


def test_sent_again_it_is_the_same_job(intake: Intake, office: JobOffice) -> None:
    intake.accept(arrived(intake))
    intake.accept(arrived(intake))

    assert len(office.ledger.list()) == 1
    assert audited(office) == ["received", "received_again"]


@pytest.mark.parametrize("end", ["gave up", "failed", "cancelled"])
def test_sent_again_after_we_failed_it_is_read_again(intake: Intake, office: JobOffice, end: str) -> None:
    intake.accept(arrived(intake))
    job = intake.job_of("1.2.3")
    if end == "cancelled":
        office.ledger.cancel(job)
    else:
        work_until_ended(office, raises=end == "failed")

    intake.accept(arrived(intake))

    entry = office.ledger.find(job)
    assert entry is not None
    assert entry.state is State.QUEUED
    assert audited(office) == ["received", "received"]


def work_until_ended(office: JobOffice, *, raises: bool) -> None:
    def give_up(job: str, asked: dict[str, str]) -> dict[str, str]:
        if raises:
            raise RuntimeError
        return {"outcome": "failed", "code": "engine_failed", "detail": "The device was lost."}

    workers = Workers(office.ledger.url, "node-1")
    workers.offer(READ_INSTANCE, give_up)
    workers.listen(INSTANCES_QUEUE, at_once=1)
    workers.start()
    try:
        while not office.ledger.list(states=[State.DONE, State.FAILED]):
            pass
    finally:
        workers.stop()


def test_what_lies_here_whole_and_is_in_no_ledger_is_taken_up(intake: Intake, office: JobOffice) -> None:
    """As after kill -9 between the disk and the ledger, or when the ledger was lost."""
    for uid in ("1.2.3", "1.2.4", "1.2.5"):
        intake.accept(arrived(intake, sop_instance_uid=uid))
    lost, kept, finished = (intake.job_of(uid) for uid in ("1.2.3", "1.2.4", "1.2.5"))
    office.ledger.forget([lost, finished])
    office.folder(finished).empty(keep=("received.json",))

    assert intake.take_up_strays() == 1

    assert {entry.id for entry in office.ledger.list()} == {lost, kept}
    assert intake.take_up_strays() == 0


def test_where_the_ledger_cannot_be_written_the_sender_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=f"postgresql://seashore@127.0.0.1:{free_port()}/seashore")
    office = JobOffice.furnish(settings, WordReader())
    office.prepare()
    intake = Intake(office, WordReader(), AuditTrail(office.data_dir / "audit", "node-1"), Site())

    with pytest.raises(InboxFull, match=r"^The job cannot be recorded just now\.$"):
        intake.accept(arrived(intake))


def test_where_the_disk_is_full_the_sender_keeps_it(intake: Intake, office: JobOffice) -> None:
    (office.data_dir / "jobs").rmdir()
    (office.data_dir / "jobs").touch()

    with pytest.raises(InboxFull, match=r"^The instance cannot be kept just now\.$"):
        intake.accept(arrived(intake))
    assert office.ledger.list() == []
