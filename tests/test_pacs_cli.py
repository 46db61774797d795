"""`seashore pacs` and `seashore doctor` as an administrator types them, over a real ledger with a story and real ends on loopback."""

import json
import time
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from service import pacs_cli
from service.cli import _settings
from service.jobs.ledger import Ledger, State
from service.pacs.audit import AuditTrail, Event
from service.pacs_cli import add_pacs
from tests.fakes.orthanc import free_port
from tests.fakes.queues import LOST, READ, REFUSAL, SKIPPED, WAITS, copy_story
from tests.fakes.service import WordReader

SITE = """
[receive]
calling_ae_titles = ["VENUE"]
port = {port}
[[destination]]
name = "archive"
[destination.dicom]
ae_title = "ARCHIVE"
address = "127.0.0.1"
port = {dead_port}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return copy_story(tmp_path)


def run(data_dir: Path, *arguments: str | Path, reader: WordReader | None = None, **environment: str) -> Result:
    """`seashore ARGUMENTS`, wide enough that no line is broken."""
    app = typer.Typer()
    app.callback()(lambda: None)
    add_pacs(app, lambda settings: reader or WordReader(), _settings)
    pacs_cli.out.width = 300
    settings = {"SEASHORE_DATA_DIR": str(data_dir), "SEASHORE_PORT": str(free_port()), "TERMINAL_WIDTH": "300", **environment}
    return CliRunner().invoke(app, list(map(str, arguments)), env=settings)


def a_site(folder: Path, text: str = SITE) -> Path:
    path = folder / "pacs.toml"
    path.write_text(text.format(port=free_port(), dead_port=free_port()))
    return path


# check


def test_a_right_site_file_is_told_in_words(tmp_path: Path) -> None:
    result = run(tmp_path, "pacs", "check", a_site(tmp_path))

    assert result.exit_code == 0
    assert "; VENUE may send to it.\n" in result.stdout
    assert "Analyses every ultrasound clip.\n" in result.stdout
    assert "Sends structured report, annotated clip and one-page report to 'archive': ARCHIVE at 127.0.0.1:" in result.stdout
    assert "by C-STORE; tries for 3 days.\n" in result.stdout


def test_every_error_of_a_site_file_is_told_with_its_line(tmp_path: Path) -> None:
    result = run(tmp_path, "pacs", "check", a_site(tmp_path, SITE.replace('"archive"', '"Archive!"').replace("address", "adress")))

    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["pacs.toml, line 6", "pacs.toml, line 7", "pacs.toml, line 9"]


def test_without_a_file_the_settings_one_is_checked(tmp_path: Path) -> None:
    assert run(tmp_path, "pacs", "check", SEASHORE_SITE=str(a_site(tmp_path))).exit_code == 0

    result = run(tmp_path, "pacs", "check")
    assert (result.exit_code, result.stderr) == (
        2,
        "Which file? Give it here, or set SEASHORE_SITE. docs/pacs.toml is one to start from.\n",
    )


# queue and dead


def test_the_queue_says_what_came_and_what_waits_for_whom(ledger: Ledger, tmp_path: Path) -> None:
    said = run(tmp_path, "pacs", "queue").stdout

    assert "What came: 1 waiting, 1 read, 1 skipped, 1 not read" in said
    assert " read     │ sliding absent" in said
    assert "It is a single image, not a clip." in said
    assert f"{READ}-slow-1 │ Its turn has not come." in said
    assert "1 dead: `seashore pacs dead` says why, and what to do." in said


def test_the_queue_is_there_for_programs(ledger: Ledger, tmp_path: Path) -> None:
    said = json.loads(run(tmp_path, "pacs", "queue", "--json", SEASHORE_SITE=str(a_site(tmp_path))).stdout)

    assert said["instances"] == {"waiting": 1, "reading": 0, "read": 1, "skipped": 1, "not_read": 1, "cancelled": 0}
    assert {one["job"]: one["because"] for one in said["recent"]} == {
        READ: "absent",
        SKIPPED: "It is a single image, not a clip.",
        LOST: "The device is gone.",
        WAITS: "",
    }
    assert [(one["destination"], one["waiting"], one["delivered"], one["dead"]) for one in said["destinations"]] == [
        ("archive", 0, 0, 1),
        ("research", 0, 1, 0),
        ("slow", 1, 0, 0),
    ]
    assert said["destinations"][0]["last_failure"] == REFUSAL
    assert [one["id"] for one in said["dead"]] == [f"{READ}-archive-2"]
    assert [one["job"] for one in said["unread"]] == [LOST]


def test_dead_letters_are_told_with_why_and_what_to_do(ledger: Ledger, tmp_path: Path) -> None:
    said = run(tmp_path, "pacs", "dead").stdout

    assert f"{READ}-archive-2 │ {REFUSAL}" in said
    assert f"{READ}-archive-1" not in said
    assert "Not read: The device is gone." in said
    assert "Once that is mended: `seashore pacs retry ID`" in said


def test_a_folder_where_nothing_ever_came_is_said_to_be_one(tmp_path: Path) -> None:
    result = run(tmp_path, "pacs", "queue")

    assert result.exit_code == 1
    assert result.stderr.startswith("Nothing was ever taken on here: there is no ledger in the data folder. SEASHORE_DATA_DIR or ")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    result = run(tmp_path, "pacs", "queue", SEASHORE_DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none")

    assert (result.exit_code, result.stderr) == (1, "The list of jobs cannot be written or read just now.\n")


# retry


def test_a_dead_letter_is_sent_again_as_a_delivery_of_its_own_and_audited(ledger: Ledger, tmp_path: Path) -> None:
    said = run(tmp_path, "pacs", "retry", f"{READ}-archive-2").stdout

    assert said == f"{READ}-archive-2 is sent again, as {READ}-archive-3.\n"
    entry = ledger.find(f"{READ}-archive-3")
    assert entry is not None
    assert entry.state is State.QUEUED
    assert json.loads(run(tmp_path, "pacs", "audit", "--json").stdout)["event"] == "retried"
    assert json.loads(run(tmp_path, "pacs", "queue", "--json").stdout)["dead"] == []


def test_all_dead_letters_are_sent_again_at_once(ledger: Ledger, tmp_path: Path) -> None:
    assert run(tmp_path, "pacs", "retry", "--all-dead").stdout == f"{READ}-archive-2 is sent again, as {READ}-archive-3.\n"
    assert run(tmp_path, "pacs", "retry", "--all-dead").stdout == "There is nothing of the kind.\n"


def test_what_waits_for_a_destination_is_tried_now(ledger: Ledger, tmp_path: Path) -> None:
    assert run(tmp_path, "pacs", "retry", "--waiting", "slow").stdout == f"{READ}-slow-1 is tried now.\n"

    result = run(tmp_path, "pacs", "retry", "--waiting", "nowhere")
    assert (result.exit_code, result.stderr) == (1, "There is no destination 'nowhere'. There are: archive, research, slow.\n")


def test_a_clip_that_was_not_read_because_of_us_is_read_again(ledger: Ledger, tmp_path: Path) -> None:
    assert run(tmp_path, "pacs", "retry", LOST[:6]).stdout == f"{LOST} is read again.\n"

    entry = ledger.find(LOST)
    assert entry is not None
    assert (entry.state, entry.arguments) == (State.QUEUED, {"job": LOST, "asked": {}})


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ([], 2, "Give one of: an ID, --all-dead, --waiting DESTINATION."),
        (["x", "--all-dead"], 2, "Give one of: an ID, --all-dead, --waiting DESTINATION."),
        ([f"{READ}-research-1"], 1, f"Nothing that waits, is dead or was not read has the id '{READ}-researc...'."),
        ([SKIPPED], 1, "Nothing that waits, is dead or was not read has the id "),
        ([READ], 1, "2 have an id that begins with "),
    ],
)
def test_what_cannot_be_done_again_is_a_sentence(ledger: Ledger, tmp_path: Path, arguments: list[str], status: int, sentence: str) -> None:
    result = run(tmp_path, "pacs", "retry", *arguments)

    assert result.exit_code == status
    assert result.stderr.startswith(sentence)


# audit


def test_the_audit_trail_is_read_in_order_over_all_nodes(tmp_path: Path) -> None:
    first, second = AuditTrail(tmp_path / "audit", "b"), AuditTrail(tmp_path / "audit", "a")
    first.write(Event.RECEIVED, READ, sop_instance_uid="1.2.3", calling_ae_title="VENUE")
    time.sleep(0.005)  # the trail's clock has milliseconds
    second.write(Event.SKIPPED, SKIPPED, because="It is a single image, not a clip.")
    with next((tmp_path / "audit").glob("*.a.jsonl")).open("a") as file:
        file.write('{"at": "2026-11-2')

    said = run(tmp_path, "pacs", "audit", "--since", "1h").stdout.splitlines()[1:]

    assert [" ".join(line.split()[2:]) for line in said] == [
        f"received {READ[:12]} sop_instance_uid 1.2.3, calling_ae_title VENUE",
        f"skipped {SKIPPED[:12]} because It is a single image, not a clip.",
    ]
    only = run(tmp_path, "pacs", "audit", "--json", "--job", "bbb").stdout.splitlines()
    assert [json.loads(line)["event"] for line in only] == ["skipped"]
    assert run(tmp_path, "pacs", "audit", "--since", "2099-01-01").stdout == "Nothing of the kind is written there.\n"


def test_a_time_that_is_none_is_told_how_to_write_one(tmp_path: Path) -> None:
    result = run(tmp_path, "pacs", "audit", "--since", "yesterday")

    assert (result.exit_code, result.stderr) == (
        2,
        "'yesterday' is no time. Write 24h, 7d or 4w, or a date: 2026-11-21, or 2026-11-21T14:30.\n",
    )


# doctor


def test_the_doctor_says_of_each_thing_that_is_not_well_what_to_do(tmp_path: Path) -> None:
    result = run(tmp_path, "doctor", reader=WordReader(broken_bundle=True), SEASHORE_SITE=str(a_site(tmp_path)))

    assert result.exit_code == 1
    assert "FAIL  model: The model's golden clip is answered 0.31 here; 0.93 was expected.\n      golden.json\n" in result.stdout
    assert "ok    ledger: SQLite in the data folder: there is none yet; the service makes it when it starts.\n" in result.stdout
    assert "FAIL  destination 'archive': ARCHIVE at 127.0.0.1:" in result.stdout
    assert "      Check address and port in the site file, and that the archive is running.\n" in result.stdout
    assert result.stdout.endswith("\n2 things are not well.\n")


def test_a_round_trip_needs_a_site_file(tmp_path: Path) -> None:
    result = run(tmp_path, "doctor", "--round-trip")

    assert result.exit_code == 1
    assert "FAIL  test clip: There is no round trip without a valid site file.\n      Set SEASHORE_SITE; " in result.stdout
    assert "delete that patient" not in result.stdout


@pytest.mark.parametrize("command", ["pacs", "pacs check", "pacs queue", "pacs dead", "pacs retry", "pacs audit", "doctor"])
def test_the_help_teaches_by_examples(tmp_path: Path, command: str) -> None:
    said = run(tmp_path, *command.split(), "--help").stdout

    assert "Example" in said
    assert f"seashore {command}" in said
