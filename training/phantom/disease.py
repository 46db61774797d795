"""Disease and neighbours, put into tissue that has grown: what they hide, what they show, and with what they move."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Geometry
from training.phantom.pathology import Base, Consolidation, Neighbour, Organ
from training.phantom.psf import PointSpread
from training.phantom.rays import draw_rays
from training.phantom.spec import Obstruction
from training.phantom.tissue import Grid, Layer, Tissue, amplitude, below, grow, ray_loss_db, smooth_step

Floats = NDArray[np.float32]

_SOLID_DB = -29.0
"""Of liver and heart muscle: about as the muscles of the wall."""
_BLOOD_DB = -50.0


def grow_diseased(
    geometry: Geometry, psf: PointSpread, reach_mm: float, rng: np.random.Generator, disease_rng: np.random.Generator
) -> Tissue:
    """Draw the tissue with all its spec says. Disease draws from its own generator: without it, tissue is as it always was."""
    spec, pathology = geometry.spec, geometry.spec.pathology
    grid = Grid(geometry, psf, reach_mm, disease_rng)
    ragged = _ragged(grid) if pathology.roughness_mm > 0 else None
    tissue = grow(geometry, psf, reach_mm, rng, ragged)
    if spec.obstruction is not Obstruction.NONE:
        return tissue
    tissue = replace(tissue, rays=draw_rays(grid))
    for consolidation in pathology.consolidations:
        tissue = _consolidated(grid, tissue, consolidation)
    if pathology.effusion_mm > 0:
        # Sound goes on into the fluid instead of back and forth between pleura and probe.
        tissue = replace(tissue, mirror=_dimmed(tissue.mirror, np.full(grid.columns, pathology.effusion_echo, np.float32)))
    tissue = _with_z_lines(grid, tissue)
    if pathology.base is not None:
        tissue = _with_base(grid, tissue, pathology.base)
    return tissue if pathology.neighbour is None else replace(tissue, organ=_organ(grid, pathology.neighbour))


def _ragged(grid: Grid) -> Floats:
    """What inflammation adds to the pleura's depth, by column: steps of a few millimetres' length, mm."""
    return np.asarray(grid.spec.pathology.roughness_mm * (0.8 * grid.line(3.0) + 0.6 * grid.line(1.2)), np.float32)


def _dimmed(layer: Layer, passes: Floats) -> Layer:
    """`passes` broadcasts to (rows, columns)."""
    scatterers = tuple((a * passes[..., None], b * passes[..., None]) for a, b in layer.scatterers)
    return Layer(scatterers, layer.surfaces * passes)


def _joined(layer: Layer, inside: Floats, scatterers: tuple[tuple[Floats, Floats], ...], surfaces: Floats) -> Layer:
    """The layer with other scatterers where `inside` (rows, columns) is 1, and more surfaces."""
    outside = _dimmed(layer, 1 - inside)
    both = tuple((a + c, b + d) for (a, b), (c, d) in zip(outside.scatterers, scatterers, strict=True))
    return Layer(both, np.maximum(outside.surfaces, surfaces))


def _consolidated(grid: Grid, tissue: Tissue, consolidation: Consolidation) -> Tissue:
    """A lens of solid lung below the pleura, its lower border shredded and bright, a faint haze below."""
    below_mm, rows = below(grid)
    off = np.abs(grid.u_mm - consolidation.center_mm) / consolidation.half_width_mm
    reach_mm = consolidation.depth_mm * np.sqrt(np.maximum(1 - off**2, 0)) * (1 + 0.15 * grid.line(3.0))
    inside = smooth_step((reach_mm - below_mm) / 0.6) * smooth_step((below_mm - 0.4) / 0.4)
    level_db = consolidation.level_db + 2 * grid.field(rows, 2.0, 4.0) + _bronchograms_db(grid, consolidation, rows)
    solid = grid.scatter(np.asarray(amplitude(level_db) * inside, np.float32))
    level_db = grid.spec.pleura_db + consolidation.rim_db - 8 * np.maximum(grid.line(1.5), 0) - 40 * (off >= 1)
    shred = grid.ridge(below_mm, reach_mm, grid.spec.axial_psf_mm, level_db.astype(np.float32))
    haze = _joined(tissue.haze, inside.astype(np.float32), solid, shred)
    # Where lung is solid there is no mirror at the pleura: no A-lines, no wall repeated.
    mirror = _dimmed(tissue.mirror, (1 - 0.95 * (off < 1)).astype(np.float32))
    # Rays begin below what is solid.
    rays = tuple(replace(ray, layer=_dimmed(ray.layer, 1 - inside[:, ray.columns])) for ray in tissue.rays)
    return replace(tissue, haze=haze, mirror=mirror, rays=rays)


def _with_base(grid: Grid, tissue: Tissue, base: Base) -> Tissue:
    """The organ in the place of lung and of what the lung throws back; the diaphragm, where the beam does not meet it along its flank."""
    below_mm, rows = below(grid)
    dome_mm = base.top_mm + base.height_mm * ((grid.u_mm - base.center_mm) / base.half_width_mm) ** 2 + 1.5 * grid.line(8.0)
    inside = smooth_step((below_mm - dome_mm) / 1.0)
    vessels = np.maximum(grid.field(rows, 4.0, 6.0) - 1.3, 0)
    level_db = base.level_db - 0.25 * below_mm + 2 * grid.field(rows, 3.0, 5.0) - 20 * vessels
    organ = grid.scatter(np.asarray(amplitude(level_db) * inside, np.float32))
    slope = np.abs(np.gradient(dome_mm, grid.beam_mm))
    rim_db = base.rim_db - 3 * slope - 4 * np.maximum(grid.line(6.0), 0)
    rim = grid.ridge(below_mm, dome_mm, 4 * grid.spec.axial_psf_mm, rim_db.astype(np.float32))
    haze = _joined(tissue.haze, inside, organ, rim)
    mirror = _dimmed(tissue.mirror, 1 - inside)
    rays = tuple(replace(ray, layer=_dimmed(ray.layer, 1 - inside[:, ray.columns])) for ray in tissue.rays)
    return replace(tissue, haze=haze, mirror=mirror, rays=rays)


def _bronchograms_db(grid: Grid, consolidation: Consolidation, rows: int) -> Floats:
    """Air in branching bronchi: short bright streaks, here and there."""
    if consolidation.bronchogram_db == 0:
        return np.zeros((rows, grid.columns), np.float32)
    streaks = np.clip(2 * (grid.field(rows, 1.5, 5.0, slope=0.5) - 1.3), 0, 1)
    return np.asarray(consolidation.bronchogram_db * streaks, np.float32)


def _with_z_lines(grid: Grid, tissue: Tissue) -> Tissue:
    """Comet tails that hang on the parietal pleura: they go with the wall, so they are put into the mirror layer."""
    lines = [line for line in grid.spec.b_lines if line.of_wall]
    if not lines:
        return tissue
    below_mm, rows = below(grid)
    power = np.zeros((rows, grid.columns), np.float32)
    for line in lines:
        profile = np.exp(-(((grid.u_mm - line.center_mm) / line.width_mm) ** 2))
        power += (amplitude(line.level_db - ray_loss_db(line, below_mm)) ** 2 * profile * (below_mm > 0)).astype(np.float32)
    more = grid.scatter(np.sqrt(power))
    both = tuple((a + c, b + d) for (a, b), (c, d) in zip(tissue.mirror.scatterers, more, strict=True))
    return replace(tissue, mirror=Layer(both, tissue.mirror.surfaces))


def _organ(grid: Grid, neighbour: Neighbour) -> Layer:
    """Liver: even, with dark vessels. Heart: a wall of muscle, blood below it. Both have a bright thin skin."""
    below_mm, rows = below(grid)
    depth_db = -0.25 * below_mm
    if neighbour.organ is Organ.LIVER:
        vessels = np.maximum(grid.field(rows, 4.0, 6.0) - 1.3, 0)
        level_db = _SOLID_DB + depth_db + grid.field(rows, 3.0, 5.0) - 25 * vessels
    else:
        muscle_mm = 9 + 2 * grid.line(12.0)
        level_db = np.where(below_mm < muscle_mm, _SOLID_DB + 2 * grid.field(rows, 1.0, 6.0), _BLOOD_DB) + 0 * depth_db
    shown = smooth_step(below_mm / grid.spec.axial_psf_mm - 1)
    skin_db = np.full(grid.columns, grid.spec.pleura_db - 10, np.float32) - 5 * np.maximum(grid.line(6.0), 0)
    skin = grid.ridge(below_mm, np.full(grid.columns, 1.5), grid.spec.axial_psf_mm, skin_db.astype(np.float32))
    return Layer(grid.scatter((amplitude(level_db.astype(np.float32)) * shown).astype(np.float32)), skin)
