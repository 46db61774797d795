"""How this node is, told over HTTP: when all is well, and in failures that are made for real."""

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w

from service import __version__
from service.api import glance, node_desk
from service.findings import Analysis
from service.reader import ClipReader
from service.readers.reader import PooledReader, reader_processes
from service.settings import Settings
from service.shelf import ModelEntry
from service.standing import ReaderStanding
from tests.api.test_queue import in_background
from tests.fakes import dicom, nodes
from tests.fakes.media import texture
from tests.fakes.orthanc import free_port
from tests.fakes.queues import LOST, REFUSAL, copy_story
from tests.fakes.service import (
    BROKEN_BUNDLE,
    ILL,
    MODEL,
    OTHER_MODEL,
    PATIENT,
    IllSigns,
    WordReader,
    is_ready,
    serving,
    shipped_bundle,
    shipped_reader,
    wait_until,
)
from tests.fakes.signs import write_bright

Said = dict[str, Any]


def node(client: httpx.Client) -> Said:
    said: Said = client.get("/v1/node").raise_for_status().json()
    return said


def told(client: httpx.Client, is_so: Callable[[Said], object]) -> Said:
    """The first answer of which that is so; its parts are looked at again every two seconds."""
    assert wait_until(lambda: is_so(node(client)), 15), node(client)
    return node(client)


def kinds(said: Said) -> list[tuple[str, str]]:
    return [(problem["kind"], problem["subject"]) for problem in said["problems"]]


def problem(said: Said, kind: str) -> Said:
    (found,) = [problem for problem in said["problems"] if problem["kind"] == kind]
    return dict(found)


@contextmanager
def hospital(folder: Path, *destinations: Said, **receive: object) -> Iterator[httpx.Client]:
    """The service of a site, its data in `folder`/data."""
    listener = {"port": free_port(), "calling_ae_titles": ["*"], "min_free_bytes": 0, **receive}
    (folder / "pacs.toml").write_text(tomli_w.dumps({"receive": listener, "destination": [*destinations]}))
    with serving(WordReader(), data_dir=folder / "data", site=folder / "pacs.toml") as client:
        assert is_ready(client)
        yield client


# All is well


def test_a_node_that_is_well_says_what_it_is(client: httpx.Client) -> None:
    said = told(client, lambda said: said["health"] == "well" and said["jobs"] and said["disk"] and said["device"])

    assert said["problems"] == said["failures"] == []
    assert said["versions"].keys() == {"seashore", "python", "onnxruntime", "openvino", "pyav", "opencv", "ffmpeg"}
    assert said["versions"]["seashore"] == __version__
    assert [(model["version"], model["default"], model["presence"]) for model in said["models"]] == [
        ("0.1.0", True, "loaded"),
        ("0.0.9", False, "not_asked"),
    ]
    assert said["device"]["cores"] >= 1
    assert 0 < said["device"]["free_memory_bytes"] < said["device"]["memory_bytes"]
    assert said["queue"]["reading"] == said["queue"]["waiting"] == said["queue"]["wait_s"] == 0
    assert said["jobs"] == {"waiting": 0, "reading": 0, "read": 0, "refused": 0, "failed": 0, "oldest_waiting_s": 0.0}
    assert 0 < said["disk"]["free_bytes"] < said["disk"]["total_bytes"]
    assert (said["processes"], said["destinations"]) == (None, None)


def test_the_shipped_model_says_where_it_really_runs(tmp_path: Path) -> None:
    with serving(shipped_reader(), data_dir=tmp_path / "data") as client:
        (model,) = told(client, lambda said: said["health"] == "well")["models"]

    assert (model["presence"], model["device"], model["precision"]) == ("loaded", "cpu (OpenVINO)", "float32")
    assert len(model["sha256"]) == 64


def test_the_models_of_signs_say_what_they_tell_and_where(client: httpx.Client) -> None:
    said = told(client, lambda said: said["health"] == "well" and said["signs"])

    assert [(model["name"], model["version"], model["signs"], model["presence"], model["device"]) for model in said["signs"]] == [
        ("blines-small", "1.0.0", ["b_lines"], "loaded", "words"),
        ("signs-small", "1.0.0", ["a_lines", "effusion", "consolidation"], "loaded", "words"),
    ]


def test_a_look_at_the_node_or_its_models_loads_no_model_of_signs(tmp_path: Path) -> None:
    with serving(signs_reader(tmp_path / "store")) as client:
        listed = client.get("/v1/models").json()["signs"]
        said = told(client, lambda said: said["health"] == "well" and said["signs"])

    assert listed == [{"name": "bright", "version": "1.0.0", "signs": ["b_lines"], "loaded": False}]
    (model,) = said["signs"]
    assert (model["presence"], model["signs"], model["device"], len(model["sha256"])) == ("not_asked", ["b_lines"], "", 64)


