"""The service on a Ray cluster of this machine: two readers and two engines, as `seashore serve --ray` starts them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError
from ray.serve.schema import ServeDeploySchema
from typer.testing import CliRunner

from service import cli, ray_app
from service.api.schemas import answer_of
from service.errors import EngineFailed, Overloaded, UnreadableClip
from service.pipeline import Options
from service.ray_app import HandleReplicas, build_readers, for_cluster, settings_of
from service.reader import ClipReader
from service.reading import Saliency
from service.remote.calls import Refusal
from service.settings import Settings
from tests.fakes import dicom, media
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_reader, wait_until

READY_WITHIN_S = 240.0
"""Four replicas that each load the model, on two cores that others use too."""
SHORT = media.mp4(small_phantom("present", 2.2).frames)
LONG = media.mp4(small_phantom("present", 2.2).frames * 12)


# ---- without a cluster


class Response:
    """Of a call that ends so, after being looked at so often."""

    def __init__(self, outcome: Any, num_looks: int = 0) -> None:
        self.outcome = outcome
        self.num_looks = num_looks
        self.is_cancelled = False

    def result(self, *, timeout_s: float) -> Any:
        self.num_looks -= 1
        if self.num_looks >= 0:
            raise TimeoutError
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def cancel(self) -> None:
        self.is_cancelled = True


class Handle:
    """A deployment whose calls end so, one after the other."""

    deployment_name = "Reader"

    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)

    @property
    def read(self) -> "Handle":
        return self

    def remote(self, *arguments: Any) -> Response:
        return self.responses.pop(0)


def call(*responses: Response, wanted: Callable[[], None] = lambda: None) -> Any:
    return HandleReplicas(Handle(*responses)).call("read", "clip", wanted=wanted)  # type: ignore[arg-type]


def test_what_a_dead_replica_held_is_given_to_another() -> None:
    assert call(Response(ActorDiedError()), Response("answer", num_looks=3)) == "answer"


def test_a_clip_that_kills_whoever_reads_it_kills_three_and_no_more() -> None:
    with pytest.raises(EngineFailed, match=r"^Each of the 3 replicas that were given this work died\.$"):
        call(*[Response(ActorDiedError())] * 3)


def test_a_clip_that_is_refused_is_not_tried_again() -> None:
    with pytest.raises(UnreadableClip, match="It is damaged"):
        call(Response(Refusal(UnreadableClip("It is damaged."))))


def test_a_cluster_whose_queue_is_full_says_when_to_come_back() -> None:
    with pytest.raises(Overloaded, match=r"^The cluster has as many clips as it takes\. Try again in 5 s\.$") as refused:
        call(Response(BackPressureError(9, 8)))

    assert refused.value.retry_after_s == 5


def test_what_nobody_waits_for_is_cancelled() -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    response = Response("never")
    with pytest.raises(KeyboardInterrupt):
        call(response, wanted=leave)

    assert response.is_cancelled


def test_the_front_takes_as_many_clips_at_once_as_there_may_be_readers_for() -> None:
    assert for_cluster(Settings(max_concurrent=2, ray_readers=8)).max_concurrent == 16
    assert for_cluster(Settings(max_concurrent=99, ray_readers=8)).max_concurrent == 99


def test_replicas_are_told_whose_bundles_they_may_open_and_how_they_are_caged_and_no_password() -> None:
    settings = Settings(database_url="postgresql://seashore:secret@db/jobs", trusted_keys=Path("/etc/trusted.pem"), cage="require")

    assert "secret" not in repr(settings.of_replicas())
    told = Settings.model_validate(settings.of_replicas())
    assert (told.model_store, told.trusted_keys, told.cage) == (settings.model_store, settings.trusted_keys, "require")


def test_readers_and_engines_are_scaled_each_by_itself() -> None:
    reader = build_readers(Settings(ray_readers=6, ray_engines=3, ray_engine_cpus=0.5, ray_engine_gpus=0.25))._bound_deployment
    (_, engine_application), _ = reader.init_args, reader.init_kwargs
    engine = engine_application._bound_deployment

    assert (reader.name, engine.name) == ("Reader", "Engine")
    for deployment, most in ((reader, 6), (engine, 3)):
        scaling = deployment._deployment_config.autoscaling_config
        assert (scaling.min_replicas, scaling.max_replicas) == (2, most)
    assert engine.ray_actor_options == {"num_cpus": 0.5, "num_gpus": 0.25}


def test_settings_of_a_config_file_go_over_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASHORE_RAY_READERS", "3")
    monkeypatch.setenv("SEASHORE_RAY_ENGINES", "3")

    settings = settings_of({"ray_readers": 5})

    assert (settings.ray_readers, settings.ray_engines) == (5, 3)


def test_without_ray_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.ray_app", None)
    monkeypatch.setattr(cli, "set_up_ray", lambda: None)
    monkeypatch.delattr("service.ray_app")

    outcome = CliRunner().invoke(cli.build_app(ClipReader), ["serve", "--ray"])

    assert outcome.exit_code == 2
    assert 'Ray is not installed here: pip install "seashore[cpu,ray]"' in outcome.output


def test_the_command_line_alone_does_not_load_ray() -> None:
    code = "import sys, service.cli; sys.exit('ray' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_cluster_that_is_not_there_is_told_in_a_sentence() -> None:
    command = [sys.executable, "-m", "service.cli", "serve", "--ray", "--ray-address", "127.0.0.1:1", "--port", "0"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert told.returncode == 1
    assert "The Ray cluster cannot be reached; SEASHORE_RAY_ADDRESS says where it is." in told.stderr


ROOT = Path(__file__).resolve().parents[1]


def config_of(page: str) -> dict[str, Any]:
    """The Serve config in one of our files."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docs" / page).read_text())
    return yaml.safe_load(loaded["spec"]["serveConfigV2"]) if page == "kuberay.yaml" else loaded


