"""The tissue of a phantom in its own coordinates, before anything moves: what scatters, how strongly, and what casts shadows.

    wall      rows: depth below the probe            moves with the wall
    mirror    rows: depth below the pleura           moves with the wall  (A-lines, the wall repeated)
    haze      rows: depth below the pleura           moves with the lung  (visceral pleura, artefact speckle, B-lines)
    shadow    one value a column                     moves with the wall  (ribs)
    organ     rows: depth below the pleura           moves by itself      (heart or liver beside the lung)
    rays      rows: depth below the pleura           move with the lung   (B-lines that come and go with the breath)

Columns are beams, `pad` more on either side than the picture shows. Complex fields are float32 (rows, columns, 2): real and imaginary part.
Scatterers exist twice, independently: turning from one field to the other is movement out of the picture's plane.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Geometry
from training.phantom.psf import PointSpread, speckle
from training.phantom.spec import BLine, Obstruction, Rib

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """What moves together."""

    scatterers: tuple[tuple[Floats, Floats], ...]
    """For each look two speckle fields, all independent, weighted with the local echogenicity, (rows, columns, 2)."""
    surfaces: Floats
    """What reflects like a mirror and stays as it is out of plane, (rows, columns), phase 0."""

    def seen_at(self, plane_rad: float) -> Floats:
        """The layer as a picture plane at `plane_rad` cuts it, (rows, columns, 2 * looks): real and imaginary part of each look.

        Looks share the surfaces and have independent speckle, as from different angles (compounding).
        """
        seen = np.empty((*self.surfaces.shape, 2 * len(self.scatterers)), np.float32)
        for look, (a, b) in enumerate(self.scatterers):
            seen[..., 2 * look : 2 * look + 2] = cv2.addWeighted(a, float(np.cos(plane_rad)), b, float(np.sin(plane_rad)), 0.0)
            seen[..., 2 * look] += self.surfaces
        return seen


@dataclass(frozen=True, slots=True)
class Ray:
    """B-lines that are seen in the same part of the breath."""

    seen_at: tuple[float, float]
    """As `BLine.seen_at`."""
    layer: Layer
    """As `Tissue.haze`, of fewer columns: from `first` on."""
    first: int
    covers: Floats
    """How far A-lines are wiped out, 0..1, by column of the whole tissue."""

    @property
    def columns(self) -> slice:
        return slice(self.first, self.first + self.layer.surfaces.shape[1])


@dataclass(frozen=True, slots=True)
class Tissue:
    pad: int
    """Columns on either side of the picture."""
    above: int
    """Rows of `mirror` and `haze` above the pleura."""
    pleura_mm: NDArray[np.float64]
    """Depth of the pleura (under emphysema: of the gas) by column."""
    wall: Layer
    mirror: Layer
    haze: Layer
    shadow: Floats
    """Amplitude that passes the ribs, 0..1, by column."""
    organ: Layer | None = None
    """Of what lies beside the lung."""
    rays: tuple[Ray, ...] = ()


def grow(geometry: Geometry, psf: PointSpread, reach_mm: float, rng: np.random.Generator, ragged_mm: Floats | None = None) -> Tissue:
    """Draw the tissue; `reach_mm` is how far anything will move sideways, `ragged_mm` what disease adds to the pleura's depth."""
    grid = Grid(geometry, psf, reach_mm, rng)
    if grid.spec.obstruction is Obstruction.EMPHYSEMA:
        return _emphysema(grid)
    pleura_mm = _pleura(grid) if ragged_mm is None else _pleura(grid) + ragged_mm
    wall = _wall(grid, pleura_mm)
    return Tissue(grid.pad, grid.above, pleura_mm, wall, _mirror(grid, wall, pleura_mm), _haze(grid, pleura_mm), _shadow(grid))


