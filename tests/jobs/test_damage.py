"""What a failing disk does to kept results: a clear answer, never a 500, and never another's result."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.fakes.service import WordReader, is_ready, serving, wait_until

GONE = "The clip of this job is not here any more"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def client(data: Path) -> Iterator[httpx.Client]:
    with serving(WordReader(), data_dir=data) as client:
        assert is_ready(client)
        yield client


def done(client: httpx.Client, word: bytes) -> str:
    job = str(client.post("/v1/jobs?awaited=true", content=word).json()["id"])
    assert wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done", 20)
    return job


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def no_object(path: Path) -> None:
    path.write_text("7")


def without_fields(path: Path) -> None:
    fields = json.loads(path.read_text())
    del fields["analysis"]["lung_sliding"]
    path.write_text(json.dumps(fields))


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff" * 500)


@pytest.mark.parametrize("harm", [cut_short, no_object, without_fields, not_text, Path.unlink])
def test_a_damaged_answer_is_read_again_from_its_clip(harm: Callable[[Path], None], client: httpx.Client, data: Path) -> None:
    job = done(client, b"present")
    before = client.get(f"/v1/jobs/{job}/result").json()
    harm(data / "jobs" / job / "analysis.json")
    told = client.get(f"/v1/jobs/{job}/result")

    assert (told.status_code, told.json()["code"]) == (409, "job_not_done")
    assert told.json()["detail"] == "The kept answer of this job is damaged. Its clip is being read again."
    assert wait_until(lambda: client.get(f"/v1/jobs/{job}/result").status_code == 200, 20)
    assert client.get(f"/v1/jobs/{job}/result").json() == before


def test_a_damaged_answer_without_its_clip_is_gone_and_the_clip_may_be_sent_again(client: httpx.Client, data: Path) -> None:
    job = done(client, b"present")
    (data / "jobs" / job / "analysis.json").write_text("{")
    (data / "jobs" / job / "clip").unlink()
    told = client.get(f"/v1/jobs/{job}/result")

    assert (told.status_code, told.json()["code"]) == (404, "unknown_job")
    assert told.json()["detail"].startswith("The kept answer of this job is damaged and its clip is not here to be read again.")


def test_the_answer_of_another_job_is_never_given(client: httpx.Client, data: Path) -> None:
    mine, other = done(client, b"present"), done(client, b"absent")
    shutil.copy(data / "jobs" / other / "analysis.json", data / "jobs" / mine / "analysis.json")

    assert client.get(f"/v1/jobs/{mine}/result").status_code == 409
    assert wait_until(lambda: client.get(f"/v1/jobs/{mine}/result").status_code == 200, 20)
    assert client.get(f"/v1/jobs/{mine}/result").json()["lung_sliding"]["verdict"] == "present"


def test_of_a_job_whose_clip_is_lost_the_answer_stays_and_pictures_are_refused(client: httpx.Client, data: Path) -> None:
    job = done(client, b"present")
    (data / "jobs" / job / "clip").unlink()

    assert client.get(f"/v1/jobs/{job}/result").status_code == 200
    for path, accept in (("result", "video/mp4"), ("result", "application/pdf"), ("frames", "*/*"), ("frames/data", "*/*")):
        told = client.get(f"/v1/jobs/{job}/{path}", headers={"accept": accept})
        assert (told.status_code, told.json()["code"]) == (404, "unknown_job")
        assert told.json()["detail"].startswith(GONE)


@pytest.mark.parametrize("name", ["frames.jpegs", "frames.json"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:40])])
def test_frames_that_are_lost_or_cut_short_are_drawn_again(
    harm: Callable[[Path], None], name: str, client: httpx.Client, data: Path
) -> None:
    job = done(client, b"present")
    frames = client.get(f"/v1/jobs/{job}/frames/data").content
    index = client.get(f"/v1/jobs/{job}/frames").json()
    harm(data / "jobs" / job / name)

    assert client.get(f"/v1/jobs/{job}/frames/data").content == frames
    assert client.get(f"/v1/jobs/{job}/frames").json() == index


def with_flipped_bits(path: Path) -> None:
    """In the middle of every page but the first."""
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = bytes(byte ^ 0xFF for byte in content[start : start + 64])
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 4096 * 4096])


def no_database(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


@pytest.mark.parametrize("harm", [with_flipped_bits, cut_in_half, no_database])
def test_a_damaged_ledger_is_told_and_left_as_it_is(harm: Callable[[Path], None], data: Path) -> None:
    with serving(WordReader(), data_dir=data) as client:
        assert is_ready(client)
        job = done(client, b"present")
    ledger = data / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    harm(ledger)
    damaged = ledger.read_bytes()
    with serving(WordReader(), data_dir=data) as client:
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "ledger_unavailable", 20)
        told, asked, sent = client.get("/readyz"), client.get(f"/v1/jobs/{job}"), client.post("/v1/jobs", content=b"absent")

    assert told.status_code == 503
    assert told.json()["detail"] == "The list of jobs is damaged. Nothing was changed; `seashore doctor` says what can be done."
    for answer in (asked, sent):
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
    assert ledger.read_bytes() == damaged
    assert (data / "jobs" / job / "clip").exists()
