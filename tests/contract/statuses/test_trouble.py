"""What comes between a clip and its turn: no place, no time, no room, no ledger, or a service that is about to stop."""

import errno
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from service.cine.clip import Clip
from service.disk import no_room
from service.evidence.rendition import Marks, Rendition
from service.findings import Analysis
from service.jobs import folder
from service.jobs.ledger import Ledger
from service.pipeline import Progress
from tests.contract.statuses.asking import Asked, Slowly, answers, begun, expected, jobs_of
from tests.contract.statuses.test_clips import OF_A_JOB
from tests.fakes.service import WordReader, is_ready, serving, wait_until

Usage = namedtuple("Usage", "total used free")
VIDEO = {"headers": {"accept": "video/mp4"}}
NO_PLACE = (
    Asked("predict", 429),
    Asked("predict_unversioned", 429),
    Asked("job_result", 429, "read"),
    Asked("job_frames", 429, "read"),
    Asked("job_frames_data", 429, "read"),
    Asked("job_mmode", 429, "read"),
)
STOPPING = tuple(Asked(one.operation, 503, one.of) for one in NO_PLACE)
NO_TIME = (
    Asked("predict", 504, changes={"content": b"slow"}),
    Asked("predict_unversioned", 504, changes={"content": b"slow"}),
    Asked("create_job", 504, changes={"content": Slowly(b"pre")}),
    Asked("job_result", 504, "read", VIDEO),
    Asked("job_frames", 504, "slow"),
    Asked("job_frames_data", 504, "slow"),
    Asked("job_mmode", 504, "slow"),
)
NO_ROOM = (
    Asked("predict", 507),
    Asked("predict_unversioned", 507),
    Asked("create_job", 507),
    Asked("job_result", 507, "read", VIDEO),
    Asked("job_feedback", 507, "read"),
    Asked("job_frames", 507, "read"),
    Asked("job_frames_data", 507, "read"),
    Asked("delete_job", 507, "read"),
)
NO_LEDGER = (Asked("create_job", 503), *(Asked(name, 503, "read") for name in OF_A_JOB))


class SlowHand(WordReader):
    """Draws no clip until it is released."""

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        self._read_slowly(None)


class FullDisk(WordReader):
    """Whatever it draws is written to a disk that is full."""

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        Path("/dev/full").write_bytes(b"annotated")

    def render(self, clip: Clip, out: Path, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        return super().render(clip, Path("/dev/full"), on_progress, marks=marks)


def test_while_every_place_is_taken_they_are_put_off(tmp_path: Path) -> None:
    reader = WordReader()
    with serving(reader, data_dir=tmp_path, max_concurrent=1, max_queued=0) as client, ThreadPoolExecutor(1) as threads:
        assert is_ready(client)
        jobs = jobs_of(client, {"read": "present"})
        slow = threads.submit(client.post, "/v1/predict", content=b"slow")
        assert reader.started.wait(20)

        assert answers(client, NO_PLACE, jobs) == expected(NO_PLACE)
        reader.release()
        assert slow.result().status_code == 200


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    reader = SlowHand()
    times = {"deadline_s": 0.3, "upload_deadline_s": 0.3, "max_seconds": 0.5, "max_job_seconds": 0.5}
    with serving(reader, data_dir=tmp_path, max_concurrent=8, **times) as client:
        assert is_ready(client)
        jobs = jobs_of(client, {"read": "present"}) | {"slow": begun(client, "slow")}

        assert answers(client, NO_TIME, jobs) == expected(NO_TIME)
        reader.release()


def test_who_is_about_to_stop_begins_nothing(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        jobs = jobs_of(client, {"read": "present"})
        client.drain()
        assert wait_until(lambda: client.get("/readyz").status_code == 503, 20)

        assert answers(client, STOPPING, jobs) == expected(STOPPING)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the ledger, when something is to be removed."""
    with serving(FullDisk(), data_dir=tmp_path) as client:
        assert is_ready(client)
        jobs = jobs_of(client, {"read": "present"})
        monkeypatch.setattr(folder, "_write_all", no_space)
        monkeypatch.setattr(shutil, "disk_usage", lambda of: Usage(2**40, 2**40, 0))
        monkeypatch.setattr(Ledger, "forget", full)

        assert answers(client, NO_ROOM, jobs) == expected(NO_ROOM)


def test_a_ledger_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        jobs = jobs_of(client, {"read": "present"})
        monkeypatch.setattr(Ledger, "_client", away)

        assert answers(client, NO_LEDGER, jobs) == expected(NO_LEDGER)


def full(*_: object) -> NoReturn:
    raise no_room()


def no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "")


def away(*_: object) -> NoReturn:
    raise ConnectionRefusedError(errno.ECONNREFUSED, "")
