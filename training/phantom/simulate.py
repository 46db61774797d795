"""Make the clip: move the tissue, look at it through the scanner, say what is true of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom.disease import grow_diseased
from training.phantom.geometry import Geometry, lay_out
from training.phantom.motion import Motion, at_the_wall, draw_motion, lung_lies_there, ray_strength
from training.phantom.overlays import burn_in
from training.phantom.pathology import slide_share
from training.phantom.psf import PointSpread, point_spread, speckle
from training.phantom.recording import write_clip
from training.phantom.spec import Obstruction, PhantomSpec
from training.phantom.tissue import Layer, Tissue, amplitude
from training.phantom.truth import Truth, tell
from training.recording.recorder import record
from training.recording.take import Recording

Floats = NDArray[np.float32]

_LONGEST_SLIDE_MM = 24.0
_RECORDER_STREAM = 1
"""Keeps the recorder's draws apart from those of the phantom of the same seed."""


@dataclass(frozen=True)
class Phantom:
    """A simulated clip and everything that is true of it."""

    spec: PhantomSpec
    seed: int
    frames: NDArray[np.uint8]
    """Grey levels, (F, H, W)."""
    truth: Truth

    def __repr__(self) -> str:
        return f"Phantom({self.spec.probe}, {self.spec.sliding}, frames={self.frames.shape}, seed={self.seed})"

    def write(self, path: str | Path, codec: str = "libx264", crf: int | None = 23, pixel_format: str | None = None) -> None:
        """Encode the clip into `path`; the container is told by its suffix. `crf` None leaves the codec's own rate control.

        `pixel_format` None: yuv420p, or yuvj420p for MJPEG. Compression changes grey levels, never the truth.
        """
        write_clip(self.frames, self.spec.fps, path, codec, crf, pixel_format)


def simulate(spec: PhantomSpec, seed: int = 0) -> Phantom:
    """The same spec and seed give the same pixels."""
    scanner = Scanner(spec, seed)
    frames = np.stack(list(scanner.frames()))
    return Phantom(spec, seed, frames, tell(scanner.geometry, scanner.motion, scanner.tissue))


def recorded(phantom: Phantom) -> Recording:
    """The phantom as its spec's recorder stored it: frames and times as an upload has them, on the clock of the truth."""
    rng = np.random.default_rng([phantom.seed, _RECORDER_STREAM])
    return record(Recording.at(phantom.frames, phantom.spec.fps), phantom.spec.recorder, rng)


