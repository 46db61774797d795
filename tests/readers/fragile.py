"""The reader process, with a decoder that does what some clips do to decoders: `python -m tests.readers.fragile DESCRIPTOR`."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from service import reader
from service.cine.clip import Clip, DecodeLimits
from service.cine.decode import open_clip
from service.cine.handed import HandedFile
from service.engine.base import Grey, Task
from service.engine.turn import Answer
from service.errors import UnreadableClip
from service.findings import Analysis
from service.readers import child
from service.record import analysis_to_json

DIES, HANGS, BREAKS, LIES, MISSHAPES = b"dies", b"hangs", b"breaks", b"lies", b"misshapes"
"""A clip that begins with one of these, does it."""
SPINS, GROWS, EXECUTES, FILLS, OPENS, CONNECTS = b"spins", b"grows", b"executes", b"fills", b"opens ", b"connects "
"""And what the cage is for. The path of another clip, or a port, follows."""

_lies = False
_misshapes = False
_ask = child.Questions.ask


def open_or_else(file: HandedFile, limits: DecodeLimits) -> Clip:
    global _lies, _misshapes
    content = file.open().read()
    start = content[:8]
    if start.startswith(DIES):
        os.kill(os.getpid(), signal.SIGSEGV)
    if start.startswith((DIES, HANGS)):
        time.sleep(600)
    if start.startswith(BREAKS):
        raise KeyError("Doe^Jane")
    try_freedoms(content)
    _lies = start.startswith(LIES)
    _lies = _lies and not is_second_time(file)
    _misshapes = content.startswith(MISSHAPES)
    return open_clip(content.removeprefix(LIES).removeprefix(MISSHAPES), limits)


def try_freedoms(content: bytes) -> None:
    """Raises: OSError, MemoryError where the cage says no; UnreadableClip("free") where it does not."""
    _, _, argument = content.decode("latin-1").partition(" ")
    if content.startswith(SPINS):
        while True:
            pass
    elif content.startswith(GROWS):
        bytearray(8 * 2**30)
    elif content.startswith(EXECUTES):
        os.execv("/bin/true", ["true"])
    elif content.startswith(FILLS):
        raise OSError(errno.EFBIG, "what the kernel says of a file that grows over the limit")
    elif content.startswith(OPENS):
        refused_or_free(lambda: open(argument, "rb").close())
    elif content.startswith(CONNECTS):
        refused_or_free(lambda: socket.create_connection(("127.0.0.1", int(argument)), 5).close())


def refused_or_free(attempt: Callable[[], None]) -> None:
    """Says which, as what is wrong with the clip."""
    try:
        attempt()
    except OSError as error:
        raise UnreadableClip(f"refused: {type(error).__name__}") from error
    raise UnreadableClip("free")


def is_second_time(file: HandedFile) -> bool:
    """The service hands the same open file to the next process, which has one place for all."""
    descriptor = file._descriptor
    is_second = os.lseek(descriptor, 0, os.SEEK_CUR) > 0
    os.lseek(descriptor, 1, os.SEEK_SET)
    return is_second


def to_json_or_else(analysis: Analysis) -> dict[str, Any]:
    return {"format": 1, "analysis": {"verdict": "present"}} if _lies else analysis_to_json(analysis)


def ask_or_else(questions: child.Questions, of: str, task: Task, patches: Grey) -> "Future[Answer]":
    """Patches of a column less than the graph takes."""
    return _ask(questions, of, task, patches[..., 1:] if _misshapes else patches)


if __name__ == "__main__":
    child.Questions.ask = ask_or_else  # type: ignore[method-assign]
    reader.open_clip = open_or_else  # type: ignore[attr-defined]
    child.analysis_to_json = to_json_or_else  # type: ignore[attr-defined]
    child.main()
