"""How a lung slides past the wall in a counterfactual: breaths with pauses and holds, stretching, lung points, renewal, the heart."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.motion import LAG_S

Floats = NDArray[np.float32]

MIN_SLIDE_RMS_PX = 0.35
"""RMS shift in LAG_S of a positive; a lung that moves less within a window cannot be told from one that does not."""
SLIDE_AMPLITUDE_PX = (2.0, 25.0)
"""Peak to peak over a breath: 0.7-8 mm in a picture 15 cm deep."""
LUNG_POINT_SHARE = 0.25
HOLD_SHARE = 0.2
"""Of windows: the patient holds the breath for part of them."""
RENEWAL_PX = (6.0, 80.0)
"""Slide after which the speckle is another: lung slides through the scan plane at an angle, and haze changes as it moves."""


def draw_slide(num_frames: int, num_columns: int, fps: float, rng: np.random.Generator) -> Floats:
    """A breath's displacement of the lung along the pleura, (T, columns), moving at least MIN_SLIDE_RMS_PX.

    Sinusoid to power, 10-40 breaths a minute, sometimes with a pause at the end of expiration or the breath held for a while; a
    little more on one side than on the other (the lung stretches); in a quarter of cases still on one side of a lung point,
    which travels with the breath.
    """
    for _ in range(50):
        breath = _breath(np.arange(num_frames) / fps, rng)
        amplitude = float(np.exp(rng.uniform(*np.log(SLIDE_AMPLITUDE_PX))))
        displacement = rng.choice([-1, 1]) * amplitude * (breath - breath.mean())
        if shift_rms(displacement, fps) >= MIN_SLIDE_RMS_PX:
            break
    else:
        breath = np.linspace(0, 1, num_frames)
        displacement = np.linspace(-4, 4, num_frames)
    across = np.repeat(1 + rng.uniform(-0.3, 0.3) * np.linspace(-1, 1, num_columns)[None], num_frames, axis=0)
    if rng.random() < LUNG_POINT_SHARE:
        return _beside_lung_point(displacement, across, breath, rng)
    return np.asarray(displacement[:, None] * across, dtype=np.float32)


def _breath(time_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Excursion 0..1 at each time."""
    rate_hz, phase = rng.uniform(10, 40) / 60, rng.random()
    if rng.random() < HOLD_SHARE:
        start = rng.uniform(0, 0.7) * time_s[-1]
        held_s = rng.uniform(0.2, 0.6) * time_s[-1]
        time_s = np.where(time_s < start, time_s, np.maximum(time_s - held_s, start))
    breath = 0.5 - 0.5 * np.cos(2 * np.pi * (time_s * rate_hz + phase))
    return np.asarray(breath ** rng.choice([1.0, 1.0, 2.0, 3.0]))


def _beside_lung_point(
    displacement: NDArray[np.float64], across: NDArray[np.float64], breath: NDArray[np.float64], rng: np.random.Generator
) -> Floats:
    """Each column moves while there is lung at its wall, the lung point going to and fro with the breath; 0 beyond it, over about 10 px."""
    num_columns = across.shape[1]
    travel = rng.uniform(0, 20) * (breath - breath.mean())
    point = rng.uniform(0.25, 0.75) * num_columns + travel
    moves = 1 / (1 + np.exp(-rng.choice([-1, 1]) * (np.arange(num_columns)[None] - point[:, None]) / 3.0))
    # Speeds, not places, are switched on and off: lung that comes under the wall does not jump there.
    steps = np.diff(displacement, prepend=displacement[:1])[:, None] * across * moves
    path = np.cumsum(steps, axis=0)
    return np.asarray(path - path.mean(axis=0), dtype=np.float32)


def shift_rms(displacement: NDArray[np.floating], fps: float) -> float:
    """RMS shift in LAG_S of a displacement (T,)."""
    lag = max(1, round(LAG_S * fps))
    return float(np.sqrt(np.mean((displacement[lag:] - displacement[:-lag]) ** 2)))


