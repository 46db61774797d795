"""The pleural line, the interspaces between rib shadows, and how sure that is.

Looked for in beam coordinates, where layers lie flat:

    skin, fat, muscle   ===========  layered
    pleural line        ____/=====\\  the last bright interface
    lung                :::::::::::  haze, A-lines at multiples of the line's depth, B-lines; or rib shadow; or effusion

A small fully convolutional net (`weights/pleura.onnx`, 17 thousand weights, made by `seashore train pleura` from
annotated CC BY clips and phantoms) says for every beam how likely each depth is to be the pleura, and whether pleura is
to be seen there at all; the line is the best path through all beams (dynamic programming). Hand-made ridge and texture
features in the net's place found 69 % of 88 annotated clips; a continuous fascia above beat an interrupted pleura.
"""

import threading
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.overview import Overview
from service.cine.sector import Sector
from service.findings import Point

FloatArray = NDArray[np.float32]

DEPTH_SAMPLES = 120
"""Depth samples of the search: one is 4 px at the published scale (a 480 px deep picture)."""
REFERENCE_DEPTH = 0.2
"""Share of the picture's depth at which beams lie as far apart as depth samples."""
STEP_COST = 0.6
"""Log probability that the line pays for each sample it steps up or down from one beam to the next."""
MAX_STEP = 2
MIN_LOG_PROBABILITY = -9.0
NEAR_SAMPLES = 2
"""A beam's probability within this many samples of the line counts for it."""
VISIBLE_LOGIT_RANGE = 3.0
MIN_VISIBLE_LOGIT = -1.6
"""Of the plainest tenth of the beams. Below it lie clips of solid lung and of a probe in the air; the dimmest clear pleura
of 90 real clips reads -1.5."""
PLAIN_VISIBLE_LOGIT = 1.5
"""From here on the line is plain. Phantoms with gas under the skin read -1.4 to 2.4 (two of ten above 1.5), phantoms with a
pleura 4.4 to 7.1; of the real clips below it most show effusion or consolidation."""
MIN_MASS = 0.3
MIN_INTERSPACE_SAMPLES = 8
"""One patch of 30 px at the published scale."""
NUM_INPUTS = 5


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
    """Mean probability that the pleura lies within 8 px (published scale) of the line, over the interspaces."""
    is_plain: bool = True
    """False when the line may be something else: a fascia over fluid, or gas under the skin."""


@dataclass(frozen=True, slots=True)
class Beams:
    """A clip in beam coordinates, averaged over the overview's frames."""

    mean: FloatArray
    """Grey levels, (D, A)."""
    ridge: FloatArray
    """How much brighter than above and below each sample is, frame by frame and then averaged, grey levels, (D, A)."""
    inside: FloatArray
    """1 on the frame and in the sector, 0 elsewhere, (D, A)."""
    lateral: NDArray[np.float64]
    """(A,)"""
    depth_px: NDArray[np.float64]
    """(D,)"""


def find_pleura(overview: Overview, sector: Sector) -> Pleura | None:
    """The pleura of a clip; None when no stretch of it is to be seen."""
    beams = to_beams(overview, sector)
    log_probability, visible = _run_net(net_input(beams.mean, beams.ridge, beams.inside))
    path = best_path(np.maximum(log_probability, MIN_LOG_PROBABILITY))
    fine, mass = _refine(np.exp(log_probability), path)
    plainest = float(np.percentile(visible, 90))
    interspaces = _interspaces(visible, mass, plainest)
    if not interspaces:
        return None
    chosen = np.concatenate([np.arange(*run) for run in interspaces])
    spacing = float(beams.depth_px[1] - beams.depth_px[0])
    return Pleura(
        lateral=beams.lateral,
        depth_px=(fine + 0.5) * spacing,
        interspaces=interspaces,
        confidence=float(np.clip(mass[chosen].mean(), 0, 1)),
        is_plain=plainest >= PLAIN_VISIBLE_LOGIT,
    )


