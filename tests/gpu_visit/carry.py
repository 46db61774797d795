"""What a machine without a network lacks, downloaded for it and cut into parts that can be carried."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.locks import FOLDER, pins

PYTHON = "3.12"
GLIBC = (39, 35, 34, 31, 28, 27, 26, 24, 17, 12, 5)
"""pip takes a platform's number literally."""
PART_BYTES = 38 * 2**20
"""With the working tree's 22 MB below the 64 MiB of a call."""
THERE = ("numpy", "nvidia-")
"""Beginnings of names that the machine has in versions that do: torch was built against its numpy and its CUDA."""
LEFT_OUT = ("onnxruntime/capi/libonnxruntime.so*", "onnxruntime/tools", "openvino/libs/libopenvino_intel_[gn]pu*", "**/__pycache__")
"""Not needed from Python, or for devices that are not meant: 100 MB."""


FOR_TESTS = ("httpx",)
"""What the tests of the engines import beside it."""


def wanted(locks: Path) -> list[str]:
    """What is carried of two locks, the one to serve with on a GPU and the one with the tests' packages."""
    serving = {name: version for name, version in pins("run-gpu", locks).items() if not name.startswith(THERE)}
    tests = {name: version for name, version in pins("all", locks).items() if name in FOR_TESTS}
    return [f"{name}=={version}" for name, version in (serving | tests).items()]


def pack(folder: Path) -> list[Path]:
    """`folder/part-00` and so on: cut pieces of one tar.xz that holds `site/`."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    for old in folder.glob("part-*"):
        old.unlink()
    _install(wanted(FOLDER), site)
    for pattern in LEFT_OUT:
        for path in list(site.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    archive = folder / "site.tar.xz"
    with tarfile.open(archive, "w:xz", preset=2) as tar:
        tar.add(site, "site")
    parts = list(cut(archive, PART_BYTES))
    archive.unlink()
    shutil.rmtree(site)
    return parts


def cut(archive: Path, size: int) -> Iterator[Path]:
    """Pieces beside it that `cat` puts together again."""
    with archive.open("rb") as file:
        number = 0
        while piece := file.read(size):
            part = archive.with_name(f"part-{number:02}")
            part.write_bytes(piece)
            yield part
            number += 1


def _install(packages: list[str], site: Path) -> None:
    platforms = [option for number in GLIBC for option in ("--platform", f"manylinux_2_{number}_x86_64")]
    platforms += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux1_x86_64"]
    of = ["--python-version", PYTHON, "--implementation", "cp", *platforms, "--only-binary=:all:", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(site), *of, *packages]
    subprocess.run(command, check=True)
