"""What the administrator is told of a ledger with a story, at first and when it goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.errors import BadOption, UnknownJob
from service.jobs import entries
from service.jobs.ledger import Entry, Ledger, State
from service.pacs.audit import AuditTrail
from service.pacs.desk.again import again, again_all, named
from service.pacs.desk.audit_reading import parse_since
from service.pacs.desk.metrics import QueueMetrics
from service.pacs.desk.overview import Queue, Watch
from service.pacs.desk.tables import age
from service.pacs.outgoing.delivery import DELIVER
from service.pacs.site import Site
from service.pacs.site_meaning import sentences
from tests.fakes.orthanc import free_port
from tests.fakes.queues import LOST, READ, REFUSAL, SKIPPED, WAITS, copy_story

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return copy_story(tmp_path)


def test_what_came_is_told_by_stage_the_newest_first(ledger: Ledger) -> None:
    found = Watch(ledger).overview()

    assert found.by_stage == {"waiting": 1, "reading": 0, "read": 1, "skipped": 1, "not read": 1, "cancelled": 0}
    assert found.instances[0].job == WAITS
    assert {one.job: (one.stage, one.detail, one.can_be_read_again) for one in found.instances} == {
        READ: ("read", "absent", False),
        SKIPPED: ("skipped", "It is a single image, not a clip.", False),
        LOST: ("not read", "The device is gone.", True),
        WAITS: ("waiting", "", False),
    }


def test_a_dead_letter_that_was_sent_again_counts_as_its_successor_alone(ledger: Ledger) -> None:
    found = Watch(ledger, ["new", "archive"]).overview()

    assert [letter.id for letter in found.dead] == [f"{READ}-archive-2"]
    assert [letter.id for letter in found.waiting] == [f"{READ}-slow-1"]
    assert found.queues[:2] == (Queue("new", 0, 0, 0, 0.0, ""), Queue("archive", 0, 0, 1, 0.0, REFUSAL))
    assert [queue.destination for queue in found.queues[2:]] == ["research", "slow"]


def test_what_has_ended_is_read_once_and_what_goes_on_is_seen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "OVERLAP", timedelta(0))
    read: list[str] = []
    original = Ledger.list

    def listed(self: Ledger, *arguments: Any, **named: Any) -> list[Entry]:
        entries = original(self, *arguments, **named)
        read.extend(entry.id for entry in entries)
        return entries

    monkeypatch.setattr(Ledger, "list", listed)
    watch = Watch(ledger)
    first = watch.overview()
    read.clear()
    ledger.enqueue("to-archive", DELIVER, f"{READ}-archive-3", {"id": f"{READ}-archive-3", "job": READ, "destination": "archive"})

    assert watch.overview() is first, "asked again at once"
    second = watch.overview(max_age_s=0.0)

    assert sorted(read) == sorted([f"{READ}-archive-3", f"{READ}-slow-1", WAITS])
    assert (second.by_stage, second.dead) == (first.by_stage, ())
    assert {letter.id for letter in second.waiting} == {f"{READ}-archive-3", f"{READ}-slow-1"}


def test_what_the_ledger_has_forgotten_is_let_go_of_before_long(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node runs for months: what its sweeper has removed must not stay in memory."""
    watch = Watch(ledger)
    watch.overview()
    ledger.forget([READ, SKIPPED])
    kept = watch.overview(max_age_s=0.0).by_stage
    monkeypatch.setattr(entries, "ANEW_S", 0.0)
    anew = watch.overview(max_age_s=0.0).by_stage

    assert (kept["read"], kept["skipped"]) == (1, 1)
    assert (anew["read"], anew["skipped"]) == (0, 0)
    assert (anew["waiting"], anew["not read"]) == (1, 1)


