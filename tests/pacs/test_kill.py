"""Nothing that was acknowledged is lost, and no result is there twice: with processes killed at random and the archive away for a minute.

`pytest -m slow -s tests/pacs/test_kill.py` prints the counts.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest

from service.jobs.ledger import State
from tests.fakes import dcmtk, dicom, postgres
from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import Seashore, copies, store, to_dicom, wait_until
from tests.fakes.orthanc import Orthanc
from tests.fakes.phantoms import small_phantom
from tests.fakes.postgres import Postgres
from tests.fakes.service import shipped_reader
from tests.fakes.torment import Count, Senders, outage, settled, torment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(dcmtk.program("storescu") is None, reason="no dcmtk (apt-get install dcmtk)"),
    pytest.mark.skipif(not real_archive.is_installed(), reason=real_archive.NOT_HERE),
]

NUM_INSTANCES = 200
NUM_KILLS = 20
ARCHIVE_AWAY_S = 60.0
DATABASE_AWAY_S = 10.0
PATIENCE_S = 150.0
"""Without any result coming: longer than what a delivery waits for after a minute of failures."""


@pytest.fixture
def model_sha256() -> str:
    reader = shipped_reader()
    return reader.digest(reader.find(None))


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Of every four, three are stills of 160 x 120, quick to read: they are not assessable, and that is a result like any other."""
    moving = small_phantom("present", 2.2).frames
    still = np.stack([cv2.resize(moving[0], (160, 120), interpolation=cv2.INTER_AREA)] * len(moving))
    originals = [tmp_path / "still.dcm", tmp_path / "moving.dcm"]
    for path, frames in zip(originals, (still, moving), strict=True):
        path.write_bytes(dicom.jpeg_baseline(frames, frame_time_ms=1000 / 30))
    folder = tmp_path / "clips"
    folder.mkdir()
    return copies(folder, [originals[0], originals[0], originals[0], originals[1]], NUM_INSTANCES)


def run(
    nodes: Sequence[Seashore], archive: Orthanc, clips: Sequence[Path], model_sha256: str, seed: int, database: Postgres | None = None
) -> Count:
    """A bad day; prints what there is to count."""
    random, began_s = Random(seed), time.monotonic()
    for node in nodes:
        node.start(wait=False)
    senders = Senders(clips, nodes, pause_s=4.0, random=random)
    senders.start(4)
    with ExitStack() as outages:
        outages.enter_context(outage(archive, 90.0, ARCHIVE_AWAY_S))
        if database is not None:
            outages.enter_context(outage(database, 40.0, DATABASE_AWAY_S))
        kills = torment(nodes, random, kills=NUM_KILLS, until=lambda: senders.are_done)
    senders.join()
    found = settled(lambda: Count.of(archive, senders.acknowledged, model_sha256), PATIENCE_S)
    print(f"\n{len(nodes)} process(es), {kills} kills, archive away {ARCHIVE_AWAY_S:.0f} s, {time.monotonic() - began_s:.0f} s in all:")
    print(f"{found.acknowledged} instances acknowledged in {senders.num_tries} tries, {found.complete} sets of results complete,")
    print(f"{found.missing} results missing, {found.duplicates} too many")
    return found


def assert_is_recorded(nodes: Sequence[Seashore], clips: Sequence[Path]) -> None:
    """The ledger has no work that failed, the audit trail misses nothing."""
    node = nodes[0]
    with node.ledger() as ledger:
        assert {entry.state for entry in ledger.list()} == {State.DONE}
    jobs = {name: {event["job"] for event in node.events(name)} for name in ("received", "read", "delivered")}
    assert {name: len(of) for name, of in jobs.items()} == dict.fromkeys(jobs, len(clips))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    """An archive of this test's own: it is stopped and started."""
    (tmp_path / "orthanc").mkdir()
    own = Orthanc(tmp_path / "orthanc")
    own.start()
    yield own
    own.kill()


def end(nodes: Sequence[Seashore]) -> None:
    for node in nodes:
        if node.is_running:
            node.stop()


