"""How wall and lung move: every path in mm, one value a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from training.phantom.spec import PhantomSpec

Path = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions against the mean picture, right and down positive, one value a frame, (F,)."""

    wall_lateral_mm: Path
    """Of the wall at the pleura."""
    wall_axial_mm: Path
    """Of the pleura, away from the probe."""
    slide_mm: Path
    """Of the lung past the wall (breath and lung pulse), where lung lies at the wall."""
    lung_point_mm: Path | None
    """Where sliding begins, in the picture."""
    plane_rad: Path
    """Out-of-plane position of wall and lung, as an angle between two independent fields of scatterers."""

    @property
    def lung_lateral_mm(self) -> Path:
        """Of the lung in the picture, where it slides."""
        return self.wall_lateral_mm + self.slide_mm


def at_the_wall(spec: PhantomSpec, motion: Motion, u_mm: Path) -> NDArray[np.bool_]:
    """Where lung lies at the wall, (F, places): everywhere, or on one side of the lung point."""
    if motion.lung_point_mm is None:
        return np.ones((spec.num_frames, len(u_mm)), np.bool_)
    right_of = np.asarray(u_mm > motion.lung_point_mm[:, None])
    return right_of if spec.sliding_side == "right" else ~right_of


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


def draw_motion(spec: PhantomSpec, rng: np.random.Generator) -> Motion:
    times_s = np.arange(spec.num_frames) / spec.fps
    breath = respiration(times_s, spec) - 0.5
    wander = spec.drift_mm * _wandering(times_s, rng, 0.35) + spec.tremor_mm * _wandering(times_s, rng, 7.0)
    axial = 0.3 * spec.drift_mm * _wandering(times_s, rng, 0.35) + 0.5 * spec.tremor_mm * _wandering(times_s, rng, 7.0)
    plane = spec.out_of_plane * (_wandering(times_s, rng, 0.4) + 0.3 * _wandering(times_s, rng, 5.0))
    wall = wander + spec.wall_lateral_mm * breath
    return Motion(
        wall_lateral_mm=wall,
        wall_axial_mm=np.clip(axial, -0.1 * spec.pleura_depth_mm, 0.1 * spec.pleura_depth_mm) + spec.wall_axial_mm * breath,
        slide_mm=spec.slide_mm * breath + spec.lung_pulse_mm * lung_pulse(times_s, spec),
        lung_point_mm=None if spec.lung_point_mm is None else spec.lung_point_mm + wall + spec.lung_point_travel_mm * breath,
        plane_rad=plane,
    )


def _wandering(times_s: Path, rng: np.random.Generator, up_to_hz: float) -> Path:
    """Smooth random path of RMS about 1: a sum of eight sines with frequencies up to `up_to_hz`."""
    hz, phase = rng.uniform(0.15 * up_to_hz, up_to_hz, 8), rng.uniform(0, 2 * np.pi, 8)
    return np.asarray(np.sin(2 * np.pi * times_s[:, None] * hz + phase).sum(axis=1) / 2)
