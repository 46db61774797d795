"""The reader's side: clips are read in caged processes of this replica, as on one machine; the engines are the cluster's."""

import asyncio
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bundle import read_bundle
from service.cine.clip import Clip
from service.engine.turn import Lane
from service.errors import EngineFailed, SeashoreError
from service.evidence.rendition import Marks, Rendition
from service.findings import Analysis, Arrays, Line
from service.loading import check_golden
from service.model import LoadedModel
from service.pipeline import Options
from service.readers.reader import PooledReader
from service.remote.calls import Replicas, reply
from service.remote.device import RemoteDevice
from service.remote.sent import Page, SentClip
from service.settings import Settings
from service.shelf import ModelEntry

CLIPS_A_READER = 2
"""Read at the same time by one replica: while one waits for the engines the other decodes."""
ASKS_A_READER = 32
"""Threads that wait for the engines. A clip has four asks under way at most."""
ENGINES_AGAIN_S = 1
"""Engines that were not there, in a cluster that is still starting, are asked for again."""

log = logging.getLogger(__name__)

Left = threading.Event
"""Set when nobody waits for the answer any more."""


class ReaderDesk:
    """Reads clips that are sent to it. Its methods may be cancelled: what they were doing ends soon after."""

    def __init__(self, settings: Settings, engines: Replicas) -> None:
        self._engines = engines
        processes = {"max_concurrent": CLIPS_A_READER - 1, "max_background": 1}
        self._reader = PooledReader(settings.model_copy(update=processes), self._load)
        self._reading = ThreadPoolExecutor(CLIPS_A_READER, thread_name_prefix="reading")
        self._asking = ThreadPoolExecutor(ASKS_A_READER, thread_name_prefix="asking")

    def warm_up(self) -> None:
        """Have the default model ready as soon as there is an engine. Returns at once; what stands in the way is logged."""
        self._reading.submit(self._warm_up)

    def close(self) -> None:
        """End its processes, whatever they are reading. They end with this one in any case."""
        self._reader.pool.close()

    async def load(self, entry: ModelEntry) -> Any:
        return await reply(self._run(lambda left: self._reader.load(entry)))

    async def read(self, clip: SentClip, entry: ModelEntry, options: Options, lane: Lane, keeps_arrays: bool) -> Any:
        """Replies the Analysis, and the Arrays where they were to be kept."""
        return await reply(self._run(partial(self._read, clip, entry, options, lane, keeps_arrays)))

    async def annotate(self, clip: SentClip, analysis: Analysis) -> Any:
        """Replies the annotated clip, an MP4."""
        return await reply(self._run(lambda left: self._drawn(clip, lambda opened, out: self._reader.annotate(opened, analysis, out))))

    async def report(self, clip: SentClip, analysis: Analysis, page: Page) -> Any:
        """Replies the one-page report, a PDF."""
        return await reply(self._run(lambda left: self._drawn(clip, lambda opened, out: self._report(opened, analysis, page, out))))

    async def render(self, clip: SentClip, marks: Marks | None) -> Any:
        """Replies the frames' JPEGs one after the other, and the Rendition."""
        return await reply(self._run(partial(self._render, clip, marks)))

    async def mmode(self, clip: SentClip, line: Line) -> Any:
        """Replies the line through time, grey levels (depth, F)."""
        return await reply(self._run(partial(self._mmode, clip, line)))

    async def _run(self, work: Callable[[Left], Any]) -> Any:
        left = threading.Event()
        try:
            return await asyncio.wrap_future(self._reading.submit(work, left))
        finally:
            left.set()

    def _warm_up(self) -> None:
        try:
            self._reader.load(self._reader.find(None))
        except SeashoreError as error:
            log.error("not warm: %s: %s %s", error.code, error, error.log_detail)

    def _read(
        self, clip: SentClip, entry: ModelEntry, options: Options, lane: Lane, keeps_arrays: bool, left: Left
    ) -> tuple[Analysis, Arrays | None]:
        _check(left)
        model = self._reader.model(entry)
        assert isinstance(model.engine, RemoteDevice)
        model = LoadedModel(model.bundle, model.engine.for_clip())
        with self._opened(clip) as opened:
            analysis, arrays = self._reader.read_with(
                model, opened, entry, options, partial(_check, left), lane=lane, keeps_arrays=keeps_arrays
            )
        return replace(analysis, model=model.ref), arrays  # its engine has seen by now where the patches really were

    @contextmanager
    def _opened(self, clip: SentClip) -> Iterator[Clip]:
        with in_memory(clip.data) as path:
            yield self._reader.open(path, unhurried=clip.is_unhurried)

    def _drawn(self, clip: SentClip, draw: Callable[[Clip, Path], object]) -> NDArray[np.uint8]:
        with self._opened(clip) as opened, tempfile.TemporaryDirectory(prefix="seashore-") as folder:
            out = Path(folder) / "drawn"
            draw(opened, out)
            return np.fromfile(out, np.uint8)

    def _render(self, clip: SentClip, marks: Marks | None, left: Left) -> tuple[NDArray[np.uint8], Rendition]:
        made: list[Rendition] = []
        jpegs = self._drawn(clip, lambda opened, out: made.append(self._reader.render(opened, out, partial(_check, left), marks=marks)))
        return jpegs, made[0]

    def _mmode(self, clip: SentClip, line: Line, left: Left) -> NDArray[np.uint8]:
        with self._opened(clip) as opened:
            return self._reader.mmode(opened, line, partial(_check, left))

    def _report(self, clip: Clip, analysis: Analysis, page: Page, out: Path) -> None:
        at, shown = page.analysed_at, page.show_outside_region
        self._reader.report(clip, analysis, out, analysed_at=at, identity=page.identity, show_outside_region=shown)

    def _load(self, folder: Path) -> LoadedModel:
        """The bundle here, its graphs on the engines; the golden clip is read by both together."""
        bundle = read_bundle(folder)
        entry = ModelEntry(bundle.name, bundle.version, is_default=False, is_loaded=True)
        try:
            sha256, device = self._engines.call("device", entry, wanted=lambda: None)
            if sha256 != bundle.sha256:
                raise EngineFailed(f"The readers and the engines of the cluster hold different models {bundle}; they must be the same.")
            model = LoadedModel(bundle, RemoteDevice(self._engines, self._asking, entry, sha256, device))
            check_golden(model)
        except EngineFailed as error:
            raise error.anew(retry_after_s=ENGINES_AGAIN_S) from error
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
