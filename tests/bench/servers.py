"""Servers in processes of their own: started, waited for, their memory looked at, ended with all their children."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import processes
from tests.bench.loadgen import LoadOrder, Outcome

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 90.0
QUIET = {
    # Nothing of what is timed reports its use to anybody.
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "DO_NOT_TRACK": "1",
    "OTEL_SDK_DISABLED": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONPATH": str(ROOT),
}


class ServerFailed(RuntimeError):
    """It ended, or was not ready in time."""


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """How one server is started, and where it takes clips."""

    name: str
    command: tuple[str, ...]
    """{port} is replaced."""
    path: str = "/predict"
    ready_path: str = "/health"
    environment: Mapping[str, str] = field(default_factory=dict)
    field: str = ""
    """Multipart field of the clip; empty: the clip is the body."""

    @property
    def setting(self) -> str:
        """As the table names it."""
        said = ", ".join(f"{name.removeprefix('BENCH_').lower()} {value}" for name, value in self.environment.items())
        return said or "as shipped"


@dataclass(frozen=True, slots=True)
class Running:
    server: Server
    port: int
    pid: int
    ready_after_s: float
    log: Path
    """What it says; gone when it has ended."""

    def ask(
        self, clip: Path, *, clients: int = 1, seconds: float = 600.0, max_requests: int = 1_000_000, once: bool = False, path: str = ""
    ) -> Outcome:
        """Load, from a process of its own: for so long, or so many requests."""
        order = LoadOrder(
            self.port, path or self.server.path, str(clip), clients, seconds, self.server.field, max_requests=max_requests, once=once
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.loadgen"], input=json.dumps(asdict(order)), capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode != 0:
            raise ServerFailed(f"The clients of {self.server.name} failed: {done.stderr[-500:]}")
        return Outcome(**json.loads(done.stdout))

    def reset_peak(self) -> None:
        for pid in processes.family(self.pid):
            processes.reset_peak(pid)

    def peak_mib(self) -> float:
        """Highest resident memory since `reset_peak`, of the process and its children."""
        return sum(processes.status_mib(pid, "VmHWM") for pid in processes.family(self.pid))

    def resident_mib(self) -> float:
        return sum(processes.status_mib(pid, "VmRSS") for pid in processes.family(self.pid))


def seashore(settings: Mapping[str, str] | None = None, *, query: str = "saliency=none") -> Server:
    """The service as `make run` starts it, from `.venv-run` where that is."""
    installed = ROOT / ".venv-run" / "bin" / "seashore"
    command = (str(installed),) if installed.exists() else (sys.executable, "-m", "service.cli")
    return Server("Seashore", (*command, "serve", "--port", "{port}"), f"/v1/predict?{query}", "/readyz", dict(settings or {}))


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """The server, ready. Raises: ServerFailed."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="seashore-bench-") as folder:
        log = Path(folder) / "log"
        environment = {**os.environ, **QUIET, "SEASHORE_DATA_DIR": folder, "BENTOML_HOME": folder, **server.environment}
        with log.open("wb") as out:
            command = [part.format(port=port) for part in server.command]
            child = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=ROOT, start_new_session=True)
        try:
            yield Running(server, port, child.pid, _wait_until_ready(server, port, child, log), log)
        finally:
            processes.end(child.pid)
            child.wait()


def _wait_until_ready(server: Server, port: int, child: "subprocess.Popen[bytes]", log: Path) -> float:
    began_s = time.monotonic()
    while not answers(port, server.ready_path):
        waited_s = time.monotonic() - began_s
        if child.poll() is not None or waited_s > READY_WITHIN_S:
            raise ServerFailed(f"{server.name} ended or was not ready within {READY_WITHIN_S:.0f} s: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return time.monotonic() - began_s


def answers(port: int, path: str) -> bool:
    """Whether it says 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
