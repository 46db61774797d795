"""B-lines that come and go with the breath: each drawn apart from the lung's haze, so that its strength can change by frame.

pleura  ______________
            ||  |          `covers` is 1 at the middle of a ray and wipes out the A-line there
A-line  ---     - ---
            ||  |
"""

import numpy as np
from numpy.typing import NDArray

from training.phantom.spec import BLine
from training.phantom.tissue import Grid, Layer, Ray, amplitude, below, ray_loss_db, smooth_step

Floats = NDArray[np.float32]

_FURTHEST = 3.0
"""Profile widths from a ray's middle to where nothing of it is left (-39 dB)."""


def draw_rays(grid: Grid) -> tuple[Ray, ...]:
    """One for each part of the breath in which lines of the spec are seen; none where every line is always there."""
    lines = [line for line in grid.spec.b_lines if line.seen_at is not None]
    parts = dict.fromkeys(line.seen_at for line in lines if line.seen_at is not None)
    return tuple(_ray(grid, seen_at, [line for line in lines if line.seen_at == seen_at]) for seen_at in parts)


def _ray(grid: Grid, seen_at: tuple[float, float], lines: list[BLine]) -> Ray:
    below_mm, rows = below(grid)
    columns = _columns(grid, lines)
    u_mm = grid.u_mm[columns]
    clouds_db = 1.5 * (
        1.8 * grid.field(rows, 2 * grid.spec.axial_psf_mm, 2 * grid.spec.lateral_psf_mm)[:, columns]
        + 2.0 * grid.field(rows, 10 * grid.spec.axial_psf_mm, 5 * grid.spec.lateral_psf_mm)[:, columns]
    )
    power = np.zeros((rows, len(u_mm)), np.float32)
    for line in lines:
        level_db = line.level_db - ray_loss_db(line, below_mm) + clouds_db
        power += np.square(amplitude(level_db)) * _profile(line, u_mm)
    shown = smooth_step(below_mm / (0.5 * grid.spec.pleura_thickness_mm))
    scatterers = grid.scatter((np.sqrt(power) * shown).astype(np.float32))
    return Ray(seen_at, Layer(scatterers, np.zeros_like(power)), columns.start, _covers(grid, lines))


def _columns(grid: Grid, lines: list[BLine]) -> slice:
    """Those that any of the lines reaches; at least one, for a line beside the picture."""
    reached = np.any([np.abs(grid.u_mm - line.center_mm) < _FURTHEST * line.width_mm for line in lines], axis=0)
    at = np.flatnonzero(reached)
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 1)


def _profile(line: BLine, u_mm: NDArray[np.floating]) -> Floats:
    return np.asarray(np.exp(-(((u_mm - line.center_mm) / line.width_mm) ** 2)), np.float32)


def _covers(grid: Grid, lines: list[BLine]) -> Floats:
    """Comet tails leave A-lines as they are."""
    covered = np.zeros(grid.columns, np.float32)
    for line in (line for line in lines if line.is_b_line):
        covered = np.maximum(covered, _profile(line, grid.u_mm))
    return covered
