"""A clip that makes its reader try what the cage forbids, or take more than it allows, is refused; nobody else notices.

The decoder of these processes does as the clip's first bytes say (`tests/readers/fragile.py`); the cage around it is the real one.
"""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.errors import EngineFailed, UnreadableClip
from service.readers.child import MEMORY, OUTPUT, limit_met
from service.readers.process import ReaderProcess
from service.readers.reader import PooledReader, reader_processes
from service.sandbox.landlock import landlock_version
from service.sandbox.syscalls import can_filter
from service.settings import Settings
from tests.fakes.service import wait_until
from tests.readers.fragile import CONNECTS, EXECUTES, FILLS, GROWS, HANGS, OPENS, SPINS
from tests.readers.reading import read

pytestmark = pytest.mark.skipif(landlock_version() == 0 or not can_filter(), reason="no Landlock or no libseccomp on this machine")

SETTINGS = Settings(device="cpu", max_concurrent=2, max_background=1, cage="require", cage_memory_mb=1024, cage_cpu_s=2)
MORE = "Please cut it, or export it again at a smaller size."


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (GROWS, f"Reading this clip takes more than the 1024 MB of memory that one clip is given. {MORE}"),
        (SPINS, f"Reading this clip takes more than the 2 s of computing time that one clip is given. {MORE}"),
        (HANGS, f"Reading this clip takes more than the 2 s of computing time that one clip is given. {MORE}"),
        (FILLS, f"What would be drawn of this clip is larger than one clip's pictures may be. {MORE}"),
        (
            EXECUTES,
            "This clip made its decoder try what no decoder does, and reading it was stopped. It is damaged, or made to do harm.",
        ),
    ],
)
def test_a_clip_that_runs_into_a_limit_is_refused_at_once_and_the_others_are_read(
    fragile: PooledReader, clip: Path, tmp_path: Path, does: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hostile").write_bytes(does)
    before = set(fragile.pool.pids)

    with ThreadPoolExecutor(2) as threads:
        hostile = threads.submit(read, fragile, tmp_path / "hostile")
        beside = threads.submit(read, fragile, clip)
        with pytest.raises(UnreadableClip) as refused:
            hostile.result()

    assert str(refused.value) == said
    assert beside.result() == read(fragile, clip) is not None
    assert caplog.text.count("ran into a limit of its cage") == 1  # no other process was given the same clip
    assert wait_until(lambda: len(before & set(fragile.pool.pids)) == 1)


def test_a_reader_cannot_open_another_patients_clip(fragile: PooledReader, clip: Path, tmp_path: Path) -> None:
    assert tried(fragile, tmp_path, OPENS + bytes(clip)) == "refused: PermissionError"


def test_a_reader_opens_what_it_needs(fragile: PooledReader, tmp_path: Path) -> None:
    card = next(SETTINGS.model_store.glob("*/*/manifest.json"))

    assert tried(fragile, tmp_path, OPENS + bytes(card)) == "free"


def test_a_reader_reaches_nobody(fragile: PooledReader, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert tried(fragile, tmp_path, CONNECTS + str(server.getsockname()[1]).encode()) == "refused: OSError"


def test_the_time_of_one_clip_is_not_taken_from_the_next(fragile: PooledReader, clip: Path) -> None:
    """Eight clips of 0.5 s on one process are more than what one is given."""
    first = fragile.pool.pids
    for _ in range(8):
        assert read(fragile, clip) is not None
    assert set(first) <= set(fragile.pool.pids)


def test_what_lies_where_a_report_goes_stays_when_it_cannot_be_drawn(fragile: PooledReader, tmp_path: Path) -> None:
    hostile, out = tmp_path / "hostile", tmp_path / "frames"
    hostile.write_bytes(GROWS)
    out.write_bytes(b"of before")

    with pytest.raises(UnreadableClip, match="MB of memory"):
        fragile.render(fragile.open(hostile), out)

    assert out.read_bytes() == b"of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "hostile"]


def test_libraries_complain_of_limits_in_their_own_ways() -> None:
    import cv2

    with pytest.raises(cv2.error) as no_memory:
        cv2.resize(np.zeros((2, 2), np.uint8), (2**20, 2**25))
    thread = RuntimeError("can't start new thread")

    assert [limit_met(bug) for bug in (MemoryError(), no_memory.value, thread)] == [MEMORY] * 3
    assert limit_met(OSError(27, "File too large")) == OUTPUT
    assert [limit_met(bug) for bug in (OSError(2, "No such file"), RuntimeError("else"), KeyError("x"))] == [None] * 3


def gappy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without Landlock and a machine without libseccomp."""
    started = ReaderProcess.started

    def with_gaps(settings: dict[str, object]) -> ReaderProcess:
        process = started(settings)
        process.gaps = ("It can open whatever file the service can: no.", "Every system call is open to it: no.")
        return process

    monkeypatch.setattr(ReaderProcess, "started", with_gaps)


def test_where_a_cage_is_required_and_has_gaps_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    gappy(monkeypatch)
    with reader_processes(SETTINGS) as reader:
        with pytest.raises(EngineFailed) as failed:
            reader.pool.warm_up(1)
        assert reader.pool.pids == []

    assert str(failed.value) == "The processes that read clips cannot be caged on this machine, and SEASHORE_CAGE=require asks for it."
    assert failed.value.log_detail == "It can open whatever file the service can: no. Every system call is open to it: no."


def test_where_it_is_not_the_gaps_are_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    gappy(monkeypatch)
    with reader_processes(SETTINGS.model_copy(update={"cage": "best"})) as reader:
        reader.pool.warm_up(2)
        assert len(reader.pool.pids) == 2

    assert caplog.text.count("THE CAGE IS NOT WHOLE") == 1
    assert "It can open whatever file the service can: no. Every system call is open to it: no." in caplog.text


def tried(reader: PooledReader, folder: Path, content: bytes) -> str:
    path = folder / "hostile"
    path.write_bytes(content)
    with pytest.raises(UnreadableClip) as outcome:
        read(reader, path)
    return str(outcome.value)
