"""Deliveries, with the real ledger and archives that refuse, fail or are away: each goes on until it is accepted or given up."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from service.jobs.ledger import Ledger
from service.jobs.office import JobOffice
from service.jobs.workers import Workers
from service.pacs.audit import AuditTrail
from service.pacs.outgoing import delivery as delivery_module
from service.pacs.outgoing.commitments import Commitments
from service.pacs.outgoing.delivery import DELIVER, LINES, Deliveries, Letter, Stage, letter_of, retry
from service.pacs.outgoing.outcome import PERMANENT_ATTEMPTS
from service.pacs.site import Destination, Site
from service.settings import Settings
from tests.fakes import dicom, nodes
from tests.fakes.orthanc import free_port
from tests.fakes.service import WordReader

OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0xA700, 0xC000


def letters(ledger: Ledger) -> list[Letter]:
    """Every delivery, the newest first."""
    return [letter_of(entry, ledger) for entry in ledger.list(work=DELIVER)]


@dataclass(slots=True)
class PostRoom:
    """Everything that is sent goes to the site's destinations; a job's number is its SOP Instance UID's last."""

    office: JobOffice
    deliveries: Deliveries

    def send(self, number: int, destination: str = "archive") -> str:
        folder = self.office.folder(f"{number:032x}")
        folder.make()
        folder.write("sr.dcm", dicom.native(frames=None, SOPInstanceUID=f"1.2.3.{number}"))
        return self.deliveries.enqueue(folder.path.name, destination)

    def letter(self, id: str) -> Letter:
        (found,) = [letter for letter in letters(self.office.ledger) if letter.id == id]
        return found

    def until(self, id: str, is_so: Callable[[Letter], bool], within_s: float = 20.0) -> Letter:
        end_s = time.monotonic() + within_s
        while not is_so(letter := self.letter(id)):
            assert time.monotonic() < end_s, letter
            time.sleep(0.05)
        return letter

    def until_delivered(self, id: str) -> Letter:
        return self.until(id, lambda letter: letter.stage is Stage.DELIVERED)

    @property
    def audited(self) -> Counter[str]:
        paths = (self.office.data_dir / "audit").glob("*")
        return Counter(json.loads(line)["event"] for path in paths for line in path.read_text().splitlines())


@contextmanager
def post_room(folder: Path, *ports: int, **fields: Any) -> Iterator[PostRoom]:
    """One destination a port: "archive", "archive-1"..."""
    names = ["archive", *(f"archive-{n}" for n in range(1, len(ports)))]
    named = zip(names, ports, strict=True)
    site = Site(destination=tuple(Destination(name=name, dicom=nodes.node(port), results=("sr",), **fields) for name, port in named))
    office = JobOffice.furnish(Settings(data_dir=folder / "data"), WordReader())
    office.prepare()
    audit = AuditTrail(office.data_dir / "audit", "node-1")
    commitments = Commitments(office, site, audit)
    deliveries = Deliveries(office, site, audit, commitments)
    workers = Workers(office.ledger.url, "node-1")
    deliveries.offer(workers)
    commitments.offer(workers)
    workers.start()
    try:
        yield PostRoom(office, deliveries)
    finally:
        workers.stop()
        office.ledger.close()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try comes at once."""
    monkeypatch.setattr(delivery_module, "next_delay_s", lambda *_: 0.05)


def number_of(event: evt.Event) -> int:
    return int(str(event.request.AffectedSOPInstanceUID).rsplit(".", 1)[1])


def test_an_archive_that_is_full_at_first_is_tried_again(tmp_path: Path, soon: None) -> None:
    answers = iter([OUT_OF_RESOURCES, OUT_OF_RESOURCES, 0])
    with nodes.archive(lambda event: next(answers)) as port, post_room(tmp_path, port) as room:
        letter = room.until_delivered(room.send(1))

        assert (letter.attempts, letter.detail) == (3, "")
        assert room.audited == {"delivered": 1}


def test_what_is_refused_for_good_is_a_dead_letter_and_may_be_sent_again(tmp_path: Path, soon: None) -> None:
    answers = iter([CANNOT_UNDERSTAND] * PERMANENT_ATTEMPTS + [0])
    with nodes.archive(lambda event: next(answers)) as port, post_room(tmp_path, port) as room:
        first = room.until(room.send(1), lambda letter: letter.stage is Stage.DEAD)
        assert first.attempts == PERMANENT_ATTEMPTS
        assert [entry.id for entry in room.deliveries.unfinished()] == [first.id]

        again = retry(room.office.ledger, first)

        assert room.until_delivered(again).attempts == 1
        assert room.deliveries.unfinished() == []
        assert room.audited == {"dead_letter": 1, "delivered": 1}


def test_letters_that_an_archive_will_not_take_now_hold_up_none_behind_them(tmp_path: Path) -> None:
    """Twice as many as there are lines to it; each would wait for seconds, later for minutes."""
    with (
        nodes.archive(lambda event: OUT_OF_RESOURCES if number_of(event) < 2 * LINES else 0) as port,
        post_room(tmp_path, port) as room,
    ):
        stuck = [room.send(number) for number in range(2 * LINES)]
        for id in stuck:
            room.until(id, lambda letter: letter.attempts >= 1 or letter.detail != "")

        room.until_delivered(room.send(99))

        assert {room.letter(id).stage for id in stuck} == {Stage.WAITING}


def test_an_archive_sees_so_many_associations_at_a_time_and_no_more(tmp_path: Path) -> None:
    open_ones, most, lock = [0], [0], threading.Lock()

    def answer(event: evt.Event) -> int:
        with lock:
            open_ones[0] += 1
            most[0] = max(most[0], open_ones[0])
        time.sleep(0.3)
        with lock:
            open_ones[0] -= 1
        return 0

    with nodes.archive(answer) as port, post_room(tmp_path, port) as room:
        sent = [room.send(number) for number in range(3 * LINES)]
        for id in sent:
            room.until_delivered(id)

    assert most == [LINES]


def test_a_dead_destination_delays_no_other(tmp_path: Path) -> None:
    with nodes.archive() as port, post_room(tmp_path, free_port(), port) as room:
        dead = [room.send(number) for number in range(2 * LINES)]
        living = [room.send(number, "archive-1") for number in range(2 * LINES)]

        assert [room.until_delivered(id).attempts for id in living] == [1] * len(living)
        assert {room.letter(id).stage for id in dead} == {Stage.WAITING}


def test_a_letter_that_waits_is_woken_by_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "next_delay_s", lambda *_: 20.0)
    answers = iter([OUT_OF_RESOURCES, 0])
    with nodes.archive(lambda event: next(answers)) as port, post_room(tmp_path, port) as room:
        letter = room.until(room.send(1), lambda letter: letter.detail != "")

        assert retry(room.office.ledger, letter) == letter.id
        assert room.until_delivered(letter.id).attempts == 2


def test_it_is_given_up_when_its_time_is_over(tmp_path: Path, soon: None) -> None:
    with post_room(tmp_path, free_port(), give_up_after_s=0.3) as room:
        letter = room.until(room.send(1), lambda letter: letter.stage is Stage.DEAD)

        assert "refused the connection" in letter.detail
        assert letter.attempts > 1


def test_the_same_delivery_twice_is_one(tmp_path: Path) -> None:
    with nodes.archive() as port, post_room(tmp_path, port) as room:
        first = room.send(1)

        assert room.send(1) == first
        room.until_delivered(first)
        assert len(letters(room.office.ledger)) == 1
