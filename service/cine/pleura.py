"""The pleural line, the interspaces between rib shadows, and how sure that is.

Looked for in beam coordinates, where layers lie flat, beam by beam and then along the whole width:

    skin, fat, muscle   ===========  layered: strong change down, little across
    pleural line        ____/=====\\  bright ridge
    lung                :::::::::::  haze, A-lines at multiples of the line's depth, B-lines; or rib shadow

A candidate is a bright ridge with layers above it and none below. The line is the best path through the candidates
(dynamic programming); interspaces are where the ridge is really there and echoes lie below it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.sector import Sector
from service.cine.overview import Overview

FloatArray = NDArray[np.float32]

DEPTH_SAMPLES = 240
"""Depth samples of the search, so one sample is 2 px at the published scale (a 480 px deep picture)."""
REFERENCE_DEPTH = 0.2
"""Share of the picture's depth at which beams are spaced as samples are in depth."""


@dataclass(frozen=True, slots=True)
class Pleura:
    """The pleural line in beam coordinates. `lateral` increases; at least two points."""

    lateral: NDArray[np.float64]
    """(A,)"""
    depth_px: NDArray[np.float64]
    """Below the probe's face, (A,)."""
    interspaces: tuple[tuple[int, int], ...]
    """Index ranges [first, last) into `lateral`, left to right."""
    confidence: float


@dataclass(frozen=True, slots=True)
class _Beams:
    """Frames of the overview resampled to beams, and the scale of the samples."""

    frames: FloatArray
    """(K, D, A)"""
    inside: NDArray[np.bool_]
    """Samples that lie on the frame and in the sector, (D, A)."""
    lateral: NDArray[np.float64]
    depth_px: NDArray[np.float64]


def find_pleura(overview: Overview, sector: Sector) -> Pleura | None:
    """The pleura of a clip; None when no line qualifies."""
    beams = _resample(overview, sector)
    ridge, layers, echoes = _features(beams)
    score = _candidate_score(beams, ridge, layers, echoes, sector.probe)
    path = _best_path(score)
    return _judge(beams, path, score, ridge, echoes)


