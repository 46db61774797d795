"""A `Reader` whose clips are read in processes of their own, with the models of this one."""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.engine.base import Grey, Task
from service.engine.healing import Care
from service.engine.precision import Precision
from service.engine.turn import Answer, Lane, Turn
from service.errors import EngineFailed, UnreadableClip
from service.evidence.identity import Identity
from service.evidence.rendition import Marks, Rendition
from service.file_clip import FileClip
from service.findings import Analysis, Arrays, Line
from service.loading import load_healing_model
from service.model import LoadedModel
from service.pipeline import Options, Progress, hear_nothing
from service.reader import ClipReader
from service.readers.pool import ReaderPool
from service.readers.process import Ask, Asks, LimitReached, NeverBegan, ReaderLost, ReaderProcess
from service.readers.words import CALL, MEMORY, OUTPUT, SLIDING, TIME, Annotate, File, Mmode, Order, Read, ReadSign, Render, Report, Word
from service.record import analysis_from_json
from service.remote.calls import RemoteBug
from service.settings import Settings
from service.shelf import ModelEntry
from service.sign_loading import load_healing_sign
from service.sign_reading import AskedSign, LoadedSign
from service.standing import ReaderStanding
from service.telemetry import describe_bug

Result = TypeVar("Result")

EXIT_ENGINE_LOST = 70
"""EX_SOFTWARE of sysexits.h: whoever runs the service (Docker, systemd) starts it again."""
NO_DEVICE: Asks = {}
"""Nobody draws with it."""
TRIES = 2
"""The first process may have been ended by somebody; one that dies over the same clip again was ended by the clip."""

log = logging.getLogger(__name__)


