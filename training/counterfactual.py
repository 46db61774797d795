"""Motion counterfactuals: from one real strip both classes, so that texture cannot tell them apart.

A twin pair shares wall, lung texture, noise, decorrelation, probe motion and compression. The negative's lung is bound
to the chest wall; the positive's is the same with a slide added along the pleura:

    base lung        locked    the lung's own texture, slowly changing, carried by the wall's tracked motion
                     mirror    the wall mirrored in the pleural line: below an airless pleura the picture is that
                     wall      real wall video from further along the same clip ("wall-wall")
    + slide 0   -> negative
    + slide s(t) -> positive, or a lung point when it begins at a column

Whatever is done to one class is done to the other with amplitude zero; a first study that broke this rule scored 0.98
on flawed data and 0.86 on clean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.motion import LAG_S, measure_motion, wall_path
from service.cine.prepare import StripWindow
from service.cine.strip import StripGrid
from service.cine.tiling import Plan

Floats = NDArray[np.float32]

PLEURA_HALF_WIDTH_PX = 3
"""The visceral pleura is part of the bright line and slides with the lung: the lung begins this far above row 0."""
MIN_SLIDE_RMS_PX = 0.35
"""RMS shift in LAG_S of a positive; a lung that moves less within a window cannot be told from one that does not."""
SLIDE_AMPLITUDE_PX = (2.0, 25.0)
"""Peak to peak over a breath: 0.7-8 mm in a picture 15 cm deep."""
SEAM_FADE_PX = 40


class Base(StrEnum):
    LOCKED = "locked"
    MIRROR = "mirror"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Twin:
    """One window made to slide or not."""

    window: StripWindow
    slide_px: Floats
    """Displacement of the lung past the wall, (T, columns); all zero for a negative."""


def make_twins(window: StripWindow, grid: StripGrid, plan: Plan, base: Base, fps: float, rng: np.random.Generator) -> tuple[Twin, Twin]:
    """(negative, positive) of one real window. They differ in the slide and in nothing else."""
    strip, zero_row = window.strip, grid.zero_row
    carried = carry_by_wall(window, grid, plan, fps)
    lung = base_lung(strip, grid, base, carried, rng)
    slide = draw_slide(len(strip), strip.shape[2], fps, rng)
    pulse = draw_pulse(len(strip), fps, rng)[:, None]
    finish = draw_finish(strip.shape, rng)
    twins = []
    for displacement in (np.zeros_like(slide), slide):
        moved = _move_along(lung, displacement + pulse)
        composite = join(strip, moved, zero_row)
        twins.append(Twin(finish(StripWindow(window.start_frame, composite, window.taken_s)), displacement))
    return twins[0], twins[1]


def carry_by_wall(window: StripWindow, grid: StripGrid, plan: Plan, fps: float) -> Floats:
    """Where the wall carries each strip column at each frame, (T, columns, 2): along and down, px."""
    motion = measure_motion(window.strip, window.taken_s, grid.zero_row, grid.first_row, plan.centres)
    path = wall_path(motion.wall, motion.pair_frames, len(window.strip), fps)
    columns = np.arange(window.strip.shape[2])
    return np.stack([[np.interp(columns, plan.centres, frame[:, axis]) for frame in path] for axis in (0, 1)], axis=-1).astype(np.float32)


def base_lung(strip: NDArray[np.uint8], grid: StripGrid, base: Base, carried: Floats, rng: np.random.Generator) -> Floats:
    """Lung rows that move with the wall and not past it, (T, rows, columns)."""
    first = grid.zero_row - PLEURA_HALF_WIDTH_PX
    own = strip[:, first:].astype(np.float32)
    wall = strip[:, min(grid.first_row, grid.zero_row - 8) : grid.zero_row].astype(np.float32)
    match base:
        case Base.LOCKED:
            return _carry(_changing_texture(own, carried, rng), carried)
        case Base.MIRROR:
            return _like(_mirrored_wall(wall, own.shape[1], rng), own)
        case Base.WALL:
            return _like(_wall_from_along(wall, own.shape[1], rng), own)


def carry_still(lung: Floats, carried: Floats) -> Floats:
    """One still of the lung (rows, columns), carried by the wall (T, columns, 2): nothing in it moves past the wall, (T, rows, columns).

    The purest wall-locked lung. `Base.LOCKED` fades stills into one another, and those of a lung that slid lie in different
    places, so that some of the slide is still seen in the fading.
    """
    return _carry(np.repeat(lung[None], len(carried), axis=0), carried)


def _changing_texture(lung: Floats, carried: Floats, rng: np.random.Generator) -> Floats:
    """The lung's stills faded into one another: speckle that changes but goes nowhere."""
    num_frames = len(lung)
    anchors = rng.choice(num_frames, size=3, replace=num_frames < 3)
    period = float(rng.uniform(0.7, 6.0)) * num_frames
    phase = 2 * np.pi * (np.arange(num_frames) / period + rng.random())
    weights = np.stack([1 + np.cos(phase), 1 + np.cos(phase + 2.1), 1 + np.cos(phase + 4.2)], axis=1).astype(np.float32)
    if rng.random() < 0.25:
        weights[:] = (1, 0, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    # Brought to where the wall was in the window's middle: stills taken as the wall moved by, faded, would slide past it.
    stills = _carry(lung[anchors], -carried[anchors])
    mean = stills.mean(axis=0)
    # Averaging independent speckle flattens it; dividing by the weights' norm keeps its contrast.
    contrast = np.sqrt((weights**2).sum(axis=1))[:, None, None]
    return np.asarray(mean + np.tensordot(weights, stills - mean, axes=1) / contrast, dtype=np.float32)


def _mirrored_wall(wall: Floats, num_rows: int, rng: np.random.Generator) -> Floats:
    """The wall seen in the mirror of the pleura, again and again, fainter each time, under a haze."""
    rows = np.arange(num_rows) - PLEURA_HALF_WIDTH_PX
    source = wall.shape[1] - 1 - _bounce(np.abs(rows), wall.shape[1])
    fade = np.exp(-np.maximum(rows, 0) / rng.uniform(40, 200)).astype(np.float32)
    mirrored = (wall[:, source] * fade[None, :, None]).astype(np.float32)
    smear = float(rng.uniform(0.3, 2.0))
    return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigmaX=smear, sigmaY=0.01), dtype=np.float32) for frame in mirrored])


