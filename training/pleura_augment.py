"""Other probes, patients and displays of the same anatomy, for the net that finds the pleura.

None of the clips that may be trained on has an effusion, a solid lung, or a line as faint as sick patients have, so these are
drawn into them (`training.pleura_disease`); so are fasciae above the line and ribs. All in beam coordinates.
"""

from dataclasses import replace

import cv2
import numpy as np

from service.cine.pleura import DEPTH_SAMPLES, net_input
from training.pleura_disease import with_disease
from training.pleura_view import Bools, Floats, Sample, View, warp, wave

ZOOM = (-0.6, 0.45)
"""Log of how much larger the anatomy is drawn: the picture's depth is set by hand."""
SHALLOWEST_SAMPLES = 9.0
"""Cropping from above leaves the line at least this deep: no clip at hand has less wall."""
FOLD = 95.0, 0.4
"""Where a shallower picture is drawn as a deeper one, what lies below its end is its own lung again, stretched."""


def augment(sample: Sample, rng: np.random.Generator) -> tuple[Floats, Floats, Bools, Floats]:
    """(net input, line, beams at which the line is seen, probability that lung is seen below it)."""
    view = _another_probe(sample, rng)
    if view.seen.any():
        for chance, change in ((0.35, _with_fasciae), (0.25, _with_faint_line), (1.0, with_disease), (0.2, _with_rib)):
            if rng.random() < chance:
                view = change(view, rng)
    view = _smeared(view, rng) if rng.random() < 0.3 else view
    view = _displayed(view, rng)
    on_picture = (view.line > 1) & (view.line < DEPTH_SAMPLES - 2)
    mean, ridge, middle, middle_ridge = np.maximum(view.pictures, 0)
    shown = Sample(mean, ridge, middle, middle_ridge, view.inside, view.line, view.seen, sample.weight)
    return net_input(shown), view.line, view.seen & on_picture, view.lung * on_picture


def _another_probe(sample: Sample, rng: np.random.Generator) -> View:
    """Depth setting, crop, marker on the other side, aperture, and a probe that is not square to the ribs."""
    num_beams = len(sample.line)
    zoom = float(np.exp(rng.uniform(*ZOOM)))
    highest = float(sample.line[sample.is_visible].min()) if sample.is_visible.any() else DEPTH_SAMPLES / 3
    cropped = rng.uniform(-0.04, 0.12) * DEPTH_SAMPLES if rng.random() < 0.6 else 0.0
    top = min(cropped, highest - SHALLOWEST_SAMPLES / zoom)
    at = _beams(num_beams, rng)
    across = np.linspace(-1, 1, len(at), dtype=np.float32)
    tilt = rng.normal(0, 0.035) * across * len(at) + rng.normal(0, 3) * across**2 + wave(rng, len(at), 25, -1, 1) * rng.uniform(0, 2)
    rows, fade = _rows(zoom, top, tilt.astype(np.float32))
    x = np.broadcast_to(at[None, :], rows.shape).astype(np.float32)
    pictures = np.stack([warp(image, x, rows) * fade for image in (sample.mean, sample.ridge, sample.middle, sample.middle_ridge)])
    line = (np.interp(at, np.arange(num_beams), sample.line) - tilt - top) * zoom
    seen = np.interp(at, np.arange(num_beams), sample.is_visible.astype(np.float32)) > 0.5
    return View(pictures, warp(sample.inside, x, rows), line.astype(np.float32), seen, seen.astype(np.float32))


def _beams(num_beams: int, rng: np.random.Generator) -> Floats:
    count = int(np.clip(num_beams * np.exp(rng.uniform(-0.3, 0.3)), 24, 300))
    left, right = rng.uniform(0, 0.15) * num_beams, num_beams - 1 - rng.uniform(0, 0.15) * num_beams
    if rng.random() < 0.5:  # the probe's marker points either way
        left, right = right, left
    return np.linspace(left, right, count, dtype=np.float32)


def _rows(zoom: float, top: float, tilt: Floats) -> tuple[Floats, Floats]:
    """Depth sample of the original for each one drawn, and how much the echoes fade there, (D, A) each."""
    rows = (np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] / zoom + top + tilt[None, :]).astype(np.float32)
    if zoom >= 1:
        return rows, np.ones_like(rows)
    first, stretch = FOLD
    beyond = np.maximum(rows - first, 0)
    return np.where(beyond > 0, first - stretch * beyond, rows).astype(np.float32), np.exp(-beyond / 90).astype(np.float32)


