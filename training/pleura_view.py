"""What the pleura's net learns from: a clip in beam coordinates with its line, and the same while it is drawn anew."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.pleura import DEPTH_SAMPLES

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip in beam coordinates with its annotated line."""

    mean: Floats
    """(D, A)"""
    ridge: Floats
    middle: Floats
    middle_ridge: Floats
    inside: Floats
    line: Floats
    """Depth sample of the pleura, (A,)."""
    is_visible: Bools
    """Pleura is to be seen at this beam, (A,)."""
    weight: float
    """How sure the annotator was, 0..1."""


@dataclass(frozen=True, slots=True)
class View:
    """A sample while it is drawn anew."""

    pictures: Floats
    """Mean, ridge, middle, its ridge, (4, D, A)."""
    inside: Floats
    """(D, A)"""
    line: Floats
    """(A,)"""
    seen: Bools
    """(A,)"""
    lung: Floats
    """Probability that lung is to be seen below the line, (A,)."""

    @property
    def below(self) -> Floats:
        """How many samples below the line each sample lies, (D, A)."""
        return np.arange(DEPTH_SAMPLES, dtype=np.float32)[:, None] - self.line[None, :]

    @property
    def bright(self) -> float:
        return float(np.percentile(self.pictures[0], 97)) + 5

    def brightened(self, lines: Floats) -> Floats:
        """The pictures where something as bright as `lines` (D, A) lies over them; ridges tell a part of it."""
        return np.asarray(np.maximum(self.pictures, lines[None] * np.array([1, 0.6, 1, 0.6])[:, None, None]), dtype=np.float32)


def wave(rng: np.random.Generator, beams: int, length: float, low: float = 0.0, high: float = 1.0) -> Floats:
    """A random course over the beams between `low` and `high`, with a knot every `length` of them, (A,)."""
    knots = rng.uniform(low, high, max(2, int(beams / length) + 2))
    return np.interp(np.linspace(0, len(knots) - 1, beams), np.arange(len(knots)), knots).astype(np.float32)


def warp(image: Floats, x: Floats, y: Floats) -> Floats:
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=0), dtype=np.float32)
