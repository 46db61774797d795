"""Where the echoes are, and along which lines they were shot.

A linear probe shoots straight down; a convex one shoots from an apex above the picture. Beam coordinates undo that:

        frame                               beams
          x ->                                lateral ->
      y  ___----___    r0: the probe's     d  +-------+   d: depth below the probe's face
      | /   r0     \\       face            |  |       |   lateral: angle from straight down (rad) for a
      v/            \\                      v  |       |   convex probe, x (px) for a linear one
       \\___      ___/  r1                     +-------+
           ------

Found from the pixels: echoes flicker or are grey, the surround is black and still. The sides of the fan are the
straight slanted edges of the echoes' outline and meet in the apex. Where the picture was cropped inside the fan,
the grain tells: speckle is wide across the beam and thin along it.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import EchoRegion
from service.cine.overview import Overview
from service.findings import Point

FloatArray = NDArray[np.float64]

MIN_ECHO_SHARE = 0.03
"""Of the frame. Below it there is nothing to read (the darkest real clip seen fills 0.12)."""
MIN_FAN_ANGLE_RAD = 0.14
"""Between the two sides of a fan (8 degrees); convex probes open 40-75 degrees."""
MIN_GRAIN_AGREEMENT = 0.47
"""Correlation of the grain's lean with the fitted fan's: 0.54-0.57 on real fans cropped inside their sides, at most
0.38 on ten linear clips."""
SIDE_TILT_RAD = (0.14, 1.05)
"""A fan's side leans 8-60 degrees from upright."""


