"""How wall and lung move: every path in mm, one value a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.phantom.pathology import Neighbour, Organ
from training.phantom.unrest import breath_depth, breathing_clock, coughs, gain, rocking, turnover
from training.phantom.unrest import wandering as _wandering

if TYPE_CHECKING:
    from training.phantom.spec import PhantomSpec

Path = NDArray[np.float64]

_FADES_S = 0.08
"""Half the time in which a ray that comes or goes with the breath fades in or out: a few frames."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions against the mean picture, right and down positive, one value a frame, (F,)."""

    wall_lateral_mm: Path
    """Of the wall at the pleura."""
    wall_axial_mm: Path
    """Of the pleura, away from the probe."""
    slide_mm: Path
    """Of the lung past the wall (breath and lung pulse), where lung lies at the wall."""
    fullness: Path
    """Of the lung: 0 at the end of a quiet expiration, 1 at the end of a quiet inspiration, also where nothing slides."""
    lung_point_mm: Path | None
    """Where sliding begins, in the picture."""
    plane_rad: Path
    """Out-of-plane position of wall and lung, as an angle between two independent fields of scatterers."""
    turn_rad: Path
    """The same of the lung alone, beside what its slide does."""
    rock_rad: Path
    """Of the probe against the chest; what it does at the pleura is already in `wall_lateral_mm`."""
    gain_db: Path
    """Against the gain of the spec."""
    fluid_mm: Path
    """Between wall and lung."""
    lung_edge_mm: Path | None
    """Where the lung ends and another organ begins, in the picture."""
    organ_mm: Path
    """Of that organ against the wall: along the pleura and away from the probe, (F, 2)."""

    @property
    def lung_lateral_mm(self) -> Path:
        """Of the lung in the picture, where it slides."""
        return self.wall_lateral_mm + self.slide_mm


def at_the_wall(spec: PhantomSpec, motion: Motion, u_mm: Path) -> NDArray[np.bool_]:
    """Where sliding lung lies at the wall, (F, places): everywhere, or on one side of the lung point."""
    if motion.lung_point_mm is None:
        return np.ones((spec.num_frames, len(u_mm)), np.bool_)
    right_of = np.asarray(u_mm > motion.lung_point_mm[:, None])
    return right_of if spec.sliding_side == "right" else ~right_of


def lung_lies_there(spec: PhantomSpec, motion: Motion, u_mm: Path) -> NDArray[np.bool_]:
    """Where there is lung and no other organ, (F, places)."""
    neighbour = spec.pathology.neighbour
    if neighbour is None or motion.lung_edge_mm is None:
        return np.ones((spec.num_frames, len(u_mm)), np.bool_)
    right_of = np.asarray(u_mm > motion.lung_edge_mm[:, None])
    return ~right_of if neighbour.side == "right" else right_of


def ray_strength(motion: Motion, seen_at: tuple[float, float] | None, fps: float) -> Path:
    """Share of its amplitude that a ray has in each frame, (F,): 1 while the lung is as full as `seen_at` says, else 0, with soft edges.

    It is a half just where the lung becomes so full; the edges are soft in time, so that a lung at rest holds no ray half seen.
    """
    if seen_at is None:
        return np.ones_like(motion.fullness)
    is_on = (motion.fullness >= seen_at[0]) & (motion.fullness <= seen_at[1])
    reach = max(1, round(_FADES_S * fps))
    fade = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(np.pad(is_on.astype(np.float64), reach, mode="edge"), fade / fade.sum(), "valid")


def respiration(times_s: Path, spec: PhantomSpec) -> Path:
    """Chest excursion 0 (end of expiration) .. 1 (end of inspiration): half-cosine in, half-cosine out, a pause."""
    phase = (times_s * spec.breaths_per_min / 60 + spec.breath_phase) % 1.0
    inspired, paused = spec.inspiration_fraction, 1 - spec.pause_fraction
    rising = 0.5 - 0.5 * np.cos(np.pi * phase / inspired)
    falling = 0.5 + 0.5 * np.cos(np.pi * (phase - inspired) / max(paused - inspired, 1e-6))
    return np.where(phase < inspired, rising, np.where(phase < paused, falling, 0.0))


