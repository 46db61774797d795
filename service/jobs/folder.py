"""The files of one job. Whatever lies there under its own name is whole and on the disk: power may fail at any moment."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIP = "clip"
ANALYSIS = "analysis.json"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """`<data>/jobs/<id>/`"""

    path: Path

    @property
    def clip(self) -> Path:
        """The bytes that were sent."""
        return self.path / CLIP

    @property
    def analysis(self) -> Path:
        return self.path / ANALYSIS

    def file(self, name: str) -> Path:
        return self.path / name

    def make(self) -> None:
        make_folder(self.path)

    def keep_clip(self, arrived: Path) -> None:
        """Move a file that has arrived, on the same filesystem, to be this job's clip. It is on the disk when this returns."""
        self.make()
        flush_to_disk(arrived)
        os.replace(arrived, self.clip)
        flush_to_disk(self.path)

    def write(self, name: str, content: bytes) -> Path:
        return write_whole(self.path / name, lambda part: part.write_bytes(content))

    def write_json(self, name: str, fields: dict[str, Any]) -> Path:
        return self.write(name, json.dumps(fields, ensure_ascii=False).encode())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """None when there is no such file, or it is damaged and holds no JSON object."""
        try:
            fields = json.loads((self.path / name).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return fields if isinstance(fields, dict) else None

    def empty(self, keep: Collection[str]) -> None:
        """Remove all files but these."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def make_folder(path: Path) -> None:
    """With those above it that are missing, readable by the service alone. On the disk when this returns."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    flush_to_disk(path.parent)


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Have `write` fill a file beside `path`, and give it its name only when it is on the disk.

    Several threads, processes and machines may do so at once: each fills its own, and the last one counts.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        write(part)
        flush_to_disk(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    flush_to_disk(path.parent)
    return path


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that is only ever added to, readable by the service alone. On the disk when this returns.

    All of it or nothing: half a line would spoil the next one as well. Raises: OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # of all that are added, so that nobody's line is cut off with half of another's
        size = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    """A disk that has room for half of it takes that half and says nothing before the next write."""
    while data:
        data = data[os.write(descriptor, data) :]


def flush_to_disk(path: Path) -> None:
    """fsync(2) of a file or a folder: of a folder, so that the names in it outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
