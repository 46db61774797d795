"""analyse(): one clip, start to finish."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from service.answer import answer, not_assessable
from service.cine.clip import Clip
from service.cine.inputs import input_statistics
from service.cine.locate import ALL_ROWS, PLEURA_ROWS, Located, locate
from service.cine.pleura import find_pleura, pleura_in_region
from service.cine.pooling import gather, pool
from service.cine.prepare import cut_window, measure_lung, num_windows, strip_windows
from service.cine.quality import doubt_location, judge, judge_clip, judge_location, judge_motion
from service.cine.walk import HeardClip
from service.engine.turn import Lane, Turn
from service.findings import Analysis, Arrays, Point, Reason, Timings
from service.model import LoadedModel
from service.reading import WINDOWS_AHEAD, Reading, Saliency
from service.sign_reading import AskedSign, SignReadings, contradicted, untold


class Rows(StrEnum):
    """Which patch rows are read: the two just below the pleural line, or all down to where the echoes end."""

    PLEURA = "pleura"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Options:
    saliency: Saliency = Saliency.VANILLA
    rows: Rows = Rows.PLEURA
    region: tuple[Point, ...] | None = None
    """Pleural region drawn by hand, a polygon in pixels of the uploaded frame; replaces the search for the pleura."""
    mm_per_px: float | None = None
    """Scale, when the clip does not state it."""
    signs: tuple[str, ...] = ()
    """Of findings.TOLD_SIGNS: those that are to be looked for besides; or ALL_SIGNS."""


Progress = Callable[[float, str], None]
"""Called with the share of the work done (0..1) and the stage's name; often, and again with the same while the device is waited for."""


def hear_nothing(share: float, stage: str) -> None:
    """A `Progress` for whoever does not follow it."""


def analyse(
    clip: Clip,
    model: LoadedModel,
    options: Options,
    *,
    signs: Sequence[AskedSign] = (),
    on_progress: Progress | None = None,
    decode_ms: float = 0.0,
    lane: Lane = Lane.INTERACTIVE,
    keeps_arrays: bool = False,
) -> tuple[Analysis, Arrays | None]:
    """Read one clip. What cannot be read is answered `not_assessable` with the reasons, never raised.

    `signs` are the models of those that the options name.
    `decode_ms` is what opening the clip took, for the timings. The arrays take some 100 MB a minute of clip and are None unless
    asked for. Raises: EngineFailed; RequestError when the clip can no longer be decoded; whatever `on_progress` raises, which is how
    a caller stops it: what of the clip has not reached the device then never does.
    """
    with model.engine.turn(lane) as turn, _turns(signs, lane) as of_signs:
        begun = begin(clip, model, options, turn, signs=of_signs, on_progress=on_progress, decode_ms=decode_ms, keeps_arrays=keeps_arrays)
        return finish(begun)


@contextmanager
def _turns(signs: Sequence[AskedSign], lane: Lane) -> Iterator[tuple[tuple[AskedSign, Turn], ...]]:
    with ExitStack() as stack:
        yield tuple((sign, stack.enter_context(sign.model.engine.turn(lane))) for sign in signs)


@dataclass(slots=True)
class Begun:
    """A clip that has been walked through: all its patches are with the device."""

    clip: Clip
    options: Options
    located: Located
    reading: Reading
    signs: SignReadings
    reasons: tuple[Reason, ...]
    """Why it cannot be read; then nothing was asked of the device."""
    tell: Progress
    started_s: float
    """On `time.perf_counter`."""
    decode_ms: float
    pleura_ms: float


