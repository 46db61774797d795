"""The cage, put on: `enter_cage`."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.sandbox.landlock import landlock_version, read_only
from service.sandbox.limits import limit
from service.sandbox.privileges import drop_privileges
from service.sandbox.syscalls import can_filter, filter_calls

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""For the environment of a process that will be caged. numpy starts a thread a core as it is imported, and what has been started
before Landlock is not held by it."""

_SYSTEM_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Cage:
    readable: tuple[Path, ...]
    """Folders, beside those of Python and its libraries. Nothing at all may be opened for writing."""
    memory_bytes: int
    output_bytes: int
    """Of each file that is handed in to be written."""


def enter_cage(cage: Cage) -> tuple[str, ...]:
    """Give up all but what the cage allows, for good. Returns what this machine could not take away, a sentence each.

    Call it with one thread alone. From then on the process's own words reach nobody but by what is already open.
    """
    layers: list[tuple[Callable[[], None], str]] = [
        (lambda: limit(cage.memory_bytes, cage.output_bytes), "Its memory and what it writes are not limited: {}."),
        (drop_privileges, "It keeps the service's privileges: {}."),
        (lambda: _lock_files(cage), "It can open whatever file the service can: {}."),
        (_filter, "Every system call is open to it: {}."),
    ]
    _fall_silent()
    return tuple(_gaps(layers))


def _gaps(layers: list[tuple[Callable[[], None], str]]) -> Iterator[str]:
    for close, otherwise in layers:
        try:
            close()
        except (OSError, AttributeError, ValueError) as error:  # AttributeError: another system than Linux
            yield otherwise.format(getattr(error, "strerror", None) or type(error).__name__)


def _lock_files(cage: Cage) -> None:
    if landlock_version() == 0:
        raise OSError(0, "the kernel has no Landlock (Linux 5.13), or it is not switched on")
    if len(os.listdir("/proc/self/task")) > 1:
        raise OSError(0, "threads were running before")
    read_only((*cage.readable, *readable_by_python()))


def _filter() -> None:
    if not can_filter():
        raise OSError(0, "libseccomp is not installed")
    filter_calls()


def readable_by_python() -> tuple[Path, ...]:
    """The interpreter, its libraries and those of the system: programs, and nobody's data."""
    packages = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    prefixes = [prefix for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix) if prefix != "/"]
    return tuple(map(Path, dict.fromkeys((*prefixes, *packages, *_SYSTEM_FOLDERS, *_SYSTEM_FILES))))


def _fall_silent() -> None:
    """A decoder's own complaints quote what it decodes: nothing of them is to reach the service's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
