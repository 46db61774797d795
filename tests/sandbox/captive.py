"""A process that enters a cage and then tries one thing: `python -m tests.sandbox.captive ATTEMPT ARGUMENT`. Says what came of it.

Its exit code is what the kernel made of it; on the pipe that it is given as standard input stands `done`, or which error it met.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from service.sandbox.cage import Cage, enter_cage

MEMORY_BYTES, OUTPUT_BYTES = 512 * 2**20, 4096
LARGE_BYTES = 2**30
HANDED = 5
"""The descriptor of a file that is open for writing."""


def connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)), 5).close()


def listen(_: str) -> None:
    socket.create_server(("127.0.0.1", 0)).close()


def connect_to_a_path(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)


def read(path: str) -> None:
    Path(path).read_bytes()


def reopen(_: str) -> None:
    Path(f"/proc/self/fd/{HANDED}").read_bytes()


def look_around(folder: str) -> None:
    os.listdir(folder)


def write(folder: str) -> None:
    (Path(folder) / "new").write_bytes(b"x")


def make_folder(folder: str) -> None:
    (Path(folder) / "new").mkdir()


def remove(path: str) -> None:
    Path(path).unlink()


def truncate(path: str) -> None:
    os.truncate(path, 0)


def fork(_: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def run_a_program(_: str) -> None:
    os.execv("/bin/true", ["true"])


def start_a_program(_: str) -> None:
    subprocess.run(["/bin/true"], check=True)


def trace_the_parent(_: str) -> None:
    if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1:  # PTRACE_ATTACH
        raise PermissionError


def signal_the_parent(_: str) -> None:
    os.kill(os.getppid(), signal.SIGCONT)


def raise_its_limits(_: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (10**6, resource.RLIM_INFINITY))


def write_too_much(_: str) -> None:
    os.pwrite(HANDED, b"x", OUTPUT_BYTES)


def allocate(_: str) -> None:
    bytearray(LARGE_BYTES)


def share_memory(_: str) -> None:
    mmap.mmap(-1, LARGE_BYTES, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)


def make_code(_: str) -> None:
    mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_WRITE | mmap.PROT_EXEC)


def say_something(_: str) -> None:
    os.write(1, b"Doe^Jane")
    os.write(2, b"Doe^Jane")


def work(folder: str) -> None:
    """What is done in the cage every day: threads, memory, reading and writing what is handed over, importing late."""
    import colorsys

    thread = threading.Thread(target=bytearray, args=(2**20,))
    thread.start()
    thread.join()
    os.pwrite(HANDED, b"y" * OUTPUT_BYTES, 0)
    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert (Path(folder) / "model").read_bytes() == b"weights"


ATTEMPTS: dict[str, Callable[[str], None]] = {
    attempt.__name__: attempt
    for attempt in (
        *(connect, listen, connect_to_a_path, read, reopen, look_around, write, make_folder, remove, truncate),
        *(fork, run_a_program, start_a_program, trace_the_parent, signal_the_parent, raise_its_limits, make_code),
        *(write_too_much, allocate, share_memory, say_something, work),
    )
}


def main(attempt: str, argument: str, readable: str) -> None:
    said = os.dup(0)
    gaps = enter_cage(Cage((Path(readable),), MEMORY_BYTES, OUTPUT_BYTES))
    try:
        ATTEMPTS[attempt](argument)
        outcome = "done"
    except (OSError, MemoryError) as error:
        outcome = type(error).__name__
    os.write(said, "; ".join((outcome, *gaps)).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
