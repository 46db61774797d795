"""M-mode: one beam of the picture, side by side through time. Sliding draws a seashore, stillness a barcode.

      time ->                       (Lichtenstein; sandy below the line where the lung slides)
depth ____________________
  |   ____________________  chest wall: straight lines, whatever the lung does
  v   ====================  pleural line
      .:..:.::.:..::..:.:.  sliding: sand        (still: more straight lines)
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.findings import Analysis, Column, PatchFinding, PleuraFinding, Point

REACH_PX = 4.0
"""Half the stretch of pleural line over which its slope is taken where no patch gives the beam's direction."""


@dataclass(frozen=True, slots=True)
class Beam:
    """A straight line through the picture, from the probe's side down; `pleura` is where it crosses the pleural line."""

    top: Point
    pleura: Point
    bottom: Point

    @property
    def pleura_share(self) -> float:
        """The pleura's depth as a share of the beam's length, 0..1."""
        return math.dist(self.top, self.pleura) / max(math.dist(self.top, self.bottom), 1e-6)


def mmode(frames: Iterable[NDArray[np.uint8]], top: Point, bottom: Point) -> NDArray[np.uint8]:
    """Grey frames (H, W) and a line in their pixels -> the line through time (depth, F), one sample a pixel (bilinear).

    Row 0 is `top`. What lies outside the frame is black. Frames are read one at a time.
    """
    depth = max(2, round(math.dist(top, bottom)) + 1)
    xs = np.linspace(top[0], bottom[0], depth, dtype=np.float32)[:, None]
    ys = np.linspace(top[1], bottom[1], depth, dtype=np.float32)[:, None]
    lines = [cv2.remap(frame, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[:, 0] for frame in frames]
    return np.stack(lines, axis=1).astype(np.uint8) if lines else np.zeros((depth, 0), np.uint8)


def best_beam(analysis: Analysis) -> Beam | None:
    """The beam through the best-tracked column of the pleura, away from the ribs; None when there is no pleura.

    Its direction is that of the column's patches, top row to bottom row (they follow the fan of a convex probe);
    with one row or none it is square to the pleural line. It ends where the echoes end.
    """
    pleura = analysis.pleura
    if pleura is None or len(pleura.line) < 2:
        return None
    column = max(_central(pleura) or pleura.columns, key=lambda c: c.tracking, default=None)
    x = column.x_px if column else pleura.line[len(pleura.line) // 2][0]
    at_pleura = (x, line_height(pleura.line, x))
    direction = _patch_direction(analysis, column) if column else None
    dx, dy = direction or _square_to(pleura.line, x)
    outline = analysis.sector or _frame_outline(analysis)
    return Beam(_walk(at_pleura, (-dx, -dy), outline), at_pleura, _walk(at_pleura, (dx, dy), outline))


def line_height(line: tuple[Point, ...], x: float) -> float:
    """y of a left-to-right polyline at x; its ends go on level."""
    xs, ys = zip(*line, strict=True)
    return float(np.interp(x, xs, ys))


def _central(pleura: PleuraFinding) -> tuple[Column, ...]:
    """The columns in the middle half of an interspace: at its ends the ribs' shadows begin."""
    halves = [(x0 + (x1 - x0) / 4, x1 - (x1 - x0) / 4) for x0, x1 in pleura.interspaces]
    return tuple(c for c in pleura.columns if any(x0 <= c.x_px <= x1 for x0, x1 in halves))


def _patch_direction(analysis: Analysis, column: Column) -> Point | None:
    """From the middle of the top patch to the middle of the bottom one of this column, as a unit vector."""
    if not analysis.windows:
        return None
    patches = analysis.windows[0].patches
    first_row = [p for p in patches if p.row == 0]
    if not first_row:
        return None
    index = min(first_row, key=lambda p: abs(_middle(p)[0] - column.x_px)).column
    stack = sorted((p for p in patches if p.column == index), key=lambda p: p.row)
    if len(stack) < 2:
        return None
    return _unit(_middle(stack[-1])[0] - _middle(stack[0])[0], _middle(stack[-1])[1] - _middle(stack[0])[1])


def _middle(patch: PatchFinding) -> Point:
    x0, y0, x1, y1 = patch.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _square_to(line: tuple[Point, ...], x: float) -> Point:
    rise = line_height(line, x + REACH_PX) - line_height(line, x - REACH_PX)
    return _unit(-rise, 2 * REACH_PX)


def _unit(dx: float, dy: float) -> Point:
    length = math.hypot(dx, dy)
    return (dx / length, dy / length) if length > 0 else (0.0, 1.0)


def _walk(start: Point, step: Point, outline: tuple[Point, ...]) -> Point:
    """As far as the outline reaches in this direction, a pixel at a time."""
    polygon = np.array(outline, np.float32)
    x, y = start
    while cv2.pointPolygonTest(polygon, (x + step[0], y + step[1]), False) >= 0:
        x, y = x + step[0], y + step[1]
    return x, y


def _frame_outline(analysis: Analysis) -> tuple[Point, ...]:
    right, bottom = analysis.clip.width - 1.0, analysis.clip.height - 1.0
    return (0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)
