"""A clip read in a process of its own is read as in this one, and whatever it does there is done to nobody else."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.engine.turn import Lane
from service.errors import BadOption, EngineFailed, UnreadableClip, UnsupportedFormat
from service.readers import pool as pool_module
from service.readers import process as process_module
from service.readers.process import ReaderProcess
from service.readers.reader import PooledReader
from service.reading import Saliency
from service.remote.calls import RemoteBug
from service.settings import Settings
from tests.fakes.elsewhere import check_draws_as_here, check_reads_as_here
from tests.fakes.service import shipped_bundle, shipped_reader, wait_until
from tests.readers.fragile import BREAKS, DIES, HANGS, LIES, MISSHAPES
from tests.readers.reading import QUICK, processes, read

SETTINGS = Settings(device="cpu", max_concurrent=2, max_background=1)
LINE = ((160.0, 20.0), (160.0, 220.0))
AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def reader() -> Iterator[PooledReader]:
    with processes(SETTINGS) as reader:
        reader.load(reader.find(None))
        yield reader


@pytest.mark.parametrize("saliency", Saliency)
def test_the_answer_is_that_of_one_process(reader: PooledReader, clip: Path, saliency: Saliency) -> None:
    check_reads_as_here(reader, clip, saliency)


def test_what_is_drawn_is_drawn_there(reader: PooledReader, clip: Path, tmp_path: Path) -> None:
    check_draws_as_here(reader, clip, tmp_path, Saliency.VANILLA)


def test_frames_and_m_modes_are_drawn_there_as_here(reader: PooledReader, clip: Path, tmp_path: Path) -> None:
    here, told = shipped_reader(), set[tuple[float, str]]()
    rendition = reader.render(reader.open(clip), tmp_path / "there", lambda share, stage: told.add((share, stage)))
    strip = reader.mmode(reader.open(clip), LINE)

    assert rendition == here.render(here.open(clip), tmp_path / "here")
    assert len(rendition.times_s) == 66
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert (0.5, "frames") in told
    assert strip.shape == (201, 66)
    np.testing.assert_array_equal(strip, here.mmode(here.open(clip), LINE))


def test_a_line_far_outside_the_frame_is_refused_there(reader: PooledReader, clip: Path) -> None:
    with pytest.raises(BadOption, match=r"^The line ends at 160,481, far outside the clip's frame of 320 x 240 px\."):
        reader.mmode(reader.open(clip), ((160.0, 20.0), (160.0, 481.0)))


def test_whoever_stops_the_drawing_has_it_stopped(reader: PooledReader, clip: Path, tmp_path: Path) -> None:
    before = set(reader.pool.pids)

    def stop(share: float, stage: str) -> None:
        if stage in ("frames", "mmode"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        reader.render(reader.open(clip), tmp_path / "frames", stop)
    with pytest.raises(InterruptedError):
        reader.mmode(reader.open(clip), LINE, stop)

    assert read(reader, clip) is not None
    assert set(reader.pool.pids) == before


def test_what_is_wrong_with_a_clip_is_said_in_the_same_words(reader: PooledReader, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a clip")

    with pytest.raises(UnsupportedFormat) as there:
        read(reader, path)
    with pytest.raises(UnsupportedFormat) as here:
        shipped_reader().open(path)

    assert str(there.value) == str(here.value)


def test_progress_is_told_and_ends_at_the_whole(reader: PooledReader, clip: Path) -> None:
    told: list[tuple[float, str]] = []
    reader.read(reader.open(clip), reader.find(None), QUICK, lambda share, stage: told.append((share, stage)))

    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert {stage for _, stage in told} >= {"decode", "pleura", "model"}


def test_whoever_stops_it_has_it_stopped_and_the_process_reads_the_next_clip(reader: PooledReader, clip: Path) -> None:
    before = set(reader.pool.pids)

    def stop(share: float, stage: str) -> None:
        if stage == "model":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        reader.read(reader.open(clip), reader.find(None), QUICK, stop)

    assert read(reader, clip) is not None
    assert set(reader.pool.pids) == before


def test_a_process_that_is_killed_over_a_clip_loses_nothing(reader: PooledReader, clip: Path) -> None:
    killed: list[int] = []

    def kill_all(share: float, stage: str) -> None:
        if stage == "model" and not killed:
            killed.extend(reader.pool.pids)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(map(is_running, killed)), 5)

    analysis, _ = reader.read(reader.open(clip), reader.find(None), QUICK, kill_all)

    assert killed
    assert analysis.lung_sliding.probability == pytest.approx(read(reader, clip), abs=1e-6)
    assert not set(killed) & set(reader.pool.pids)


@pytest.mark.parametrize("is_seen", [True, False])
def test_processes_that_died_while_they_waited_are_missed_by_nobody(
    is_seen: bool, reader: PooledReader, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill takes a moment: until then a process looks alive, is given a clip, and that is not the clip's fault."""
    reader.pool.warm_up(3)
    if not is_seen:
        monkeypatch.setattr(ReaderProcess, "is_alive", True)
    for pid in reader.pool.pids:
        os.kill(pid, signal.SIGKILL)

    assert read(reader, clip) is not None


