"""`/healthz` and `/readyz` mean it: each thing without which no clip is read makes them say 503, and why."""

import asyncio
import shutil
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.api import failures as failures_module
from service.api import health as health_module
from service.api.health import Health
from service.api.room import ReadingRoom
from service.engine.base import Task
from service.engine.batcher import Batcher
from service.errors import EngineFailed, LedgerUnavailable
from service.jobs.ledger import Ledger
from service.settings import Settings
from service.shelf import ModelEntry
from service.standing import DeviceStanding, ProcessesStanding, ReaderStanding
from tests.fakes.engine import LinearEngine
from tests.fakes.service import WordReader, is_ready, serving, wait_until

Usage = namedtuple("Usage", "total used free")
LONG_S = 60.0
"""For a machine that is busy with other things."""


class StuckReader(WordReader):
    """Its device has been at one batch for a quarter of an hour."""

    def standing(self) -> ReaderStanding:
        models = super().standing().models
        return ReaderStanding((replace(models[0], work=DeviceStanding(0.0, 900.0, ())), *models[1:]))


class LonelyReader(WordReader):
    """Its processes have died, and no other can be started once `is_alone`."""

    is_alone = False

    def standing(self) -> ReaderStanding:
        return replace(super().standing(), processes=ProcessesStanding(2, 0, 0, 0, 2))

    def load(self, entry: ModelEntry) -> None:
        if self.is_alone:
            raise EngineFailed("No process could be started to read clips in.")


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "KEPT_S", 0.0)


def test_an_engine_that_is_stuck_is_neither_alive_nor_ready() -> None:
    with serving(StuckReader()) as client:
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "engine_stuck", LONG_S)
        alive = client.get("/healthz")

    assert (alive.status_code, alive.json()["code"]) == (503, "engine_stuck")
    assert alive.json()["detail"] == "The model has been at one batch for 900 s."
    assert alive.headers["content-type"] == "application/problem+json"


def test_a_real_device_says_how_long_it_has_been_at_its_batch() -> None:
    class Slow(LinearEngine):
        gate = threading.Event()

        def logits(self, patches: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            self.gate.wait(30)
            return super().logits(patches)

    batcher = Batcher(Slow(np.ones((1, 1, 1, 1), np.float32)))
    with batcher.turn() as turn:
        asked = turn.ask(Task.CLASSIFY, np.zeros((3, 1, 1, 1, 1), np.uint8))
        assert wait_until(lambda: batcher.standing().longest_batch_s > 0.05)
        Slow.gate.set()
        asked.result(10)

    assert wait_until(lambda: batcher.standing().longest_batch_s == 0.0)
    assert [(batch.task, batch.patches, batch.largest, batch.count) for batch in batcher.standing().batches] == [
        ("classify", 2, 16, 1),
        ("classify", 1, 16, 1),
    ]


def test_a_loop_that_has_not_come_round_for_long_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async def blocked() -> list[str | None]:
        health = Health(ReadingRoom.furnish(Settings(jobs=False), WordReader()), None)
        health.beat()
        before = await health.alive()
        time.sleep(1.2)
        stuck = health._stuck()
        await asyncio.sleep(0.05)
        after = await health.alive()
        health.stop()
        return [None if problem is None else problem.code for problem in (before, stuck, after)]

    monkeypatch.setattr(health_module, "BEAT_EVERY_S", 0.02)
    monkeypatch.setattr(health_module, "LOOP_STUCK_S", 1.0)

    assert asyncio.run(blocked()) == [None, "loop_stuck", None]


def test_without_room_for_one_more_clip_nothing_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2**40, 2**40, 3 * 2**20))
        assert wait_until(lambda: client.get("/readyz").status_code == 503, LONG_S)
        problem = client.get("/readyz").json()
        assert client.get("/healthz").status_code == 200
        monkeypatch.undo()
        assert is_ready(client)

    sentence = "3.0 MiB are free on the disk of the service, and it takes no clip with less than 1.0 GiB. Please try again later."
    assert (problem["code"], problem["detail"]) == ("no_room", sentence)


def test_without_its_ledger_it_is_not_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def away(ledger: Ledger, id: str) -> None:
        raise LedgerUnavailable("The list of jobs cannot be read.")

    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        monkeypatch.setattr(Ledger, "find", away)
        assert wait_until(lambda: client.get("/readyz").status_code == 503, LONG_S)
        assert client.get("/readyz").json()["detail"] == "The list of jobs cannot be read."
        assert client.get("/readyz").json()["code"] == "ledger_unavailable"


def test_where_no_process_can_be_started_to_read_in_it_is_not_ready() -> None:
    reader = LonelyReader()
    with serving(reader) as client:
        assert is_ready(client)
        reader.is_alone = True
        assert wait_until(lambda: client.get("/readyz").status_code == 503, LONG_S)
        assert client.get("/readyz").json()["detail"] == "No process could be started to read clips in."
        reader.is_alone = False
        assert is_ready(client)


def test_three_clips_in_a_row_that_fail_at_the_engine_tell_that_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(WordReader()) as client:
        assert is_ready(client)
        for word in (b"engine_failed", b"engine_failed", b"present", b"engine_failed", b"engine_failed"):
            client.post("/v1/predict", content=word)
        assert client.get("/readyz").status_code == 200
        client.post("/v1/predict", content=b"engine_failed")
        problem = client.get("/readyz")
        monkeypatch.setattr(failures_module, "TRY_AGAIN_AFTER_S", 0.0)
        assert client.get("/readyz").status_code == 200

    assert (problem.status_code, problem.json()["code"]) == (503, "engine_failed")
    assert problem.json()["detail"] == "The last clips could not be run on the model, one after the other."


def test_who_is_stopping_is_alive_and_not_ready() -> None:
    with serving(WordReader()) as client:
        assert is_ready(client)
        client.drain()
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "stopping", LONG_S)
        assert client.get("/healthz").status_code == 200
