"""Whoever reads clips: the HTTP API and the command line ask it, and know nothing of engines and bundles.

`Reader` is the seam; `ClipReader` is the real one, over a model store on disk. Tests stand a reader with a computable
answer behind the same seam.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.cine.handed import HandedFile
from service.engine.batcher import Batcher
from service.engine.healing import HealingDevice
from service.engine.precision import Precision
from service.engine.turn import Lane
from service.errors import SeashoreError
from service.evidence.identity import Identity
from service.evidence.mmode import mmode
from service.evidence.one_page import write_report
from service.evidence.overlay import annotate
from service.evidence.paper_charts import Limits
from service.evidence.rendition import Marks, Rendition, render
from service.findings import Analysis, Arrays, Line, ModelRef
from service.loading import load_model, precision_of
from service.model import LoadedModel
from service.options import check_line
from service.pipeline import Options, Progress, analyse, hear_nothing
from service.settings import Settings
from service.shelf import ModelEntry, ModelShelf, OverShelf
from service.sign_loading import load_sign as load_sign_here
from service.sign_reading import AskedSign, LoadedSign
from service.sign_shelf import SignEntry, SignShelf
from service.standing import ModelStanding, ReaderStanding

JOB_PIXELS_A_SECOND = 1920 * 1080 * 30
"""Of clip: no deadline bounds a job, so it may be 1080p all along."""


def open_timed(reader: "Reader", path: Path, *, unhurried: bool = False) -> tuple[Clip, float]:
    """The clip, and the milliseconds it took to open it. Raises: RequestError."""
    start_s = time.perf_counter()
    clip = reader.open(path, unhurried=unhurried)
    return clip, (time.perf_counter() - start_s) * 1000


class Reader(Protocol):
    """Reads clips. Every method blocks and may be called from several threads at once."""

    def models(self) -> tuple[ModelEntry, ...]:
        """Every bundle of the store, by name, the newest version first."""
        ...

    def signs(self) -> tuple[SignEntry, ...]:
        """The models of signs beside sliding that are offered or tried again, by name. Loads none: until some have been, those that the
        store states."""
        ...

    def find(self, model: str | None) -> ModelEntry:
        """The bundle a request means by `NAME`, `NAME:VERSION` or nothing. Quick. Raises: UnknownModel, BadBundle."""
        ...

    def digest(self, entry: ModelEntry) -> str:
        """sha256 of the bundle's model, hexadecimal: another model, another digest. Quick. Raises: BadBundle."""
        ...

    def load(self, entry: ModelEntry) -> None:
        """Have a bundle verified, its golden clip checked and its engine warm. Raises: OperatorError."""
        ...

    def load_signs(self) -> None:
        """Have the models of signs loaded, as far as they can be; the log says which cannot."""
        ...

    def reload(self) -> ModelEntry:
        """Load the store's newest default beside the present one, and have it take its place. Raises: OperatorError, and it stays."""
        ...

    def standing(self) -> ReaderStanding:
        """How its models and processes stand. Waits for the store's disk at most: not for the device, nor for a model being loaded."""
        ...

    def trouble(self) -> SeashoreError | None:
        """Why the model that is asked when none is named can answer nothing just now, though it is loaded. Waits for nothing."""
        ...

    def open(self, path: Path, *, unhurried: bool = False) -> Clip:
        """The clip in a file, which must stay there as long as the clip is used. Raises: RequestError.

        `unhurried`: nobody waits for the answer at once, so the clip may be as long as a job's.
        """
        ...

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
        """`decode_ms` is what opening the clip took; the arrays are None unless `keeps_arrays`.

        Raises: RequestError, OperatorError; and whatever `on_progress` raises, which is how a caller stops it.
        """
        ...

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        """Write the clip with its findings drawn on it, as MP4."""
        ...

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
        """Write the one-page report of an answer, as PDF; whose clip it is where that is known. Same arguments, same bytes."""
        ...

    def render(self, clip: Clip, out: Path, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        """Write every frame as a JPEG, one after the other, with `marks` drawn on it; gives where each lies. Same clip, same bytes.

        Raises: RequestError, EngineFailed; and whatever `on_progress` raises, which is how a caller stops it.
        """
        ...

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        """A line of the frame through time, grey levels: a row a pixel along it, a column a frame. Raises: BadOption; as `render`."""
        ...


class ClipReader(OverShelf[LoadedModel]):
    """The real reader: decodes, analyses and draws, with the models of a store on one device."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Path], LoadedModel] | None = None,
        load_sign: Callable[[Path], LoadedSign] | None = None,
    ) -> None:
        """`load` and `load_sign` open the bundle in a folder; on the device of the settings unless they are given."""
        # Its warnings quote the values of damaged objects, a patient's name among them, and the file's path.
        for library in ("pydicom", "highdicom"):
            logging.getLogger(library).propagate = False
        self._limits = replace(DEFAULT_LIMITS, max_seconds=settings.max_seconds, max_pixels_per_frame=settings.max_pixels)
        patience = max(1.0, settings.max_job_seconds / settings.max_seconds)
        self._job_limits = replace(
            self._limits,
            max_seconds=max(settings.max_job_seconds, settings.max_seconds),
            max_frames=round(self._limits.max_frames * patience),
            max_pixels_in_all=round(settings.max_job_seconds * JOB_PIXELS_A_SECOND),
        )
        here = partial(load_model, device=settings.device, precision=Precision(settings.precision))
        super().__init__(ModelShelf(settings.model_store, settings.default_model, load or here, settings.trusted_keys))
        sign_here = partial(load_sign_here, device=settings.device)
        self._signs = SignShelf(settings.model_store, load_sign or sign_here, settings.trusted_keys)

    def standing(self) -> ReaderStanding:
        return ReaderStanding(tuple(map(self._with_device, self._shelf.standings())), signs=self._signs.standings())

    def trouble(self) -> SeashoreError | None:
        model = self._shelf.current
        return model.engine.trouble if model is not None and isinstance(model.engine, HealingDevice) else None

    def _with_device(self, standing: ModelStanding) -> ModelStanding:
        model = self._shelf.peek(standing.name, standing.version)
        if model is None:
            return standing
        work = model.engine.standing() if isinstance(model.engine, (Batcher, HealingDevice)) else None
        return replace(standing, device=model.engine.device, precision=precision_of(model.engine).value, work=work)

    def open(self, path: Path, *, unhurried: bool = False) -> Clip:
        return self._opened(path, unhurried)

    def model(self, entry: ModelEntry) -> LoadedModel:
        """Loaded now if it has not been yet. Raises: OperatorError."""
        return self._shelf.get(entry)

    def sign(self, entry: ModelEntry) -> LoadedSign:
        """A model of signs, loaded now if it has not been yet. Raises: OperatorError."""
        return self._signs.get(entry)

    def signs(self) -> tuple[SignEntry, ...]:
        return self._signs.entries()

    def load_signs(self) -> None:
        self._signs.offered()

    def reload(self) -> ModelEntry:
        try:
            return super().reload()
        finally:
            self._signs.look()  # what is wrong with a model of sliding keeps none of signs from being mended

    def open_handed(self, file: HandedFile, *, unhurried: bool = False) -> Clip:
        """As `open`, of a file that somebody else opened."""
        return self._opened(file, unhurried)

    def _opened(self, file: Path | HandedFile, unhurried: bool) -> Clip:
        return open_clip(file, self._job_limits if unhurried else self._limits)

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
        options, signs = self._resolved(options)
        return self.read_asked(clip, entry, options, signs, on_progress, decode_ms=decode_ms, lane=lane, keeps_arrays=keeps_arrays)

    def _resolved(self, options: Options) -> tuple[Options, tuple[AskedSign, ...]]:
        """Every sign that is wanted by its name, and who tells it."""
        named = replace(options, signs=self._signs.wanted(options.signs))
        return named, self._signs.asked(named.signs)

    def read_asked(
        self,
        clip: Clip,
        entry: ModelEntry,
        options: Options,
        signs: Sequence[AskedSign],
        on_progress: Progress | None = None,
        *,
        decode_ms: float = 0.0,
        lane: Lane = Lane.INTERACTIVE,
        keeps_arrays: bool = False,
    ) -> tuple[Analysis, Arrays | None]:
        """As `read`, by these models of signs."""
        model = self._shelf.get(entry)
        return analyse(
            clip, model, options, signs=signs, on_progress=on_progress, decode_ms=decode_ms, lane=lane, keeps_arrays=keeps_arrays
        )

    def annotate(self, clip: Clip, analysis: Analysis, out: Path | BinaryIO) -> None:
        annotate(clip, analysis, out)

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
        limits, shown = self._verdict_limits(analysis.model), show_outside_region
        write_report(clip, analysis, out, analysed_at=analysed_at, identity=identity, limits=limits, show_outside_region=shown)

    def render(self, clip: Clip, out: Path | BinaryIO, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        tell = on_progress or hear_nothing
        return render(clip, out, lambda share: tell(share, "frames"), marks=marks)

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        check_line(line, clip.info.width, clip.info.height)
        return mmode(_told(clip.frames(), clip.info.num_frames, on_progress or hear_nothing), *line)

    def _verdict_limits(self, model: ModelRef) -> Limits | None:
        """Of the bundle that answered; None when it has left the store since."""
        try:
            calibration = self._shelf.get(self.find(f"{model.name}:{model.version}")).bundle.calibration
        except SeashoreError:
            return None
        return Limits(calibration.absent_below, calibration.present_above)


def _told(frames: Iterable[NDArray[np.uint8]], num_frames: int, tell: Progress) -> Iterator[NDArray[np.uint8]]:
    for number, frame in enumerate(frames, 1):
        yield frame
        tell(number / num_frames, "mmode")
