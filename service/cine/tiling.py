"""Tiling: where on the strip the patches lie. Integer arithmetic only; `cut` alone touches pixels.

strip columns ->      interspace 0            interspace 1
                   +-----+-----+-----+      +-----+-----+
wall control       |     |     |     |      |     |     |      row -1: the chest wall, read as if it were lung
===================+=====+=====+=====+======+=====+=====+===== pleural line
row 0              |     |     |     |  rib |     |     |
                   +-----+-----+-----+      +-----+-----+
row 1              |     |     |     |      |     |     |
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.spec import InputSpec
from service.cine.strip import StripGrid

WALL_ROW = -1
WALL_ONLY = -1
REFERENCE_DISTANCE_PX = 60
"""From a column to the wall it is held against in the wall control: near enough to share the probe's motion, far enough
to share no pixel with a block of 36 px."""
MIN_ECHO_SHARE = 0.9
"""Of a patch; the rest may stick out of the sector."""
MIN_WALL_ECHO_SHARE = 0.6
"""Of a wall patch: above a shallow pleura the wall is thinner than a patch, and the probe's face fills the rest."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of pleura, one patch wide."""

    x0: int
    interspace: int
    """Index of the interspace it lies in; WALL_ONLY for a column in front of a rib, whose chest wall alone is read."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One model input, a square of the strip followed through a window."""

    row: int
    """0 lies on the pleural line; WALL_ROW is the wall control."""
    column: int
    """Index into `Plan.columns`."""
    y0: int
    """Top, px below the pleural line."""
    reference: int
    """The column whose chest wall it is held against: its own, or for the wall control a neighbour."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The patches of one clip; the same in every window."""

    columns: tuple[Column, ...]
    """Columns of the interspaces first, left to right; then those that are wall only."""
    patches: tuple[Patch, ...]
    patch_px: int

    @property
    def lung_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.interspace != WALL_ONLY)

    @property
    def centres(self) -> NDArray[np.int64]:
        return np.array([column.x0 + self.patch_px // 2 for column in self.columns], dtype=np.int64)


def rows_needed(spec: InputSpec, num_rows: int) -> tuple[int, int]:
    """How many strip rows the patches reach above and below the pleural line."""
    above = max(spec.patch_px + spec.wall_gap_px, -spec.row_offset_px)
    return above, spec.row_offset_px + num_rows * spec.patch_px


def plan_patches(grid: StripGrid, spec: InputSpec, *, num_rows: int, wall_control: bool = True) -> Plan:
    """Columns side by side inside every interspace, and `num_rows` rows of patches as far down as there are echoes."""
    columns = [
        Column(int(x0), index)
        for index, interspace in enumerate(grid.interspaces)
        for x0 in _columns_of(interspace, spec.patch_px, spec.column_stride_px)
    ]
    patches = []
    for row in range(num_rows):
        y0 = spec.row_offset_px + row * spec.patch_px
        patches += [Patch(row, k, y0, k) for k, column in enumerate(columns) if _shows_echoes(grid, column.x0, y0, spec.patch_px)]
    if wall_control:
        y0 = -spec.wall_gap_px - spec.patch_px
        for k, column in enumerate(tuple(columns)):
            if _shows_echoes(grid, column.x0, y0, spec.patch_px, MIN_WALL_ECHO_SHARE):
                reference = _reference(grid, columns, column.x0, y0, spec.patch_px)
                patches += [Patch(WALL_ROW, k, y0, reference)] if reference is not None else []
    return Plan(tuple(columns), tuple(patches), spec.patch_px)


def _reference(grid: StripGrid, columns: list[Column], x0: int, y0: int, patch_px: int) -> int | None:
    """Index of the column beside x0 whose chest wall serves as reference; one that is wall only is added where needed."""
    for x in (x0 + REFERENCE_DISTANCE_PX, x0 - REFERENCE_DISTANCE_PX):
        for k, column in enumerate(columns):
            if column.x0 == x:
                return k
        if 0 <= x <= grid.num_columns - patch_px and _shows_echoes(grid, x, y0, patch_px, MIN_WALL_ECHO_SHARE):
            columns.append(Column(x, WALL_ONLY))
            return len(columns) - 1
    return None


def _columns_of(interspace: tuple[int, int], patch_px: int, stride_px: int) -> NDArray[np.int64]:
    """Left edges: as many patches as fit, spread so that what is left over lies half on each side."""
    first, last = interspace
    room = last - first - patch_px
    if room < 0:
        return np.empty(0, np.int64)
    count = room // stride_px + 1
    return first + (room - (count - 1) * stride_px) // 2 + stride_px * np.arange(count)


def _shows_echoes(grid: StripGrid, x0: int, y0: int, patch_px: int, share: float = MIN_ECHO_SHARE) -> bool:
    top = y0 + grid.zero_row
    if top < 0 or top + patch_px > grid.x.shape[0]:
        return False
    return bool(grid.is_echo[top : top + patch_px, x0 : x0 + patch_px].mean() >= share)


def cut(strip: NDArray[np.uint8], zero_row: int, plan: Plan, paths: NDArray[np.float32], spec: InputSpec) -> NDArray[np.uint8]:
    """The planned patches of one window, (N, C, T, h, w).

    `strip` (T, rows, columns); `paths` (T, K, 2) is how far each column's chest wall has moved along and down since the
    window's middle, and is followed where the spec says stabilised.
    """
    out = np.empty((len(plan.patches), *spec.patch_shape), np.uint8)
    followed: dict[tuple[int, int, int], NDArray[np.uint8]] = {}
    """The rows of a column are held against one and the same wall: a third of all squares."""
    for n, patch in enumerate(plan.patches):
        path = paths[:, patch.reference] if spec.stabilised else np.zeros((len(strip), 2), np.float32)
        for c, band in enumerate(spec.bands):
            if band == "lung":
                x0, y0 = plan.columns[patch.column].x0, patch.y0
            else:
                x0, y0 = plan.columns[patch.reference].x0, -spec.wall_gap_px - spec.patch_px
            square = x0, y0, patch.reference
            if square in followed:
                out[n, c] = followed[square]
            else:
                followed[square] = out[n, c]
                _follow(strip, x0, y0 + zero_row, path, out[n, c])
    return out


def _follow(strip: NDArray[np.uint8], x0: int, y0: int, path: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Fill `out` (T, h, w) with the square at (x0, y0) moved along `path`; beyond the strip its edge repeats."""
    size = out.shape[2], out.shape[1]
    middle = np.array([x0 + (size[0] - 1) / 2, y0 + (size[1] - 1) / 2], np.float32)
    for frame, centre, square in zip(strip, (middle + path).tolist(), out, strict=True):
        cv2.getRectSubPix(frame, size, centre, square)