def _with_fasciae(view: View, rng: np.random.Generator) -> View:
    """Up to three bright lines in the wall: a continuous fascia above is what is most often taken for the pleura."""
    rows, beams, pictures = np.arange(DEPTH_SAMPLES)[:, None], len(view.line), view.pictures
    for _ in range(rng.integers(1, 4)):
        course = view.line - rng.uniform(5, 45) + wave(rng, beams, rng.uniform(15, 60), -1, 1) * rng.uniform(0, 4)
        level = rng.uniform(0.3, 1.2) * view.bright * np.clip(wave(rng, beams, rng.uniform(10, 60), -0.3, 1.5), 0, 1)
        fascia = level * np.exp(-0.5 * ((rows - course[None, :]) / rng.uniform(0.7, 1.8)) ** 2) * (view.below < -4)
        pictures = replace(view, pictures=pictures).brightened(fascia.astype(np.float32))
    return replace(view, pictures=pictures)


def _with_faint_line(view: View, rng: np.random.Generator) -> View:
    """The pleura fades into what lies around it, in stretches."""
    faint = np.clip(wave(rng, len(view.line), rng.uniform(8, 40), 0, 1.2), 0, 1) * rng.uniform(0.3, 0.9)
    near = (np.exp(-0.5 * (view.below / 2.5) ** 2) * faint[None, :]).astype(np.float32)
    around = np.stack([cv2.blur(picture, (1, 15)) * 0.8 for picture in view.pictures])
    around[[1, 3]] = 0
    faded = view.pictures * (1 - near) + around * near
    return replace(view, pictures=np.minimum(view.pictures, faded).astype(np.float32))


def _with_rib(view: View, rng: np.random.Generator) -> View:
    """A rib's bright surface above the line, and its shadow, in which no pleura is seen."""
    beams, rows = len(view.line), np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None]
    half_width = rng.uniform(5, 22)
    across = (np.arange(beams) - rng.uniform(0, beams)) / half_width
    surface = (view.line - rng.uniform(3, 18) + across**2 * rng.uniform(0, 6))[None, :]
    over = np.clip((1 - np.abs(across)) * half_width / rng.uniform(1.5, 5), 0, 1)
    shadow = over * np.clip((rows - surface - 1) / 2, 0, 1) * rng.uniform(0.7, 1)
    cap = rng.uniform(0.3, 1.1) * view.bright * np.exp(-0.5 * ((rows - surface) / rng.uniform(0.8, 2)) ** 2) * over
    shaded = replace(view, pictures=(view.pictures * (1 - shadow)).astype(np.float32))
    hidden = over > 0.5
    return replace(view, pictures=shaded.brightened(cap.astype(np.float32)), seen=view.seen & ~hidden, lung=view.lung * ~hidden)


def _smeared(view: View, rng: np.random.Generator) -> View:
    """The wall moves with the breath: the mean is smeared along depth and off the middle frame, which was annotated."""
    spread, shift = rng.uniform(0.7, 4), round(rng.normal(0, 1.2))
    pictures = view.pictures.copy()
    for image in (0, 1):
        pictures[image] = np.roll(cv2.GaussianBlur(pictures[image], (0, 0), sigmaX=0.5, sigmaY=spread), shift, axis=0)
    return replace(view, pictures=pictures)


def _displayed(view: View, rng: np.random.Generator) -> View:
    """Smoothing, gain, contact, display map, depth gain and noise."""
    pictures, shape = view.pictures.copy(), view.inside.shape
    if rng.random() < 0.3:
        spread = rng.uniform(0.5, 1.5)
        pictures[0], pictures[2] = cv2.GaussianBlur(pictures[0], (0, 0), spread * 0.7), cv2.GaussianBlur(pictures[2], (0, 0), spread)
    if rng.random() < 0.4:
        pictures *= wave(rng, shape[1], rng.uniform(20, 80), rng.uniform(0.3, 1), 1)[None, None]
    gain, gamma = np.exp(rng.uniform(-0.5, 0.5)), np.exp(rng.uniform(-0.6, 0.6))
    depth_gain = np.maximum(1 + 0.3 * rng.normal() * np.linspace(-1, 1, DEPTH_SAMPLES)[:, None], 0)
    for image, loudest in ((0, 3.0), (2, 4.0)):
        noise = rng.normal(0, rng.uniform(0, loudest), shape) * (view.inside > 0)
        pictures[image] = 255 * np.clip(pictures[image] / 255 * gain, 0, 1) ** gamma * depth_gain + noise
    return replace(view, pictures=pictures)
