"""The strip along the pleura: the clip flattened, so that the pleural line is one straight row.

    frame                                   strip
       ______                               row -wall_rows  +-----------------+  chest wall
      / wall \\                                              |                 |
     /--__    \\    pleural line bends       row 0           |=================|  pleural line
    / lung --__\\                                            |                 |  lung
                                            row +lung_rows  +-----------------+
                                                            arc length along the pleura ->

One remap takes every strip pixel straight from the uploaded frame: no second interpolation, and every strip position
has its exact place on the frame. One strip pixel is one pixel of the published scale (InputSpec.picture_depth_px).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.pleura import Pleura
from service.cine.sector import Sector
from service.findings import Point

MAX_LUNG_ROWS = 400
LINE_SMOOTHING_PX = 9.0
"""Standard deviation. The found line steps by whole samples; unsmoothed, the strip would be sheared at each step."""


@dataclass(frozen=True, slots=True)
class StripGrid:
    """Where each strip pixel lies on the uploaded frame."""

    x: NDArray[np.float32]
    """(rows, columns)"""
    y: NDArray[np.float32]
    zero_row: int
    """Row of the pleural line."""
    px_per_strip_px: float
    """Pixels of the uploaded frame that one strip pixel spans."""
    interspaces: tuple[tuple[int, int], ...]
    """Column ranges [first, last)."""
    is_echo: NDArray[np.bool_]
    """Strip pixels that lie in the sector and on the frame, (rows, columns)."""

    @property
    def num_columns(self) -> int:
        return int(self.x.shape[1])

    @property
    def lung_rows(self) -> int:
        return int(self.x.shape[0]) - self.zero_row

    @property
    def first_row(self) -> int:
        """The first row that lies on the picture nearly everywhere; at most `zero_row`."""
        shown = self.is_echo[: self.zero_row + 1].mean(axis=1) > 0.8
        return int(shown.argmax()) if shown.any() else self.zero_row

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A grey frame (H, W) -> its strip (rows, columns)."""
        return np.asarray(cv2.remap(frame, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)

    def to_frame(self, column: float, row: float) -> Point:
        """Strip position (row 0 is the pleural line) -> pixel of the uploaded frame."""
        c = float(np.clip(column, 0, self.num_columns - 1))
        r = float(np.clip(row + self.zero_row, 0, self.x.shape[0] - 1))
        c0, r0 = min(int(c), self.num_columns - 2), min(int(r), self.x.shape[0] - 2)
        weights = np.outer([1 - (r - r0), r - r0], [1 - (c - c0), c - c0])
        corner = np.s_[r0 : r0 + 2, c0 : c0 + 2]
        return float((self.x[corner] * weights).sum()), float((self.y[corner] * weights).sum())


def lay_strip(sector: Sector, pleura: Pleura, *, picture_depth_px: int, wall_rows: int, lung_rows: int) -> StripGrid:
    """The strip's grid. It has at most `lung_rows` rows below the line, fewer when the echoes end above."""
    scale = sector.depth_extent_px / picture_depth_px
    lateral, depth = _by_arc_length(sector, pleura, scale)
    room = (sector.depth_extent_px - float(np.median(depth))) / scale
    lung_rows = int(np.clip(room, 2, lung_rows))
    rows = np.arange(-wall_rows, lung_rows)[:, None] * scale
    below_face = depth[None, :] + rows
    x, y = sector.to_frame(lateral[None, :] + 0 * rows, below_face)
    height, width = sector.mask.shape
    is_echo = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & (below_face >= 0) & (below_face <= sector.depth_extent_px)
    first = np.searchsorted(lateral, pleura.lateral[[i for i, _ in pleura.interspaces]])
    last = np.searchsorted(lateral, pleura.lateral[[j - 1 for _, j in pleura.interspaces]])
    return StripGrid(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        zero_row=wall_rows,
        px_per_strip_px=scale,
        interspaces=tuple((int(a), min(int(b) + 1, len(lateral))) for a, b in zip(first, last, strict=True)),
        is_echo=is_echo,
    )


def _by_arc_length(sector: Sector, pleura: Pleura, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pleural line smoothed and resampled to one point every `scale` frame pixels of its length."""
    spacing = abs(pleura.lateral[1] - pleura.lateral[0]) * sector.lateral_px(float(np.median(pleura.depth_px)))
    depth = cv2.GaussianBlur(
        pleura.depth_px[None, :], (0, 0), max(LINE_SMOOTHING_PX * scale / spacing, 0.5), borderType=cv2.BORDER_REPLICATE
    )[0]
    x, y = sector.to_frame(pleura.lateral, depth)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    steps = np.arange(0.0, length[-1], scale)
    return np.interp(steps, length, pleura.lateral), np.interp(steps, length, depth)