def test_one_process_on_sqlite_that_is_killed_twenty_times(tmp_path: Path, archive: Orthanc, clips: list[Path], model_sha256: str) -> None:
    node = Seashore(tmp_path / "seashore", {"destination": [to_dicom(archive)]}, {"SEASHORE_MAX_BACKGROUND": "2"})
    try:
        found = run([node], archive, clips, model_sha256, seed=4)

        assert found == Count(acknowledged=NUM_INSTANCES, complete=NUM_INSTANCES, missing=0, duplicates=0)
        assert_is_recorded([node], clips)
    finally:
        end([node])


@pytest.mark.skipif(postgres.programs() is None, reason=postgres.NOT_HERE)
def test_two_processes_on_postgresql_that_are_killed_in_turn(
    tmp_path: Path, archive: Orthanc, clips: list[Path], model_sha256: str
) -> None:
    (tmp_path / "postgres").mkdir()
    database = Postgres(tmp_path / "postgres")
    database.start()
    nodes = two_nodes(tmp_path, archive, database)
    try:
        found = run(nodes, archive, clips, model_sha256, seed=5, database=database)

        assert found == Count(acknowledged=NUM_INSTANCES, complete=NUM_INSTANCES, missing=0, duplicates=0)
        assert_is_recorded(nodes, clips)
    finally:
        end(nodes)
        database.stop()


def two_nodes(folder: Path, archive: Orthanc, database: Postgres) -> list[Seashore]:
    """Two processes that share the data folder and the database; each has a port of its own."""
    shared = {"SEASHORE_DATABASE_URL": database.url, "SEASHORE_DATA_DIR": str(folder / "data")}
    site = {"destination": [to_dicom(archive)]}
    return [Seashore(folder / name, site, {**shared, "SEASHORE_NODE": name}) for name in ("node-a", "node-b")]


@pytest.mark.skipif(postgres.programs() is None, reason=postgres.NOT_HERE)
def test_the_work_of_a_node_that_never_comes_back_is_taken_over(
    tmp_path: Path, archive: Orthanc, clips: list[Path], model_sha256: str
) -> None:
    """It is killed in the middle of one reading, with a delivery of its own waiting for an archive that is away."""
    (tmp_path / "postgres").mkdir()
    database = Postgres(tmp_path / "postgres")
    database.start()
    node_a, node_b = nodes = two_nodes(tmp_path, archive, database)
    sent = clips[:12]
    try:
        archive.stop()
        node_a.start()
        assert store(sent, node_a.dicom_port).returncode == 0
        wait_until(lambda: len(node_a.events("read")) >= 5, 60.0)
        node_a.kill()
        with node_b.ledger() as ledger:
            left = {entry.work for entry in ledger.list(states=[State.RUNNING])}
        archive.start()
        node_b.start()
        killed_s = time.monotonic()
        found = settled(lambda: Count.of(archive, sent, model_sha256), PATIENCE_S)

        print(f"\ntaken over and delivered {time.monotonic() - killed_s:.0f} s after the other node was started; left running: {left}")
        assert "deliver" in left
        assert found == Count(acknowledged=len(sent), complete=len(sent), missing=0, duplicates=0)
        assert_is_recorded([node_b], sent)
    finally:
        end(nodes)
        database.stop()


def test_a_process_that_is_stopped_in_the_middle_of_a_clip_goes_on_with_it(
    tmp_path: Path, archive: Orthanc, clips: list[Path], model_sha256: str
) -> None:
    node = Seashore(tmp_path / "seashore", {"destination": [to_dicom(archive)]})
    sent = clips[:8]
    try:
        node.start()
        assert store(sent, node.dicom_port).returncode == 0
        for num_read in (1, 3):
            wait_until(lambda least=num_read: len(node.events("read")) >= least, 60.0)
            node.stop()
            node.start()
        found = settled(lambda: Count.of(archive, sent, model_sha256), PATIENCE_S)

        assert found == Count(acknowledged=len(sent), complete=len(sent), missing=0, duplicates=0)
        assert_is_recorded([node], sent)
        assert "Traceback" not in node.log.read_text()
    finally:
        end([node])
