"""What a node keeps and for how long, told on a ledger with a story (see `tests.fakes.queues`)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.jobs.folder import CLIP
from service.jobs.office import JobOffice
from service.pacs.incoming.intake import READ_INSTANCE, RECEIVED
from service.pacs.node import PacsNode
from service.pacs.outgoing.delivery import DELIVER
from service.pacs.site import Destination, Node, Site
from service.settings import Settings
from tests.fakes.queues import LOST, READ, SKIPPED, copy_story
from tests.fakes.service import WordReader

ARCHIVE = Destination(name="archive", dicom=Node(ae_title="ARCHIVE", address="127.0.0.1", port=104))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[JobOffice]:
    copy_story(tmp_path).close()
    made = JobOffice.furnish(Settings(data_dir=tmp_path, job_keep_hours=24, record_keep_days=90), WordReader())
    made.prepare()
    for job in (READ, SKIPPED, LOST):
        folder = made.folder(job)
        folder.make()
        folder.write(CLIP, b"pixels")
        folder.write(RECEIVED, b"{}")
    yield made
    made.ledger.close()


def sweep(office: JobOffice, later: timedelta) -> None:
    PacsNode(Site(destination=(ARCHIVE,)), Settings(data_dir=office.data_dir), office, WordReader()).sweep(datetime.now(UTC) + later)


def files(office: JobOffice, job: str) -> set[str]:
    path = office.folder(job).path
    return {entry.name for entry in path.iterdir()} if path.is_dir() else set()


def test_within_a_day_everything_stays(office: JobOffice) -> None:
    sweep(office, timedelta(hours=23))

    assert [files(office, job) for job in (READ, SKIPPED, LOST)] == [{CLIP, RECEIVED}] * 3


def test_after_a_day_pictures_go_but_those_of_dead_letters_and_of_what_we_failed_to_read(office: JobOffice) -> None:
    sweep(office, timedelta(hours=25))

    assert [files(office, job) for job in (READ, SKIPPED, LOST)] == [{CLIP, RECEIVED}, {RECEIVED}, {CLIP, RECEIVED}]


def test_after_ninety_days_the_record_goes_too_and_a_dead_letter_is_still_there(office: JobOffice) -> None:
    sweep(office, timedelta(days=91))
    instances = {entry.id for entry in office.ledger.list(work=READ_INSTANCE)}
    letters = {entry.id for entry in office.ledger.list(work=DELIVER)}

    assert (files(office, SKIPPED), SKIPPED in instances) == (set(), False)
    assert {READ, LOST} <= instances
    assert f"{READ}-archive-2" in letters
    assert f"{READ}-research-1" not in letters
