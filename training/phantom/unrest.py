"""What disturbs a recording beside quiet breathing: of the patient, of the hand on the probe, of the knobs.

None of it is sliding: what moves here moves wall and lung together, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.float64]

_COUGH_HZ = 4.0
_COUGH_LASTS_S = 0.35


@dataclass(frozen=True, slots=True)
class GainStep:
    """Someone turns the knob while the clip is stored."""

    at_s: float
    change_db: float


@dataclass(frozen=True, slots=True)
class Unrest:
    """Off unless said otherwise."""

    breath_irregularity: float = 0.0
    """0..1, how much breaths differ in pace and depth: those of a breathless patient are never alike."""
    held_from_s: float = 0.0
    held_for_s: float = 0.0
    """A held breath, apnoea, a ventilator's pause: a healthy lung stands still as long as it lasts."""
    coughs_s: tuple[float, ...] = ()
    """When the patient coughs: the chest jumps under the probe, a large motion and no sliding."""
    cough_mm: float = 3.0
    rock_deg: float = 0.0
    """RMS angle by which the hand rocks the probe about the skin: deep echoes swing further than shallow ones, as if the lung slid."""
    turnover_rad_per_s: float = 0.0
    """How fast the lung's speckle changes where it is: the heart shakes every lung, so one that does not slide glitters too."""
    gain_steps: tuple[GainStep, ...] = ()
    """All echoes brighten or fade at once, and nothing moves."""

    def __post_init__(self) -> None:
        if not 0 <= self.breath_irregularity <= 1:
            raise ValueError(f"The irregularity of breaths lies in 0..1; it cannot be {self.breath_irregularity:g}.")
        if self.held_for_s < 0:
            raise ValueError(f"A breath cannot be held for {self.held_for_s:g} s.")


def breathing_clock(times_s: Path, unrest: Unrest, rng: np.random.Generator) -> Path:
    """The time the breath has come to: it stands while the breath is held, and runs unevenly in an uneven breather, (F,)."""
    held = np.clip(times_s - unrest.held_from_s, 0, unrest.held_for_s)
    # 0.35 s of RMS at 0.1..0.6 Hz: the clock slows and hurries, and at full irregularity hardly ever runs backwards.
    return times_s - held + 0.35 * unrest.breath_irregularity * wandering(times_s - held, rng, 0.6)


def breath_depth(clock_s: Path, unrest: Unrest, rng: np.random.Generator) -> Path:
    """Share of the usual excursion, 0.2 or more, (F,)."""
    return np.maximum(1 + 0.6 * unrest.breath_irregularity * wandering(clock_s, rng, 0.3), 0.2)


def coughs(times_s: Path, unrest: Unrest) -> Path:
    """Displacement of the whole chest past the probe, mm, (F,)."""
    path = np.zeros_like(times_s)
    for at_s in unrest.coughs_s:
        since = np.maximum(times_s - at_s, 0)
        path += unrest.cough_mm * np.exp(-since / (_COUGH_LASTS_S / 2)) * np.sin(2 * np.pi * _COUGH_HZ * since)
    return path


def rocking(times_s: Path, unrest: Unrest, rng: np.random.Generator) -> Path:
    """Angle of the probe against the chest, rad, (F,)."""
    return float(np.deg2rad(unrest.rock_deg)) * wandering(times_s, rng, 1.2)


def turnover(times_s: Path, unrest: Unrest, rng: np.random.Generator) -> Path:
    """By how much the lung's speckle has changed by itself, rad, (F,); after half a turn it comes back."""
    return unrest.turnover_rad_per_s * (times_s + 0.1 * wandering(times_s, rng, 1.0))


def gain(times_s: Path, unrest: Unrest) -> Path:
    """Change of gain, dB, (F,)."""
    path = np.zeros_like(times_s)
    for step in unrest.gain_steps:
        path += step.change_db * (times_s >= step.at_s)
    return path


def wandering(times_s: Path, rng: np.random.Generator, up_to_hz: float) -> Path:
    """Smooth random path of RMS about 1: a sum of eight sines with frequencies up to `up_to_hz`."""
    hz, phase = rng.uniform(0.15 * up_to_hz, up_to_hz, 8), rng.uniform(0, 2 * np.pi, 8)
    return np.asarray(np.sin(2 * np.pi * times_s[:, None] * hz + phase).sum(axis=1) / 2)