def signs_reader(store: Path) -> ClipReader:
    """The shipped model, and a model of signs beside it."""
    shutil.copytree(shipped_bundle(), store / shipped_bundle().parent.name / shipped_bundle().name)
    write_bright(store)
    here = shipped_reader()
    return ClipReader(Settings(device="cpu", model_store=store), lambda folder: here._shelf.get(here.find(None)))


def test_an_idle_node_answers_within_50_ms(client: httpx.Client) -> None:
    told(client, lambda said: said["health"] == "well")

    def seconds() -> float:
        start_s = time.perf_counter()
        node(client)
        return time.perf_counter() - start_s

    assert sorted(seconds() for _ in range(11))[5] < 0.05


def test_jobs_are_counted_by_what_came_of_them(client: httpx.Client, reader: WordReader) -> None:
    for word in (b"present", b"absent", b"unreadable_clip", b"slow"):
        client.post("/v1/jobs", content=word)
    assert reader.started.wait(10)
    told(client, lambda said: said["jobs"]["read"] == 2)
    client.post("/v1/jobs", content=b"slow too")  # one at a time: it waits

    said = told(client, lambda said: said["jobs"]["waiting"] == 1)

    assert (said["jobs"]["reading"], said["jobs"]["read"], said["jobs"]["refused"], said["jobs"]["failed"]) == (1, 2, 1, 0)
    assert said["jobs"]["oldest_waiting_s"] > 0


def test_only_settings_that_are_safe_are_shown(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path / "data", database_url="postgresql://seashore:secret@127.0.0.1:1/db") as client:
        answer = client.get("/v1/node")

    assert answer.json()["settings"]["database"] == "postgresql"
    assert answer.json()["settings"]["max_wait_s"] == 20.0
    assert "secret" not in answer.text
    assert str(tmp_path) not in answer.text


# What is wrong is told


def test_a_node_that_has_just_started_says_so() -> None:
    class Slow(WordReader):
        def load(self, entry: ModelEntry) -> None:
            assert self._released.wait(10)

    reader = Slow()
    with serving(reader) as client:
        said = node(client)
        reader.release()
        well = told(client, lambda said: said["health"] == "well")

    assert (said["health"], kinds(said)) == ("not_ready", [("starting", "")])
    assert well["problems"] == []


def test_a_model_that_is_refused_stops_the_node_with_its_reason() -> None:
    with serving(WordReader(broken_bundle=True)) as client:
        said = told(client, lambda said: said["problems"] and said["problems"][0]["kind"] == "not_ready")

    assert said["health"] == "not_ready"
    assert (said["problems"][0]["code"], said["problems"][0]["detail"]) == ("bad_bundle", BROKEN_BUNDLE)
    assert kinds(said) == [("not_ready", "")]


def test_a_bundle_that_was_corrupted_on_the_disk_is_found_out(tmp_path: Path) -> None:
    bundle = tmp_path / "store" / shipped_bundle().parent.name / shipped_bundle().name
    shutil.copytree(shipped_bundle(), bundle)
    with (bundle / "model.onnx").open("r+b") as file:
        file.write(b"\0" * 64)
    with serving(ClipReader(Settings(device="cpu", model_store=tmp_path / "store"))) as client:
        said = told(client, lambda said: said["problems"] and said["problems"][0]["kind"] == "not_ready" and said["models"])
        said = told(client, lambda said: said["models"][0]["presence"] == "refused")

    assert said["problems"][0]["detail"] == said["models"][0]["detail"]
    assert "model.onnx" in said["models"][0]["detail"]
    assert said["models"][0]["code"] == "bad_bundle"
    assert said["device"] is None


def test_a_model_of_signs_that_was_corrupted_is_told_and_the_node_stays_ready(tmp_path: Path) -> None:
    reader = signs_reader(tmp_path / "store")
    (tmp_path / "store" / "signs" / "bright" / "1.0.0" / "model.onnx").write_bytes(b"spoilt")
    with serving(reader) as client:
        assert is_ready(client)
        reader.load_signs()
        said = told(client, lambda said: said["problems"])
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/models").json()["signs"] == []

    assert (said["health"], kinds(said)) == ("attention", [("signs_fail", "bright:1.0.0")])
    (model,) = said["signs"]
    assert (model["presence"], model["signs"], model["code"]) == ("refused", ["b_lines"], "bad_bundle")
    assert model["detail"] == problem(said, "signs_fail")["detail"]
    assert "model.onnx" in model["detail"]
    assert str(tmp_path) not in model["detail"]


