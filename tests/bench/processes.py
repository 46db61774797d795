"""A process and all it started, read from /proc: their memory, and their end. Linux only."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

KINDLY_S = 6.0


def family(pid: int) -> list[int]:
    """It and its children and theirs, itself first; those that have ended are left out."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The second field, in brackets, is a name that may hold anything.
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children[int(parent)].append(int(stat.parent.name))
    found, look = [pid], [pid]
    while look:
        more = children[look.pop()]
        found += more
        look += more
    return [one for one in found if Path(f"/proc/{one}").exists()]


def end(pid: int) -> None:
    """The process and its family: first the parent, who may know how; then whom it has left behind; by force whoever stays."""
    everyone = family(pid)
    _end(everyone[:1], signal.SIGTERM, KINDLY_S)
    _end(everyone, signal.SIGTERM, KINDLY_S / 2)
    _end(everyone, signal.SIGKILL, KINDLY_S)


def _end(pids: Sequence[int], what: signal.Signals, patience_s: float) -> None:
    _send(alive(pids), what)
    until_s = time.monotonic() + patience_s
    while alive(pids) and time.monotonic() < until_s:
        time.sleep(0.02)


def status_mib(pid: int, name: str) -> float:
    """VmRSS (resident now) or VmHWM (at most so far) of one process; 0 when it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def reset_peak(pid: int) -> None:
    """VmHWM starts again from what is resident now (proc(5), clear_refs)."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def alive(pids: Sequence[int]) -> list[int]:
    """Those of them that still run."""
    return [pid for pid in pids if _state(pid) not in ("", "Z")]


def _state(pid: int) -> str:
    """Its letter, such as S for sleeping and Z for ended but not yet waited for; empty when it is gone."""
    with suppress(OSError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours stays a zombie until it is asked for
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _send(pids: Sequence[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