@pytest.mark.parametrize("page", ["ray-serve.yaml", "kuberay.yaml"])
def test_the_config_files_are_what_ray_and_we_understand(page: str) -> None:
    config = config_of(page)
    (application,) = ServeDeploySchema.model_validate(config).applications
    deployments = {deployment.name for deployment in application.deployments}

    assert application.import_path == f"{ray_app.build.__module__}:{ray_app.build.__name__}"
    assert deployments == {ray_app.FRONT, ray_app.READER, ray_app.ENGINE}
    assert application.args.keys() <= Settings.model_fields.keys()
    front = ray_app.build(application.args)._bound_deployment
    assert front.name == ray_app.FRONT
    assert not config["logging_config"]["enable_access_log"]


def test_the_replicas_of_the_config_files_fit_the_settings_beside_them() -> None:
    for page in ("ray-serve.yaml", "kuberay.yaml"):
        (application,) = config_of(page)["applications"]
        most = {one["name"]: one["autoscaling_config"]["max_replicas"] for one in application["deployments"] if "autoscaling_config" in one}

        assert most == {"Reader": application["args"]["ray_readers"], "Engine": application["args"]["ray_engines"]}


def test_the_machines_of_the_kubernetes_example_hold_what_the_settings_ask_for() -> None:
    cluster = yaml.safe_load((ROOT / "docs" / "kuberay.yaml").read_text())["spec"]["rayClusterConfig"]
    args = config_of("kuberay.yaml")["applications"][0]["args"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    limits = {name: group["template"]["spec"]["containers"][0]["resources"]["limits"] for name, group in groups.items()}

    assert cluster["rayVersion"] == version("ray")
    assert groups["readers"]["maxReplicas"] * int(limits["readers"]["cpu"]) >= args["ray_readers"] + 2 * 0.5  # the fronts
    assert groups["engines"]["maxReplicas"] * int(limits["engines"]["nvidia.com/gpu"]) == args["ray_engines"] * args["ray_engine_gpus"]
    for group in (cluster["headGroupSpec"], *groups.values()):
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


# ---- with one


@dataclass(frozen=True)
class Cluster:
    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    log: Path
    folder: Path
    """Its temporary files."""

    def replicas(self, deployment: str) -> list[int]:
        """Processes of this cluster's replicas."""
        return [pid for pid in _descendants(self.process.pid) if _title(pid).startswith(f"ray::ServeReplica:seashore:{deployment}")]

    def predict(self, clip: bytes = SHORT, **query: str) -> httpx.Response:
        return self.client.post("/v1/predict", params=query, files={"clip": ("lung.mp4", clip)})


def _descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from _descendants(child)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[Cluster]:
    """`seashore serve --ray` on any free port, ready."""
    log, temporary = folder / "log", Path(tempfile.mkdtemp(prefix="sr-", dir="/tmp"))  # short: a socket's path has 107 characters at most
    variables = {"SEASHORE_JOBS": "0", "SEASHORE_RAY_READERS": "2", "SEASHORE_DEVICE": "cpu", "TMPDIR": str(temporary)} | settings
    with log.open("wb") as file:
        command = [sys.executable, "-m", "service.cli", "serve", "--ray", "--port", "0"]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | variables)
    try:
        assert wait_until(lambda: process.poll() is not None or _address(log), READY_WITHIN_S), log.read_text()
        with httpx.Client(base_url=_address(log) or "", timeout=120, trust_env=False) as client:
            assert wait_until(lambda: client.get("/readyz").json().get("code") != "starting", READY_WITHIN_S)
            assert client.get("/readyz").json() == {"status": "ready"}, log.read_text()
            yield Cluster(process, client, log, temporary)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(temporary, ignore_errors=True)


