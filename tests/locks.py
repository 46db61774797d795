"""The locks in requirements/, read: exact versions, and in those of `make lock` the hashes of every file of a version."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "requirements"
HASHED = ("run", "run-gpu", "build", "supply")
"""What `make lock` writes. The others are for working on Seashore: torch, which is among them, differs from machine to machine."""


def pins(name: str, folder: Path = FOLDER) -> dict[str, str]:
    """Name (as PEP 503 compares them) -> version, in the lock's order. A line that is no exact pin fails."""
    return {normalised(package): version for package, version in (line.split()[0].split("==") for line in _entries(name, folder))}


def hashes(name: str, folder: Path = FOLDER) -> dict[str, list[str]]:
    """Name -> sha256 of the files that may be installed as it, none where the lock has none."""
    return {normalised(line.split("==")[0]): re.findall(r"--hash=sha256:([0-9a-f]{64})(?!\S)", line) for line in _entries(name, folder)}


def normalised(name: str) -> str:
    """As PEP 503 compares them: ImageHash is imagehash, ml_dtypes is ml-dtypes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _entries(name: str, folder: Path) -> list[str]:
    """One line a package, its continuations joined."""
    text = (folder / f"{name}.txt").read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("#", "--"))]