def _resample(overview: Overview, sector: Sector) -> _Beams:
    spacing = sector.depth_extent_px / DEPTH_SAMPLES
    width_px = (sector.lateral[1] - sector.lateral[0]) * sector.lateral_px(REFERENCE_DEPTH * sector.depth_extent_px)
    lateral = np.linspace(*sector.lateral, max(24, round(width_px / spacing)))
    depth = (np.arange(DEPTH_SAMPLES) + 0.5) * spacing
    x, y = sector.to_frame(lateral[None, :], depth[:, None])
    x, y = x.astype(np.float32), y.astype(np.float32)
    frames = np.stack([cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderValue=0) for frame in overview.frames])
    on_frame = cv2.remap(np.ones_like(overview.frames[0]), x, y, cv2.INTER_NEAREST, borderValue=0)
    # Shrunk, because the features of a sample look a few samples around it.
    inside = cv2.erode(on_frame, np.ones((9, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return _Beams(frames.astype(np.float32), inside.astype(np.bool_), lateral, depth)


def _features(beams: _Beams) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How much each sample looks like a bright line, how layered the tissue is, how bright; each (D, A)."""
    ridge = np.zeros(beams.frames.shape[1:], np.float32)
    layers = np.zeros_like(ridge)
    for frame in beams.frames:
        smooth = cv2.GaussianBlur(frame, (0, 0), sigmaX=3.0, sigmaY=1.0)
        line = cv2.blur(smooth, (1, 3))
        above = _shifted(cv2.blur(smooth, (1, 5)), -6)
        below = _shifted(cv2.blur(smooth, (1, 5)), 6)
        ridge += np.maximum(line - np.maximum(above, below), 0)
        wide = cv2.GaussianBlur(frame, (0, 0), sigmaX=6.0, sigmaY=1.0)
        layers += np.abs(cv2.Sobel(wide, cv2.CV_32F, 0, 1))
    count = np.float32(len(beams.frames))
    echoes = cv2.GaussianBlur(beams.frames.mean(axis=0), (0, 0), 2.0)
    return ridge / count, layers / count, echoes


def _shifted(image: FloatArray, by: int) -> FloatArray:
    """The sample `by` rows further down takes each one's place; edges repeat."""
    rows = np.clip(np.arange(len(image)) + by, 0, len(image) - 1)
    return image[rows]


# Depth of the pleural line as a share of the picture's depth: median and spread of its logarithm.
# Read off 60 real convex and 9 linear clips by eye; an abdominal probe looks 8-16 cm deep, a linear one 3-5 cm.
DEPTH_PRIOR = {"convex": (0.15, 0.55), "linear": (0.42, 0.40)}


def _candidate_score(beams: _Beams, ridge: FloatArray, layers: FloatArray, echoes: FloatArray, probe: str) -> FloatArray:
    """How much each sample looks like pleura, in units of a typical bright line, (D, A)."""
    depth_share = (np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] + 0.5) / DEPTH_SAMPLES
    brightness = ridge / (np.percentile(ridge[beams.inside], 98) + 2.0)
    above = cv2.blur(layers, (9, 25))
    below = cv2.blur(layers, (9, 41))
    layered_above = _shifted(above, -18)
    layered_below = _shifted(below, 26)
    change = (layered_above - layered_below) / (layered_above + layered_below + 1.0)
    median, spread = DEPTH_PRIOR[probe]
    prior = -0.5 * (np.log(depth_share / median) / spread) ** 2
    score = np.minimum(brightness, 1.5) + 0.8 * change + 0.35 * prior
    return np.where(beams.inside, score, -1.5).astype(np.float32)


def _best_path(score: FloatArray) -> NDArray[np.intp]:
    """Depth index of the best line through every beam, (A,): dynamic programming, a step of one sample costs 0.06."""
    reach = 3
    costs = 0.06 * np.abs(np.arange(-reach, reach + 1, dtype=np.float32))
    total = score[:, 0].copy()
    choice = np.zeros(score.shape, np.int8)
    for beam in range(1, score.shape[1]):
        padded = np.pad(total, reach, constant_values=-np.inf)
        moves = np.stack([padded[step : step + len(total)] for step in range(2 * reach + 1)]) - costs[:, None]
        best = moves.argmax(axis=0)
        choice[:, beam] = best - reach
        total = moves[best, np.arange(len(total))] + score[:, beam]
    path = np.empty(score.shape[1], np.intp)
    path[-1] = total.argmax()
    for beam in range(score.shape[1] - 1, 0, -1):
        path[beam - 1] = path[beam] + choice[path[beam], beam]
    return path


MIN_INTERSPACE_SAMPLES = 15
"""One patch of 30 px at the published scale."""


def _judge(beams: _Beams, path: NDArray[np.intp], score: FloatArray, ridge: FloatArray, echoes: FloatArray) -> Pleura | None:
    """Interspaces along the path and the confidence in it."""
    at = np.arange(len(path))
    line = cv2.blur(np.max([_shifted(ridge, by)[path, at] for by in (-2, -1, 0, 1, 2)], axis=0)[None, :], (9, 1))[0]
    below = cv2.blur(np.mean([_shifted(echoes, by)[path, at] for by in range(4, 34, 3)], axis=0)[None, :], (9, 1))[0]
    seen = beams.inside[path, at]
    if not seen.any():
        return None
    bright = line > 0.3 * np.percentile(line[seen], 85)
    lit = below > 0.3 * np.percentile(below[seen], 85)
    steady = np.abs(np.gradient(cv2.blur(path.astype(np.float32)[None, :], (5, 1))[0])) < 1.2
    interspaces = _runs(bright & lit & steady & seen)
    if not interspaces:
        return None
    chosen = np.concatenate([np.arange(*run) for run in interspaces])
    coverage = len(chosen) / max(int(seen.sum()), 1)
    confidence = float(np.clip(np.median(score[path[chosen], chosen]) / 1.4, 0, 1) * np.clip(coverage / 0.4, 0, 1))
    return Pleura(beams.lateral, beams.depth_px[path], interspaces, confidence)


def _runs(flags: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Index ranges of True, gaps of up to 5 bridged, shorter ones than an interspace dropped."""
    closed = cv2.morphologyEx(flags.astype(np.uint8)[None, :], cv2.MORPH_CLOSE, np.ones((1, 7), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed, [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return tuple((int(a), int(b)) for a, b in pairs if b - a >= MIN_INTERSPACE_SAMPLES)