def _address(log: Path) -> str | None:
    found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())
    return found[1] if found else None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with served(tmp_path_factory.mktemp("ray")) as cluster:
        yield cluster


def here(tmp_path: Path, clip: bytes, saliency: Saliency = Saliency.VANILLA) -> dict[str, Any]:
    """What one process answers."""
    (tmp_path / "clip").write_bytes(clip)
    reader = shipped_reader()
    analysis, _ = reader.read(reader.open(tmp_path / "clip"), reader.find(None), Options(saliency))
    answer: dict[str, Any] = json.loads(answer_of(analysis).model_dump_json())
    return answer


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where two answers differ by more than 1e-6, but for what is never the same."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        names = found.keys() - {"id", "timings_ms"}
        return [line for name in sorted(names) for line in differences(found[name], expected[name], f"{at}.{name}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [line for k, pair in enumerate(zip(found, expected, strict=True)) for line in differences(*pair, f"{at}[{k}]")]
    if isinstance(found, float) and isinstance(expected, float) and abs(found - expected) <= 1e-6:
        return []
    return [] if found == expected else [f"{at}: {found} is not {expected}"]


@pytest.mark.slow
def test_the_answer_is_that_of_one_process(cluster: Cluster, tmp_path: Path) -> None:
    expected = here(tmp_path, SHORT)

    assert len(cluster.replicas("Reader")) == len(cluster.replicas("Engine")) == 2
    for _ in range(4):  # both readers and both engines have their turn
        response = cluster.predict()
        assert response.status_code == 200
        assert differences(response.json(), expected) == []


@pytest.mark.slow
def test_every_form_of_the_answer_and_every_page_is_there(cluster: Cluster) -> None:
    for form, start in (("video/mp4", b"\0\0\0"), ("application/pdf", b"%PDF"), ("application/x-npz", b"PK")):
        answer = cluster.client.post("/v1/predict", content=SHORT, headers={"accept": form}, params={"saliency": "none"})
        assert (answer.status_code, answer.headers["content-type"], answer.content[: len(start)]) == (200, form, start)
    assert cluster.client.get("/v1/models").json()["models"][0]["loaded"] is True
    assert [cluster.client.get(path).status_code for path in ("/", "/healthz", "/metrics", "/openapi.json")] == [200] * 4
    assert cluster.predict(b"hello").json()["code"] == "unsupported_format"


@pytest.mark.slow
@pytest.mark.parametrize("deployment", ["Engine", "Reader"])
def test_a_replica_killed_under_load_loses_no_request(cluster: Cluster, deployment: str, tmp_path: Path) -> None:
    expected = here(tmp_path, SHORT)
    before = set(cluster.replicas(deployment))
    with ThreadPoolExecutor(16) as callers:
        asked = [callers.submit(cluster.predict) for _ in range(16)]
        assert wait_until(lambda: any(answer.done() for answer in asked), 60)
        assert sum(answer.done() for answer in asked) < 8
        os.kill(min(before), signal.SIGKILL)
        answers = [answer.result() for answer in asked]

    assert [answer.status_code for answer in answers] == [200] * 16
    assert [line for answer in answers for line in differences(answer.json(), expected)] == []
    assert f"a replica of {deployment} died" in cluster.log.read_text() or deployment == "Engine"  # the readers notice engines
    assert wait_until(lambda: len(set(cluster.replicas(deployment)) - before) == 1, 60)  # and one has taken its place


@pytest.mark.slow
def test_clients_that_leave_free_their_work(cluster: Cluster) -> None:
    began_s = time.monotonic()
    assert cluster.predict(LONG, saliency="smoothgrad").status_code == 200
    alone_s = time.monotonic() - began_s

    def leave(_: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            cluster.client.post("/v1/predict", content=LONG, params={"saliency": "smoothgrad"}, timeout=alone_s / 4)

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(leave, range(4)))
    began_s = time.monotonic()

    assert cluster.predict().status_code == 200
    assert time.monotonic() - began_s < 2 * alone_s  # the four would have taken that long, were they still read


@pytest.mark.slow
def test_a_full_house_answers_429_with_a_time_and_what_it_took_it_answers(tmp_path: Path) -> None:
    with (
        served(tmp_path, SEASHORE_MAX_QUEUED="2", SEASHORE_RAY_READERS="1", SEASHORE_RAY_ENGINES="1") as cluster,
        ThreadPoolExecutor(16) as callers,
    ):
        asked: list[Future[httpx.Response]] = [callers.submit(cluster.predict, LONG) for _ in range(16)]
        answers = [answer.result() for answer in asked]

    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 4
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)


@pytest.mark.slow
def test_one_deadline_ends_what_takes_too_long(tmp_path: Path) -> None:
    with served(tmp_path, SEASHORE_DEADLINE_S="0.2", SEASHORE_RAY_READERS="1", SEASHORE_RAY_ENGINES="1") as cluster:
        answer = cluster.predict(LONG, saliency="smoothgrad")

    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


@pytest.mark.slow
def test_nothing_of_a_clip_is_left_in_the_logs_or_on_the_disk(tmp_path: Path) -> None:
    name = dicom.PATIENT
    with served(tmp_path, SEASHORE_RAY_READERS="1", SEASHORE_RAY_ENGINES="1", SEASHORE_LOG_LEVEL="debug") as cluster:
        for clip in (dicom.native(frame_time_ms=None), media.truncated(dicom.jpeg_baseline(), 0.3)):
            cluster.client.post(f"/v1/predict?{name}={name}", files={"clip": (f"{name}.dcm", clip)})
            cluster.client.post("/v1/predict", files={"clip": (f"{name}.dcm", clip)})
        assert wait_until(lambda: not list(cluster.folder.glob("*/clip")))  # the front's own copies go with their requests
        written = [path for path in cluster.folder.rglob("*") if path.is_file()]
        assert any(path.match("serve/*.log") for path in written)
        assert [path for path in written if name.encode() in path.read_bytes()] == []
        (session,) = cluster.folder.iterdir()
        assert session.stat().st_mode & 0o077 == 0

    assert name not in cluster.log.read_text()
    assert not session.exists()


SERVE_FILE = """
import ray, sys, yaml
from ray import serve
from service.ray_app import build
config = yaml.safe_load(open(sys.argv[1]))["applications"][0]
ray.init(include_dashboard=False, num_cpus=6, _temp_dir=sys.argv[2])
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[3])})
fields = config["args"] | {"device": "cpu", "ray_readers": 1, "ray_engines": 1, "ray_engine_gpus": 0}
serve.run(build(fields), name=config["name"], route_prefix=config["route_prefix"])
print("serving", flush=True)
input()
serve.shutdown()
"""
"""What `serve deploy` does with the file, in one process; on this machine."""


@pytest.mark.slow
def test_the_api_may_be_a_deployment_itself(tmp_path: Path) -> None:
    expected, port = here(tmp_path, SHORT), free_port()
    folder = Path(tempfile.mkdtemp(prefix="sr-", dir="/tmp"))
    command = [sys.executable, "-c", SERVE_FILE, str(ROOT / "docs/ray-serve.yaml"), str(folder), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
                assert wait_until(lambda: is_ready(client), READY_WITHIN_S)
                answer = client.post(f"/v1/predict?saliency=vanilla&{dicom.PATIENT}=1", files={"clip": (f"{dicom.PATIENT}.mp4", SHORT)})
                assert answer.json()["code"] == "bad_option"
                answer = client.post("/v1/predict", files={"clip": (f"{dicom.PATIENT}.mp4", SHORT)})
                pages = [client.get(path).status_code for path in ("/", "/healthz", "/metrics", "/v1/models", "/v1/jobs/x")]
        finally:
            process.communicate(b"\n", timeout=60)

    assert answer.status_code == 200
    assert differences(answer.json(), expected) == []
    assert pages == [200, 200, 200, 200, 404]
    logs = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in logs if dicom.PATIENT.encode() in path.read_bytes()] == []
    shutil.rmtree(folder)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").json() == {"status": "ready"}
    except (httpx.TransportError, ValueError):
        return False


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