class Grid:
    """The material columns and depths of one phantom, and noise drawn on them."""

    def __init__(self, geometry: Geometry, psf: PointSpread, reach_mm: float, rng: np.random.Generator) -> None:
        self.spec, self.psf, self.rng = geometry.spec, psf, rng
        self.beam_mm, self.sample_mm, self.half_mm = geometry.beam_mm, geometry.sample_mm, geometry.half_mm
        self.pad = int(np.ceil(reach_mm / self.beam_mm)) + 4
        self.above = int(np.ceil(2 * self.spec.pleura_thickness_mm / self.sample_mm)) + 2
        self.u_mm = -self.half_mm + self.beam_mm * (np.arange(self.spec.num_beams + 2 * self.pad) - self.pad)

    @property
    def columns(self) -> int:
        return len(self.u_mm)

    def line(self, length_mm: float) -> Floats:
        """Smooth noise along the columns, mean 0, standard deviation about 1, (columns,)."""
        return np.asarray(self.field(3, 0.3 * self.sample_mm, length_mm)[1], np.float32)

    def field(self, rows: int, height_mm: float, length_mm: float, slope: float = 0.0) -> Floats:
        """Smooth noise (rows, columns), mean 0, standard deviation 1, grains `height_mm` x `length_mm` sinking `slope` rows a column."""
        sigma_x, sigma_y = max(length_mm / self.beam_mm / 2.355, 0.5), max(height_mm / self.sample_mm / 2.355, 0.3)
        noise = self.rng.standard_normal((rows, self.columns + 64), dtype=np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)[:, 32:-32]
        # The expected deviation, not the sample's: a short line of one long swing is to stay small.
        smooth = smooth * np.float32(np.sqrt(4 * np.pi * sigma_x * max(sigma_y, 0.28)))
        shear = np.array([[1, 0, 0], [-slope, 1, slope * self.columns / 2]], np.float32)
        return np.asarray(cv2.warpAffine(smooth, shear, (self.columns, rows), borderMode=cv2.BORDER_REFLECT), np.float32)

    def scatter(self, amplitude: Floats) -> tuple[tuple[Floats, Floats], ...]:
        """Independent scatterer fields of this echogenicity (rows, columns), two for each look."""

        def draw() -> Floats:
            return speckle(self.rng, *amplitude.shape) * amplitude[..., None]

        return tuple((draw(), draw()) for _ in range(self.spec.num_looks))

    def ridge(self, depth_mm: Floats, at_mm: NDArray[np.float64], thickness_mm: float, level_db: NDArray[np.floating] | float) -> Floats:
        """A bright line at `at_mm` (columns,) over rows at `depth_mm` (rows, 1), its height `level_db` once the PSF has blurred it."""
        sigma_mm = thickness_mm / 2.355
        # No surface in the body is a mirror all along: its echo is half a reflection, half rough.
        rough = 0.55 + 0.45 * np.hypot(self.line(self.spec.lateral_psf_mm), self.line(self.spec.lateral_psf_mm))
        height = amplitude(level_db) * rough * np.float32(self.psf.surface_gain(sigma_mm / self.sample_mm))
        return np.asarray(height * np.exp(-(((depth_mm - at_mm) / sigma_mm) ** 2) / 2), np.float32)


def amplitude(level_db: NDArray[np.floating] | float) -> Floats:
    return np.asarray(10 ** (np.asarray(level_db, np.float32) / 20), np.float32)


# --- the chest wall ---


def _pleura(grid: Grid) -> NDArray[np.float64]:
    spec = grid.spec
    bent = spec.pleura_sag_mm * (grid.u_mm / grid.half_mm) ** 2
    tilted = np.tan(np.deg2rad(spec.pleura_tilt_deg)) * grid.u_mm
    ripple = 0.012 * spec.pleura_depth_mm * grid.line(0.3 * grid.half_mm)
    shape = np.clip(bent + tilted + ripple, -0.35 * spec.pleura_depth_mm, None)
    return np.asarray(spec.pleura_depth_mm + shape, np.float64)


def _emphysema(grid: Grid) -> Tissue:
    """Gas under the skin: bright fragments at several shallow depths, nothing but dirty haze below, no pleura, no ribs."""
    spec = grid.spec
    gas_mm = np.full(grid.columns, 0.3 * spec.pleura_depth_mm)
    wall = _wall(grid, gas_mm)
    lung = _haze(grid, gas_mm)
    below_mm, _ = below(grid)
    fragments = np.zeros_like(lung.surfaces)
    for _ in range(6):
        steps = np.round(2 * grid.line(5.0)) / 2 + 0.5 * grid.line(1.2)
        at_mm = 0.2 * spec.pleura_depth_mm * (grid.rng.uniform(0, 1) + 0.3 * steps)
        level_db = spec.pleura_db - 14 * np.maximum(grid.line(4.0) + 0.4, 0) + 3 * grid.line(1.0)
        fragments = np.maximum(fragments, grid.ridge(below_mm, at_mm, spec.pleura_thickness_mm, level_db.astype(np.float32)))
    none = Layer(tuple((np.zeros_like(a), np.zeros_like(b)) for a, b in lung.scatterers), np.zeros_like(fragments))
    return Tissue(grid.pad, grid.above, gas_mm, wall, none, Layer(lung.scatterers, fragments), np.ones(grid.columns, np.float32))


