"""Lung points whose place is known to the pixel: the sliding lung of one patient beside the wall-locked lung of another.

interspaces of A, cut at the seam   |   interspaces of B, from the seam on
lung slides past its own wall       |   lung locked to its own wall
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.cine.locate import PLEURA_ROWS
from service.cine.prepare import StripWindow
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import plan_patches
from training.recipe import Source

SEAM_RANGE = (0.3, 0.7)
"""Share of the width in which the seam is drawn."""
MIN_SIDE_COLUMNS = 2
"""Pleura in view on each side, in patches: a sliver of still lung at the edge is not seen by eye either."""


@dataclass(frozen=True, slots=True)
class Composite:
    source: Source
    seam_column: int
    """Of the strip, where the left lung ends."""


def side_by_side(left: Source, right: Source, spec: InputSpec, rng: np.random.Generator) -> Composite | None:
    """Both clips in one picture as wide as the narrower; None where no seam leaves two patches of pleura in view on each side."""
    width = min(left.grid.num_columns, right.grid.num_columns)
    seams = [int(share * width) for share in rng.uniform(*SEAM_RANGE, 20)]
    return next((made for seam in seams if (made := _joined(left, right, seam, width, spec)) is not None), None)


def _joined(left: Source, right: Source, seam: int, width: int, spec: InputSpec) -> Composite | None:
    grid = _grid(left.grid, right.grid, seam, width)
    plan = plan_patches(grid, spec, num_rows=PLEURA_ROWS)
    on_left = [column.x0 < seam for column in plan.lung_columns]
    if min(sum(on_left), len(on_left) - sum(on_left)) < MIN_SIDE_COLUMNS:
        return None
    # Plain: whether a line is the pleura was for the two clips to say, and is not what is asked here.
    return Composite(Source(grid, plan, tuple(_windows(left, right, seam, width, grid))), seam)


def _grid(left: StripGrid, right: StripGrid, seam: int, width: int) -> StripGrid:
    zero = min(left.zero_row, right.zero_row)
    rows = zero + min(left.lung_rows, right.lung_rows)
    y, x = np.mgrid[:rows, :width].astype(np.float32)
    echo = [grid.is_echo[grid.zero_row - zero :][:rows] for grid in (left, right)]
    return StripGrid(
        x=x,
        y=y,
        zero_row=zero,
        px_per_strip_px=left.px_per_strip_px,
        interspaces=(*_within(left.interspaces, 0, seam), *_within(right.interspaces, seam, width)),
        is_echo=np.concatenate([echo[0][:, :seam], echo[1][:, seam:width]], axis=1),
    )


def _within(interspaces: Sequence[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """What lies in [first, last) of each."""
    for a, b in interspaces:
        if max(a, first) < min(b, last):
            yield max(a, first), min(b, last)


def _windows(left: Source, right: Source, seam: int, width: int, grid: StripGrid) -> Iterator[StripWindow]:
    rows = len(grid.x)
    for a, b in zip(left.windows, right.windows, strict=False):
        strips = [window.strip[:, side.grid.zero_row - grid.zero_row :][:, :rows] for window, side in ((a, left), (b, right))]
        strip = np.concatenate([strips[0][:, :, :seam], strips[1][:, :, seam:width]], axis=2)
        # One scanner: the slower of the two says when its frames were taken.
        slow = a if len(np.unique(a.taken_s)) <= len(np.unique(b.taken_s)) else b
        yield StripWindow(a.start_frame, strip[np.searchsorted(slow.taken_s, slow.taken_s)], slow.taken_s)