def test_a_clip_that_is_read_again_is_no_longer_not_read(ledger: Ledger, tmp_path: Path) -> None:
    watch = Watch(ledger)

    assert again(ledger, AuditTrail(tmp_path / "audit", "node-1"), named(watch.overview(), LOST)) == f"{LOST} is read again."

    entry = ledger.find(LOST)
    assert entry is not None
    assert entry.state is State.QUEUED
    assert watch.overview(max_age_s=0.0).by_stage["waiting"] == 2
    assert watch.overview().by_stage["not read"] == 0


def test_an_id_names_what_can_be_done_again_and_nothing_else(ledger: Ledger) -> None:
    found = Watch(ledger).overview()

    assert named(found, f"{READ}-slow") == found.waiting[0]
    assert again_all(found, None) == found.dead
    assert again_all(found, "slow") == found.waiting
    for id in ("", WAITS, f"{READ}-archive-1"):
        with pytest.raises(UnknownJob, match="^Nothing that waits, is dead or was not read has the id "):
            named(found, id)
    with pytest.raises(UnknownJob, match=r"^There is no destination 'x'. There are: archive, research, slow.$"):
        again_all(found, "x")


def test_metrics_say_when_the_ledger_cannot_be_read() -> None:
    metrics = QueueMetrics(Watch(Ledger(f"postgresql://nobody@127.0.0.1:{free_port()}/none")))

    assert [(family.name, family.samples[0].value) for family in metrics.collect()] == [("seashore_ledger_up", 0)]


def test_ages_have_one_unit() -> None:
    assert [age(seconds) for seconds in (0, 59.9, 60, 7199, 7200, 172800)] == ["0 s", "59 s", "1 min", "1 h", "2 h", "2 d"]


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_so_long_ago_or_a_date(text: str, since: datetime) -> None:
    assert parse_since(text, NOW) == since


@pytest.mark.parametrize("text", ["yesterday", "", "24", "999999w", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match=r"is no time. Write 24h, 7d or 4w, or a date: 2026-11-21, or 2026-11-21T14:30.$"):
        parse_since(text, NOW)


def test_a_site_is_told_in_sentences_without_passwords() -> None:
    node = {"ae_title": "VENUE", "address": "10.0.0.2", "port": 104}
    site = Site.model_validate(
        {
            "receive": {"address": "0.0.0.0", "calling_ae_titles": ["*"], "node": [node]},
            "archive": {"dicom": node},
            "analyse": 'Modality is "US"\n  and NumberOfFrames > 30',
            "destination": [
                {"name": "web", "web": {"url": "https://me:secret@archive.example/rs"}, "results": ["sr"], "give_up_after_s": 5400},
                {"name": "pacs", "dicom": node, "commit": True},
            ],
            "show_outside_region": True,
        }
    )

    assert sentences(site) == [
        "Listens for DICOM as SEASHORE on any address of this machine, port 11112; anybody may send to it.",
        "Answers storage commitment at VENUE (10.0.0.2:104).",
        'Analyses clips of which this holds: Modality is "US" and NumberOfFrames > 30',
        "Fetches clips from VENUE at 10.0.0.2:104 by C-MOVE when POST /pacs/analyse asks for it.",
        "Sends structured report to 'web': https://archive.example/rs by STOW-RS; tries for 90 minutes.",
        "Sends structured report, annotated clip and one-page report to 'pacs': VENUE at 10.0.0.2:104 by C-STORE, and asks it to keep "
        "them; tries for 3 days.",
        "Results show pixels outside the ultrasound region, where a name may stand.",
    ]


def test_a_site_that_strips_identity_says_so() -> None:
    assert sentences(Site(strip_identity=True))[-1] == "Keeps clips without the patient's identity."


def test_a_site_that_does_nothing_says_so() -> None:
    assert sentences(Site()) == [
        "Listens for DICOM as SEASHORE on 127.0.0.1, port 11112; nobody may send to it.",
        'Only this machine can reach it: address = "0.0.0.0" under [receive] opens it to the network.',
        "Analyses every ultrasound clip.",
        "Fetches nothing: there is no [archive], so POST /pacs/analyse answers that.",
        "Results go nowhere: there is no [[destination]]. They can only be fetched from /v1/jobs.",
    ]
