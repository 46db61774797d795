"""Fluid and solid lung below the pleural line, drawn into clips that have none, for the net that finds the pleura.

The bright line of a healthy pleura is air. Over fluid or solid lung the wall merely ends: at best in a thin grey line, often in
nothing but the lower edge of its speckle.
"""

from dataclasses import replace

import cv2
import numpy as np

from service.cine.pleura import DEPTH_SAMPLES, ridge_of
from training.pleura_view import Floats, View, warp, wave

SOFT_SHARE, CRISP_SHARE = 0.25, 0.12
"""Of the pictures: the wall merely ends; the bright line stays."""
LUNG_OVER_FLUID = 0.5
"""What the net is to say of "lung is seen below" there: a line worth drawing, but not a plain one."""


def with_disease(view: View, rng: np.random.Generator) -> View:
    """Some of the pictures as if the patient had an effusion or a consolidation."""
    drawn = rng.random()
    if drawn < SOFT_SHARE:
        return _filled(without_line(view, rng), rng, edge=rng.uniform(0.5, 4))
    return _filled(view, rng, edge=None) if drawn < SOFT_SHARE + CRISP_SHARE else view


def without_line(view: View, rng: np.random.Generator) -> View:
    """The wall's own texture, turned over, in the place of the bright line; half of the time a faint line is left."""
    reach = rng.uniform(3, 6)
    rows = np.broadcast_to(np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None], view.below.shape)
    taken = np.where((view.below > -reach) & (view.below <= 6), 2 * (view.line[None, :] - reach) - rows, rows)
    x = np.broadcast_to(np.arange(len(view.line), dtype=np.float32)[None, :], taken.shape).astype(np.float32)
    pictures = np.stack([warp(picture, x, np.maximum(taken, 0).astype(np.float32)) for picture in view.pictures])
    if rng.random() < 0.6:
        pictures = _with_few_layers(pictures, rng)
    if rng.random() < 0.5:
        level = rng.uniform(0.05, 0.6) * view.bright * np.clip(wave(rng, len(view.line), rng.uniform(10, 60), -0.3, 1.3), 0, 1)
        line = (level * np.exp(-0.5 * (view.below / rng.uniform(0.7, 1.8)) ** 2)).astype(np.float32)
        pictures = pictures + line[None] * np.array([1, 0.5, 1, 0.5], np.float32)[:, None, None]
    return replace(view, pictures=pictures)


def _with_few_layers(pictures: Floats, rng: np.random.Generator) -> Floats:
    spread, share = rng.uniform(0.8, 4), rng.uniform(0.3, 1)
    mean, ridge, middle, middle_ridge = pictures
    smooth = cv2.GaussianBlur(mean, (0, 0), sigmaX=spread, sigmaY=spread * 0.7)
    smooth_middle = cv2.GaussianBlur(middle, (0, 0), sigmaX=spread * 0.6, sigmaY=spread * 0.5)
    faded = ridge * (1 - 0.8 * share), middle_ridge * (1 - 0.6 * share)
    blended = mean * (1 - share) + smooth * share, middle * (1 - share) + smooth_middle * share
    return np.stack([blended[0], faded[0], blended[1], faded[1]]).astype(np.float32)