def _interspaces(visible: FloatArray, mass: FloatArray, plainest: float) -> tuple[tuple[int, int], ...]:
    """Where pleura is to be seen: nearly as plain as where it is plainest in this clip, and at a depth that is sure.

    Relative, because a dim clip lowers the logit all along: a fixed limit missed every sixth clip of unseen sources.
    """
    if plainest < MIN_VISIBLE_LOGIT:
        return ()
    return _runs((visible > plainest - VISIBLE_LOGIT_RANGE) & (mass > MIN_MASS))


def to_beams(overview: Overview, sector: Sector) -> Beams:
    """Resample to beams: twice as fine as needed, then averaged, so that thin lines are not missed."""
    spacing = sector.depth_extent_px / DEPTH_SAMPLES
    width_px = (sector.lateral[1] - sector.lateral[0]) * sector.lateral_px(REFERENCE_DEPTH * sector.depth_extent_px)
    num_beams = max(16, round(width_px / spacing))
    fine_lateral = np.linspace(*sector.lateral, 2 * num_beams)
    fine_depth = np.asarray((np.arange(2 * DEPTH_SAMPLES) + 0.5) * spacing / 2, dtype=np.float64)
    x, y = (a.astype(np.float32) for a in sector.to_frame(fine_lateral[None, :], fine_depth[:, None]))
    size = num_beams, DEPTH_SAMPLES

    def halved(image: NDArray[np.uint8]) -> FloatArray:
        fine = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=0).astype(np.float32)
        return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), dtype=np.float32)

    frames = [halved(frame) for frame in overview.frames]
    return Beams(
        mean=np.asarray(np.mean(frames, axis=0), dtype=np.float32),
        ridge=np.asarray(np.mean([_ridge(frame) for frame in frames], axis=0), dtype=np.float32),
        inside=halved(np.ones_like(overview.frames[0])),
        lateral=np.linspace(*sector.lateral, num_beams),
        depth_px=np.asarray((np.arange(DEPTH_SAMPLES) + 0.5) * spacing, dtype=np.float64),
    )


def _ridge(frame: FloatArray) -> FloatArray:
    smooth = cv2.GaussianBlur(frame, (0, 0), sigmaX=2.0, sigmaY=0.7)
    line: FloatArray = np.asarray(cv2.blur(smooth, (1, 3)), dtype=np.float32)
    return np.maximum(line - np.maximum(_shifted(line, -4), _shifted(line, 4)), 0)


def _shifted(image: FloatArray, by: int) -> FloatArray:
    """The sample `by` rows further down takes each one's place; edges repeat."""
    return image[np.clip(np.arange(len(image)) + by, 0, len(image) - 1)]


def net_input(mean: FloatArray, ridge: FloatArray, inside: FloatArray) -> FloatArray:
    """What the net is shown, free of gain and display map, (NUM_INPUTS, D, A)."""
    seen = inside > 0.5
    brightest = np.percentile(mean[seen], 99) if seen.any() else 0.0
    local = cv2.GaussianBlur(mean, (0, 0), 8)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(mean * mean, (0, 0), 8) - local * local, 4))
    sharpest = np.percentile(ridge[seen], 98) if seen.any() else 0.0
    depth = np.broadcast_to(np.linspace(-1, 1, len(mean), dtype=np.float32)[:, None], mean.shape)
    return np.stack([mean / (brightest + 1), (mean - local) / spread, np.minimum(ridge / (sharpest + 1), 2), depth, inside]).astype(
        np.float32
    )


_nets = threading.local()