class PooledReader(ClipReader):
    """The models are here, on one device; each clip is decoded, cut, pooled and drawn in a process that reads nothing else meanwhile."""

    def __init__(self, settings: Settings, load: Callable[[Path], LoadedModel] | None = None) -> None:
        """As `ClipReader`."""
        care = Care(settings.engine_stuck_s, settings.engine_tries, end_process)
        healing = partial(load_healing_model, device=settings.device, precision=Precision(settings.precision), care=care)
        super().__init__(
            settings, load or healing, partial(load_healing_sign, device=settings.device, care=replace(care, give_up=leave_be))
        )
        self._num_warm = settings.max_concurrent
        self._num_processes = settings.max_concurrent + settings.max_background
        self.pool = ReaderPool(settings.of_readers(), self._num_processes, must_be_caged=settings.cage == "require")
        self._words = limit_words(settings)

    def load(self, entry: ModelEntry) -> None:
        """The models of signs as well: whoever asks for them first must not wait for them."""
        super().load(entry)
        self.load_signs()
        self.pool.warm_up(self._num_warm)

    def standing(self) -> ReaderStanding:
        return replace(super().standing(), processes=self.pool.standing())

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
        return self.read_with(self.model(entry), clip, entry, options, on_progress, lane=lane, keeps_arrays=keeps_arrays)

    def read_with(
        self,
        model: LoadedModel,
        clip: Clip,
        entry: ModelEntry,
        options: Options,
        on_progress: Progress | None = None,
        *,
        lane: Lane = Lane.INTERACTIVE,
        keeps_arrays: bool = False,
    ) -> tuple[Analysis, Arrays | None]:
        """The same on another device than the shelf's. `entry`: where the processes find the model's bundle."""
        options, signs = self._resolved(options)
        ordered = tuple(map(_ordered, signs))
        order = Read(_file(clip), entry, model.bundle.fingerprint, model.engine.device, options, keeps_arrays, ordered)

        def read(process: ReaderProcess) -> tuple[Analysis, Arrays | None]:
            with ExitStack() as turns:
                asks = {SLIDING: _of_sliding(model, turns.enter_context(model.engine.turn(lane)))}
                for sign in signs:
                    asks[sign.model.bundle.name] = _of_signs(sign.model, turns.enter_context(sign.model.engine.turn(lane)))
                return _findings(process.run(order, [file.fileno()], asks, on_progress or hear_nothing))

        with _path(clip).open("rb") as file:
            return self._in_a_process(read, on_progress or hear_nothing)

    def annotate(self, clip: Clip, analysis: Analysis, out: Path | BinaryIO) -> None:
        self._draw(Annotate(_file(clip), analysis), clip, out, None, _nothing)

    def report(
        self,
        clip: Clip,
        analysis: Analysis,
        out: Path | BinaryIO,
        *,
        analysed_at: datetime,
        identity: Identity | None = None,
        show_outside_region: bool = True,
    ) -> None:
        self._draw(Report(_file(clip), analysis, analysed_at, identity, show_outside_region), clip, out, None, _nothing)

    def render(self, clip: Clip, out: Path | BinaryIO, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        return self._draw(Render(_file(clip), marks), clip, out, on_progress, _rendition)

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        return self._draw(Mmode(_file(clip), line), clip, None, on_progress, _strip)

    def _draw(
        self, order: Order, clip: Clip, out: Path | BinaryIO | None, on_progress: Progress | None, understand: Callable[[Word], Result]
    ) -> Result:
        tell = on_progress or hear_nothing
        with _path(clip).open("rb") as file, nullcontext() if out is None else _whole(out) as drawn:
            files = [file.fileno()] if drawn is None else [file.fileno(), drawn.fileno()]
            return self._in_a_process(lambda process: understand(process.run(order, files, NO_DEVICE, tell)), tell)

    def _in_a_process(self, work: Callable[[ReaderProcess], Result], tell: Progress) -> Result:
        num_lost = num_gone = 0
        while num_lost < TRIES:
            with self.pool.lend(lambda: tell(0.0, "decode")) as process:
                try:
                    return work(process)
                except LimitReached as reached:
                    process.kill()
                    log.warning("a reader process (pid %d) ran into a limit of its cage with its clip: %s", process.pid, reached.limit)
                    raise UnreadableClip(self._words[reached.limit]) from reached
                except NeverBegan as gone:
                    process.kill()
                    num_gone += 1
                    if num_gone > self._num_processes:  # not those alone that somebody killed while they waited
                        raise EngineFailed("The processes that clips are read in end before they begin.") from gone
                    log.warning("a reader process (pid %d) was gone before it began; the clip is given to another", process.pid)
                except ReaderLost as lost:
                    process.kill()
                    num_lost += 1
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


def end_process() -> None:
    """At once, with all that is stuck in it. What was under way goes on at the next start: nothing is lost by kill -9 either."""
    log.critical("The process ends itself, for only another one can use the device again. Status %d.", EXIT_ENGINE_LOST)
    logging.shutdown()
    os._exit(EXIT_ENGINE_LOST)


def leave_be() -> None:
    """A model of signs that cannot be opened again is told as failed, and sliding is read; a newer bundle or a restart mends it."""


def limit_words(settings: Settings) -> dict[str, str]:
    """What is said of a clip whose reader ran into a limit of its cage."""
    smaller = "Please cut it, or export it again at a smaller size."
    return {
        MEMORY: f"Reading this clip takes more than the {settings.cage_memory_mb} MB of memory that one clip is given. {smaller}",
        TIME: f"Reading this clip takes more than the {settings.cage_cpu_s} s of computing time that one clip is given. {smaller}",
        OUTPUT: f"What would be drawn of this clip is larger than one clip's pictures may be. {smaller}",
        CALL: "This clip made its decoder try what no decoder does, and reading it was stopped. It is damaged, or made to do harm.",
    }


def _file(clip: Clip) -> File:
    return File(_of_here(clip).is_unhurried)


def _path(clip: Clip) -> Path:
    return _of_here(clip).path


def _of_here(clip: Clip) -> FileClip:
    assert isinstance(clip, FileClip), "a reader is given the clips that it opened"
    return clip


@contextmanager
def _whole(out: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file to hand over. One that is named has its name only once it is whole."""
    if not isinstance(out, Path):
        yield out
        return
    part = out.with_name(f".{out.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("x+b") as file:
            yield file
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


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


def _of_sliding(model: LoadedModel, turn: Turn) -> Ask:
    # SmoothGrad asks about noisy copies, which are no whole grey levels.
    return Ask(turn.ask, model.bundle.input_spec.patch_shape, {Task.CLASSIFY: (np.uint8,), Task.EXPLAIN: (np.uint8, np.float32)})


def _of_signs(sign: LoadedSign, turn: Turn) -> Ask:
    frames = sign.bundle.frames
    return Ask(partial(_asked_in_vain_perhaps, turn), frames.run_shape, {Task.CLASSIFY: (frames.run_dtype,)})


def _asked_in_vain_perhaps(turn: Turn, task: Task, patches: Grey) -> "Future[Answer | None]":
    """A model of signs that fails must not keep sliding from being read."""
    told: Future[Answer | None] = Future()

    def hand_on(asked: "Future[Answer]") -> None:
        told.set_result(None if asked.cancelled() or asked.exception() is not None else asked.result())

    try:
        turn.ask(task, patches).add_done_callback(hand_on)
    except EngineFailed:
        told.set_result(None)
    return told


def _ordered(asked: AskedSign) -> ReadSign:
    bundle = asked.model.bundle
    entry = ModelEntry(bundle.name, bundle.version, is_default=False, is_loaded=True)
    return ReadSign(entry, bundle.fingerprint, asked.model.engine.device, asked.signs)
