"""A clip read by the desks of a cluster is read as by one process."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from service.engine.turn import Lane
from service.errors import BadOption, EngineFailed, UnreadableClip, UnsupportedFormat
from service.pipeline import Options
from service.readers import process as process_module
from service.reading import Saliency, Wanted
from service.remote import reader as reader_module
from service.remote.calls import Broken, RemoteBug, answer_of
from service.remote.engine_desk import EngineDesk
from service.remote.reader import RemoteReader
from service.remote.reader_desk import ReaderDesk, in_memory
from service.settings import Settings
from service.standing import Presence
from tests.fakes import media
from tests.fakes.elsewhere import check_draws_as_here, check_reads_as_here
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_reader
from tests.fakes.signs import write_bright
from tests.readers.fragile import DIES, OPENS
from tests.remote.beside import Beside, running_loop

SETTINGS = Settings(device="cpu")
LINE = ((160.0, 20.0), (160.0, 220.0))
AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def beside() -> Iterator[tuple[RemoteReader, Beside, Beside]]:
    """A reader, and the desks behind it; the engines' desk is given the model of the one process, for it takes seconds to load."""
    here = shipped_reader()
    with running_loop() as loop:
        engines = Beside(EngineDesk(SETTINGS, lambda folder: here._shelf.get(here.find(None))), loop)
        with closing(ReaderDesk(SETTINGS, engines)) as desk:
            readers = Beside(desk, loop)
            reader = RemoteReader(SETTINGS, readers)
            reader.load(reader.find(None))
            yield reader, readers, engines


@pytest.fixture(scope="module")
def reader(beside: tuple[RemoteReader, Beside, Beside]) -> RemoteReader:
    return beside[0]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip"
    path.write_bytes(media.mp4(small_phantom("present", 2.2).frames))
    return path


def test_models_of_signs_are_told_as_the_store_states_them_and_loaded_elsewhere(
    beside: tuple[RemoteReader, Beside, Beside], tmp_path: Path
) -> None:
    write_bright(tmp_path / "store")
    reader = RemoteReader(SETTINGS.model_copy(update={"model_store": tmp_path / "store"}), beside[1])
    reader.load_signs()

    assert [(entry.name, entry.signs, entry.is_loaded) for entry in reader.signs()] == [("bright", ("b_lines",), False)]
    assert [(one.model.name, one.signs, one.model.presence) for one in reader.standing().signs] == [
        ("bright", ("b_lines",), Presence.NOT_ASKED)
    ]


@pytest.mark.parametrize("saliency", Saliency)
def test_the_answer_is_that_of_one_process(reader: RemoteReader, clip: Path, saliency: Saliency) -> None:
    check_reads_as_here(reader, clip, saliency)


def test_what_is_drawn_is_drawn_there(reader: RemoteReader, clip: Path, tmp_path: Path) -> None:
    check_draws_as_here(reader, clip, tmp_path, Saliency.VANILLA)


def test_frames_and_m_modes_are_drawn_there_as_here(reader: RemoteReader, clip: Path, tmp_path: Path) -> None:
    here, told = shipped_reader(), set[tuple[float, str]]()
    rendition = reader.render(reader.open(clip), tmp_path / "there", lambda share, stage: told.add((share, stage)))
    strip = reader.mmode(reader.open(clip), LINE)

    assert rendition == here.render(here.open(clip), tmp_path / "here")
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert told == {(0.0, "frames")}
    np.testing.assert_array_equal(strip, here.mmode(here.open(clip), LINE))
    with pytest.raises(BadOption, match=r"^The line ends at 160,481, far outside the clip's frame of 320 x 240 px\."):
        reader.mmode(reader.open(clip), ((160.0, 20.0), (160.0, 481.0)))