def begin(
    clip: Clip,
    model: LoadedModel,
    options: Options,
    turn: Turn,
    *,
    signs: Sequence[tuple[AskedSign, Turn]] = (),
    on_progress: Progress | None = None,
    decode_ms: float = 0.0,
    keeps_arrays: bool = False,
    windows_ahead: int = WINDOWS_AHEAD,
) -> Begun:
    """Find the pleura and walk once through the clip: each window is asked about as soon as it is cut.

    Waits for answers only when more than `windows_ahead` windows are on their way.
    """
    stage = _Stage(on_progress or hear_nothing)
    started_s = time.perf_counter()
    stage.tell(0.0, "pleura")
    located = _locate(clip, model, options)
    reading = Reading(model, located.plan, options.saliency, turn, stage.again, keeps_arrays=keeps_arrays, windows_ahead=windows_ahead)
    reasons = judge_clip(clip, located.overview, model.bundle.input_spec) or judge_location(located)
    beside = SignReadings(signs, clip.info, located.sector, stage.again)
    beside.refuse(reasons)
    pleura_ms = (time.perf_counter() - started_s) * 1000
    if not reasons:
        _read_windows(HeardClip(clip, beside.hear) if beside.are_needed else clip, located, reading, model, stage.tell)
    elif beside.are_needed:
        _show(clip, beside, stage.tell)
    return Begun(clip, options, located, reading, beside, reasons, stage.tell, started_s, decode_ms, pleura_ms)


def finish(begun: Begun) -> tuple[Analysis, Arrays | None]:
    """Wait for the device, and say what all of it means."""
    clip, located, reading, options = begun.clip, begun.located, begun.reading, begun.options
    reading.settle()
    reasons = begun.reasons or judge_motion(reading.motions, len(reading.plan.lung_columns)) + doubt_location(located)
    quality = judge(located, reading.motions, reasons)
    evidence = gather(reading.plan, reading.motions, reading.logits)
    inputs = input_statistics(clip.info, located, reading.greys, reading.motions, evidence, quality)
    signs = begun.signs.findings()
    pooled = pool(evidence, reading.model.bundle.calibration) if quality.assessable else None
    total_ms = (time.perf_counter() - begun.started_s) * 1000 + begun.decode_ms
    timings = Timings(begun.decode_ms, begun.pleura_ms, reading.model_ms, reading.saliency_ms, total_ms, begun.signs.device_ms)
    begun.tell(1.0, "done")
    if pooled is None:
        said = not_assessable(clip, located, reading, quality, timings, options.mm_per_px)
    else:
        said = answer(clip, located, reading, quality, evidence, pooled, timings, options.mm_per_px)
    warnings = (*said.warnings, *untold(options.signs, signs), *contradicted(said.lung_sliding.verdict, signs))
    return replace(said, inputs=inputs, signs=signs, warnings=warnings), reading.arrays()


class _Stage:
    """Says how far it is; `again` says the same once more, so that whoever waits for the device can be stopped."""

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._last = 0.0, "pleura"

    def tell(self, share: float, name: str) -> None:
        self._last = share, name
        self._on_progress(share, name)

    def again(self) -> None:
        self._on_progress(*self._last)


def _locate(clip: Clip, model: LoadedModel, options: Options) -> Located:
    find = find_pleura if options.region is None else partial(pleura_in_region, region=options.region)
    num_rows = PLEURA_ROWS if options.rows is Rows.PLEURA else ALL_ROWS
    return locate(clip, model.bundle.input_spec, num_rows=num_rows, find=find)


def _show(clip: Clip, signs: SignReadings, tell: Progress) -> None:
    """A clip in which no sliding can be read may show why."""
    for done, frame in enumerate(clip.frames()):
        tell(0.1 + 0.9 * done / clip.info.num_frames, "signs")
        signs.hear(frame)


def _read_windows(clip: Clip, located: Located, reading: Reading, model: LoadedModel, tell: Progress) -> None:
    if located.grid is None or located.plan is None:
        return
    spec = model.bundle.input_spec
    total = num_windows(clip.info, spec)
    for done, window in enumerate(strip_windows(clip, located.grid, spec)):
        tell(0.1 + 0.9 * done / total, "model")
        cut = cut_window(window, located.grid, located.plan, spec)
        reading.take(cut)
        reading.motions.append(measure_lung(window, cut, located.grid, located.plan))