class Scanner:
    """One phantom ready to be scanned; frames are made as they are asked for, in constant memory."""

    def __init__(self, spec: PhantomSpec, seed: int) -> None:
        # The first three are as old as the simulator: new sources of chance are added behind, or every seed would show something else.
        moving, growing, self._noise_rng, restless, ailing = np.random.default_rng(seed).spawn(5)
        self.spec = spec
        self.geometry: Geometry = lay_out(spec)
        self.motion: Motion = draw_motion(spec, moving, restless)
        self._psf: PointSpread = point_spread(self.geometry)
        # As far for a lung that does not slide: the twin of a sliding phantom is to be made of the same tissue.
        reach_mm = float(np.abs(self.motion.wall_lateral_mm).max()) + max(_LONGEST_SLIDE_MM / 2, float(np.abs(self.motion.slide_mm).max()))
        reach_mm += _further_mm(spec, self.motion)
        self.tissue: Tissue = grow_diseased(self.geometry, self._psf, reach_mm, growing, ailing)
        self._look = _Look(self.geometry, growing)
        self._mover = _Mover(self.geometry, self.motion, self.tissue)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Each frame (H, W)."""
        before: Floats | None = None
        curve = (255 * (np.arange(256) / 255) ** self.spec.grey_gamma).round().astype(np.uint8)
        scan = cv2.convertMaps(*self.geometry.scan_maps(), cv2.CV_16SC2)
        for at in range(self.spec.num_frames):
            echoes = self._psf.blur(self._mover.place(at))
            levels = self._look.display(echoes, self._noise_rng, float(self.motion.gain_db[at]))
            weight = 0.0 if before is None else self.spec.persistence
            before = np.asarray((1 - weight) * levels + weight * (levels if before is None else before), np.float32)
            beams = cv2.LUT(cv2.convertScaleAbs(np.maximum(before, 0)), curve)
            frame: NDArray[np.uint8] = cv2.remap(beams, scan[0], scan[1], cv2.INTER_LINEAR, borderValue=0)  # type: ignore[assignment]
            yield burn_in(frame, self.geometry, at) if self.spec.overlays else frame


def _further_mm(spec: PhantomSpec, motion: Motion) -> float:
    """How much further than wall and slide tissue may move sideways: stretched lung, deep echoes of a rocking probe, an organ."""
    stretched = abs(spec.pathology.elasticity) * float(np.abs(motion.slide_mm).max())
    return stretched + float(np.abs(motion.rock_rad).max()) * spec.depth_mm + float(np.abs(motion.organ_mm[:, 0]).max())


class _Mover:
    """Puts the layers of tissue where they are at one frame, on the grid of depths x beams."""

    def __init__(self, geometry: Geometry, motion: Motion, tissue: Tissue) -> None:
        self._spec, self._geometry, self._motion, self._tissue = geometry.spec, geometry, motion, tissue
        rows, columns = geometry.spec.num_depths, geometry.spec.num_beams
        tilt_mm = float(np.abs(motion.rock_rad).max()) * geometry.half_mm
        self._wall_rows = min(rows, len(tissue.wall.surfaces) + int(np.ceil((motion.wall_axial_mm.max() + tilt_mm) / geometry.sample_mm)))
        highest_mm = float(tissue.pleura_mm.min() + motion.wall_axial_mm.min()) - tilt_mm
        self._first = max(0, int(highest_mm / geometry.sample_mm) - tissue.above)
        self._column = np.arange(columns, dtype=np.float32)
        self._row = np.arange(rows, dtype=np.float32)
        # The skin stays at the probe; the whole pleura moves alike, so that its place is known exactly.
        self._ramp = np.clip(self._row * geometry.sample_mm / tissue.pleura_mm.min(), 0, 1).astype(np.float32)
        self._at_the_wall = at_the_wall(geometry.spec, motion, geometry.beams_mm)
        self._has_lung = lung_lies_there(geometry.spec, motion, geometry.beams_mm)
        self._share = slide_share(geometry.spec.pathology, geometry.beams_mm, motion.wall_lateral_mm, geometry.half_mm).astype(np.float32)
        # 1 to either side of no slope: multiplying by it leaves what has none as it always was.
        self._fluid_share = (1 + geometry.spec.pathology.effusion_slope * geometry.beams_mm / geometry.half_mm).astype(np.float32)
        self._strength = [ray_strength(motion, ray.seen_at, geometry.spec.fps).astype(np.float32) for ray in tissue.rays]

    def place(self, at: int) -> Floats:
        """Complex scatterers of frame `at`, (depths, beams, 2 * looks)."""
        echoes = np.zeros((len(self._row), len(self._column), 2 * self._spec.num_looks), np.float32)
        echoes[: self._wall_rows] = self._wall(at)
        pleura_row, passes = self._at_columns(at)
        below = self._air(at, pleura_row)
        if self._tissue.organ is not None:
            below = np.where(self._has_lung[at][:, None], below, self._organ(at, self._tissue.organ, pleura_row))
        echoes[self._first :] += below * passes[:, None]
        return echoes

    def _wall(self, at: int) -> Floats:
        lateral_mm, axial_mm = self._wall_mm(at)
        ramp = self._ramp[: self._wall_rows, None]
        lateral = lateral_mm * (1 - self._spec.wall_shear * (1 - ramp)) / self._geometry.beam_mm
        x = self._column + np.float32(self._tissue.pad) - lateral.astype(np.float32)
        y = self._row[: self._wall_rows, None] - np.float32(axial_mm / self._geometry.sample_mm) * ramp
        if self._spec.unrest.rock_deg > 0:
            # What the rocking does at the pleura is in `lateral_mm`; above it, it does less, and nothing at the skin.
            rocked_mm = float(self._motion.rock_rad[at]) * self._spec.pleura_depth_mm
            undone = rocked_mm * (1 - self._spec.wall_shear * (1 - ramp)) - self._rocked_mm(at, self._row[: self._wall_rows, None])
            x = x + (undone / self._geometry.beam_mm).astype(np.float32)
            y = y - self._tilt_mm(at, self._column) / np.float32(self._geometry.sample_mm) * ramp
        return _read(self._tissue.wall.seen_at(float(self._motion.plane_rad[at])), x, y)

    def _air(self, at: int, pleura_row: Floats) -> Floats:
        """What is seen below the pleura where there is lung: the wall's mirror image, and the lung's own artefacts."""
        wall_mm, axial_mm = self._wall_mm(at)
        stretch = self._spec.pleura_depth_mm / (self._spec.pleura_depth_mm + axial_mm)
        mirrored = self._tissue.mirror.seen_at(float(self._motion.plane_rad[at]))
        repeated = self._below(at, mirrored, wall_mm, pleura_row, stretch)
        if self._tissue.rays:
            repeated *= self._spared(at, wall_mm)[:, None]
        return repeated + self._lung(at, wall_mm, pleura_row)

    def _lung(self, at: int, wall_mm: float, pleura_row: Floats) -> Floats:
        moves = self._at_the_wall[at]
        plane = float(self._motion.plane_rad[at]) + float(self._motion.turn_rad[at])
        turned = plane + float(self._motion.slide_mm[at]) / self._spec.haze_decorrelation_mm
        surface_row = pleura_row + np.float32(self._motion.fluid_mm[at] / self._geometry.sample_mm) * self._fluid_share
        moved = self._below(at, self._haze_and_rays(at, turned), self._lung_mm(at, wall_mm), surface_row, 1.0)
        if moves.all():
            return moved
        # Beside the lung point the same haze stands still: texture must not tell the two sides apart, movement must.
        still = self._below(at, self._tissue.haze.seen_at(plane), wall_mm, surface_row, 1.0)
        return np.where(moves[:, None], moved, still)

    def _lung_mm(self, at: int, wall_mm: float) -> float | Floats:
        """Where the lung is, against the mean picture; by beam where it slides unevenly."""
        slide_mm = float(self._motion.slide_mm[at])
        return wall_mm + slide_mm * self._share[at] if self._spec.pathology.slides_unevenly else wall_mm + slide_mm

    def _haze_and_rays(self, at: int, plane_rad: float) -> Floats:
        seen = self._tissue.haze.seen_at(plane_rad)
        for ray, strength in zip(self._tissue.rays, self._strength, strict=True):
            if strength[at] > 0:
                seen[:, ray.columns] += strength[at] * ray.layer.seen_at(plane_rad)
        return seen

    def _spared(self, at: int, wall_mm: float) -> Floats:
        """What rays leave of the A-lines, by beam: in a ray sound comes back from all depths alike."""
        spared = np.ones_like(self._column)
        x = self._column + self._tissue.pad - self._lung_mm(at, wall_mm) / self._geometry.beam_mm
        for ray, strength in zip(self._tissue.rays, self._strength, strict=True):
            spared *= 1 - strength[at] * np.interp(x, np.arange(len(ray.covers)), ray.covers).astype(np.float32)
        return np.where(self._at_the_wall[at], spared, np.float32(1))

    def _organ(self, at: int, organ: Layer, pleura_row: Floats) -> Floats:
        along_mm, away_mm = self._motion.organ_mm[at]
        surface_row = pleura_row + np.float32(away_mm / self._geometry.sample_mm)
        seen = organ.seen_at(float(self._motion.plane_rad[at]))
        return self._below(at, seen, float(self._motion.wall_lateral_mm[at] + along_mm), surface_row, 1.0)

    def _wall_mm(self, at: int) -> tuple[float, float]:
        return float(self._motion.wall_lateral_mm[at]), float(self._motion.wall_axial_mm[at])

    def _at_columns(self, at: int) -> tuple[Floats, Floats]:
        """(row of the pleura, amplitude past the ribs) by beam."""
        lateral_mm, axial_mm = self._wall_mm(at)
        x = self._column + self._tissue.pad - lateral_mm / self._geometry.beam_mm
        material = np.arange(len(self._tissue.shadow))
        pleura_mm = np.interp(x, material, self._tissue.pleura_mm) + axial_mm
        if self._spec.unrest.rock_deg > 0:
            pleura_mm = pleura_mm + self._tilt_mm(at, self._column)
        passes = np.interp(x, material, self._tissue.shadow)
        return (pleura_mm / self._geometry.sample_mm).astype(np.float32), passes.astype(np.float32)

    def _below(self, at: int, field: Floats, lateral_mm: float | Floats, pleura_row: Floats, stretch: float) -> Floats:
        lateral = np.asarray(self._tissue.pad - lateral_mm / self._geometry.beam_mm, np.float32)
        x = self._column + lateral
        row = self._row[self._first :, None]
        if self._spec.unrest.rock_deg > 0:
            deeper_mm = self._rocked_mm(at, row - pleura_row)
            x = x - deeper_mm / np.float32(self._geometry.beam_mm)
        y = (row - pleura_row) * np.float32(stretch) + np.float32(self._tissue.above)
        return _read(field, x, y)

    def _rocked_mm(self, at: int, row: Floats) -> Floats:
        """How far a rocking probe moves what lies `row` samples deep sideways; it turns about the skin."""
        return np.asarray(float(self._motion.rock_rad[at]) * self._geometry.sample_mm * row, np.float32)

    def _tilt_mm(self, at: int, column: Floats) -> Floats:
        """How much deeper a rocking probe sees each beam's pleura, (beams,)."""
        u_mm = column * self._geometry.beam_mm - self._geometry.half_mm
        return np.asarray(-float(self._motion.rock_rad[at]) * u_mm, np.float32)


