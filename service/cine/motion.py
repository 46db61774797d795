"""How far each stretch of lung moved past the chest wall right above it.

Local and short: each column's wall band and lung band are followed on their own by normalised cross-correlation
(NCC) over about an eighth of a second. Longer, and lung speckle no longer resembles itself; one shift for the whole
wall was weak on real clips, because walls bend. What the wall did is subtracted from what the lung did:

    relative slide = lung shift - wall shift of the same column,      wall reference = wall shift - wall shift next door

The second is the same measurement where nothing can slide: the noise floor of this very clip.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

LAG_S = 0.133
"""Time over which shifts are measured: 4 frames at 30 fps."""
PAIR_STRIDE_FRAMES = 2
COLUMN_PX = 36
"""Width of the matched block; narrower blocks lose their way in A-lines, which are alike all along."""
REACH_ALONG_PX = 16
"""Largest shift looked for along the pleura: 30 mm/s in a picture 14 cm deep."""
REACH_DEEP_PX = 2
BAND_PX = 34
MIN_BAND_PX = 12
WALL_GAP_PX = 4
LUNG_GAP_PX = 4
MIN_TRACKING = 0.5
"""Below this NCC a shift is a guess (0.85 loses half of the sliding lungs, which decorrelate as they slide)."""
MIN_WALL_TRACKING = 0.3
"""The same where only the wall is asked about, and the median of its columns is taken."""
NEIGHBOUR_PX = (45, 100)
"""How far off the wall lies that a column's wall is compared with: nearer blocks overlap, farther ones bend otherwise."""


@dataclass(frozen=True, slots=True)
class Shifts:
    """Displacement of one band of every column, from each pair's first frame to its second."""

    along_px: FloatArray
    """Along the pleura, px of the strip in `LAG_S`, (P, K)."""
    deep_px: FloatArray
    """(P, K)"""
    tracking: FloatArray
    """NCC at the best shift, -1..1, (P, K)."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Shifts of a window: P pairs of frames, K columns."""

    pair_frames: NDArray[np.int64]
    """First frame of each pair within the window, (P,)."""
    centres: NDArray[np.int64]
    """Of the columns, px of the strip, (K,)."""
    wall: Shifts
    lung: Shifts

    @property
    def relative_px(self) -> FloatArray:
        """Lung past wall, NaN where either was lost, (P, K)."""
        kept = (self.wall.tracking > MIN_TRACKING) & (self.lung.tracking > MIN_TRACKING)
        return np.where(kept, self.lung.along_px - self.wall.along_px, np.nan).astype(np.float32)

    @property
    def wall_reference_px(self) -> FloatArray:
        """Wall past neighbouring wall, NaN where lost or where there is no neighbour, (P, K)."""
        return past_neighbours(self.wall, self.centres)


def past_neighbours(shifts: Shifts, centres: NDArray[np.int64]) -> FloatArray:
    """Each column's shift past the mean shift of the tracked columns `NEIGHBOUR_PX` away; NaN without any, (P, K)."""
    tracked = shifts.tracking > MIN_TRACKING
    distance = np.abs(centres[:, None] - centres[None, :])
    beside = ((distance >= NEIGHBOUR_PX[0]) & (distance <= NEIGHBOUR_PX[1])).astype(np.float32)
    count = tracked.astype(np.float32) @ beside
    total = np.where(tracked, shifts.along_px, 0).astype(np.float32) @ beside
    mean: FloatArray = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.where(tracked, shifts.along_px - mean, np.nan).astype(np.float32)