def _wall(grid: Grid, pleura_mm: NDArray[np.float64]) -> Layer:
    rows = int(np.ceil((pleura_mm.max() + 2 * grid.spec.pleura_thickness_mm) / grid.sample_mm)) + 2
    depth_mm = (np.arange(rows, dtype=np.float32) * grid.sample_mm)[:, None]
    borders = _borders(grid, pleura_mm)
    level_db = _layers(grid, depth_mm, borders)
    surfaces = _fasciae(grid, depth_mm, borders)
    shown = smooth_step((pleura_mm - depth_mm) / (0.5 * grid.spec.pleura_thickness_mm)).astype(np.float32)
    shadow = np.ones_like(shown)
    for rib in grid.spec.ribs if grid.spec.obstruction is Obstruction.NONE else ():
        bone, below = _rib(grid, depth_mm, rib)
        surfaces, shadow = np.maximum(surfaces * below, bone), shadow * below
    diffuse = amplitude(level_db) * shown * shadow
    return Layer(grid.scatter(diffuse), (surfaces * shown + _parietal(grid, depth_mm, pleura_mm) * shadow).astype(np.float32))


def _parietal(grid: Grid, depth_mm: Floats, pleura_mm: NDArray[np.float64]) -> Floats:
    """The wall's own share of the pleural line, which stays while the lung's slides past it."""
    spec = grid.spec
    if spec.obstruction is Obstruction.EMPHYSEMA:
        return np.zeros((len(depth_mm), grid.columns), np.float32)
    level_db = spec.pleura_db - 4 - oblique_db(grid, pleura_mm) - _patchy_db(grid)
    return grid.ridge(depth_mm, pleura_mm, spec.pleura_thickness_mm, level_db)