def test_what_is_wrong_with_a_clip_is_said_in_the_same_words(reader: RemoteReader, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(b"hello")

    with pytest.raises(UnsupportedFormat, match=r"^This is text, not a clip\."):
        reader.read(reader.open(tmp_path / "clip"), reader.find(None), Options())


def test_a_job_is_read_in_the_background_and_told_that_it_goes_on(reader: RemoteReader, clip: Path) -> None:
    told: list[tuple[float, str]] = []
    reader.read(
        reader.open(clip, unhurried=True),
        reader.find(None),
        Options(Saliency.NONE),
        lambda share, stage: told.append((share, stage)),
        lane=Lane.BACKGROUND,
    )

    assert set(told) == {(0.0, "model")}


def test_a_clip_whose_caller_has_left_is_put_aside(beside: tuple[RemoteReader, Beside, Beside], clip: Path) -> None:
    reader, _, engines = beside
    before = len(engines.methods)

    def leave(share: float, stage: str) -> None:
        if len(engines.methods) > before:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.read(reader.open(clip), reader.find(None), Options(Saliency.SMOOTHGRAD), leave)
    asked = len(engines.methods) - before

    assert asked < 8  # of the 8 noisy copies of each window, were it read to its end


def test_the_frames_of_a_clip_are_there_for_what_is_made_here(reader: RemoteReader, clip: Path) -> None:
    """The secondary capture in the archive is written by the node of the PACS."""
    opened = reader.open(clip)

    assert opened.info.num_frames == len(list(opened.frames())) == len(list(opened.rgb_frames())) == 66


def test_a_model_is_loaded_by_the_cluster_and_then_said_to_be(beside: tuple[RemoteReader, Beside, Beside]) -> None:
    reader, readers, _ = beside

    assert readers.methods[0] == "load"
    assert [entry.is_loaded for entry in reader.models()][0]
    assert reader.reload() == reader.find(None)
    assert len(reader.digest(reader.find(None))) == 64


def test_a_cluster_that_never_starts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def call(self, method: str, *arguments: object, wanted: object) -> None:
            while True:
                wanted()  # type: ignore[operator]

    monkeypatch.setattr(reader_module, "START_WITHIN_S", 0.05)
    reader = RemoteReader(SETTINGS, Nobody())

    with pytest.raises(EngineFailed, match=r"^The cluster had no reader and engine ready within 0.05 s\.$"):
        reader.load(reader.find(None))


def test_engines_with_another_model_are_not_used() -> None:
    class Others:
        def call(self, method: str, *arguments: object, wanted: object) -> tuple[str, str]:
            return "f" * 64, "cpu"

    with running_loop() as loop, closing(ReaderDesk(SETTINGS, Others())) as desk:
        reader = RemoteReader(SETTINGS, Beside(desk, loop))
        with pytest.raises(EngineFailed, match=r"^The readers and the engines of the cluster hold different models "):
            reader.load(reader.find(None))


def test_a_bug_over_there_is_logged_where_it_was_and_without_its_message(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Buggy:
        def call(self, method: str, *arguments: object, wanted: object) -> object:
            return answer_of(Broken("ValueError in decode (decode.py:12)"))

    reader = RemoteReader(SETTINGS, Buggy())
    with pytest.raises(RemoteBug):
        reader.read(reader.open(clip), reader.find(None), Options())

    assert "internal_error on the cluster: ValueError in decode (decode.py:12)" in caplog.text


def test_a_clip_that_was_sent_lies_in_memory_alone_and_only_as_long_as_it_is_read() -> None:
    with in_memory(np.frombuffer(b"a clip", np.uint8)) as path:
        assert path.read_bytes() == b"a clip"
        assert os.readlink(path).startswith("/memfd:")
    assert not path.exists()


def test_a_reader_replica_warms_up_beside_its_requests(beside: tuple[RemoteReader, Beside, Beside]) -> None:
    asked = threading.Event()

    class Engines:
        def call(self, method: str, *arguments: object, wanted: object) -> None:
            asked.set()
            raise EngineFailed("There is no engine yet.")

    with closing(ReaderDesk(SETTINGS, Engines())) as desk:
        desk.warm_up()

        assert asked.wait(5)


def test_a_clip_that_does_harm_over_there_is_refused_and_the_replica_reads_on(
    beside: tuple[RemoteReader, Beside, Beside], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes are caged as those of one machine are."""
    _, _, engines = beside
    monkeypatch.setattr(process_module, "CHILD", "tests.readers.fragile")
    (tmp_path / "deadly").write_bytes(DIES)
    (tmp_path / "curious").write_bytes(OPENS + bytes(clip))
    with running_loop() as loop, closing(ReaderDesk(SETTINGS, engines)) as desk:
        reader = RemoteReader(SETTINGS, Beside(desk, loop))
        for hostile, said in (("deadly", "Two processes ended while they read this clip"), ("curious", "refused: PermissionError")):
            with pytest.raises(UnreadableClip, match=said):
                reader.read(reader.open(tmp_path / hostile), reader.find(None), Options(Saliency.NONE))

        analysis, _ = reader.read(reader.open(clip), reader.find(None), Options(Saliency.NONE))
        assert analysis.lung_sliding.probability is not None


def test_engines_that_were_not_there_are_asked_for_again(beside: tuple[RemoteReader, Beside, Beside], clip: Path) -> None:
    class Late:
        """As a cluster whose engines come up after its readers."""

        def __init__(self) -> None:
            self.has_failed = False

        def call(self, method: str, *arguments: object, wanted: Wanted) -> object:
            if not self.has_failed:
                self.has_failed = True
                raise EngineFailed("There is no engine yet.")
            return beside[2].call(method, *arguments, wanted=wanted)

    with running_loop() as loop, closing(ReaderDesk(SETTINGS, Late())) as desk:
        readers = Beside(desk, loop)
        with pytest.raises(EngineFailed, match="There is no engine yet") as failure:
            readers.call("load", shipped_reader().find(None), wanted=lambda: None)
        assert failure.value.retry_after_s == 1
        time.sleep(1.1)
        readers.call("load", shipped_reader().find(None), wanted=lambda: None)
