"""What the figures were taken on."""

import os
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.machine import available_cores

PACKAGES = ("openvino", "onnxruntime", "torch", "av", "fastapi", "uvicorn", "litserve", "ray", "bentoml", "captum", "numpy")


def described() -> str:
    """Date, CPU, cores, memory, load, versions: Markdown."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now():%Y-%m-%d %H:%M}. {cpu_model()}, {available_cores()} cores for this process, {memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; load before the run {load}.\n\n"
        f"{', '.join(f'{name} {_version(name)}' for name in PACKAGES)}."
    )


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown CPU")


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
