"""The reader process, with a decoder that does what some clips do to decoders: `python -m tests.readers.fragile DESCRIPTOR`."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from service import reader
from service.cine.clip import Clip, DecodeLimits
from service.cine.decode import open_clip
from service.findings import Analysis
from service.readers import child
from service.record import analysis_to_json

DIES, HANGS, BREAKS, LIES = b"dies", b"hangs", b"breaks", b"lies"
"""A clip that begins with one of these, does it."""

_lies = False


def open_or_else(path: Path, limits: DecodeLimits) -> Clip:
    global _lies
    start = path.read_bytes()[:8]
    if start.startswith(DIES):
        os.kill(os.getpid(), signal.SIGSEGV)
    if start.startswith((DIES, HANGS)):
        time.sleep(600)
    if start.startswith(BREAKS):
        raise KeyError("Doe^Jane")
    _lies = start.startswith(LIES)
    if _lies:
        path.write_bytes(path.read_bytes().removeprefix(LIES))
    return open_clip(path, limits)


def to_json_or_else(analysis: Analysis) -> dict[str, Any]:
    return {"format": 1, "analysis": {"verdict": "present"}} if _lies else analysis_to_json(analysis)


if __name__ == "__main__":
    reader.open_clip = open_or_else  # type: ignore[attr-defined]
    child.analysis_to_json = to_json_or_else  # type: ignore[attr-defined]
    child.main()