def _read(field: Floats, column: Floats, row: Floats) -> Floats:
    """`field` at fractional columns and rows, which broadcast to the result's (rows, columns)."""
    shape = np.broadcast_shapes(column.shape, row.shape)
    x, y = (np.ascontiguousarray(np.broadcast_to(at, shape), np.float32) for at in (column, row))
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR), np.float32)


class _Look:
    """The scanner behind the beam: contact, noise, log compression."""

    def __init__(self, geometry: Geometry, rng: np.random.Generator) -> None:
        self._spec = spec = geometry.spec
        shape = (spec.num_depths, spec.num_beams)
        # One pool of noise, cut anew for each frame: drawing 150,000 normal numbers a frame would take as long as all the rest.
        self._pool = speckle(rng, 2 * shape[0], 2 * shape[1])
        depth_mm = geometry.depths_mm[:, None]
        self._noise = amplitude((spec.noise_db + spec.noise_rise_db_per_cm * depth_mm / 10).astype(np.float32))[..., None]
        self._contact = self._coupling(geometry, rng)[..., None]
        ring_db = -20 - 7 * depth_mm / spec.axial_psf_mm
        ripples = 1 + 0.3 * np.cos(2 * np.pi * depth_mm / (1.6 * spec.axial_psf_mm))
        self._ring = np.asarray(amplitude(ring_db.astype(np.float32)) * ripples, np.float32)

    def display(self, echoes: Floats, rng: np.random.Generator, gain_db: float) -> Floats:
        """Complex echoes (depths, beams, 2 * looks) -> grey levels, not clipped below 0, (depths, beams)."""
        rows, columns = echoes.shape[:2]
        row, column = int(rng.integers(rows)), int(rng.integers(columns))
        seen = echoes * self._contact
        seen[..., :2] += self._pool[row : row + rows, column : column + columns] * self._noise
        seen[..., 0] += self._ring
        power = seen[..., 0] ** 2 + seen[..., 1] ** 2 + np.float32(1e-9)
        if self._spec.compounding > 0:
            second = seen[..., 2] ** 2 + seen[..., 3] ** 2
            power += np.float32(self._spec.compounding / 2) * (second - power)
        slope, gain = 255 / self._spec.dynamic_range_db, self._spec.gain_db + gain_db
        levels = cv2.log(power) * np.float32(slope * 10 / np.log(10)) + np.float32(255 + slope * gain)
        smooth = cv2.GaussianBlur(levels, (0, 0), 1.6, sigmaY=0.9)
        return cv2.addWeighted(levels, 1 - self._spec.speckle_reduction, smooth, self._spec.speckle_reduction, 0.0)  # type: ignore[return-value]

    def _coupling(self, geometry: Geometry, rng: np.random.Generator) -> Floats:
        """Amplitude that gets in and out of the body, (depths or 1, beams)."""
        side = np.linspace(-1, 1, self._spec.num_beams)[None, :]
        loss_db = self._spec.edge_loss_db * np.where(side < 0, rng.uniform(0, 1), rng.uniform(0, 1)) * np.abs(side) ** 4
        if self._spec.obstruction is Obstruction.NO_CONTACT:
            loss_db = loss_db + np.minimum(12 * geometry.depths_mm[:, None] / self._spec.skin_mm, 90)
        return amplitude((-loss_db).astype(np.float32))
