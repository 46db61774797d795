"""The pleural line, the interspaces between rib shadows, and how sure that is.

Looked for in beam coordinates, where layers lie flat:

    skin, fat, muscle   ===========  layered
    pleural line        ____/=====\\  the last bright interface
    lung                :::::::::::  haze, A-lines at multiples of the line's depth, B-lines; or rib shadow; or effusion

Two small fully convolutional nets in one graph (`weights/pleura.onnx`, 123 thousand weights, made by `seashore train
pleura` from annotated CC BY clips and phantoms) say for every beam how likely each depth is to be the pleura, and whether
lung is to be seen below it there; the line is the best path through all beams (dynamic programming). Hand-made ridge and
texture features in the nets' place found 69 % of 88 annotated clips; a continuous fascia above beat an interrupted pleura.
"""

import threading
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

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
"""Of the plainest tenth of the beams. Below it lies a probe in the air (six of nine phantoms); the dimmest line found right
in 90 real clips, over an effusion, reads -1.45."""
PLAIN_VISIBLE_LOGIT = 1.5
"""From here on the line is plain. Phantoms with gas under the skin read -0.7 to 1.1, phantoms with a pleura 1.5 to 5.7; of the
real clips below it most show effusion or consolidation, which the nets were taught to read as half seen (a logit of 0)."""
PLAIN_CONFIDENCE = 0.6
"""A wrong line over a thin effusion reads 0.50; of 56 right ones with a logit above the limit the least reads 0.61."""
MIN_MASS = 0.3
MIN_INTERSPACE_SAMPLES = 8
"""One patch of 30 px at the published scale."""
NUM_INPUTS = 7
BEAM_MULTIPLE = 8
"""The nets halve the picture three times over; beams are filled up with nothing to a multiple of this."""


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
    """False when the line may be something else (a fascia over fluid, gas under the skin), or no lung is seen below it."""


class Shown(Protocol):
    """The pictures in beam coordinates that the nets are shown, (D, A) each; a clip's beams, or training's."""

    @property
    def mean(self) -> FloatArray: ...
    @property
    def ridge(self) -> FloatArray: ...
    @property
    def middle(self) -> FloatArray: ...
    @property
    def middle_ridge(self) -> FloatArray: ...
    @property
    def inside(self) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Beams:
    """A clip in beam coordinates, averaged over the overview's frames."""

    mean: FloatArray
    """Grey levels, (D, A)."""
    ridge: FloatArray
    """How much brighter than above and below each sample is, frame by frame and then averaged, grey levels, (D, A)."""
    middle: FloatArray
    """The frame in the middle: sharp where the wall moves and the mean is smeared, grey levels, (D, A)."""
    middle_ridge: FloatArray
    """Of that frame alone, grey levels, (D, A)."""
    inside: FloatArray
    """1 on the frame and in the sector, 0 elsewhere, (D, A)."""
    lateral: NDArray[np.float64]
    """(A,)"""
    depth_px: NDArray[np.float64]
    """(D,)"""


def find_pleura(overview: Overview, sector: Sector) -> Pleura | None:
    """The pleura of a clip; None when no stretch of it is to be seen."""
    beams = to_beams(overview, sector)
    log_probability, visible = _run_net(net_input(beams))
    path = best_path(np.maximum(log_probability, MIN_LOG_PROBABILITY))
    fine, mass = _refine(np.exp(log_probability), path)
    plainest = float(np.percentile(visible, 90))
    interspaces = _interspaces(visible, mass, plainest)
    if not interspaces:
        return None
    chosen = np.concatenate([np.arange(*run) for run in interspaces])
    confidence = float(np.clip(mass[chosen].mean(), 0, 1))
    spacing = float(beams.depth_px[1] - beams.depth_px[0])
    return Pleura(
        lateral=beams.lateral,
        depth_px=(fine + 0.5) * spacing,
        interspaces=interspaces,
        confidence=confidence,
        is_plain=is_plain(plainest, confidence),
    )