def _bounce(distance: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Folded back and forth into 0..length-1."""
    folded = distance % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _wall_from_along(wall: Floats, num_rows: int, rng: np.random.Generator) -> Floats:
    """Real wall video from a place 2-4 columns further along, as lung."""
    by = int(rng.choice([-1, 1]) * rng.integers(50, 120)) if wall.shape[2] > 160 else 0
    # Around the end, not mirrored in it: mirrored wall moves the other way, which is a slide of twice the wall's motion. Where
    # the ends meet, the wall right above is faded in: a seam that stays while both sides move is tracked as anything.
    seam = np.abs(np.arange(wall.shape[2]) - by % wall.shape[2])
    own = np.clip(1 - seam / SEAM_FADE_PX, 0, 1).astype(np.float32)
    moved = own * wall + (1 - own) * np.roll(wall, by, axis=2)
    return np.asarray(moved[:, wall.shape[1] - 1 - _bounce(np.arange(num_rows), wall.shape[1])])


def _like(texture: Floats, lung: Floats) -> Floats:
    """Brightness and contrast of `texture`, row by row, as in `lung`: neither must tell the base."""
    mean, spread = lung.mean(axis=(0, 2), keepdims=True), lung.std(axis=(0, 2), keepdims=True)
    own_mean, own_spread = texture.mean(axis=(0, 2), keepdims=True), texture.std(axis=(0, 2), keepdims=True)
    return np.asarray((texture - own_mean) * np.clip(spread / (own_spread + 1), 0.2, 3.0) + mean, dtype=np.float32)


def draw_slide(num_frames: int, num_columns: int, fps: float, rng: np.random.Generator) -> Floats:
    """A breath's displacement of the lung along the pleura, (T, columns), moving at least MIN_SLIDE_RMS_PX.

    Sinusoid to power, 10-40 breaths a minute, sometimes with a pause at the end of expiration; a little more on one
    side than on the other (the lung stretches); in a quarter of cases still on one side (lung point).
    """
    time_s = np.arange(num_frames) / fps
    for _ in range(50):
        rate_hz = rng.uniform(10, 40) / 60
        phase = rng.random()
        breath = 0.5 - 0.5 * np.cos(2 * np.pi * (time_s * rate_hz + phase))
        breath = breath ** rng.choice([1.0, 1.0, 2.0, 3.0])
        amplitude = float(np.exp(rng.uniform(*np.log(SLIDE_AMPLITUDE_PX))))
        displacement = rng.choice([-1, 1]) * amplitude * (breath - breath.mean())
        if shift_rms(displacement, fps) >= MIN_SLIDE_RMS_PX:
            break
    else:
        displacement = np.linspace(-4, 4, num_frames)
    across = 1 + rng.uniform(-0.3, 0.3) * np.linspace(-1, 1, num_columns)
    if rng.random() < 0.25:
        across = across * _one_side(num_columns, rng)
    return np.asarray(displacement[:, None] * across[None, :], dtype=np.float32)


def _one_side(num_columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """0 on one side of a lung point, 1 on the other, over about 10 px."""
    point = rng.uniform(0.25, 0.75) * num_columns
    return np.asarray(1 / (1 + np.exp(-rng.choice([-1, 1]) * (np.arange(num_columns) - point) / 3.0)))


def shift_rms(displacement: NDArray[np.floating], fps: float) -> float:
    """RMS shift in LAG_S of a displacement (T,)."""
    lag = max(1, round(LAG_S * fps))
    return float(np.sqrt(np.mean((displacement[lag:] - displacement[:-lag]) ** 2)))


def draw_pulse(num_frames: int, fps: float, rng: np.random.Generator) -> Floats:
    """Lung pulse: the heart shakes even a lung that does not slide, by a fraction of a pixel, 1-2 Hz, (T,). Both classes."""
    rate_hz, amplitude = rng.uniform(1, 2), float(rng.choice([0.0, 0.0, float(rng.uniform(0.05, 0.35))]))
    return np.asarray(amplitude * np.sin(2 * np.pi * (np.arange(num_frames) / fps * rate_hz + rng.random())), dtype=np.float32)


def join(strip: NDArray[np.uint8], lung: Floats, zero_row: int) -> NDArray[np.uint8]:
    """The strip with its lung rows replaced, feathered over three rows above the line."""
    first = zero_row - PLEURA_HALF_WIDTH_PX
    out = strip.astype(np.float32)
    weight = np.clip((np.arange(lung.shape[1]) + 1) / (PLEURA_HALF_WIDTH_PX + 1), 0, 1).astype(np.float32)[None, :, None]
    out[:, first:] = weight * lung + (1 - weight) * out[:, first:]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _carry(texture: Floats, path: Floats) -> Floats:
    """Each frame of `texture` (T, rows, columns) displaced by `path` (T, columns, 2)."""
    rows, columns = texture.shape[1:]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.stack(
        [
            cv2.remap(frame, x - p[None, :, 0], y - p[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            for frame, p in zip(texture, path, strict=True)
        ]
    )


def _move_along(texture: Floats, displacement: Floats) -> Floats:
    """Each frame displaced along the pleura by (T, columns) px."""
    return _carry(texture, np.stack([displacement, np.zeros_like(displacement)], axis=-1))


def draw_finish(shape: tuple[int, ...], rng: np.random.Generator) -> Callable[[StripWindow], StripWindow]:
    """What probe, machine and file do to the picture, drawn once and done alike to both twins.

    Hand tremor and drift of the probe (whole strip), gain and display map, persistence, electronic noise, a lower frame
    rate with repeated frames, lossy compression.
    """
    num_frames, rows, columns = shape
    drift = _tremor(num_frames, rng) if rng.random() < 0.5 else np.zeros(num_frames, np.float32)
    gamma, gain = np.exp(rng.uniform(-0.35, 0.35)), np.exp(rng.uniform(-0.3, 0.3))
    persistence = float(rng.choice([0.0, 0.0, float(rng.uniform(0.1, 0.6))]))
    noise_level, grain = float(rng.choice([0.0, float(rng.uniform(0.5, 7.0))])), float(rng.uniform(0.5, 1.5))
    noise = rng.normal(0, 1, shape).astype(np.float32)
    hold = int(rng.choice([1, 1, 1, 2, 3]))
    quality = int(rng.choice([0, int(rng.integers(35, 95))]))

    def finish(window: StripWindow) -> StripWindow:
        strip = _move_along(window.strip.astype(np.float32), np.repeat(drift[:, None], columns, axis=1))
        strip = 255 * np.clip(strip / 255 * gain, 0, 1) ** gamma
        for t in range(1, num_frames):
            strip[t] = persistence * strip[t - 1] + (1 - persistence) * strip[t]
        if noise_level:
            strip += noise_level * np.stack([cv2.GaussianBlur(frame, (0, 0), grain) * 2 * grain for frame in noise])
        kept = np.arange(num_frames) // hold * hold
        pictures = np.clip(np.rint(strip), 0, 255).astype(np.uint8)[kept]
        if quality:
            pictures = np.stack([_through_jpeg(frame, quality) for frame in pictures])
        return StripWindow(window.start_frame, pictures, window.taken_s[kept])

    return finish


def _tremor(num_frames: int, rng: np.random.Generator) -> Floats:
    steps = cv2.GaussianBlur(rng.normal(0, 1, (1, num_frames)), (0, 0), float(rng.uniform(1, 8)))[0]
    path = np.cumsum(steps * rng.uniform(0.2, 2.0))
    return np.asarray(path - path.mean(), dtype=np.float32)


def tremble(strip: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """The whole strip moved along the pleura by a hand's tremor and a slow drift, (T, rows, columns)."""
    num_frames, columns = len(strip), strip.shape[2]
    sway = 4 * np.sin(2 * np.pi * (np.arange(num_frames) / num_frames * rng.uniform(0.3, 1.5) + rng.random()))
    path = (_tremor(num_frames, rng) + sway).astype(np.float32)
    return _move_along(strip.astype(np.float32), np.repeat(path[:, None], columns, axis=1))


def _through_jpeg(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
