"""A `Reader` whose clips are read in processes of their own, with the models of this one."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane
from service.errors import UnreadableClip
from service.evidence.identity import Identity
from service.evidence.rendition import Rendition
from service.file_clip import FileClip
from service.findings import Analysis, Arrays, Line
from service.model import LoadedModel
from service.pipeline import Options, Progress
from service.reader import ClipReader, hear_nothing
from service.readers.pool import ReaderPool
from service.readers.process import ReaderLost, ReaderProcess
from service.readers.words import Annotate, File, Mmode, Order, Read, Render, Report, Word
from service.record import analysis_from_json
from service.remote.calls import RemoteBug
from service.settings import Settings
from service.shelf import ModelEntry
from service.telemetry import describe_bug

Result = TypeVar("Result")

TRIES = 2
"""The first process may have been ended by somebody; one that dies over the same clip again was ended by the clip."""

log = logging.getLogger(__name__)


class PooledReader(ClipReader):
    """The models are here, on one device; each clip is decoded, cut, pooled and drawn in a process that reads nothing else meanwhile."""

    def __init__(self, settings: Settings, load: Callable[[Path], LoadedModel] | None = None) -> None:
        super().__init__(settings, load)
        self._num_warm = settings.max_concurrent
        self.pool = ReaderPool(settings.of_readers(), settings.max_concurrent + settings.max_background)

    def load(self, entry: ModelEntry) -> None:
        super().load(entry)
        self.pool.warm_up(self._num_warm)

    def open(self, path: Path, *, unhurried: bool = False) -> FileClip:
        """Nothing is looked at yet: what is wrong with the clip is raised by `read`."""
        return FileClip(path, super().open, is_unhurried=unhurried)

    def read(
        self,
        clip: Clip,
        entry: ModelEntry,
        options: Options,
        on_progress: Progress | None = None,
        *,
        decode_ms: float = 0.0,
        lane: Lane = Lane.INTERACTIVE,
        keeps_arrays: bool = False,
    ) -> tuple[Analysis, Arrays | None]:
        """As `Reader.read`. `decode_ms` is measured where it is decoded."""
        model = self._shelf.get(entry)
        order = Read(_file(clip), entry, model.bundle.sha256, model.engine.device, options, keeps_arrays)

        def read(process: ReaderProcess) -> tuple[Analysis, Arrays | None]:
            with model.engine.turn(lane) as turn:
                return _findings(process.run(order, turn.ask, on_progress or hear_nothing))

        return self._in_a_process(read, on_progress or hear_nothing)

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        self._draw(Annotate(_file(clip), analysis, out), None, _nothing)

    def report(
        self,
        clip: Clip,
        analysis: Analysis,
        out: Path,
        *,
        analysed_at: datetime,
        identity: Identity | None = None,
        show_outside_region: bool = True,
    ) -> None:
        self._draw(Report(_file(clip), analysis, out, analysed_at, identity, show_outside_region), None, _nothing)

    def render(self, clip: Clip, out: Path, on_progress: Progress | None = None) -> Rendition:
        return self._draw(Render(_file(clip), out), on_progress, _rendition)

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        return self._draw(Mmode(_file(clip), line), on_progress, _strip)

    def _draw(self, order: Order, on_progress: Progress | None, understand: Callable[[Word], Result]) -> Result:
        tell = on_progress or hear_nothing
        return self._in_a_process(lambda process: understand(process.run(order, _ask_nothing, tell)), tell)

    def _in_a_process(self, work: Callable[[ReaderProcess], Result], tell: Progress) -> Result:
        for _ in range(TRIES):
            with self.pool.lend(lambda: tell(0.0, "decode")) as process:
                try:
                    return work(process)
                except ReaderLost as lost:
                    process.kill()
                    log.warning("a reader process (pid %d) was lost with its clip: %s", process.pid, describe_bug(lost))
                except RemoteBug as bug:
                    log.error("internal_error in a reader process: %s", bug.where)
                    raise
        raise UnreadableClip(
            "Two processes ended while they read this clip, one after the other. Either it is damaged in a way that decoders do not "
            "survive, or it needs more memory than there is."
        )


@contextmanager
def reader_processes(settings: Settings, load: Callable[[Path], LoadedModel] | None = None) -> Iterator[PooledReader]:
    """The processes end with it, whatever they are reading."""
    reader = PooledReader(settings, load)
    try:
        yield reader
    finally:
        reader.pool.close()


def _file(clip: Clip) -> File:
    assert isinstance(clip, FileClip), "a reader is given the clips that it opened"
    return File(clip.path, clip.is_unhurried)


def _findings(done: Word) -> tuple[Analysis, Arrays | None]:
    try:
        return analysis_from_json(done.fields), Arrays.of_names(done.arrays) if done.arrays else None
    except Exception as error:  # cattrs raises groups of whatever it met
        raise ReaderLost from error


def _rendition(done: Word) -> Rendition:
    try:
        return Rendition.from_json(done.fields)
    except ValueError as error:
        raise ReaderLost from error


def _strip(done: Word) -> NDArray[np.uint8]:
    strip = done.arrays.get("strip")
    if strip is None or strip.ndim != 2 or strip.dtype != np.uint8:
        raise ReaderLost
    return strip


def _nothing(done: Word) -> None:
    """What was drawn lies in its file."""


def _ask_nothing(task: Task, patches: Grey) -> "Future[Answer]":
    raise ReaderLost  # nobody draws with the device