def test_a_manifest_of_signs_that_cannot_be_read_is_told_before_it_is_loaded(tmp_path: Path) -> None:
    reader = signs_reader(tmp_path / "store")
    (tmp_path / "store" / "signs" / "bright" / "1.0.0" / "manifest.json").write_text("{")
    with serving(reader) as client:
        (model,) = told(client, lambda said: said["problems"] and said["problems"][0]["kind"] == "signs_fail")["signs"]

    assert (model["presence"], model["signs"], model["sha256"], model["code"]) == ("refused", [], "", "bad_bundle")


def test_a_model_of_signs_that_is_ill_comes_after_all_that_concerns_sliding(tmp_path: Path) -> None:
    with serving(IllSigns(), data_dir=tmp_path / "data") as client:
        client.post("/v1/predict", content=b"engine_failed")
        said = told(client, lambda said: len(said["problems"]) == 3)

    assert kinds(said) == [("model_refused", str(OTHER_MODEL)), ("failures", "failures"), ("signs_fail", "blines-small:1.0.0")]
    assert (problem(said, "signs_fail")["code"], problem(said, "signs_fail")["detail"]) == ("engine_failed", ILL)


def test_a_job_that_failed_because_of_the_service_is_told_by_its_id(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", content=b"engine_failed").json()["id"]

    said = told(client, lambda said: said["jobs"]["failed"] == 1)

    assert (said["health"], kinds(said)) == ("attention", [("failures", "failures")])
    (failure,) = said["failures"]
    assert (failure["code"], failure["detail"], failure["job"]) == ("engine_failed", "This is the sentence of engine_failed.", job)
    assert PATIENT not in client.get("/v1/node").text


def test_a_clip_that_cannot_be_read_is_listed_and_no_alarm(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", content=b"unreadable_clip").json()["id"]

    said = told(client, lambda said: said["failures"])

    assert (said["health"], said["failures"][0]["code"], said["failures"][0]["job"]) == ("well", "unreadable_clip", job)


def test_failed_requests_are_listed_and_a_callers_slips_are_not(client: httpx.Client) -> None:
    for word in (b"bug", b"engine_failed", b"engine_failed"):
        client.post("/v1/predict", content=word)
    client.post(f"/v1/predict?model={PATIENT}", content=b"present")
    client.post("/v1/predict?saliency=pretty", content=b"present")

    said = told(client, lambda said: len(said["failures"]) == 2)

    assert [(one["code"], one["count"], one["job"]) for one in said["failures"]] == [
        ("engine_failed", 2, None),
        ("internal_error", 1, None),
    ]
    assert problem(said, "failures")["count"] == 3
    assert PATIENT not in client.get("/v1/node").text


def test_no_more_than_twenty_failures_are_kept(client: httpx.Client) -> None:
    for number in range(24):
        client.post("/v1/predict", content=[b"unreadable_clip", b"no_video"][number % 2])

    assert [one["code"] for one in node(client)["failures"]] == ["no_video", "unreadable_clip"] * 10


def test_a_full_queue_is_told_while_it_is_full() -> None:
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_queued=0) as client:
        with in_background(client, b"slow"):
            assert reader.started.wait(5)
            said = node(client)
            assert client.post("/v1/predict", content=b"present").status_code == 429
            reader.release()
        later = told(client, lambda said: not said["queue"]["full"])

    assert (said["queue"]["reading"], said["queue"]["max_reading"], said["queue"]["full"]) == (1, 1, True)
    assert problem(said, "queue_full")["count"] == 1
    assert [one["code"] for one in later["failures"]] == ["overloaded"]
    assert later["health"] == "well"


def test_a_reading_that_hears_nothing_any_more_is_told_to_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_desk, "STOPS_WITHIN_S", 0.2)
    hangs, goes_on = threading.Event(), threading.Event()

    class Hung(WordReader):
        def read(self, *arguments: Any, **options: Any) -> tuple[Analysis, None]:
            hangs.set()
            assert goes_on.wait(20)
            raise AssertionError

    with serving(Hung(), max_concurrent=2, deadline_s=0.1) as client:
        try:
            assert client.post("/v1/predict", content=b"present").status_code == 504
            said = told(client, lambda said: ("reading_hangs", "queue") in kinds(said))
        finally:
            goes_on.set()

    assert said["health"] == "attention"
    assert said["queue"]["longest_read_s"] >= 0.3


def test_a_reader_process_that_was_killed_is_told_and_counted_when_it_is_replaced(tmp_path: Path) -> None:
    here = shipped_reader()
    settings = Settings(device="cpu", max_concurrent=1, max_background=1)
    with reader_processes(settings, lambda folder: here._shelf.get(here.find(None))) as reader, serving(reader) as client:
        before = told(client, lambda said: said["health"] == "well" and said["processes"]["alive"] == 1)
        kill_one(reader)
        said = told(client, lambda said: said["processes"]["alive"] == 0)
        assert client.post("/v1/predict", content=b"no clip").status_code == 415
        after = told(client, lambda said: said["processes"]["lost"] == 1)

    assert before["processes"] == {"size": 2, "started": 1, "alive": 1, "busy": 0, "lost": 0}
    assert problem(said, "processes_gone")["count"] == 1
    assert (after["processes"]["alive"], after["health"]) == (1, "well")


