"""Both classes of a whole clip: a twin pair as in `training.counterfactual`, with one slide drawn for all the clip's windows.

slide of the clip   ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~   drawn once, so that the windows show one breath
windows             [--------][--------]    [--------]
twins               0 or slide at the moment each frame was taken: a clip scanned at 10 fps slides at 10 fps
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.prepare import StripWindow
from training.counterfactual import Base, base_lung, carry_by_wall, join
from training.finish import move_along
from training.recipe import Source
from training.slide import MIN_SLIDE_RMS_PX, Renewal, draw_pulse, draw_renewal, draw_slide, shift_rms

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClipTwins:
    """One real clip with its lung made to slide, and made not to; they differ in nothing else."""

    still: Source
    sliding: Source
    slide_rms_px: float
    """Shift of the sliding lung past the wall in `LAG_S`, over all windows, px of the strip."""


@dataclass(frozen=True, slots=True)
class _Breathing:
    """What both twins share beside the texture: how the lung of the one slides, and how the heart shakes both."""

    slide_px: Floats
    """(clip's frames, columns)"""
    place_px: Floats
    """Pulse and a place between pixels, (clip's frames,)."""
    renewal: Renewal


def clip_twins(source: Source, base: Base, fps: float, rng: np.random.Generator) -> ClipTwins:
    """Twins of every window the source holds. All of the pleura slides, in at least one window as much as training asks of a positive."""
    breathing = _draw_breathing(source, fps, rng)
    pairs = [_window_twins(source, window, base, fps, breathing, rng) for window in source.windows]
    shifts = [_rms_px(breathing.slide_px, window, fps) for window in source.windows]
    return ClipTwins(
        still=replace(source, windows=tuple(still for still, _ in pairs)),
        sliding=replace(source, windows=tuple(sliding for _, sliding in pairs)),
        slide_rms_px=float(np.sqrt(np.mean(np.square(shifts)))),
    )


def _draw_breathing(source: Source, fps: float, rng: np.random.Generator) -> _Breathing:
    num_frames = source.windows[-1].start_frame + len(source.windows[-1].strip)
    slide = next(slide for slide in _slides(num_frames, source.grid.num_columns, fps, rng) if _slides_everywhere(slide, source, fps))
    # As in `make_twins`: half a pixel off at most, so that interpolation blurs both alike.
    place = draw_pulse(num_frames, fps, rng) + np.float32(rng.uniform(-0.5, 0.5))
    return _Breathing(slide, np.asarray(place, np.float32), draw_renewal(rng))


def _slides(num_frames: int, num_columns: int, fps: float, rng: np.random.Generator) -> Iterator[Floats]:
    while True:
        yield draw_slide(num_frames, num_columns, fps, rng)


def _slides_everywhere(slide_px: Floats, source: Source, fps: float) -> bool:
    """No lung point, and no breath held while the windows looked."""
    edges = slide_px[:, [0, slide_px.shape[1] // 2, -1]]
    return max(_rms_px(edges, window, fps) for window in source.windows) >= MIN_SLIDE_RMS_PX


def _rms_px(slide_px: Floats, window: StripWindow, fps: float) -> float:
    """Of the column that slides least, within the window."""
    within = slide_px[window.start_frame : window.start_frame + len(window.strip)]
    return min(shift_rms(within[:, column], fps) for column in range(0, within.shape[1], max(1, within.shape[1] // 3)))


def _window_twins(
    source: Source, window: StripWindow, base: Base, fps: float, breathing: _Breathing, rng: np.random.Generator
) -> tuple[StripWindow, StripWindow]:
    carried = carry_by_wall(window, source.grid, source.plan, fps)
    lung = base_lung(window.strip, source.grid, base, carried, rng)
    taken = window.taken_s * fps
    slide, place = _at(breathing.slide_px, taken), _at(breathing.place_px[:, None], taken)
    renewed = breathing.renewal.of(lung, slide)  # both, as in `make_twins`
    still, sliding = (_lung_moved(source, window, renewed, displacement + place) for displacement in (np.zeros_like(slide), slide))
    return still, sliding


def _lung_moved(source: Source, window: StripWindow, lung: Floats, path: Floats) -> StripWindow:
    moved = move_along(lung, path)
    strip = join(window.strip, moved, source.grid.zero_row)
    # What the scanner showed twice stays twice the same, wall and lung.
    return StripWindow(window.start_frame, strip[np.searchsorted(window.taken_s, window.taken_s)], window.taken_s)


def _at(path: Floats, frames: NDArray[np.float64]) -> Floats:
    """A path (clip's frames, n) at the moments `frames` (T,), (T, n)."""
    first = np.clip(frames.astype(int), 0, len(path) - 1)
    share = (frames - first)[:, None]
    return np.asarray((1 - share) * path[first] + share * path[np.minimum(first + 1, len(path) - 1)], np.float32)


def with_lung_of(source: Source, other: Source) -> Source:
    """The clip with another clip's lung below its own wall; where the other is narrower or shorter, mirrored in its edge."""
    zero, rows = source.grid.zero_row, len(source.grid.x)
    windows = []
    for w, window in enumerate(source.windows):
        lung = other.windows[w % len(other.windows)].strip[:, other.grid.zero_row :]
        strip = window.strip.copy()
        strip[:, zero:] = _fitted(lung, rows - zero, source.grid.num_columns)
        windows.append(StripWindow(window.start_frame, strip, window.taken_s))
    return replace(source, windows=tuple(windows))


def _fitted(lung: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    beyond = max(0, rows - lung.shape[1]), max(0, columns - lung.shape[2])
    kept = lung[:, :rows, :columns]
    return np.stack([np.asarray(cv2.copyMakeBorder(frame, 0, beyond[0], 0, beyond[1], cv2.BORDER_REFLECT_101), np.uint8) for frame in kept])