def test_where_every_process_ends_at_its_first_order_the_clip_is_not_blamed(
    reader: PooledReader, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_time = ReaderProcess._allow_time

    def kill(process: ReaderProcess) -> None:
        allow_time(process)
        os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(ReaderProcess, "_allow_time", kill)

    with pytest.raises(EngineFailed, match=r"^The processes that clips are read in end before they begin\.$"):
        read(reader, clip)


def test_several_clips_at_once_are_all_read(reader: PooledReader, clip: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        probabilities = list(threads.map(lambda _: read(reader, clip), range(8)))

    assert len(set(probabilities)) == 1
    # The last of them may still start, in place of one that a test before this one has killed, while the others read all eight.
    assert wait_until(lambda: len(reader.pool.pids) == SETTINGS.max_concurrent + SETTINGS.max_background, 60)


def test_a_clip_that_brings_its_reader_down_is_refused_and_the_next_is_read(fragile: PooledReader, clip: Path, tmp_path: Path) -> None:
    deadly = written(tmp_path, DIES)

    with ThreadPoolExecutor(2) as threads:
        died, lived = threads.submit(read, fragile, deadly), threads.submit(read, fragile, clip)
        with pytest.raises(UnreadableClip, match="Two processes ended"):
            died.result()

    assert lived.result() == read(fragile, clip) is not None


def test_a_clip_that_holds_its_reader_up_is_let_go_of_when_nobody_waits_any_more(fragile: PooledReader, clip: Path, tmp_path: Path) -> None:
    stuck = written(tmp_path, HANGS)
    leaves = threading.Event()
    threading.Timer(0.5, leaves.set).start()

    def tell(share: float, stage: str) -> None:
        if leaves.is_set():
            raise InterruptedError

    before = set(fragile.pool.pids)
    with pytest.raises(InterruptedError):
        fragile.read(fragile.open(stuck), fragile.find(None), QUICK, tell)

    assert len(before & set(fragile.pool.pids)) == 1  # the one that hung has been ended
    assert read(fragile, clip) is not None


def test_a_bug_over_there_is_one_here_without_its_message(fragile: PooledReader, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(fragile.pool.pids)
    with pytest.raises(RemoteBug) as bug:
        read(fragile, written(tmp_path, BREAKS))

    assert "KeyError in " in bug.value.where
    assert "KeyError in " in caplog.text
    assert "Doe" not in caplog.text
    assert set(fragile.pool.pids) == before


def test_a_reader_that_says_what_no_reader_says_is_not_believed(fragile: PooledReader, clip: Path, tmp_path: Path) -> None:
    lying = tmp_path / "clip"
    lying.write_bytes(LIES + clip.read_bytes())
    before = set(fragile.pool.pids)

    assert read(fragile, lying) is not None  # it was asked again, and lies only once
    assert wait_until(lambda: set(fragile.pool.pids) != before)


def test_patches_that_no_graph_takes_cost_the_reader_and_not_the_engine(fragile: PooledReader, clip: Path, tmp_path: Path) -> None:
    misshapen = tmp_path / "clip"
    misshapen.write_bytes(MISSHAPES + clip.read_bytes())
    before = set(fragile.pool.pids)

    with pytest.raises(UnreadableClip, match="Two processes ended"):
        read(fragile, misshapen)

    assert wait_until(lambda: not before & set(fragile.pool.pids))  # both that were asked
    assert fragile.trouble() is None
    assert read(fragile, clip) is not None


def test_after_its_share_a_process_is_replaced(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "ORDERS_A_PROCESS", 2)
    with processes(SETTINGS) as reader:
        reader.pool.warm_up(1)
        first = reader.pool.pids
        for _ in range(2):
            assert read(reader, clip) is not None
        assert wait_until(lambda: len(reader.pool.pids) == 1 and reader.pool.pids != first, 20)


def test_where_no_process_can_be_started_the_service_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "CHILD", "service.readers.no_such_module")
    with processes(SETTINGS) as reader, pytest.raises(EngineFailed, match="No process could be started"):
        reader.load(reader.find(None))


@pytest.mark.parametrize(
    ("known", "other"), [('"present_above": 0.65', '"present_above": 0.64'), ('"row_offset_px": -4', '"row_offset_px": -5')]
)
def test_a_model_replaced_in_the_store_is_not_read_with(clip: Path, tmp_path: Path, known: str, other: str) -> None:
    """The graph is the same: limits and patches decide an answer as well."""
    shipped = shipped_bundle()
    replaced = tmp_path / shipped.parent.name / shipped.name
    shutil.copytree(shipped, replaced)
    manifest = (replaced / "manifest.json").read_text()
    assert manifest.count(known) == 1
    (replaced / "manifest.json").write_text(manifest.replace(known, other))

    # The service itself has the shipped one still.
    with (
        processes(SETTINGS.model_copy(update={"model_store": tmp_path})) as reader,
        pytest.raises(EngineFailed, match=r"has been replaced in the store\. Reload the service\.$"),
    ):
        read(reader, clip)


def test_a_job_gives_way(reader: PooledReader, clip: Path) -> None:
    analysis, _ = reader.read(reader.open(clip, unhurried=True), reader.find(None), QUICK, lane=Lane.BACKGROUND)

    assert analysis.lung_sliding.probability is not None


def test_the_processes_know_no_secret_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASHORE_DATABASE_URL", "postgresql://seashore:hunter2@db/seashore")
    with processes(SETTINGS) as reader:
        reader.pool.warm_up(1)
        (pid,) = reader.pool.pids
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_what_is_asked_of_a_pool_that_has_ended_is_refused(clip: Path) -> None:
    """It was asked for a process again and again, and the service never came to its end."""
    with processes(SETTINGS) as reader:
        pass

    with pytest.raises(EngineFailed, match=r"^The service is stopping; no clips are read any more\.$"):
        reader.mmode(reader.open(clip), LINE)


def test_the_processes_end_with_the_pool(clip: Path) -> None:
    with processes(SETTINGS) as reader:
        reader.pool.warm_up(2)
        pids = reader.pool.pids
    assert len(pids) == 2
    assert wait_until(lambda: not any(map(is_running, pids)), 5)


def written(folder: Path, start: bytes) -> Path:
    path = folder / start.decode()
    path.write_bytes(start)
    return path


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