def _borders(grid: Grid, pleura_mm: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Depth of the lower border of skin, fat, muscle and intercostal muscle, by column, skin's level, the rest bending with the pleura."""
    spec = grid.spec
    nominal = np.cumsum([spec.skin_mm, spec.fat_mm, spec.muscle_mm]) * min(
        1.0, 0.92 * pleura_mm.min() / (spec.skin_mm + spec.fat_mm + spec.muscle_mm)
    )
    bend = pleura_mm - pleura_mm.mean()
    waves = [0.02 * spec.pleura_depth_mm * k * grid.line(0.45 * grid.half_mm) for k in (0.1, 1.0, 1.0)]
    return [d + bend * d / pleura_mm.mean() + w for d, w in zip(nominal, waves, strict=True)] + [pleura_mm]


def _layers(grid: Grid, depth_mm: Floats, borders: list[NDArray[np.float64]]) -> Floats:
    """Echogenicity in dB, (rows, columns): each layer its own level and its own fibres."""
    spec, rows = grid.spec, len(depth_mm)
    level_db = np.full((rows, grid.columns), spec.wall_db, np.float32)
    upper = np.zeros(grid.columns)
    for lower, own_db, fibre_scale in zip(borders, (9.0, -1.0, -2.0, 0.0), (0.6, 1.2, 1.0, 0.7), strict=True):
        inside = (depth_mm >= upper) & (depth_mm < lower)
        level_db = np.where(inside, spec.wall_db + own_db + grid.rng.normal(0, 2) + _fibres(grid, rows, fibre_scale), level_db)
        upper = lower
    return (level_db + 2.0 * grid.field(rows, 4 * spec.axial_psf_mm, spec.fibre_length_mm)).astype(np.float32)


def _fibres(grid: Grid, rows: int, scale: float) -> Floats:
    """Striation in dB: fine grain along the layer, and few bright septa."""
    spec = grid.spec
    slope = np.tan(np.deg2rad(grid.rng.normal(0, 5))) * grid.beam_mm / grid.sample_mm
    grain = grid.field(rows, 0.9 * spec.axial_psf_mm, scale * spec.fibre_length_mm, slope)
    septa = np.maximum(grid.field(rows, 0.8 * spec.axial_psf_mm, 2 * scale * spec.fibre_length_mm, 1.6 * slope) - 1.4, 0)
    return np.asarray(spec.fibre_contrast_db * (scale * grain + 2.2 * septa), np.float32)


def _fasciae(grid: Grid, depth_mm: Floats, borders: list[NDArray[np.float64]]) -> Floats:
    """Bright continuous lines: the borders between the layers, and `num_fasciae` more inside fat and muscle."""
    spec = grid.spec
    skin, fat, muscle, _ = borders
    lines = [skin, fat, muscle]
    for _ in range(spec.num_fasciae):
        share = grid.rng.uniform(0.05, 1.0) + 0.06 * grid.line(0.7 * grid.half_mm) + grid.rng.normal(0, 0.12) * grid.u_mm / grid.half_mm
        lines.append(skin + share * (muscle - skin))
    drawn = np.zeros((len(depth_mm), grid.columns), np.float32)
    for at_mm in lines:
        torn = np.maximum(grid.line(0.5 * grid.half_mm) + grid.rng.normal(-0.3, 0.5), 0)
        level_db = spec.fascia_db + grid.rng.normal(0, 3) + 3 * grid.line(0.2 * grid.half_mm) - 18 * torn
        drawn = np.maximum(drawn, grid.ridge(depth_mm, at_mm, grid.rng.uniform(0.4, 1.1) * spec.axial_psf_mm, level_db))
    return drawn


def oblique_db(grid: Grid, pleura_mm: NDArray[np.float64]) -> Floats:
    """What a mirror loses where the beam does not meet it squarely, by column."""
    slope_deg = np.rad2deg(np.arctan(np.gradient(pleura_mm, grid.beam_mm)))
    return np.minimum(0.08 * slope_deg**2, 8).astype(np.float32)


def _patchy_db(grid: Grid) -> Floats:
    """What the pleura's echo loses from place to place, by column: long stretches shine, short ones are dull."""
    return 5 * np.maximum(grid.line(0.3 * grid.half_mm), -0.8) + 3 * grid.line(1.5 * grid.spec.lateral_psf_mm)


# --- ribs ---


def _rib(grid: Grid, depth_mm: Floats, rib: Rib) -> tuple[Floats, Floats]:
    """(bone, below): the rib's bright surface, and what passes it, both (rows, columns)."""
    off = np.abs(grid.u_mm - rib.center_mm) / rib.half_width_mm
    surface_mm = rib.depth_mm + 0.3 * rib.half_width_mm * np.minimum(off, 1.2) ** 2
    level_db = grid.spec.pleura_db - 1 - 9 * np.minimum(off, 2) ** 2 + 1.5 * grid.line(2.0)
    bone = grid.ridge(depth_mm, surface_mm, 1.2 * grid.spec.axial_psf_mm, level_db.astype(np.float32)) * (off < 1.1)
    under = smooth_step((depth_mm - surface_mm) / (0.8 * grid.spec.axial_psf_mm) - 0.5)
    return bone.astype(np.float32), (1 - under * (1 - _rib_passes(grid, rib))).astype(np.float32)


def _rib_passes(grid: Grid, rib: Rib) -> Floats:
    """Amplitude that passes a rib, by column; its edge is soft, since part of the aperture looks past the rib."""
    inside = smooth_step((rib.half_width_mm - np.abs(grid.u_mm - rib.center_mm)) / grid.spec.rib_edge_mm)
    return (1 - inside * (1 - amplitude(grid.spec.rib_shadow_db))).astype(np.float32)


def _shadow(grid: Grid) -> Floats:
    passes = np.ones(grid.columns, np.float32)
    for rib in grid.spec.ribs if grid.spec.obstruction is Obstruction.NONE else ():
        passes *= _rib_passes(grid, rib)
    return passes


# --- below the pleura ---


def _mirror(grid: Grid, wall: Layer, pleura_mm: NDArray[np.float64]) -> Layer:
    """Echoes that went between pleura and probe more than once: the wall again, upside down and upright, and A-lines."""
    below_mm, rows = below(grid)
    period = below_mm / pleura_mm
    decay_db = grid.spec.mirror_db - 9 * np.floor(np.maximum(period, 0)) - 1.5 * below_mm / 10
    strength = amplitude(decay_db.astype(np.float32)) * (below_mm > 0.5 * grid.spec.pleura_thickness_mm)
    columns = np.broadcast_to(np.arange(grid.columns, dtype=np.float32), (rows, grid.columns))
    inside = np.mod(np.maximum(period, 0), 1) * pleura_mm
    upright, flipped = ((at / grid.sample_mm).astype(np.float32) for at in (inside, pleura_mm - inside))

    def repeat(field: Floats) -> Floats:
        again = 0.5 * cv2.remap(field, columns, upright, cv2.INTER_LINEAR) + 0.8 * cv2.remap(field, columns, flipped, cv2.INTER_LINEAR)
        return np.asarray(again * strength[..., None], np.float32)

    repeated = tuple((repeat(a), repeat(b)) for a, b in wall.scatterers)
    return Layer(repeated, _a_lines(grid, below_mm, pleura_mm))


def _a_lines(grid: Grid, below_mm: Floats, pleura_mm: NDArray[np.float64]) -> Floats:
    """The pleura again at multiples of its depth, brightest where the beam meets it squarely."""
    spec = grid.spec
    drawn = np.zeros((len(below_mm), grid.columns), np.float32)
    for k in range(spec.num_a_lines):
        level_db = spec.a_line_db - 6 * k - 2 * oblique_db(grid, pleura_mm) - 10 * np.maximum(grid.line(0.3 * grid.half_mm), -0.5)
        drawn += grid.ridge(below_mm, (k + 1) * pleura_mm, (1.1 + 0.2 * k) * spec.pleura_thickness_mm, level_db.astype(np.float32))
    return drawn


def _haze(grid: Grid, pleura_mm: NDArray[np.float64]) -> Layer:
    """The lung: its surface, the reverberation that fades below it, and B-lines that do not fade."""
    spec = grid.spec
    below_mm, rows = below(grid)
    fading_db = spec.haze_db - spec.haze_decay_db_per_cm * below_mm / 10
    streaks = 1.3 * grid.line(1.2 * spec.lateral_psf_mm) + 3.5 * grid.line(5 * spec.lateral_psf_mm)
    clouds = 1.8 * grid.field(rows, 2 * spec.axial_psf_mm, 2 * spec.lateral_psf_mm) + 2.0 * grid.field(
        rows, 10 * spec.axial_psf_mm, 5 * spec.lateral_psf_mm
    )
    power = amplitude(fading_db + streaks + clouds) ** 2
    for line in (line for line in spec.b_lines if not line.of_wall and line.seen_at is None):
        ray_db = line.level_db - ray_loss_db(line, below_mm) + 1.5 * clouds
        power = power + amplitude(ray_db) ** 2 * np.exp(-(((grid.u_mm - line.center_mm) / line.width_mm) ** 2))
    shown = smooth_step(below_mm / (0.5 * spec.pleura_thickness_mm))
    visceral_db = spec.pleura_db - 3 - oblique_db(grid, pleura_mm) - _patchy_db(grid)
    surface = grid.ridge(below_mm, np.zeros(grid.columns), spec.pleura_thickness_mm, visceral_db.astype(np.float32))
    return Layer(grid.scatter((np.sqrt(power) * shown).astype(np.float32)), surface)


def ray_loss_db(line: BLine, below_mm: Floats) -> Floats:
    """What a ray has lost at this depth: B-lines hardly fade, a comet tail is gone (20 dB) at its end."""
    lost_db = 0.8 * below_mm / 10 if line.length_mm is None else 20 * below_mm / line.length_mm
    return np.asarray(lost_db, np.float32)


def below(grid: Grid) -> tuple[Floats, int]:
    """Depth below the pleura of the rows of `mirror` and `haze`, (rows, 1)."""
    rows = grid.spec.num_depths + grid.above
    return ((np.arange(rows, dtype=np.float32) - grid.above) * np.float32(grid.sample_mm))[:, None], rows


def smooth_step(x: NDArray[np.floating]) -> Floats:
    """0 below -1, 1 above 1, smooth between."""
    t = np.clip(0.5 * (x + 1), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
