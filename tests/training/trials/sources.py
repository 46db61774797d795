"""Sources made by hand: two windows of speckle that sways as a whole, so that nothing slides until it is made to."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.motion import measure_motion
from service.cine.prepare import StripWindow
from service.cine.tiling import plan_patches
from tests.fakes.inputs import SPEC, flat_grid, speckle
from training.recipe import Source

ROWS_ABOVE, ROWS_BELOW, COLUMNS, FRAMES = 50, 68, 240, 60


@cache
def swaying(seed: int = 0, fps: float = 30.0, columns: int = COLUMNS, interspaces: tuple[tuple[int, int], ...] = ()) -> Source:
    """4 s of it, 4 px to either side, as a scanner of `fps` shows it on 30 ticks a second."""
    grid = flat_grid(columns, ROWS_ABOVE, ROWS_BELOW, interspaces or ((0, columns),))
    picture = speckle((ROWS_ABOVE + ROWS_BELOW, columns), seed).astype(np.float32)
    picture[ROWS_ABOVE:] /= 2
    taken_s = np.floor(np.arange(2 * FRAMES) * fps / 30 + 1e-9) / fps
    windows = tuple(_window(picture, start, taken_s[start : start + FRAMES]) for start in (0, FRAMES))
    return Source(grid, plan_patches(grid, SPEC, num_rows=2), windows)


def _window(picture: NDArray[np.float32], start: int, taken_s: NDArray[np.float64]) -> StripWindow:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    frames = [
        cv2.remap(picture, x - np.float32(4 * np.sin(np.pi * t)), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for t in taken_s
    ]
    return StripWindow(start, np.rint(np.stack(frames)).astype(np.uint8), taken_s)


def measured_px(source: Source, window: int = 0) -> NDArray[np.float32]:
    """Slide of the lung past the wall as serving measures it, (pairs, columns)."""
    seen = source.windows[window]
    return measure_motion(seen.strip, seen.taken_s, source.grid.zero_row, source.grid.first_row, source.plan.centres).relative_px


def rms_px(source: Source, window: int = 0) -> float:
    return float(np.sqrt(np.nanmean(measured_px(source, window) ** 2)))