def wall_motion_px(motions: list[Motion]) -> float:
    """RMS shift of the clip's chest wall within `LAG_S`, of the median column of each pair; NaN where it was never followed."""
    along = [np.where(m.wall.tracking > MIN_WALL_TRACKING, m.wall.along_px, np.nan) for m in motions]
    moved = [float(np.nanmedian(row)) for shifts in along for row in shifts if np.isfinite(row).any()]
    return float(np.sqrt(np.mean(np.square(moved)))) if moved else float("nan")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which frames of a window are held against each other, about `LAG_S` apart."""

    first: NDArray[np.int64]
    """Frame within the window, (P,)."""
    lag: int
    """Frames from the first to the second."""
    elapsed_s: NDArray[np.float64]
    """Really, (P,); 0 where one and the same frame is shown twice, which says nothing: such pairs come out untracked."""


def pair_up(times_s: NDArray[np.float64]) -> Pairs:
    """`times_s` (T,): when each frame of the window was really taken; repeated frames repeat it."""
    num_frames = len(times_s)
    lag = max(1, round(LAG_S * (num_frames - 1) / max(float(times_s[-1] - times_s[0]), 1e-6)))
    lag = min(lag, max(1, num_frames - 1))
    first = np.arange(0, num_frames - lag, PAIR_STRIDE_FRAMES)
    return Pairs(first, lag, times_s[first + lag] - times_s[first])


def follow_wall(strip: NDArray[np.uint8], pairs: Pairs, zero_row: int, first_row: int, centres: NDArray[np.int64]) -> Shifts:
    """`strip` (T, rows, columns), `first_row` the first that lies on the picture (the wall above a shallow pleura is thin),
    `centres` (K,) the columns' middles."""
    top = min(max(zero_row - WALL_GAP_PX - BAND_PX, first_row), zero_row - WALL_GAP_PX - MIN_BAND_PX)
    return follow(strip[:, max(top, 0) : zero_row - WALL_GAP_PX], pairs, centres)


def follow_lung(strip: NDArray[np.uint8], pairs: Pairs, zero_row: int, centres: NDArray[np.int64]) -> Shifts:
    """As `follow_wall`, below the line."""
    return follow(strip[:, zero_row + LUNG_GAP_PX : zero_row + LUNG_GAP_PX + BAND_PX], pairs, centres)


def measure_motion(
    strip: NDArray[np.uint8], times_s: NDArray[np.float64], zero_row: int, first_row: int, centres: NDArray[np.int64]
) -> Motion:
    """Follow wall and lung of every column through a window."""
    pairs = pair_up(times_s)
    wall = follow_wall(strip, pairs, zero_row, first_row, centres)
    return Motion(pairs.first, centres, wall, follow_lung(strip, pairs, zero_row, centres))