def kill_one(reader: PooledReader) -> None:
    os.kill(reader.pool.pids[0], signal.SIGKILL)


def test_a_destination_that_is_down_is_told_with_how_much_waits_since_when(tmp_path: Path) -> None:
    archive = {"name": "archive", "results": ["sr"], "dicom": nodes.node(free_port()).model_dump(exclude_none=True)}
    with hospital(tmp_path, archive) as client:
        clip = dicom.native(texture(3))
        stored = client.post("/dicom-web/studies", content=clip, headers={"content-type": "application/dicom"})
        assert stored.status_code == 200
        said = told(client, lambda said: ("results_wait", "archive") in kinds(said))
        text = client.get("/v1/node").text

    found = problem(said, "results_wait")
    assert (said["health"], found["count"]) == ("attention", 1)
    assert "refused the connection: nothing listens there." in found["detail"]
    assert said["destinations"][0]["waiting"] == 1
    assert "DOE" not in text


def test_what_was_given_up_is_told_until_somebody_sees_to_it(tmp_path: Path) -> None:
    copy_story(tmp_path / "data")
    with hospital(tmp_path) as client:
        said = told(client, lambda said: said["destinations"])

    assert kinds(said) == [("results_given_up", "archive"), ("clips_not_read", "destinations")]
    assert problem(said, "results_given_up")["detail"] == REFUSAL
    assert problem(said, "results_given_up")["since"] is not None
    assert problem(said, "clips_not_read")["count"] == 1
    assert [(one["job"], one["code"]) for one in said["failures"]] == [(LOST, "engine_failed")]


def test_a_disk_with_less_than_is_needed_is_told(tmp_path: Path) -> None:
    with hospital(tmp_path, min_free_bytes=2**60) as client:
        said = told(client, lambda said: said["disk"])

    assert ("disk_low", "disk") in kinds(said)
    assert said["disk"]["needed_bytes"] == 2**60


# Whatever hangs or is gone takes its own part with it, and no other


def test_without_its_data_folder_the_node_still_answers(client: httpx.Client, tmp_path: Path) -> None:
    told(client, lambda said: said["disk"])
    shutil.rmtree(tmp_path / "data")

    said = told(client, lambda said: said["disk"] is None)

    assert problem(said, "no_answer")["subject"] == "disk"
    assert (problem(said, "no_answer")["code"], problem(said, "no_answer")["detail"]) == (
        "disk_unreadable",
        "The operating system refuses it (error 2).",
    )
    assert said["models"][0]["name"] == MODEL.name


def test_without_its_database_the_node_still_answers(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path / "data", database_url=f"postgresql://seashore@127.0.0.1:{free_port()}/db") as client:
        said = told(client, lambda said: ("no_answer", "jobs") in kinds(said))

    (found,) = [problem for problem in said["problems"] if problem["subject"] == "jobs"]
    assert (found["code"], found["detail"]) == ("ledger_unavailable", "The list of jobs cannot be written or read just now.")
    assert (said["health"], said["jobs"]) == ("not_ready", None)  # nothing is ready before jobs can be taken
    assert said["disk"]["free_bytes"] > 0


def test_a_part_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "SILENT_S", 0.3)
    goes_on = threading.Event()

    class Hung(WordReader):
        def standing(self) -> ReaderStanding:
            assert goes_on.wait(20)
            return super().standing()

    with serving(Hung()) as client:
        try:
            start_s = time.perf_counter()
            node(client)
            took_s = time.perf_counter() - start_s
            said = told(client, lambda said: {("no_answer", "models"), ("no_answer", "device")} <= {*kinds(said)})
        finally:
            goes_on.set()
        well = told(client, lambda said: said["health"] == "well")

    assert took_s < 1.0
    assert said["models"] is said["device"] is None
    assert all(re.fullmatch(r"There has been no answer for \d+ s\.", found["detail"]) for found in said["problems"])
    assert well["models"][0]["presence"] == "loaded"


def test_a_part_that_breaks_is_logged_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(WordReader):
        def standing(self) -> ReaderStanding:
            raise ZeroDivisionError(PATIENT)

    with serving(Broken()) as client:
        said = told(client, lambda said: ("no_answer", "models") in kinds(said))

    assert problem({"problems": [one for one in said["problems"] if one["subject"] == "models"]}, "no_answer")["detail"] == (
        "The service met an error of its own. It is logged."
    )
    assert "internal_error: ZeroDivisionError in " in caplog.text
    assert PATIENT not in caplog.text
