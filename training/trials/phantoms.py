"""Every row of one pair of phantoms, of one pair thinned to each frame rate, of one phantom with a lung point."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from service.cine.clip import Clip
from service.findings import Verdict
from training.phantom.simulate import Phantom, recorded, simulate
from training.phantom.spec import half_width_mm
from training.population import population
from training.recipe import Source, random_phantom
from training.recording import Recorder, Recording
from training.recording.timing import at_rate
from training.slide import MIN_SLIDE_RMS_PX, shift_rms
from training.trials.answers import Judge, Kind, Row, answered, source_of

DURATION_S = 4.0
RATES_FPS = (9.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0)
SCANNED_FPS = 60.0
POINT_SHARE = 0.5
"""Lung points lie at most this far off the middle, as a share of half the width."""
POINT_TRAVEL_MM = (0.0, 4.0)
_TRUTH = {"present": True, "absent": False}


def rows_of_pair(index: int, judge: Judge, seed: int, max_windows: int) -> Iterator[Row]:
    """As drawn from the population that training knows, recorded as each spec says."""
    for slides in (True, False):
        phantom = simulate(population(seed, index, slides=slides, duration_s=DURATION_S), seed * 100_003 + index)
        row = _row(Kind.PHANTOM, index, phantom, "recorded")
        yield _read(row, phantom, recorded(phantom), phantom.spec.recorder.zoom, judge, max_windows)


def rows_of_rates(index: int, judge: Judge, seed: int, max_windows: int) -> Iterator[Row]:
    """Scanned at 60 frames a second, and thinned to each rate."""
    for slides in (True, False):
        phantom = random_phantom(seed, index, slides=slides, duration_s=DURATION_S, fps=SCANNED_FPS, recorder=Recorder())
        recording = Recording.at(phantom.frames, SCANNED_FPS)
        for fps in RATES_FPS:
            row = _row(Kind.PHANTOM_RATE, index, phantom, f"{fps:g} fps")
            yield _read(row, phantom, at_rate(recording, fps), 1.0, judge, max_windows)


def rows_of_point(index: int, judge: Judge, seed: int, max_windows: int) -> Iterator[Row]:
    """A lung that slides on one side of a place which travels with the breath."""
    rng = np.random.default_rng([seed, index])
    half_mm = half_width_mm(population(seed, index, slides=True))
    phantom = random_phantom(
        seed,
        index,
        slides=True,
        duration_s=DURATION_S,
        lung_point_mm=float(rng.uniform(-POINT_SHARE, POINT_SHARE)) * half_mm,
        lung_point_travel_mm=float(rng.uniform(*POINT_TRAVEL_MM)),
    )
    yield _read(_row(Kind.PHANTOM_POINT, index, phantom, "recorded"), phantom, recorded(phantom), 1.0, judge, max_windows)


def _row(kind: Kind, index: int, phantom: Phantom, condition: str) -> Row:
    slides = _TRUTH.get(phantom.truth.sliding)
    name = f"{kind}-{index}"
    return Row(kind, phantom.truth.sliding, condition, name, name, slides, None, str(Verdict.NOT_ASSESSABLE), False)


def _read(row: Row, phantom: Phantom, clip: Clip, zoom: float, judge: Judge, max_windows: int) -> Row:
    source = source_of(clip, judge.spec, max_windows)
    if source is None:
        return row
    # A lung that is hardly seen to move is neither: the same limit as in training.
    slides = None if row.slides and _slide_rms_px(phantom, source, judge, zoom) < MIN_SLIDE_RMS_PX else row.slides
    row = replace(row, slides=slides, is_plain=source.is_plain, true_point=_true_point(phantom, source))
    return answered(row, source, judge, clip.info.duration_s)


def _slide_rms_px(phantom: Phantom, source: Source, judge: Judge, zoom: float) -> float:
    """Of the lung past the wall in `LAG_S`, px of the strip."""
    ticks_s = np.arange(round(DURATION_S * judge.spec.fps)) / judge.spec.fps
    frames_s = np.arange(len(phantom.frames)) / phantom.spec.fps
    moved = np.interp(ticks_s, frames_s, phantom.truth.slide_px) * zoom / source.grid.px_per_strip_px
    return shift_rms(moved, judge.spec.fps)


def _true_point(phantom: Phantom, source: Source) -> float | None:
    """As a share of the found line's width; None without one, or where it lies beyond the line."""
    x, point = source.grid.x[source.grid.zero_row], phantom.truth.lung_point_x_px
    if point is None or not x[0] < point < x[-1]:
        return None
    return float(np.interp(point, x, np.arange(len(x)))) / len(x)
