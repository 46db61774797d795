"""Jobs of the API from asking to forgetting: the office with its real folders and ledger, and a reader whose answers can be told."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.errors import EngineFailed, UnknownJob
from service.findings import SignReason, SignReasonCode, Verdict
from service.jobs.ledger import Entry, State
from service.jobs.office import ORPHAN_S, JobOffice, Sweeper, to_anybody
from service.jobs.reading import FAILED, READ, REFUSED, Asked, is_our_fault, kept_analysis
from service.jobs.workers import Workers
from service.pipeline import Options
from service.settings import Settings
from tests.fakes.analysis import example_signs
from tests.fakes.service import MODEL, WordReader

ASKED = Asked(str(MODEL), Options())


@pytest.fixture
def reader() -> WordReader:
    return WordReader()


@pytest.fixture
def office(tmp_path: Path, reader: WordReader) -> Iterator[JobOffice]:
    made = JobOffice.furnish(Settings(data_dir=tmp_path / "data", job_keep_hours=24), reader)
    made.prepare()
    workers = Workers(made.ledger.url, "node-1")
    made.offer_work(workers)
    workers.start()
    yield made
    reader.release()
    workers.stop()
    made.board.close()
    made.ledger.close()


def hand_in(office: JobOffice, word: str, owner: str = "local") -> Entry:
    arrived = office.incoming / f"{word}-{time.monotonic_ns()}"
    arrived.write_bytes(word.encode())
    return office.hand_in(arrived, sha256=f"sha256 of {word}", entry=MODEL, asked=ASKED, owner=owner)


def ended(office: JobOffice, job: str) -> Entry:
    end_s = time.monotonic() + 15
    while (entry := office.find(job, to_anybody)).state in (State.QUEUED, State.RUNNING):
        assert time.monotonic() < end_s, entry
        time.sleep(0.05)
    return entry


def test_a_clip_is_read_and_its_analysis_kept(office: JobOffice) -> None:
    job = hand_in(office, "absent").id

    assert ended(office, job).result == {"outcome": READ, "verdict": "absent"}
    analysis = kept_analysis(office.folder(job))
    assert analysis is not None
    assert analysis.id == job


def test_the_same_of_the_same_owner_is_one_job_and_the_second_file_goes(office: JobOffice, reader: WordReader) -> None:
    first = hand_in(office, "absent")
    ended(office, first.id)

    assert hand_in(office, "absent").id == first.id
    assert hand_in(office, "absent", owner="another").id != first.id
    assert [*office.incoming.iterdir()] == []


def test_what_the_clip_is_to_blame_for_is_refused_and_stays_so(office: JobOffice, reader: WordReader) -> None:
    job = hand_in(office, "no_video").id
    refused = ended(office, job)

    assert refused.result == {"outcome": REFUSED, "code": "no_video", "detail": "This is the sentence of no_video."}
    assert hand_in(office, "no_video").state is State.DONE


def test_what_we_are_to_blame_for_is_tried_again_when_it_is_asked_again(
    office: JobOffice, reader: WordReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise EngineFailed("The device was lost.")

    with monkeypatch.context() as once:
        once.setattr(reader, "read", lost)
        job = hand_in(office, "present").id
        assert ended(office, job).result == {"outcome": FAILED, "code": "engine_failed", "detail": "The device was lost."}

    assert hand_in(office, "present").id == job
    assert ended(office, job).result == {"outcome": READ, "verdict": "present"}


def test_a_clip_whose_signs_could_not_be_told_is_read_again_when_it_is_asked_again(
    office: JobOffice, reader: WordReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reader.read
    failed = replace(example_signs()[0], verdict=Verdict.NOT_ASSESSABLE, reason=SignReason(SignReasonCode.MODEL_FAILED, "It was lost."))

    def lost(*what: Any, **how: Any) -> Any:
        analysis, arrays = read(*what, **how)
        return replace(analysis, signs=(failed,)), arrays

    with monkeypatch.context() as once:
        once.setattr(reader, "read", lost)
        job = hand_in(office, "present").id
        assert ended(office, job).result == {"outcome": READ, "verdict": "present", "lacks_signs": True}

    assert hand_in(office, "present").id == job
    assert ended(office, job).result == {"outcome": READ, "verdict": "present"}
    kept = kept_analysis(office.folder(job))
    assert kept is not None
    assert kept.signs == ()


def test_a_job_whose_model_has_left_the_store_is_our_fault_and_not_the_clips(office: JobOffice) -> None:
    """It was there when the clip was taken. A refused one would not be read again, and its clip forgotten after a day."""
    arrived = office.incoming / "arrived"
    arrived.write_bytes(b"present")
    job = office.hand_in(arrived, sha256="sha256", entry=MODEL, asked=replace(ASKED, model="pleura:0.9")).id
    failed = ended(office, job)

    assert failed.result == {
        "outcome": FAILED,
        "code": "bad_bundle",
        "detail": "This clip waited for the model pleura:0.9, which has left the store. Lay it in again.",
    }
    assert is_our_fault(failed)


def test_a_discarded_job_is_gone_with_its_clip(office: JobOffice, reader: WordReader) -> None:
    job = hand_in(office, "slow").id
    assert reader.started.wait(10)

    office.discard(job, to_anybody)

    assert reader.stopped.wait(10)
    assert not office.folder(job).path.exists()
    with pytest.raises(UnknownJob, match=f"^There is no job '{job}'"):
        office.find(job, to_anybody)


@pytest.mark.parametrize("name", ["", "../secret", "A" * 32, "a" * 31])
def test_what_is_no_id_is_no_job(office: JobOffice, name: str) -> None:
    with pytest.raises(UnknownJob):
        office.find(name, to_anybody)


def test_a_job_is_forgotten_when_its_time_is_over(office: JobOffice) -> None:
    job, now = hand_in(office, "absent").id, datetime.now(UTC)
    ended(office, job)

    assert office.sweep(now + timedelta(hours=23)) == 0
    assert office.sweep(now + timedelta(hours=25)) == 1
    assert office.ledger.find(job) is None
    assert not office.folder(job).path.exists()


def test_what_no_job_is_known_of_is_swept_up_after_a_day(office: JobOffice) -> None:
    stray, part = office.folder("0" * 32), office.incoming / "part"
    stray.make()
    part.touch()
    fresh = office.incoming / "fresh"
    fresh.touch()
    for path in (stray.path, part):
        os.utime(path, (0, time.time() - ORPHAN_S - 60))

    assert office.sweep(datetime.now(UTC)) == 2
    assert [*office.incoming.iterdir()] == [fresh]
    assert not stray.path.exists()


def test_job_ids_are_of_this_deployment_alone(office: JobOffice, tmp_path: Path, reader: WordReader) -> None:
    twin = JobOffice.furnish(Settings(data_dir=office.data_dir), reader)
    other = JobOffice.furnish(Settings(data_dir=tmp_path / "elsewhere"), reader)

    assert twin.job_id("a", 1) == office.job_id("a", 1)
    assert other.job_id("a", 1) != office.job_id("a", 1)
    assert (office.data_dir / "secret").stat().st_mode & 0o777 == 0o600


def test_a_sweep_that_fails_is_logged_and_the_next_one_still_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def sweep(self, now: datetime) -> int:
            raise OSError(5, "Input/output error", "/data/Doe^Jane")

    class Sound:
        swept = threading.Semaphore(0)

        def sweep(self, now: datetime) -> int:
            self.swept.release()
            return 0

    monkeypatch.setattr("service.jobs.office.SWEEP_EVERY_S", 0.01)
    sweeper = Sweeper(Broken(), Sound())
    sweeper.start()
    try:
        assert all(Sound.swept.acquire(timeout=5) for _ in range(2))
    finally:
        sweeper.stop()
    assert "not swept: OSError in sweep" in caplog.text
    assert "Doe^Jane" not in caplog.text