def draw_pulse(num_frames: int, fps: float, rng: np.random.Generator) -> Floats:
    """Lung pulse: the heart shakes even a lung that does not slide, by a fraction of a pixel, 1-2 Hz, (T,). Both classes."""
    rate_hz, amplitude = rng.uniform(1, 2), float(rng.choice([0.0, 0.0, float(rng.uniform(0.05, 0.35))]))
    return np.asarray(amplitude * np.sin(2 * np.pi * (np.arange(num_frames) / fps * rate_hz + rng.random())), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Renewal:
    """Speckle that becomes another. A lung that slides brings new speckle into the scan plane; one that does not may change as much,
    as its fluid and air do. So both twins renew: that speckle changes must not tell them apart."""

    length_px: float
    """Slide after which half the texture is new; infinite for none."""
    place_px: int
    """How far along the new texture is taken from."""

    def of(self, texture: Floats, displacement: Floats) -> Floats:
        """`texture` (T, rows, columns), its speckle turned into another's as the lung moves by `displacement` (T, columns)."""
        if not np.isfinite(self.length_px) or not displacement.any():
            return texture
        angle = (displacement - displacement[:1]) * (np.pi / 4 / self.length_px)
        smooth = brightness(texture)
        new = elsewhere(texture, self.place_px) - smooth
        return np.asarray(smooth + np.cos(angle)[:, None] * (texture - smooth) + np.sin(angle)[:, None] * new, dtype=np.float32)


def draw_renewal(rng: np.random.Generator) -> Renewal:
    length_px = float(np.exp(rng.uniform(*np.log(RENEWAL_PX)))) if rng.random() < 0.6 else float("inf")
    return Renewal(length_px, int(rng.choice([-1, 1]) * rng.integers(40, 120)))


SHIMMER_SHARE = 0.6
SHIMMER_HZ = (0.15, 3.0)
"""From a slow breath that turns the pleura towards the probe and away, to a quick heart."""
SHIMMER_AMPLITUDE = (0.03, 0.3)
GREY_LEVELS_A_NEPER = 60.0
"""Of a display of 60 dB over 256 grey levels, on which a gain is a sum."""


@dataclass(frozen=True, slots=True)
class Shimmer:
    """A lung's brightness comes and goes with the heart beside it and with the angle of the pleura, whether the lung slides or not.

    Without it in both twins, every network called a still lung that pulsed by 15 % sliding, more surely than most lungs that slid.
    """

    log_gain: Floats
    """(T, columns)"""
    is_offset: bool
    """Added to the grey levels, as a gain is before the display's logarithm; else a factor."""

    def of(self, texture: Floats) -> Floats:
        """`texture` (T, rows, columns), brighter and darker."""
        gain = self.log_gain[:, None]
        return np.asarray(texture + GREY_LEVELS_A_NEPER * gain if self.is_offset else texture * np.exp(gain), dtype=np.float32)


def draw_shimmer(num_frames: int, num_columns: int, fps: float, rng: np.random.Generator) -> Shimmer:
    """Two beats of their own rate, more of each on one side than on the other; in the other cases none."""
    log_gain = np.zeros((num_frames, num_columns))
    seconds, along = np.arange(num_frames) / fps, np.linspace(-1, 1, num_columns)
    for _ in range(2 if rng.random() < SHIMMER_SHARE else 0):
        rate_hz, amplitude = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (SHIMMER_HZ, SHIMMER_AMPLITUDE))
        beat = amplitude * np.sin(2 * np.pi * (seconds * rate_hz + rng.random()))
        log_gain += beat[:, None] * (1 + rng.uniform(-1, 1) * along)[None]
    return Shimmer(log_gain.astype(np.float32), bool(rng.random() < 0.5))


SMOOTH_PX = 31
"""Wider than speckle, narrower than an interspace."""


def brightness(texture: Floats) -> Floats:
    """What is bright and dark along the pleura, without the speckle, (T, rows, columns)."""
    return np.stack([np.asarray(cv2.blur(frame, (SMOOTH_PX, 1)), np.float32) for frame in texture])


def elsewhere(texture: Floats, by_px: int) -> Floats:
    """The same brightness with the speckle of `by_px` further along, around the end: shadows of ribs stay where they are."""
    smooth = brightness(texture)
    speckle = texture - smooth
    contrast = np.sqrt(np.maximum(brightness(speckle**2), 0)) + 1  # a box filter of squares can come out below 0, by rounding
    return np.asarray(smooth + np.roll(speckle / contrast, by_px, axis=2) * contrast, dtype=np.float32)