@dataclass(frozen=True, slots=True)
class Sector:
    """The part of the frame that is echoes, as a rectangle in beam coordinates. Never empty."""

    probe: Literal["linear", "convex"]
    apex: Point | None
    """Where the beams meet, px of the frame; None for a linear probe."""
    lateral: tuple[float, float]
    """First and last beam: angle from straight down (rad), or x (px)."""
    depth_px: tuple[float, float]
    """Distance from the apex, or y, of the probe's face and of the deepest echo."""
    mask: NDArray[np.bool_]
    """Pixels that show echoes, (H, W)."""

    @property
    def depth_extent_px(self) -> float:
        return self.depth_px[1] - self.depth_px[0]

    def to_frame(self, lateral: FloatArray, depth: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Beam coordinates (depth below the probe's face, px) -> x, y of the frame. Broadcasts."""
        if self.apex is None:
            return np.broadcast_arrays(lateral, depth)[0] + 0.0, depth + self.depth_px[0] + 0.0 * lateral
        radius = depth + self.depth_px[0]
        return self.apex[0] + radius * np.sin(lateral), self.apex[1] + radius * np.cos(lateral)

    def to_beam(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """x, y of the frame -> lateral, depth: the inverse of `to_frame`."""
        if self.apex is None:
            return x + 0.0, y - self.depth_px[0]
        dx, dy = x - self.apex[0], y - self.apex[1]
        return np.arctan2(dx, dy), np.hypot(dx, dy) - self.depth_px[0]

    def lateral_px(self, depth: float) -> float:
        """Frame pixels that one unit of `lateral` spans at `depth`."""
        return 1.0 if self.apex is None else self.depth_px[0] + depth

    def outline(self, num_points: int = 24) -> tuple[Point, ...]:
        """The sector's outline on the frame, clockwise from the top left."""
        height, width = self.mask.shape
        across, down = np.linspace(0, 1, num_points), np.linspace(0, 1, num_points)
        zero, one = np.zeros(num_points), np.ones(num_points)
        # Sampled along all four sides, so that clipping to the frame follows the fan and not a chord of it.
        u = np.concatenate([across, one, across[::-1], zero])
        v = np.concatenate([zero, down, one, down[::-1]])
        x, y = self.to_frame(self.lateral[0] + u * (self.lateral[1] - self.lateral[0]), v * self.depth_extent_px)
        return tuple(zip(np.clip(x, 0, width - 1).tolist(), np.clip(y, 0, height - 1).tolist(), strict=True))


def find_sector(overview: Overview, region: EchoRegion | None = None) -> Sector | None:
    """The sector of a clip, or None when no part of the picture looks like echoes.

    `region` is DICOM's own statement (0018,6011); echoes are then looked for inside it only.
    """
    mask = _echo_mask(overview, region)
    if mask.mean() < MIN_ECHO_SHARE:
        return None
    apex = _apex_from_sides(mask)
    if apex is None:
        apex = _apex_from_grain(overview, mask)
    return _linear(mask) if apex is None else _convex(mask, apex)


def _echo_mask(overview: Overview, region: EchoRegion | None) -> NDArray[np.bool_]:
    """The largest patch of picture that is grey or flickers, without text, rulers and logos around it."""
    scale = max(overview.width, overview.height) / 512
    surround = float(np.percentile(overview.mean, 2))
    grey = overview.mean > surround + 6
    flicker = (overview.change > 0.7) & (overview.brightest > surround + 4)
    candidate = (grey | flicker).astype(np.uint8)
    if region is not None:
        x0, y0, x1, y1 = region.box
        inside = np.zeros_like(candidate)
        inside[max(y0, 0) : y1, max(x0, 0) : x1] = 1
        candidate &= inside
    # Opening removes strokes of text and ruler ticks (2-4 px); closing bridges shadows and dark lung.
    opened = cv2.morphologyEx(candidate, cv2.MORPH_OPEN, _disc(5 * scale))
    whole = _closed(opened, _disc(11 * scale))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(whole)
    if len(stats) < 2:
        return np.zeros(candidate.shape, np.bool_)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    # A dark fan falls apart into beams and far echoes: keep every piece of some size.
    is_kept = np.concatenate([[False], sizes > 0.08 * sizes.max()])
    return np.asarray(is_kept[labels], dtype=np.bool_)


def _closed(image: cv2.typing.MatLike, disc: NDArray[np.uint8]) -> cv2.typing.MatLike:
    """Closed as if black went on around the picture: at its edge cv2 leaves standing what closing has dilated."""
    pad = len(disc)
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    return cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[pad:-pad, pad:-pad]


def _disc(diameter: float) -> NDArray[np.uint8]:
    size = max(3, int(round(diameter)) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)


def _hull(mask: NDArray[np.bool_]) -> FloatArray:
    """Corners of the mask's convex hull, slightly simplified, (n, 2)."""
    rows = np.flatnonzero(mask.any(axis=1))
    # The outermost pixels of each row have the same hull as all of them, in a twentieth of the time.
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    outermost = np.concatenate([np.stack([xs, rows], axis=1) for xs in (first, last)])
    hull = cv2.convexHull(outermost.astype(np.int32))
    return np.asarray(cv2.approxPolyDP(hull, 0.008 * max(mask.shape), closed=True)[:, 0, :], dtype=np.float64)


def _apex_from_sides(mask: NDArray[np.bool_]) -> Point | None:
    """Where the two slanted sides of the outline meet; None unless both are seen."""
    height, width = mask.shape
    corners = _hull(mask)
    sides: dict[int, tuple[float, FloatArray, FloatArray]] = {}
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        upper, lower = (start, end) if start[1] < end[1] else (end, start)
        run, rise = lower - upper
        tilt = np.arctan2(abs(run), rise)
        length = float(np.hypot(run, rise))
        on_border = (max(upper[0], lower[0]) < 2) or (min(upper[0], lower[0]) > width - 3)
        if on_border or not SIDE_TILT_RAD[0] < tilt < SIDE_TILT_RAD[1] or length < 0.12 * height:
            continue
        side = -1 if run < 0 else 1
        middle_x = (upper[0] + lower[0]) / 2
        if (middle_x - corners[:, 0].mean()) * side > 0 and length > sides.get(side, (0.0, start, end))[0]:
            sides[side] = (length, upper, lower)
    if len(sides) < 2:
        return None
    (_, a0, a1), (_, b0, b1) = sides[-1], sides[1]
    da, db = a1 - a0, b1 - b0
    cross = da[0] * db[1] - da[1] * db[0]
    angle = abs(np.arctan2(da[0], da[1])) + abs(np.arctan2(db[0], db[1]))
    if angle < 2 * MIN_FAN_ANGLE_RAD or abs(cross) < 1e-9:
        return None
    along = ((b0[0] - a0[0]) * db[1] - (b0[1] - a0[1]) * db[0]) / cross
    return float(a0[0] + along * da[0]), float(a0[1] + along * da[1])


def _apex_from_grain(overview: Overview, mask: NDArray[np.bool_]) -> Point | None:
    """The point every beam comes from, told by the speckle's grain; None when the beams run parallel.

    The gradient of speckle points along the beam. With apex (ax, ay) the beam through (x, y) leans by
    (x - ax) / (y - ay); a weighted least-squares fit over blocks of the picture gives ax and ay.
    """
    height, width = mask.shape
    block = max(16, max(height, width) // 16)
    tensors = np.zeros((3, height, width), np.float32)
    for frame in overview.frames[:: max(1, len(overview.frames) // 6)]:
        smooth = cv2.GaussianBlur(frame, (0, 0), 1.0).astype(np.float32)
        gx, gy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        # Normalised, so that one bright tilted fascia counts no more than the grain around it.
        tensors += np.stack([gx * gx, gx * gy, gy * gy]) / (gx * gx + gy * gy + 25.0)
    weight_mask = cv2.erode(mask.astype(np.uint8), _disc(9)).astype(np.float32)
    xx, xy, yy = (cv2.blur(t * weight_mask, (block, block))[block // 2 :: block, block // 2 :: block] for t in tensors)
    y, x = np.mgrid[block // 2 : height : block, block // 2 : width : block].astype(np.float64)
    inside = cv2.blur(weight_mask, (block, block))[block // 2 :: block, block // 2 :: block] > 0.8
    lean = 0.5 * np.arctan2(2 * xy, yy - xx)  # angle of the main gradient from straight down
    coherence = np.hypot(yy - xx, 2 * xy) / (xx + yy + 1e-6)
    keep = inside & (coherence > 0.15) & (np.abs(lean) < 0.9)
    if keep.sum() < 12:
        return None
    x, y, slope, weight = x[keep], y[keep], np.tan(lean[keep]), coherence[keep].astype(np.float64)
    apex = np.array([width / 2, -1.0 * height])
    for _ in range(5):  # x - slope * y = ax - slope * ay, reweighted against outliers (tilted layers, pleura)
        design = np.stack([np.ones_like(slope), -slope], axis=1)
        target = x - slope * y
        residual = target - design @ apex
        robust = weight / (1 + (residual / (0.15 * width)) ** 2)
        normal = design.T * robust
        apex = np.linalg.solve(normal @ design + 1e-9 * np.eye(2), normal @ target)
    predicted = (x - apex[0]) / (y - apex[1])
    agreement = _weighted_correlation(slope, predicted, weight)
    fan = np.arctan2(width / 2, height / 2 - apex[1]) * 2
    if apex[1] > 0 or not MIN_FAN_ANGLE_RAD * 2 < fan < 1.6 or agreement < MIN_GRAIN_AGREEMENT:
        return None
    return float(apex[0]), float(apex[1])


def _weighted_correlation(a: FloatArray, b: FloatArray, weight: FloatArray) -> float:
    covariance = np.cov(np.stack([a, b]), aweights=weight)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1] + 1e-12))


def _linear(mask: NDArray[np.bool_]) -> Sector:
    columns, rows = mask.mean(axis=0), mask.mean(axis=1)
    x = np.flatnonzero(columns > 0.25 * columns.max())
    y = np.flatnonzero(rows > 0.15 * rows.max())
    return Sector("linear", None, (float(x[0]), float(x[-1])), (float(y[0]), float(y[-1])), mask)


def _convex(mask: NDArray[np.bool_], apex: Point) -> Sector:
    ys, xs = np.nonzero(mask)
    dx, dy = xs - apex[0], ys - apex[1]
    angle, radius = np.arctan2(dx, dy), np.hypot(dx, dy)
    below = dy > 0
    angle, radius = angle[below], radius[below]
    first, last = np.percentile(angle, [0.3, 99.7])
    near, far = np.percentile(radius, [0.1, 99.9])
    return Sector("convex", apex, (float(first), float(last)), (float(near), float(far)), mask)