def _run_net(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(5, D, A) -> log probability of each depth, beam by beam (D, A), and a logit for "pleura is to be seen here" (A,)."""
    if not hasattr(_nets, "net"):  # one a thread: cv2's nets keep their tensors between calls
        weights = (files("service.cine") / "weights" / "pleura.onnx").read_bytes()
        _nets.net = cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))
    _nets.net.setInput(pixels[None])
    depth, visible = _nets.net.forward()[0].astype(np.float32)
    shifted = depth - depth.max(axis=0, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=0, keepdims=True))
    return log_probability, (np.exp(log_probability) * visible).sum(axis=0)


def best_path(score: FloatArray) -> NDArray[np.intp]:
    """Depth sample of the best line through every beam, (D, A) -> (A,)."""
    costs = STEP_COST * np.abs(np.arange(-MAX_STEP, MAX_STEP + 1, dtype=np.float32))
    total = score[:, 0].copy()
    choice = np.zeros(score.shape, np.intp)
    for beam in range(1, score.shape[1]):
        padded = np.pad(total, MAX_STEP, constant_values=-np.inf)
        moves = np.stack([padded[step : step + len(total)] for step in range(2 * MAX_STEP + 1)]) - costs[:, None]
        best = moves.argmax(axis=0)
        choice[:, beam] = best - MAX_STEP
        total = moves[best, np.arange(len(total))] + score[:, beam]
    path = np.empty(score.shape[1], np.intp)
    path[-1] = total.argmax()
    for beam in range(score.shape[1] - 1, 0, -1):
        path[beam - 1] = path[beam] + choice[path[beam], beam]
    return path


def _refine(probability: FloatArray, path: NDArray[np.intp]) -> tuple[NDArray[np.float64], FloatArray]:
    """The line to a fraction of a sample, and the probability within NEAR_SAMPLES of it, beam by beam, (A,) each."""
    offsets = np.arange(-NEAR_SAMPLES, NEAR_SAMPLES + 1)
    near = np.stack([_row(probability, path + by) for by in offsets])
    mass = near.sum(axis=0)
    return path + (near * offsets[:, None]).sum(axis=0) / np.maximum(mass, 1e-6), mass


def _row(values: FloatArray, row: NDArray[np.intp]) -> FloatArray:
    """`values` (D, A) at one row of each column, 0 beyond the edges, (A,)."""
    inside = (row >= 0) & (row < len(values))
    return np.where(inside, values[np.clip(row, 0, len(values) - 1), np.arange(len(row))], 0).astype(np.float32)


def _runs(flags: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Index ranges of True, gaps of up to 2 bridged, shorter ones than an interspace dropped."""
    closed = cv2.morphologyEx(flags.astype(np.uint8)[None, :], cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed, [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return tuple((int(a), int(b)) for a, b in pairs if b - a >= MIN_INTERSPACE_SAMPLES)


def pleura_in_region(overview: Overview, sector: Sector, region: tuple[Point, ...]) -> Pleura | None:
    """The pleura inside a polygon drawn by hand, px of the frame: the likeliest line in it, in every beam it covers.

    Not the polygon's upper edge: whoever draws a box around the pleura begins it above, in the chest wall, and wall read
    as lung does not slide. None when the polygon covers less than one patch of the sector.
    """
    beams = to_beams(overview, sector)
    drawn = np.zeros((overview.height, overview.width), np.uint8)
    cv2.fillPoly(drawn, [np.rint(np.array(region)).astype(np.int32)], 1)
    x, y = (a.astype(np.float32) for a in sector.to_frame(beams.lateral[None, :], beams.depth_px[:, None]))
    covered = cv2.remap(drawn, x, y, cv2.INTER_NEAREST, borderValue=0).astype(np.bool_)
    chosen = np.flatnonzero(covered.any(axis=0))
    if len(chosen) < MIN_INTERSPACE_SAMPLES:
        return None
    # Drawn along the line itself, the polygon may leave half of it out.
    reached = cv2.dilate(covered.astype(np.uint8), np.ones((2 * NEAR_SAMPLES + 1, 1), np.uint8)).astype(np.bool_)
    log_probability, _ = _run_net(net_input(beams.mean, beams.ridge, beams.inside))
    inside = np.where(reached, np.maximum(log_probability, MIN_LOG_PROBABILITY), 10 * MIN_LOG_PROBABILITY).astype(np.float32)
    fine, _ = _refine(np.exp(inside[:, chosen]), best_path(inside[:, chosen]))
    line = np.interp(np.arange(len(beams.lateral)), chosen, fine + 0.5) * (beams.depth_px[1] - beams.depth_px[0])
    return Pleura(beams.lateral, line, ((int(chosen[0]), int(chosen[-1]) + 1),), 1.0)
