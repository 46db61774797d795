"""What of this machine is ours."""

import os
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