def is_plain(plainest: float, confidence: float) -> bool:
    """Lung is seen below the line, and the nets agree on where the line is."""
    return plainest >= PLAIN_VISIBLE_LOGIT and confidence >= PLAIN_CONFIDENCE


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
    middle = frames[len(frames) // 2]
    return Beams(
        mean=np.asarray(np.mean(frames, axis=0), dtype=np.float32),
        ridge=np.asarray(np.mean([ridge_of(frame) for frame in frames], axis=0), dtype=np.float32),
        middle=middle,
        middle_ridge=ridge_of(middle),
        inside=halved(np.ones_like(overview.frames[0])),
        lateral=np.linspace(*sector.lateral, num_beams),
        depth_px=np.asarray((np.arange(DEPTH_SAMPLES) + 0.5) * spacing, dtype=np.float64),
    )


def ridge_of(frame: FloatArray) -> FloatArray:
    """How much brighter each sample is than those 16 px (published scale) above and below it, (D, A)."""
    smooth = cv2.GaussianBlur(frame, (0, 0), sigmaX=2.0, sigmaY=0.7)
    line: FloatArray = np.asarray(cv2.blur(smooth, (1, 3)), dtype=np.float32)
    return np.maximum(line - np.maximum(_shifted(line, -4), _shifted(line, 4)), 0)


def _shifted(image: FloatArray, by: int) -> FloatArray:
    """The sample `by` rows further down takes each one's place; edges repeat."""
    return image[np.clip(np.arange(len(image)) + by, 0, len(image) - 1)]


def net_input(shown: Shown) -> FloatArray:
    """What the nets are shown, free of gain and display map, (NUM_INPUTS, D, A)."""
    mean, inside = shown.mean, shown.inside
    seen = inside > 0.5
    depth = np.broadcast_to(np.linspace(-1, 1, len(mean), dtype=np.float32)[:, None], mean.shape)
    bright = mean / (_percentile(mean[seen], 99) + 1)
    ridge, middle_ridge = (np.minimum(image / (_percentile(image[seen], 98) + 1), 2) for image in (shown.ridge, shown.middle_ridge))
    return np.stack([bright, _local(mean), ridge, depth, inside, _local(shown.middle), middle_ridge]).astype(np.float32)


def _percentile(values: FloatArray, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else 0.0


def _local(image: FloatArray) -> FloatArray:
    """Each sample by the mean and the contrast around it."""
    around = cv2.GaussianBlur(image, (0, 0), 8)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(image * image, (0, 0), 8) - around * around, 4))
    return np.asarray((image - around) / spread, dtype=np.float32)


_nets = threading.local()


def _run_net(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(7, D, A) -> log probability of each depth, beam by beam (D, A), and a logit for "lung is to be seen below it" (A,)."""
    if not hasattr(_nets, "net"):  # one a thread: cv2's nets keep their tensors between calls
        weights = (files("service.cine") / "weights" / "pleura.onnx").read_bytes()
        _nets.net = cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))
    num_beams = pixels.shape[2]
    filled = np.pad(pixels, ((0, 0), (0, 0), (0, -num_beams % BEAM_MULTIPLE)))
    _nets.net.setInput(filled[None])
    depth, visible = _nets.net.forward()[0, :, :, :num_beams].astype(np.float32)
    shifted = depth - depth.max(axis=0, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=0, keepdims=True))
    return log_probability, (np.exp(log_probability) * visible).sum(axis=0)


def best_path(score: FloatArray) -> NDArray[np.intp]:
    """Depth sample of the best line through every beam, (D, A) -> (A,)."""
    costs = STEP_COST * np.abs(np.arange(-MAX_STEP, MAX_STEP + 1, dtype=np.float32))
    total = score[:, 0].copy()
    choice = np.zeros(score.shape, np.intp)
    padded = np.full(len(total) + 2 * MAX_STEP, -np.inf, np.float32)
    reach = np.lib.stride_tricks.sliding_window_view(padded, len(total))
    for beam in range(1, score.shape[1]):
        padded[MAX_STEP:-MAX_STEP] = total
        moves = reach - costs[:, None]
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
    log_probability, _ = _run_net(net_input(beams))
    inside = np.where(reached, np.maximum(log_probability, MIN_LOG_PROBABILITY), 10 * MIN_LOG_PROBABILITY).astype(np.float32)
    fine, _ = _refine(np.exp(inside[:, chosen]), best_path(inside[:, chosen]))
    line = np.interp(np.arange(len(beams.lateral)), chosen, fine + 0.5) * (beams.depth_px[1] - beams.depth_px[0])
    return Pleura(beams.lateral, line, ((int(chosen[0]), int(chosen[-1]) + 1),), 1.0)
