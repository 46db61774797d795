"""How much a process may take: memory, what it writes, computing time."""

import os
import resource
from pathlib import Path

MAX_OPEN_FILES = 256
RESERVED_TIMES = 4
"""Address space beside the memory that may be written to: code, and what the C library sets aside for each thread's heap."""
_USER_TICKS, _SYSTEM_TICKS = 11, 12
"""Of /proc/PID/stat, counted from behind the program's name, which may hold anything (proc_pid_stat(5))."""


def limit(memory_bytes: int, output_bytes: int) -> None:
    """For good. Memory is what the process alone can write to: heaps, stacks, frames. Raises: OSError.

    Processes are not counted: the kernel counts all of the user's, the service's own threads among them. Starting one is refused
    by the system calls.
    """
    for kind, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, RESERVED_TIMES * memory_bytes),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_CORE, 0),  # a core dump is a patient's pictures on the disk
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def allow_seconds(pid: int, seconds: int) -> None:
    """Of computing, from now on; a child that goes on for longer is ended by SIGXCPU. Raises: OSError, ValueError.

    Set from outside, again before each order: the process itself may not.
    """
    resource.prlimit(pid, resource.RLIMIT_CPU, (_used_seconds(pid) + seconds, resource.RLIM_INFINITY))


def _used_seconds(pid: int) -> int:
    """Rounded up."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) // os.sysconf("SC_CLK_TCK") + 1
