"""What of this machine is ours, and what it is."""

import os
from dataclasses import dataclass
from pathlib import Path


def available_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may keep busy: those it may run on, or the container's share of them when that is less. At least 1."""
    cores = len(os.sched_getaffinity(0))
    for quota_us, period_us in (_quota_v2(cgroup), _quota_v1(cgroup)):
        if quota_us > 0 and period_us > 0:
            cores = min(cores, int(quota_us // period_us))
    return max(cores, 1)


def _quota_v2(cgroup: Path) -> tuple[float, float]:
    quota, _, period = _text(cgroup / "cpu.max").partition(" ")
    return _number(quota), _number(period)


def _quota_v1(cgroup: Path) -> tuple[float, float]:
    return _number(_text(cgroup / "cpu" / "cpu.cfs_quota_us")), _number(_text(cgroup / "cpu" / "cpu.cfs_period_us"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "max": no limit
        return 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a machine or a GPU."""

    num_bytes: int
    free_bytes: int


def memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Memory | None:
    """What this process may use: the machine's, or the container's when that is less. None where the system does not say."""
    kib = {name: _number(rest.split()[0]) for name, _, rest in (line.partition(":") for line in _text(proc / "meminfo").splitlines())}
    if not kib.get("MemTotal"):
        return None
    machine = Memory(int(kib["MemTotal"]) * 1024, int(kib.get("MemAvailable", 0)) * 1024)
    limit, used = _number(_text(cgroup / "memory.max")), _number(_text(cgroup / "memory.current"))
    if not 0 < limit < machine.num_bytes:
        return machine
    return Memory(int(limit), min(int(limit - used), machine.free_bytes))


def processor_name(proc: Path = Path("/proc")) -> str:
    """Such as "AMD EPYC 9R14"; "unknown" where the system does not say."""
    lines = (line.partition(":") for line in _text(proc / "cpuinfo").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"), "unknown")
