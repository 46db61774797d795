"""A `Reader` whose clips are read elsewhere: the API and the jobs ask it as they ask one that reads by itself."""

import logging
import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.engine.turn import Lane
from service.errors import EngineFailed
from service.evidence.identity import Identity
from service.evidence.rendition import Marks, Rendition
from service.file_clip import FileClip
from service.findings import Analysis, Arrays, Line
from service.pipeline import Options, Progress, hear_nothing
from service.reader import ClipReader
from service.reading import Wanted
from service.remote.calls import RemoteBug, Replicas
from service.remote.sent import Page, SentClip
from service.settings import Settings
from service.shelf import ModelEntry, ModelShelf, OverShelf
from service.sign_shelf import SignEntry
from service.standing import ReaderStanding

START_WITHIN_S = 300.0
"""A cluster's first replicas; machines that must be started for them take minutes."""

log = logging.getLogger(__name__)


class RemoteReader(OverShelf[bool]):
    """Sends clips to the readers of a cluster. What the model store holds is looked up here; it is the same on every machine."""

    def __init__(self, settings: Settings, readers: Replicas) -> None:
        self._opener = ClipReader(settings)  # opens files, and says what the store states; it is never asked for a model
        self._readers = readers
        super().__init__(ModelShelf(settings.model_store, settings.default_model, self._load, settings.trusted_keys))

    def signs(self) -> tuple[SignEntry, ...]:
        """As the store states them: the cluster's readers run them on their own processors, and load them when they start."""
        return self._opener.signs()

    def load_signs(self) -> None:
        """Not here."""

    def standing(self) -> ReaderStanding:
        return replace(super().standing(), signs=self._opener.standing().signs)

    def open(self, path: Path, *, unhurried: bool = False) -> FileClip:
        """Nothing is looked at yet: what is wrong with the clip is raised by `read`."""
        return FileClip(path, self._opener.open, is_unhurried=unhurried)

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
        """As `Reader.read`. Progress is told, but not how far it is. `decode_ms` is measured where it is decoded."""
        wanted = partial(on_progress or hear_nothing, 0.0, "model")
        read: tuple[Analysis, Arrays | None] = self._call("read", _sent(clip), entry, options, lane, keeps_arrays, wanted=wanted)
        return read

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        self._call("annotate", _sent(clip), analysis, wanted=lambda: None).tofile(out)

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
        page = Page(analysed_at, identity, show_outside_region)
        self._call("report", _sent(clip), analysis, page, wanted=lambda: None).tofile(out)

    def render(self, clip: Clip, out: Path, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        wanted = partial(on_progress or hear_nothing, 0.0, "frames")
        jpegs: NDArray[np.uint8]
        jpegs, rendition = self._call("render", _sent(clip), marks, wanted=wanted)
        jpegs.tofile(out)
        assert isinstance(rendition, Rendition)
        return rendition

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        strip: NDArray[np.uint8] = self._call("mmode", _sent(clip), line, wanted=partial(on_progress or hear_nothing, 0.0, "mmode"))
        return strip

    def _load(self, folder: Path) -> bool:
        """By one of the readers and one of the engines; the others load it when they start, or when they are first asked for it."""
        end_s = time.monotonic() + START_WITHIN_S

        def wanted() -> None:
            if time.monotonic() > end_s:
                raise EngineFailed(f"The cluster had no reader and engine ready within {START_WITHIN_S:g} s.")

        self._call("load", ModelEntry(folder.parent.name, folder.name, is_default=False, is_loaded=False), wanted=wanted)
        return True

    def _call(self, method: str, *arguments: Any, wanted: Wanted) -> Any:
        try:
            return self._readers.call(method, *arguments, wanted=wanted)
        except RemoteBug as bug:
            log.error("internal_error on the cluster: %s", bug.where)
            raise


def _sent(clip: Clip) -> SentClip:
    assert isinstance(clip, FileClip), "a reader is given the clips that it opened"
    return SentClip(np.fromfile(clip.path, np.uint8), clip.is_unhurried)
