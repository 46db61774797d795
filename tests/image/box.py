"""A mounted image run as a container would run it: its own user, command and environment, root read-only, `/data` and `/tmp` apart.

The kernel's part of a container, by unshare, mount and chroot: no Docker. The network is this machine's; the service listens on loopback.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.orthanc import free_port

READY_WITHIN_S = 120.0
USER = 10001
MOUNTS = """
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -t tmpfs -o size=64m,mode=1777 shm {root}/dev/shm
mount -t tmpfs -o size=2g,mode=1777 tmp {root}/tmp
mount --bind {data} {root}/data
cd /
exec {command}
"""


@dataclass(frozen=True, slots=True)
class Box:
    """One running image. `root` is its files as seen from here, `data` what is mounted at /data."""

    root: Path
    data: Path
    config: Mapping[str, Any]
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self) -> dict[str, str]:
        """What the kernel says of the service's process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Beside the service, as its user, in its mounts and its environment."""
        enter = ["nsenter", f"--target={self.process.pid}", "--mount", "--", *as_its_user(self.root), *command]
        return subprocess.run(enter, env=self.environment, capture_output=True, text=True, timeout=60)

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.config, self.port)

    def log(self) -> str:
        return (self.data.parent / "log").read_text(errors="replace")


@contextmanager
def running(root: Path, config: Mapping[str, Any], folder: Path) -> Iterator[Box]:
    """Ready; ended as an administrator does. `folder` keeps `/data` and the log."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    os.chown(data, USER, USER)
    port = free_port()
    command = shlex.join([*as_its_user(root), *config["Cmd"]])
    script = "set -e" + MOUNTS.format(root=shlex.quote(str(root)), data=shlex.quote(str(data)), command=command)
    with (folder / "log").open("ab") as log:
        start = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        process = subprocess.Popen(start, env=environment(config, port), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    box = Box(root, data, config, port, process)
    try:
        _wait_until_ready(box)
        yield box
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()


def as_its_user(root: Path) -> list[str]:
    """The beginning of a command that loses root for good before it starts. From /app, the image's folder of work."""
    inside = ["chroot", f"--userspec={USER}:{USER}", "--groups=", str(root)]
    return ["setpriv", "--no-new-privs", *inside, "sh", "-c", 'cd /app && exec "$@"', "sh"]


def environment(config: Mapping[str, Any], port: int) -> dict[str, str]:
    """The image's own, and an address that only this machine reaches."""
    own = dict(line.split("=", 1) for line in config["Env"])
    return {**own, "SEASHORE_HOST": "127.0.0.1", "SEASHORE_PORT": str(port)}


def _wait_until_ready(box: Box) -> None:
    end_s = time.monotonic() + READY_WITHIN_S
    while not _is_ready(box.url):
        assert box.process.poll() is None, box.log()[-3000:]
        assert time.monotonic() < end_s, box.log()[-3000:]
        time.sleep(0.2)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
