"""`seashore serve` as it is started on a machine: ready within a minute, answers, keeps names out of its log, and stops when told."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes import dicom, media
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import is_ready, shipped_bundle, wait_until

READY_WITHIN_S = 60.0


@contextmanager
def served(log: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The command on any free port, and a client for it."""
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **settings})
    try:
        assert wait_until(lambda: process.poll() is not None or address(log), READY_WITHIN_S), log.read_text()
        with httpx.Client(base_url=address(log) or "", timeout=60, trust_env=False) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()


def address(log: Path) -> str | None:
    found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())
    return found[1] if found else None


def test_the_service_is_ready_within_a_minute_answers_and_stops_when_told(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with served(tmp_path / "log") as (process, client):
        assert wait_until(lambda: client.get("/readyz").json().get("code") != "starting", READY_WITHIN_S)
        assert client.get("/readyz").json() == {"status": "ready"}
        assert time.monotonic() - began_s < READY_WITHIN_S

        answer = client.post("/v1/predict", files={"clip": ("lung.mp4", media.mp4(small_phantom("present", 2.2).frames))})
        process.send_signal(signal.SIGTERM)
        process.wait(15)

    assert answer.json()["quality"]["assessable"] is True
    assert "ready: model " in (tmp_path / "log").read_text()
    assert "POST /v1/predict: 200 ok in " in (tmp_path / "log").read_text()


def test_the_log_repeats_no_name_of_a_file_a_patient_or_an_option(tmp_path: Path) -> None:
    name = dicom.PATIENT
    with served(tmp_path / "log", SEASHORE_LOG_LEVEL="debug", SEASHORE_LOG_FORMAT="json") as (_, client):
        for query in ("", f"?{name}={name}", f"?model={name}", f"?saliency={name}"):
            client.post(f"/v1/predict{query}", files={"clip": (f"{name}.dcm", dicom.native(frame_time_ms=None))})
        client.post("/v1/predict", files={"clip": (f"{name}.dcm", media.truncated(dicom.jpeg_baseline(), 0.3))})
        client.get(f"/{name}")

    log = (tmp_path / "log").read_text()
    assert "POST /v1/predict: 422 bad_option in " in log
    assert "POST /v1/predict: 404 unknown_model in " in log
    assert name not in log
    assert [line for line in log.splitlines() if not line.startswith("{")] == []  # nobody writes past it


def test_a_store_without_a_model_is_alive_never_ready_and_says_which_setting(tmp_path: Path) -> None:
    with served(tmp_path / "log", SEASHORE_MODEL_STORE=str(tmp_path)) as (_, client):
        assert wait_until(lambda: client.get("/readyz").json()["code"] == "bad_bundle")
        refused = client.post("/v1/predict", content=media.mp4())

    assert (refused.status_code, refused.json()["detail"]) == (503, "The model store holds no model.")
    assert "SEASHORE_MODEL_STORE says where the store is" in (tmp_path / "log").read_text()


def test_what_is_here_when_the_service_is_told_to_stop_is_still_answered(tmp_path: Path) -> None:
    clip = media.mp4(small_phantom("present", 2.2).frames)
    with served(tmp_path / "log", SEASHORE_MAX_CONCURRENT="1") as (process, client), ThreadPoolExecutor(6) as threads:
        assert is_ready(client)
        url = client.base_url.join("/v1/predict")
        asked = [threads.submit(httpx.post, url, content=clip, timeout=30, trust_env=False) for _ in range(6)]
        assert wait_until(lambda: "seashore_readings_pending 6.0" in client.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        answers = [answer.result() for answer in asked]
        process.wait(15)

    assert [answer.status_code for answer in answers] == [200] * 6
    assert process.returncode == -signal.SIGTERM  # uvicorn ends by the signal it was sent, once all is answered


@pytest.mark.slow
def test_readers_that_are_killed_under_load_lose_no_clip_and_none_outlives_the_service(tmp_path: Path) -> None:
    clip = media.mp4(small_phantom("present", 4.2).frames)
    with served(tmp_path / "log") as (process, client), ThreadPoolExecutor(8) as threads:
        assert is_ready(client)
        url = client.base_url.join("/v1/predict")
        asked = [threads.submit(httpx.post, url, content=clip, timeout=60, trust_env=False) for _ in range(8)]
        for _ in range(2):
            time.sleep(0.4)
            victim = children(process.pid)[0]
            os.kill(victim, signal.SIGKILL)
        answers = [answer.result() for answer in asked]
        readers = children(process.pid)
        process.kill()
        process.wait()
        assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in readers), 10)

    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["lung_sliding"]["probability"] for answer in answers}) == 1
    assert "was lost with its clip" in (tmp_path / "log").read_text()


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def test_a_hang_up_renews_the_model_and_a_broken_bundle_never_takes_its_place(tmp_path: Path) -> None:
    store = tmp_path / "store"
    shipped = shipped_bundle()
    shutil.copytree(shipped, store / shipped.parent.name / shipped.name)
    with served(tmp_path / "log", SEASHORE_MODEL_STORE=str(store)) as (process, client):
        assert is_ready(client)
        newer = lay_in(store, "9.0.0")
        (newer / "model.onnx").write_bytes(b"cut off")
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "The model that was loaded stays." in (tmp_path / "log").read_text(), READY_WITHIN_S)
        assert default_of(client) == shipped.name
        assert client.get("/readyz").status_code == 200

        lay_in(store, "9.0.1")
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "9.0.1 is asked from now on" in (tmp_path / "log").read_text(), READY_WITHIN_S)
        answer = client.post("/v1/predict", content=media.mp4(small_phantom("present", 2.2).frames))

    assert answer.json()["model"]["version"] == "9.0.1"


def lay_in(store: Path, version: str) -> Path:
    """The shipped bundle again, under another version."""
    shipped = shipped_bundle()
    folder = store / shipped.parent.name / version
    shutil.copytree(shipped, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    return folder


def default_of(client: httpx.Client) -> str:
    (version,) = (model["version"] for model in client.get("/v1/models").json()["models"] if model["default"])
    return str(version)
