"""What is exactly true of a phantom, in pixels of its frames and in mm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Fan, Geometry
from training.phantom.motion import Motion, at_the_wall, lung_lies_there, ray_strength
from training.phantom.pathology import slide_share
from training.phantom.spec import BLine, Obstruction
from training.phantom.tissue import Tissue

Floats = NDArray[np.float64]

SHADOWED = 0.5
"""Pleura of which less than this share of the amplitude passes the ribs counts as shadowed."""

STUCK = 0.5
"""Lung that makes less than this share of the slide counts as stuck."""

SEEN = 0.5
"""A ray counts as seen where it has at least this share of the amplitude that it has in its middle when it is quite there."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth. K places along the pleura, evenly spaced beams from left to right; F frames.

    Displacements are along the pleura (right positive), against the mean picture, in mm at the pleura and px of the frame there. For a
    convex probe everything turns about the apex, so the same mm are fewer px above the pleura and more below.
    """

    sliding: str
    """ "present", "absent", "lung_point" or "not_assessable"."""
    signs: frozenset[str]
    b_line_frames: NDArray[np.bool_]
    """Frames in which at least one B-line can be seen, (F,): it is there, at visible pleura (below), where lung lies at the wall."""
    mm_per_px: float
    sector: Floats
    """Outline of the echoes, (n, 2); may reach beyond the frame."""
    fan: Fan | None
    """None for a linear probe."""
    pleura_px: Floats | None
    """The pleural line of each frame, (F, K, 2); None where no pleura can be seen. Some of it may lie outside the frame."""
    visible: NDArray[np.bool_] | None
    """Inside the frame, not in a rib's shadow, and lung, not heart or liver, behind it, (F, K)."""
    sliding_mask: NDArray[np.bool_] | None
    """Where the lung slides, (F, K): there is lung, no fluid before it, and it does not stick to the wall."""
    slide_share: Floats | None
    """How much of `slide_mm` is left at each place: 1, less where the lung sticks, more where it stretches further, (F, K)."""
    interspaces: tuple[tuple[float, float], ...]
    """(x0, x1) of each run of visible pleura, of the middle frame."""
    rib_shadows: tuple[tuple[float, float], ...]
    """(x0, x1) along the pleura, of the middle frame."""
    lung_point_x_px: float | None
    """Of the middle frame."""
    wall_mm: Floats
    """Displacement of the wall at the pleura: along it and away from the probe, (F, 2)."""
    lung_mm: Floats
    """Displacement of the lung where it slides (and of its pulse): along the pleura and away from the probe, (F, 2)."""

    @property
    def wall_px(self) -> Floats:
        return self.wall_mm / self.mm_per_px

    @property
    def lung_px(self) -> Floats:
        return self.lung_mm / self.mm_per_px

    @property
    def slide_mm(self) -> Floats:
        """Of the lung past the wall, where it slides, (F,)."""
        return self.lung_mm[:, 0] - self.wall_mm[:, 0]

    @property
    def slide_px(self) -> Floats:
        return self.slide_mm / self.mm_per_px

    @property
    def slide_rms_mm(self) -> float:
        """RMS about its mean; 0 when nothing slides and no lung pulse is seen."""
        return float(self.slide_mm.std())

    @property
    def pleura_middle_px(self) -> Floats | None:
        """The pleural line of the middle frame, (K, 2)."""
        return None if self.pleura_px is None else self.pleura_px[len(self.pleura_px) // 2]


def tell(geometry: Geometry, motion: Motion, tissue: Tissue, num_places: int = 96) -> Truth:
    spec = geometry.spec
    u = np.linspace(-geometry.half_mm, geometry.half_mm, num_places)
    wall_mm = np.stack([motion.wall_lateral_mm, motion.wall_axial_mm], axis=1)
    lung_mm = np.stack([motion.lung_lateral_mm, motion.wall_axial_mm], axis=1)
    seen = spec.obstruction is Obstruction.NONE
    z, shadowed = _pleura(geometry, motion, tissue, u)
    line = geometry.to_px(np.broadcast_to(u, z.shape), z)
    in_frame = np.all((line >= 0) & (line <= (spec.width_px - 1, spec.height_px - 1)), axis=-1)
    has_lung = lung_lies_there(spec, motion, u)
    visible = in_frame & ~shadowed & has_lung
    at_wall = at_the_wall(spec, motion, u)
    share = slide_share(spec.pathology, u, motion.wall_lateral_mm, geometry.half_mm)
    slides = at_wall & has_lung & (share > STUCK) & (spec.slide_mm > 0) & (spec.pathology.effusion_mm == 0)
    middle = spec.num_frames // 2
    return Truth(
        sliding=spec.sliding,
        signs=spec.signs,
        b_line_frames=_b_line_frames(geometry, motion, u, visible & at_wall & seen, share),
        mm_per_px=spec.mm_per_px,
        sector=geometry.polygon(),
        fan=geometry.fan,
        pleura_px=line if seen else None,
        visible=visible if seen else None,
        sliding_mask=slides if seen else None,
        slide_share=share if seen else None,
        interspaces=_runs(line[middle, :, 0], visible[middle]) if seen else (),
        rib_shadows=_runs(line[middle, :, 0], in_frame[middle] & shadowed[middle]) if seen else (),
        lung_point_x_px=_lung_point_x(motion, u, line, middle) if seen else None,
        wall_mm=wall_mm,
        lung_mm=lung_mm,
    )


def _pleura(geometry: Geometry, motion: Motion, tissue: Tissue, u: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(depth in mm, shadowed by a rib), (F, K) each."""
    material = -geometry.half_mm + geometry.beam_mm * (np.arange(len(tissue.pleura_mm)) - tissue.pad)
    at = u - motion.wall_lateral_mm[:, None]
    z = np.interp(at, material, tissue.pleura_mm) + motion.wall_axial_mm[:, None] - motion.rock_rad[:, None] * u
    return z, np.interp(at, material, tissue.shadow) < SHADOWED


def _b_line_frames(geometry: Geometry, motion: Motion, u: Floats, shows: NDArray[np.bool_], share: Floats) -> NDArray[np.bool_]:
    """`shows`: at which of the places `u` of each picture a B-line would be seen, (F, K)."""
    lung_mm = u - motion.wall_lateral_mm[:, None] - motion.slide_mm[:, None] * share
    seen = np.zeros(len(shows), np.bool_)
    for line in (line for line in geometry.spec.b_lines if line.is_b_line):
        strength = ray_strength(motion, line.seen_at, geometry.spec.fps)
        # At least a step of `u`, or a thin line would fall between two places.
        reach_mm = np.maximum(_reach_mm(line, strength), 0.75 * (u[1] - u[0]))
        seen |= (strength >= SEEN) & (shows & (np.abs(lung_mm - line.center_mm) <= reach_mm[:, None])).any(axis=1)
    return seen


def _reach_mm(line: BLine, strength: Floats) -> Floats:
    """To either side of its middle a ray has `SEEN` of its full amplitude, (F,)."""
    return np.asarray(line.width_mm * np.sqrt(2 * np.log(np.maximum(strength / SEEN, 1))), np.float64)


def _lung_point_x(motion: Motion, u: Floats, line: Floats, frame: int) -> float | None:
    return None if motion.lung_point_mm is None else float(np.interp(motion.lung_point_mm[frame], u, line[frame, :, 0]))


def _runs(x: Floats, wanted: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """(first x, last x) of each run of at least two wanted places."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    return tuple((float(x[a]), float(x[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1)
