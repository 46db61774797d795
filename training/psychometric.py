"""The psychometric curve: how large a thing must be to be seen one time in two, and nine times in ten."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIDGE = 0.02
"""Holds the slope finite where every small thing was missed and every large one seen; it moves a point at half by under 1 %."""
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Psychometric:
    """share seen = 1 / (1 + exp(-slope * (log2 size - midpoint)))"""

    midpoint_log2: float
    slope: float
    """For each doubling of the size; above 0."""

    def share_at(self, sizes: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * (np.log2(sizes) - self.midpoint_log2), -30, 30))))

    def size_at(self, share: float) -> float:
        """The size that is seen with this share (0..1, exclusive)."""
        return float(2 ** (self.midpoint_log2 + np.log(share / (1 - share)) / self.slope))


def fit_psychometric(sizes: Sequence[float], seen: Sequence[bool]) -> Psychometric | None:
    """Logistic regression of what was seen on log2 of its size. None when all or nothing was seen, or larger things were seen less."""
    x, y = np.log2(np.asarray(sizes, np.float64)), np.asarray(seen, np.float64)
    if len(x) < 2 or y.min() == y.max():
        return None
    centre = x.mean()
    design = np.stack([np.ones_like(x), x - centre], axis=1)
    offset, slope = _newton(design, y)
    return Psychometric(float(centre - offset / slope), float(slope)) if slope > 1e-3 else None


def _newton(design: Floats, y: Floats) -> Floats:
    """Maximum likelihood of a logistic regression, its slope held a little towards 0, (2,)."""
    penalty, weights = np.diag([0.0, _RIDGE]), np.zeros(2)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        bend = design.T @ (design * (p * (1 - p))[:, None]) + penalty + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, design.T @ (y - p) - penalty @ weights)
        # A whole step overshoots where the data are almost separated.
        weights = weights + step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(weights, np.float64)
