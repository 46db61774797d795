"""dcmtk's tools, the senders that hospitals use: run against a listener on this machine."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.pacs.incoming.inbox import Inbox
from service.pacs.incoming.scp import Listener
from service.pacs.site import Receive
from tests.fakes.inbox import ReportsAtOnce


def program(tool: str) -> str | None:
    """dcmtk's own: pynetdicom puts programs of the same names into the environment's bin, and they take other options."""
    return shutil.which(tool, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")


needs_dcmtk = pytest.mark.skipif(program("storescu") is None, reason="no dcmtk (apt-get install dcmtk)")


def call(tool: str, port: int, *options: str | Path, aet: str = "MODALITY", aec: str = "SEASHORE") -> subprocess.CompletedProcess[str]:
    command = [program(tool) or tool, "-aet", aet, "-aec", aec, "127.0.0.1", str(port), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@contextmanager
def listening(inbox: Inbox, **receive: object) -> Iterator[Listener]:
    """A listener on a free port that "MODALITY" may send to, whatever space the disk has."""
    settings = {"port": 0, "calling_ae_titles": ("MODALITY",), "min_free_bytes": 0, "idle_s": 10.0, **receive}
    listener = Listener(Receive.model_validate(settings), inbox, ReportsAtOnce(inbox))
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(grace_s=2.0)
