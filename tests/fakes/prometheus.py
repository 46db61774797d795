"""A real Prometheus: as a child process on a free loopback port, and its tool that judges configurations and rules."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.orthanc import free_port

NOT_HERE = "Prometheus is not installed (Debian: prometheus)"
READY_WITHIN_S = 30.0


def is_installed() -> bool:
    return all(map(shutil.which, ("prometheus", "promtool")))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its API; an expression that it refuses fails."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[Any]:
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found


@contextmanager
def prometheus(configuration: Path) -> Iterator[Prometheus]:
    """Its data lies beside the configuration."""
    port = free_port()
    folder = configuration.parent
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    started = Prometheus(f"http://127.0.0.1:{port}")
    try:
        _wait_until_ready(started.url, process, folder / "prometheus.log")
        yield started
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + READY_WITHIN_S
    while not _is_ready(url):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
