"""A disk that is really full: a small one is mounted and filled. Skipped where that may not be done (it takes root)."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.access.keys import add_key, now
from service.access.principal import Scope
from service.disk import check_room
from service.errors import NoRoom
from service.jobs.folder import append_line
from service.readers.child import limit_met
from service.readers.words import ROOM
from tests.fakes.service import WordReader, is_ready, serving, wait_until

MIB = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """To the last byte but so many."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    os.truncate(filler, max(0, filler.stat().st_size - leave))
    return filler


def files(disk: Path) -> set[str]:
    return {str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file() and "ledger" not in path.name}


@pytest.fixture
def client(disk: Path) -> Iterator[httpx.Client]:
    reader = WordReader()
    with serving(reader, data_dir=disk, min_free_bytes=0) as client:
        assert is_ready(client)
        yield client
        reader.release()


def assert_no_room(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room"), answer.text
    assert answer.json()["detail"] == "The disk of the service is full. Nothing was kept of this; please try again later."
    assert answer.headers["retry-after"] == "60"


def done(client: httpx.Client, word: bytes) -> str:
    job = client.post("/v1/jobs", content=word).json()["id"]
    assert wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done", 20)
    return str(job)


def test_a_job_for_which_there_is_no_room_is_refused_leaves_nothing_and_is_taken_once_there_is(disk: Path, client: httpx.Client) -> None:
    done(client, b"absent")
    before = files(disk)
    filler = fill(disk)
    assert_no_room(client.post("/v1/jobs", content=b"present" + bytes(3 * MIB)))
    assert files(disk) == before | {"filler"}
    assert client.post("/v1/predict", content=b"present").status_code == 200  # it needs another disk
    filler.unlink()

    done(client, b"present" + bytes(3 * MIB))


def test_a_ledger_that_cannot_be_written_is_told_as_no_room_and_goes_on_once_there_is(disk: Path, client: httpx.Client) -> None:
    done(client, b"absent")
    filler = fill(disk, leave=8192)  # for the clip, but not for the ledger's pages
    answers = [client.post("/v1/jobs", content=b"present %d" % number) for number in range(12)]
    assert {answer.status_code for answer in answers} <= {202, 507}
    for answer in answers[-3:]:
        assert_no_room(answer)
    filler.unlink()

    assert wait_until(lambda: client.post("/v1/jobs", content=b"indeterminate").status_code in (200, 202), 20)
    for answer in answers:
        if answer.status_code == 202:
            job = f"/v1/jobs/{answer.json()['id']}"
            assert wait_until(lambda job=job: client.get(job).json()["state"] == "done", 90)


def test_a_job_that_is_deleted_on_a_full_disk_makes_room(disk: Path, client: httpx.Client) -> None:
    job = done(client, b"present" + bytes(MIB))
    fill(disk)

    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert not (disk / "jobs" / job).exists()
    assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_an_opinion_is_kept_whole_or_not_at_all(disk: Path, client: httpx.Client) -> None:
    job = done(client, b"present")
    said = {"opinion": "agree", "note": "x" * 1500}
    assert client.post(f"/v1/jobs/{job}/feedback", json=said).status_code == 204
    filler = fill(disk)
    answers = [client.post(f"/v1/jobs/{job}/feedback", json=said) for _ in range(4)]
    kept = 1 + sum(answer.status_code == 204 for answer in answers)
    assert_no_room(answers[-1])
    assert (disk / "feedback.jsonl").read_bytes().count(b"\n") == kept
    filler.unlink()

    assert client.post(f"/v1/jobs/{job}/feedback", json=said).status_code == 204
    lines = (disk / "feedback.jsonl").read_text().splitlines()
    assert len(lines) == kept + 1
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_the_first_to_sign_in_may_do_so_on_a_full_disk(disk: Path, client: httpx.Client) -> None:
    _, token = add_key(disk / "keys.json", "ward", (Scope.READ,), "ward", None, now())
    fill(disk)

    assert client.post("/v1/session", json={"key": token}).status_code == 200


def test_frames_that_cannot_be_kept_are_told_and_drawn_once_there_is_room(disk: Path, client: httpx.Client) -> None:
    job = done(client, b"present")
    before = files(disk)
    filler = fill(disk)
    assert_no_room(client.get(f"/v1/jobs/{job}/frames"))
    assert files(disk) == before | {"filler"}
    filler.unlink()

    assert client.get(f"/v1/jobs/{job}/frames").status_code == 200


def test_a_result_that_cannot_be_kept_waits_for_room(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = WordReader()
    with serving(reader, data_dir=disk, min_free_bytes=0) as client:
        assert is_ready(client)
        job = client.post("/v1/jobs", content=b"slow").json()["id"]
        assert reader.started.wait(20)
        filler = fill(disk)
        reader.release()
        assert wait_until(lambda: "step 'read' cannot be done just now and is tried again in 60 s" in caplog.text, 20)
        filler.unlink()
        assert client.get(f"/v1/jobs/{job}").json()["state"] in ("running", "queued")


def test_below_the_floor_no_clip_is_taken_and_readyz_says_so(disk: Path) -> None:
    with serving(WordReader(), data_dir=disk, min_free_bytes=2 * MIB) as client:
        assert is_ready(client)
        job = done(client, b"present")
        filler = fill(disk, leave=MIB)
        told = [client.post("/v1/predict", content=b"present"), client.post("/v1/jobs", content=b"absent")]
        for answer in told:
            assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
            sentence = "1.0 MiB are free on the disk of the service, and it takes no clip with less than 2.0 MiB. Please try again later."
            assert answer.json()["detail"] == sentence
        assert wait_until(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/readyz").json()["code"] == "no_room"
        assert client.get(f"/v1/jobs/{job}/result").status_code == 200
        filler.unlink()

        assert is_ready(client)
        assert client.post("/v1/predict", content=b"present").status_code == 200


def test_a_clip_for_which_there_is_no_scratch_room_is_refused_and_leaves_nothing(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    with serving(WordReader(), min_free_bytes=0) as client:
        assert_no_room(client.post("/v1/predict", content=b"present" + bytes(9 * MIB)))
        assert wait_until(lambda: not list(disk.iterdir()))
        assert client.post("/v1/predict", content=b"present").status_code == 200


def test_a_reader_process_tells_a_full_disk_from_a_bug() -> None:
    assert limit_met(OSError(errno.ENOSPC, "No space left on device")) == ROOM
    assert limit_met(OSError(errno.EIO, "Input/output error")) is None


def test_half_a_line_is_never_left(disk: Path) -> None:
    lines = disk / "lines"
    append_line(lines, "first")
    filler = fill(disk)
    with pytest.raises(OSError, match="No space left"):
        append_line(lines, "x" * 10_000)
    filler.unlink()
    append_line(lines, "second")

    assert lines.read_text() == "first\nsecond\n"


def test_the_floor_is_told_of_the_disk_that_a_folder_will_lie_on(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there", min_free_bytes=1)
    with pytest.raises(NoRoom, match=r"GiB are free on the disk of the service, and it takes no clip with less than 1073741824\.0 GiB\."):
        check_room(tmp_path / "not" / "there", min_free_bytes=2**60)