def follow(band: NDArray[np.uint8], pairs: Pairs, centres: NDArray[np.int64]) -> Shifts:
    """Best shift of each column's block of `band` (T, rows, columns) for each pair of frames, to a fraction of a pixel."""
    rows, columns = band.shape[1:]
    half, width = COLUMN_PX // 2, 2 * REACH_ALONG_PX + 1
    padded = np.pad(band, ((0, 0), (0, 0), (REACH_ALONG_PX + half,) * 2), mode="reflect" if columns > REACH_ALONG_PX + half else "edge")
    deep = min(REACH_DEEP_PX, (rows - 8) // 2)
    scores = np.full((len(pairs.first), len(centres), 2 * deep + 1, width), -1, np.float32)
    lefts = centres.tolist()  # a numpy integer as a slice's end costs as much as the slice
    # Tried for the whole window at once, as products of matrices: 1e-4 off and twice the time (29 ms a window, 15 so).
    for p in np.flatnonzero(pairs.elapsed_s > 0).tolist():
        first = int(pairs.first[p])
        before, after = padded[first, deep : rows - deep], padded[first + pairs.lag]
        for k, left in enumerate(lefts):
            template = before[:, left + REACH_ALONG_PX : left + REACH_ALONG_PX + 2 * half]
            block = after[:, left : left + 2 * half + 2 * REACH_ALONG_PX]
            cv2.matchTemplate(block, template, cv2.TM_CCOEFF_NORMED, scores[p, k])
    along, depth, tracking = _peaks(scores)
    elapsed_s = pairs.elapsed_s
    rate = np.divide(LAG_S, elapsed_s, out=np.zeros_like(elapsed_s), where=elapsed_s > 0)[:, None].astype(np.float32)
    return Shifts((along - REACH_ALONG_PX) * rate, (depth - deep) * rate, tracking)


def _peaks(scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sub-pixel position and height of each map's maximum: a parabola through the peak and its neighbours."""
    height, width = scores.shape[2:]
    flat = scores.reshape(*scores.shape[:2], -1).argmax(axis=2)
    row, column = flat // width, flat % width
    p, k = np.ogrid[: scores.shape[0], : scores.shape[1]]
    peak = scores[p, k, row, column]

    def refine(low: FloatArray, high: FloatArray, inner: NDArray[np.bool_]) -> FloatArray:
        bend = low - 2 * peak + high
        offset: FloatArray = np.divide(0.5 * (low - high), bend, out=np.zeros_like(bend), where=(bend < -1e-6) & inner)
        return np.clip(offset, -0.5, 0.5)

    inner = (column > 0) & (column < width - 1)
    along = refine(scores[p, k, row, np.maximum(column - 1, 0)], scores[p, k, row, np.minimum(column + 1, width - 1)], inner)
    inner = (row > 0) & (row < height - 1)
    deep = refine(scores[p, k, np.maximum(row - 1, 0), column], scores[p, k, np.minimum(row + 1, height - 1), column], inner)
    # A flat block correlates with nothing: cv2 answers 0 or 1 everywhere. Its "peak" must not pass for tracking.
    flat_map = (scores.max(axis=(2, 3)) - scores.min(axis=(2, 3))) < 1e-3
    return (column + along).astype(np.float32), (row + deep).astype(np.float32), np.where(flat_map, -1, peak).astype(np.float32)


def wall_path(shifts: Shifts, pair_frames: NDArray[np.int64], num_frames: int, fps: float) -> FloatArray:
    """Where each column's band was at each frame, relative to the window's middle frame, (T, K, 2): along, deep, px.

    Shifts over `LAG_S` are read as velocities at the pair's middle and summed. Lost pairs count as the median of the
    other columns, so that one shadowed column does not wander off.
    """
    lag = LAG_S * fps
    kept = shifts.tracking > MIN_TRACKING
    path = np.zeros((num_frames, shifts.along_px.shape[1], 2), np.float32)
    for axis, values in enumerate((shifts.along_px, shifts.deep_px)):
        if not kept.any():
            continue
        others = _median_where(kept, values)
        velocity = np.where(kept, values, others[:, None]) / np.float32(lag)
        moments = pair_frames + lag / 2
        per_frame = np.stack([np.interp(np.arange(num_frames) + 0.5, moments, column) for column in velocity.T], axis=1)
        total = np.cumsum(per_frame, axis=0) - per_frame
        path[:, :, axis] = total - total[num_frames // 2]
    return path


def _median_where(kept: NDArray[np.bool_], values: FloatArray) -> FloatArray:
    """Of each row's kept values (P, K) -> (P,); 0 where none is kept."""
    count = kept.sum(axis=1)
    ordered = np.sort(np.where(kept, values, np.inf), axis=1)
    rows = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, np.maximum(count - 1, 0))
    return np.where(count > 0, (ordered[rows, low] + ordered[rows, high]) / 2, 0).astype(np.float32)


def mean_square(values: FloatArray, min_pairs: int) -> NDArray[np.float64]:
    """Mean square of each column's tracked shifts (P, K) -> (K,); NaN with fewer than `min_pairs`."""
    tracked = np.isfinite(values)
    count = tracked.sum(axis=0)
    total = np.where(tracked, values, 0.0).astype(np.float64) ** 2
    return np.where(count >= min_pairs, total.sum(axis=0) / np.maximum(count, 1), np.nan)
