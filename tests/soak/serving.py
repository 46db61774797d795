"""The service that is soaked: how it is set up, when it is quiet, how it stands, and what is left when it has ended."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import processes
from tests.bench.plan import say
from tests.bench.servers import Running, running, seashore
from tests.soak.asking import Answer, ask
from tests.soak.manners import Errand
from tests.soak.watch import Look, Watch, files_in

UPLOAD_DEADLINE_S = 8.0
ENDS_WITHIN_S = 20.0
QUIET_WITHIN_S = 120.0
PATIENCE_S = 60.0
SITE = '[receive]\nport = 0\ncalling_ae_titles = ["*"]\nmin_free_bytes = 0\n'
IN_TRANSIT = ("incoming", "inbox", "arriving")
"""Folders under the data folder in which nothing may be left."""


def set_up(folder: Path, *, job_keep_hours: float, deadline_s: float | None = None) -> dict[str, str]:
    """The settings of a service whose files lie in `folder`. Its deadline is as shipped unless one is given."""
    for name in ("data", "scratch"):
        (folder / name).mkdir()
    (folder / "site.toml").write_text(SITE)
    return {
        "SEASHORE_DATA_DIR": str(folder / "data"),
        "SEASHORE_SITE": str(folder / "site.toml"),
        **({} if deadline_s is None else {"SEASHORE_DEADLINE_S": str(deadline_s)}),
        "SEASHORE_UPLOAD_DEADLINE_S": str(UPLOAD_DEADLINE_S),
        "SEASHORE_JOB_KEEP_HOURS": str(job_keep_hours),
        "TMPDIR": str(folder / "scratch"),
    }


@contextmanager
def soaked(settings: dict[str, str], log: Path | None) -> Iterator[Running]:
    """The service, until it is left; its log is kept in `log`, whatever becomes of it. Raises: ServerFailed."""
    with running(seashore(settings)) as server:
        try:
            yield server
        finally:
            if log is not None:
                log.write_bytes(server.log.read_bytes())


def wait_until_quiet(port: int) -> None:
    """Nothing is read any more, nor waits, nor is a job under way."""
    until_s = time.monotonic() + QUIET_WITHIN_S
    while time.monotonic() < until_s:
        standing = node(port)
        if not any(at(standing, *path) for path in (("queue", "reading"), ("queue", "waiting"), ("jobs", "waiting"), ("jobs", "reading"))):
            return
        time.sleep(0.5)
    say("it did not become quiet")


def settled_look(watch: Watch, before: Look) -> Look:
    """Connections that were cut off take a moment."""
    until_s = time.monotonic() + 10
    while (look := watch.look()).num_descriptors > before.num_descriptors:
        if time.monotonic() > until_s:
            break
        time.sleep(0.5)
    return look


def ended(server: Running) -> tuple[int, bool]:
    """How many processes are left after SIGTERM, and whether the service itself went."""
    family = processes.family(server.pid)
    os.kill(server.pid, signal.SIGTERM)
    until_s = time.monotonic() + ENDS_WITHIN_S
    while processes.alive(family) and time.monotonic() < until_s:
        time.sleep(0.1)
    left = processes.alive(family)
    return len(left), server.pid not in left


def left_files(folder: Path) -> list[str]:
    scratch = files_in(folder / "scratch")
    transit = [path for path in files_in(folder / "data") if set(path.relative_to(folder / "data").parts[:-1]) & set(IN_TRANSIT)]
    parts = [path for path in files_in(folder / "data") if path.name.endswith(".part")]
    return [str(path.relative_to(folder)) for path in (*scratch, *transit, *parts)]


def at(standing: object, *path: str) -> float:
    for name in path:
        standing = standing.get(name) if isinstance(standing, dict) else None
    return float(standing) if isinstance(standing, int | float) else 0.0


def node(port: int) -> dict[str, object]:
    """As its administrator sees it."""
    answer: dict[str, object] = json.loads(call(port, "GET", "/v1/node").content)
    return answer


def call(port: int, method: str, path: str, *, patience_s: float = PATIENCE_S) -> Answer:
    return ask(port, iter((Errand(path).head(method=method),)), patience_s=patience_s)


def bugs_logged(server: Running) -> int:
    return len(re.findall("internal_error", server.log.read_text(errors="replace")))
