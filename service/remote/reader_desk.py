"""The reader's side: decodes, finds the pleura, pools and draws, and asks the engines of the cluster about the patches."""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bundle import read_bundle
from service.cine.clip import Clip
from service.engine.turn import Lane
from service.errors import EngineFailed, SeashoreError
from service.evidence.identity import Identity
from service.evidence.one_page import write_report
from service.evidence.paper_charts import Limits
from service.evidence.rendition import Rendition
from service.findings import Analysis, Arrays, Line
from service.loading import check_golden
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reader import ClipReader
from service.remote.calls import Replicas, reply
from service.remote.device import RemoteDevice
from service.remote.shelf import PatientShelf
from service.settings import Settings
from service.shelf import ModelEntry

CLIPS_A_READER = 2
"""Read at the same time by one replica: while one waits for the engines the other decodes."""
ASKS_A_READER = 32
"""Threads that wait for the engines. A clip has four asks under way at most."""


@dataclass(frozen=True, slots=True)
class SentClip:
    """A clip on its way to whoever reads it."""

    data: NDArray[np.uint8]
    """The file, byte for byte. It lies in shared memory, which a `bytes` would be copied out of."""
    is_unhurried: bool
    """It may be as long as a job's."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the one-page report says beside the findings."""

    analysed_at: datetime
    identity: Identity | None
    show_outside_region: bool


Left = threading.Event
"""Set when nobody waits for the answer any more."""


class ReaderDesk:
    """Reads clips that are sent to it. Its methods may be cancelled: what they were doing ends soon after."""

    def __init__(self, settings: Settings, engines: Replicas) -> None:
        self._opener = ClipReader(settings)
        self._engines = engines
        self._shelf = PatientShelf(settings, self._load)
        self._reading = ThreadPoolExecutor(CLIPS_A_READER, thread_name_prefix="reading")
        self._asking = ThreadPoolExecutor(ASKS_A_READER, thread_name_prefix="asking")

    def warm_up(self) -> None:
        """Have the default model ready as soon as there is an engine. Returns at once."""
        self._reading.submit(self._shelf.warm_up)

    async def load(self, entry: ModelEntry) -> Any:
        return await reply(self._run(lambda left: self._shelf.get(entry) and None))

    async def read(self, clip: SentClip, entry: ModelEntry, options: Options, lane: Lane, keeps_arrays: bool) -> Any:
        """Replies the Analysis, and the Arrays where they were to be kept."""
        return await reply(self._run(partial(self._read, clip, entry, options, lane, keeps_arrays)))

    async def annotate(self, clip: SentClip, analysis: Analysis) -> Any:
        """Replies the annotated clip, an MP4."""
        return await reply(self._run(lambda left: self._drawn(clip, lambda opened, out: self._opener.annotate(opened, analysis, out))))

    async def report(self, clip: SentClip, analysis: Analysis, page: Page) -> Any:
        """Replies the one-page report, a PDF."""
        return await reply(self._run(lambda left: self._drawn(clip, lambda opened, out: self._write_report(opened, analysis, page, out))))

    async def render(self, clip: SentClip) -> Any:
        """Replies the frames' JPEGs one after the other, and the Rendition."""
        return await reply(self._run(partial(self._render, clip)))

    async def mmode(self, clip: SentClip, line: Line) -> Any:
        """Replies the line through time, grey levels (depth, F)."""
        return await reply(self._run(partial(self._mmode, clip, line)))

    async def _run(self, work: Callable[[Left], Any]) -> Any:
        left = threading.Event()
        try:
            return await asyncio.wrap_future(self._reading.submit(work, left))
        finally:
            left.set()

    def _read(
        self, clip: SentClip, entry: ModelEntry, options: Options, lane: Lane, keeps_arrays: bool, left: Left
    ) -> tuple[Analysis, Arrays | None]:
        _check(left)
        model = self._shelf.get(entry)
        assert isinstance(model.engine, RemoteDevice)
        model = LoadedModel(model.bundle, model.engine.for_clip())
        with self._opened(clip) as (opened, decode_ms):
            stop = partial(_check, left)
            return analyse(opened, model, options, on_progress=stop, decode_ms=decode_ms, lane=lane, keeps_arrays=keeps_arrays)

    @contextmanager
    def _opened(self, clip: SentClip) -> Iterator[tuple[Clip, float]]:
        start_s = time.perf_counter()
        with in_memory(clip.data) as path:
            opened = self._opener.open(path, unhurried=clip.is_unhurried)
            yield opened, (time.perf_counter() - start_s) * 1000

    def _drawn(self, clip: SentClip, draw: Callable[[Clip, Path], object]) -> NDArray[np.uint8]:
        with self._opened(clip) as (opened, _), tempfile.TemporaryDirectory(prefix="seashore-") as folder:
            out = Path(folder) / "drawn"
            draw(opened, out)
            return np.fromfile(out, np.uint8)

    def _render(self, clip: SentClip, left: Left) -> tuple[NDArray[np.uint8], Rendition]:
        made: list[Rendition] = []
        jpegs = self._drawn(clip, lambda opened, out: made.append(self._opener.render(opened, out, partial(_check, left))))
        return jpegs, made[0]

    def _mmode(self, clip: SentClip, line: Line, left: Left) -> NDArray[np.uint8]:
        with self._opened(clip) as (opened, _):
            return self._opener.mmode(opened, line, partial(_check, left))

    def _write_report(self, clip: Clip, analysis: Analysis, page: Page, out: Path) -> None:
        write_report(
            clip,
            analysis,
            out,
            analysed_at=page.analysed_at,
            identity=page.identity,
            limits=self._limits(analysis),
            show_outside_region=page.show_outside_region,
        )

    def _limits(self, analysis: Analysis) -> Limits | None:
        """Of the bundle that answered; None when it has left the store since."""
        model = analysis.model
        try:
            calibration = self._shelf.get(ModelEntry(model.name, model.version, is_default=False, is_loaded=True)).bundle.calibration
        except SeashoreError:
            return None
        return Limits(calibration.absent_below, calibration.present_above)

    def _load(self, folder: Path) -> LoadedModel:
        """The bundle here, its graphs on the engines; the golden clip is read by both together."""
        bundle = read_bundle(folder)
        entry = ModelEntry(bundle.name, bundle.version, is_default=False, is_loaded=True)
        sha256, device = self._engines.call("device", entry, wanted=lambda: None)
        if sha256 != bundle.sha256:
            raise EngineFailed(f"The readers and the engines of the cluster hold different models {bundle}; they must be the same.")
        model = LoadedModel(bundle, RemoteDevice(self._engines, self._asking, entry, sha256, device))
        check_golden(model)
        return model


@contextmanager
def in_memory(data: NDArray[np.uint8]) -> Iterator[Path]:
    """A path to read the bytes at. They reach no disk, and are gone when the process is, however it ends (memfd_create(2))."""
    descriptor = os.memfd_create("clip")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data.data)
        file.flush()
        yield Path(f"/proc/self/fd/{descriptor}")


def _check(left: Left, share: float = 0.0, stage: str = "") -> None:
    """A `Progress`."""
    if left.is_set():
        raise CancelledError