def _filled(view: View, rng: np.random.Generator, *, edge: float | None) -> View:
    """Fluid or solid lung from the line down, its upper edge that many samples soft; None: right under a crisp line."""
    below = view.below
    wall = view.pictures[0][(below > -12) & (below < 0) & (view.inside > 0.5)]
    drawn = _fluid_or_solid(view, max(float(wall.mean()) if wall.size else view.bright / 2, 15.0), rng)
    share = np.clip(below / 1.5, 0, 1) if edge is None else 1 / (1 + np.exp(-np.clip((below - edge) / edge * 3, -30, 30)))
    if rng.random() < 0.4:  # it ends, and what was below comes again
        share = share * np.clip((rng.uniform(8, 60) - below) / 3, 0, 1)
    smeared = cv2.GaussianBlur(drawn, (0, 0), sigmaX=1.5, sigmaY=rng.uniform(0.5, 3))
    speckled = np.maximum(drawn + rng.normal(0, rng.uniform(1, 6), drawn.shape), 0)
    mean, ridge, middle, middle_ridge = view.pictures
    deeper = share * np.clip(below / 4, 0, 1)
    pictures = np.stack(
        [
            mean * (1 - share) + smeared * share,
            np.maximum(ridge * (1 - share), ridge_of(np.asarray(smeared, dtype=np.float32)) * deeper),
            middle * (1 - share) + speckled * share,
            np.maximum(middle_ridge * (1 - share), ridge_of(drawn) * deeper),
        ]
    )
    return replace(view, pictures=pictures.astype(np.float32), lung=view.lung * np.float32(LUNG_OVER_FLUID))


def _fluid_or_solid(view: View, level: float, rng: np.random.Generator) -> Floats:
    """Grey levels below the line, `level` being the wall's, (D, A)."""
    shape = view.below.shape
    tissue = np.full(shape, rng.uniform(0, 0.12) * level) if rng.random() < 0.45 else _solid(view, rng) * level
    for _ in range(rng.integers(0, 4)):
        tissue = tissue + _surface(view, rng) * level
    if rng.random() < 0.5:  # rib shadows
        tissue = tissue * wave(rng, shape[1], rng.uniform(8, 30), 0, 1.2)[None, :] ** rng.uniform(0.5, 2)
    if rng.random() < 0.5:
        tissue = tissue * np.clip((view.below - rng.uniform(3, 15)) / 4, 0, 1)
    return np.asarray(np.maximum(tissue, 0), dtype=np.float32)


def _solid(view: View, rng: np.random.Generator) -> Floats:
    fine = _grain(view.below.shape, rng.uniform(0.8, 2.5), rng.uniform(0.8, 1.5), rng)
    coarse = _grain(view.below.shape, rng.uniform(4, 20), rng.uniform(4, 20), rng)
    tissue = np.maximum(1 + 0.35 * fine + 0.5 * coarse, 0) * rng.uniform(0.15, 0.8)
    rising = np.clip(view.below / rng.uniform(1, 20), 0.2, 1) if rng.random() < 0.4 else np.ones_like(tissue)
    return (tissue * rising).astype(np.float32)


def _surface(view: View, rng: np.random.Generator) -> Floats:
    """The diaphragm, or the floating lung's surface: a bright bent line, often with haze below, at any slope, (D, A)."""
    steps = 60
    slope = rng.uniform(-1.4, 1.4) + rng.normal(0, 0.03) * np.arange(steps)
    x = rng.uniform(0, len(view.line)) + np.cumsum(np.cos(slope)) * rng.uniform(0.5, 1.5)
    y = view.line.mean() + rng.uniform(8, 80) + np.cumsum(np.sin(slope))
    drawn = np.zeros(view.below.shape, np.float32)
    cv2.polylines(drawn, [np.stack([x, y], axis=1).round().astype(np.int32)], False, 1.0, int(rng.integers(1, 4)))
    line = cv2.GaussianBlur(drawn, (0, 0), rng.uniform(0.6, 1.5))
    surface = line / (line.max() + 1e-6) * rng.uniform(0.4, 1.6)
    if rng.random() < 0.6:
        under = np.cumsum(line, axis=0)
        haze = np.clip(under / (under.max() + 1e-6) * 3, 0, 1) * rng.uniform(0.1, 0.7)
        surface = surface + haze * (1 + 0.3 * _grain(drawn.shape, 1.5, 1.5, rng))
    return np.asarray(surface, dtype=np.float32)


def _grain(shape: tuple[int, ...], across: float, down: float, rng: np.random.Generator) -> Floats:
    """Noise of unit spread, this many samples coarse, (D, A)."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigmaX=across, sigmaY=down)
    return np.asarray(noise / (noise.std() + 1e-6), dtype=np.float32)
