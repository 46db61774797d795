"""analyse(): one clip, start to finish."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from service.answer import answer, not_assessable
from service.cine.clip import Clip
from service.cine.locate import ALL_ROWS, PLEURA_ROWS, Located, locate
from service.cine.pleura import find_pleura, pleura_in_region
from service.cine.pooling import gather, pool
from service.cine.prepare import num_windows, prepare_window, strip_windows
from service.cine.quality import doubt_location, judge, judge_clip, judge_location, judge_motion
from service.findings import Analysis, Arrays, Point, Timings
from service.model import LoadedModel
from service.reading import Reading, Saliency


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


Progress = Callable[[float, str], None]
"""Called with the share of the work done (0..1) and the stage's name."""


def analyse(
    clip: Clip, model: LoadedModel, options: Options, *, on_progress: Progress | None = None, decode_ms: float = 0.0
) -> tuple[Analysis, Arrays]:
    """Read one clip. What cannot be read is answered `not_assessable` with the reasons, never raised.

    `decode_ms` is what opening the clip took, for the timings. Raises: EngineFailed; RequestError when the clip can no
    longer be decoded; whatever `on_progress` raises, which is how a caller stops it.
    """
    tell = on_progress or (lambda share, stage: None)
    started = time.perf_counter()
    tell(0.0, "pleura")
    located = _locate(clip, model, options)
    reading = Reading(model, located.plan, options.saliency)
    reasons = judge_clip(clip, located.overview, model.bundle.input_spec) or judge_location(located)
    pleura_ms = (time.perf_counter() - started) * 1000
    if not reasons:
        _read_windows(clip, located, reading, model, tell)
        reasons = judge_motion(reading.motions, len(reading.plan.lung_columns)) + doubt_location(located)
    quality = judge(located, reading.motions, reasons)
    evidence = gather(reading.plan, reading.motions, reading.logits)
    pooled = pool(evidence, model.bundle.calibration) if quality.assessable else None
    total_ms = (time.perf_counter() - started) * 1000 + decode_ms
    timings = Timings(decode_ms, pleura_ms, reading.model_ms, reading.saliency_ms, total_ms)
    tell(1.0, "done")
    if pooled is None:
        return not_assessable(clip, located, reading, quality, timings, options.mm_per_px), reading.arrays()
    return answer(clip, located, reading, quality, evidence, pooled, timings, options.mm_per_px), reading.arrays()


def _locate(clip: Clip, model: LoadedModel, options: Options) -> Located:
    find = find_pleura if options.region is None else partial(pleura_in_region, region=options.region)
    num_rows = PLEURA_ROWS if options.rows is Rows.PLEURA else ALL_ROWS
    return locate(clip, model.bundle.input_spec, num_rows=num_rows, find=find)


def _read_windows(clip: Clip, located: Located, reading: Reading, model: LoadedModel, tell: Progress) -> None:
    if located.grid is None:
        return
    spec = model.bundle.input_spec
    total = num_windows(clip.info, spec)
    for done, window in enumerate(strip_windows(clip, located.grid, spec)):
        tell(0.1 + 0.9 * done / total, "model")
        reading.take(prepare_window(window, located.grid, reading.plan, spec))