def lung_pulse(times_s: Path, spec: PhantomSpec) -> Path:
    """The heart's push on the lung: a quick swing that dies away within the beat, amplitude 1."""
    since_beat = (times_s * spec.pulse_hz) % 1.0
    return np.exp(-4 * since_beat) * np.sin(2 * np.pi * 1.5 * since_beat)


def draw_motion(spec: PhantomSpec, rng: np.random.Generator, unrest_rng: np.random.Generator) -> Motion:
    """`unrest_rng` serves the unrest alone, so that a spec without it moves as it always did."""
    times_s = np.arange(spec.num_frames) / spec.fps
    breath = _breath(times_s, spec, unrest_rng)
    wander = spec.drift_mm * _wandering(times_s, rng, 0.35) + spec.tremor_mm * _wandering(times_s, rng, 7.0)
    axial = 0.3 * spec.drift_mm * _wandering(times_s, rng, 0.35) + 0.5 * spec.tremor_mm * _wandering(times_s, rng, 7.0)
    plane = spec.out_of_plane * (_wandering(times_s, rng, 0.4) + 0.3 * _wandering(times_s, rng, 5.0))
    rock, cough = rocking(times_s, spec.unrest, unrest_rng), coughs(times_s, spec.unrest)
    wall = wander + spec.wall_lateral_mm * breath + cough + rock * spec.pleura_depth_mm
    slide = spec.slide_mm * breath + spec.lung_pulse_mm * lung_pulse(times_s, spec)
    return Motion(
        wall_lateral_mm=wall,
        # The cough's push stays within a tenth of the pleura's depth, as all that presses the wall.
        wall_axial_mm=np.clip(axial + 0.3 * cough, -0.1 * spec.pleura_depth_mm, 0.1 * spec.pleura_depth_mm) + spec.wall_axial_mm * breath,
        slide_mm=slide,
        fullness=breath + 0.5,
        lung_point_mm=None if spec.lung_point_mm is None else spec.lung_point_mm + wall + spec.lung_point_travel_mm * breath,
        plane_rad=plane,
        turn_rad=turnover(times_s, spec.unrest, unrest_rng),
        rock_rad=rock,
        gain_db=gain(times_s, spec.unrest),
        # The sinusoid sign: in inspiration the lung comes towards the wall.
        fluid_mm=spec.pathology.effusion_mm * (1 - 0.3 * breath),
        lung_edge_mm=_lung_edge(spec.pathology.neighbour, wall, slide),
        organ_mm=_organ(spec, times_s, slide),
    )


def _breath(times_s: Path, spec: PhantomSpec, rng: np.random.Generator) -> Path:
    """Chest excursion about 0, peak to peak 1 in a quiet breath."""
    clock_s = breathing_clock(times_s, spec.unrest, rng)
    return (respiration(clock_s, spec) - 0.5) * breath_depth(clock_s, spec.unrest, rng)


def _lung_edge(neighbour: Neighbour | None, wall_mm: Path, slide_mm: Path) -> Path | None:
    """The heart's border stays with the wall; a lung curtain's edge goes with the lung."""
    if neighbour is None:
        return None
    return neighbour.edge_mm + wall_mm + (slide_mm if neighbour.organ is Organ.LIVER else 0.0)


def _organ(spec: PhantomSpec, times_s: Path, slide_mm: Path) -> Path:
    """The heart swings 3 mm with each beat; liver and spleen go along with the diaphragm, not quite as far as the lung."""
    neighbour = spec.pathology.neighbour
    if neighbour is None:
        return np.zeros((len(times_s), 2))
    if neighbour.organ is Organ.LIVER:
        return np.stack([0.7 * slide_mm, 0 * slide_mm], axis=1)
    beat = lung_pulse(times_s, spec)
    return np.stack([3.0 * beat, 2.0 * beat], axis=1)
