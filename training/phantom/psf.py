"""The point-spread function: how one scatterer's echo spreads along depth and across beams."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Geometry

Floats = NDArray[np.float32]

GRAIN = 0.75
"""Standard deviation, in samples, to which scatterer fields are smoothed so that they can be read between grid points."""


@dataclass(frozen=True, slots=True)
class PointSpread:
    """Separable Gaussian blur whose width across beams grows away from the focus."""

    axial: Floats
    narrow: Floats
    widening: Floats
    """What widens `narrow` to the beam far from the focus."""
    wide_share: Floats
    """0..1 by depth, (rows, 1, 1)."""
    gain: Floats
    """Brings speckle back to mean square amplitude 1, by depth, (rows, 1, 1)."""

    def blur(self, field: Floats) -> Floats:
        """Complex (rows, columns, 2 or 4) -> the same, as the scanner sees it."""
        near = np.asarray(cv2.sepFilter2D(field, -1, self.narrow, self.axial, borderType=cv2.BORDER_REFLECT), np.float32)
        far = np.asarray(cv2.sepFilter2D(near, -1, self.widening, np.ones(1, np.float32), borderType=cv2.BORDER_REFLECT), np.float32)
        far -= near
        far *= self.wide_share
        far += near
        far *= self.gain
        return far

    def surface_gain(self, sigma: float) -> float:
        """What an infinite bright line of standard deviation `sigma` samples is to be multiplied with to keep its height."""
        axial = _sigma(self.axial)
        return float(np.hypot(sigma, axial) / sigma / np.median(self.gain))


def point_spread(geometry: Geometry) -> PointSpread:
    """The PSF of a phantom's scanner, focused at the pleura."""
    spec = geometry.spec
    axial = _excess(spec.axial_psf_mm / 2.355 / geometry.sample_mm)
    narrow = _excess(spec.lateral_psf_mm / 2.355 / geometry.beam_mm)
    widening = 1.3 * max(narrow, 1.0)
    away = np.abs(geometry.depths_mm / spec.pleura_depth_mm - 1.0)
    share = np.clip(0.8 * away, 0, 1).astype(np.float32)[:, None, None]
    raw = PointSpread(_gaussian(axial), _gaussian(narrow), _gaussian(widening), share, np.ones_like(share))
    return PointSpread(raw.axial, raw.narrow, raw.widening, share, _gain(raw, len(share)))


def speckle(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Scatterers: complex noise (rows, columns, 2) of mean square amplitude 1, correlated over GRAIN samples."""
    noise = rng.standard_normal((rows, columns, 2), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), GRAIN) * np.float32(np.sqrt(2 * np.pi) * GRAIN), np.float32)


def _gain(psf: PointSpread, rows: int) -> Floats:
    seen = psf.blur(speckle(np.random.default_rng(0), rows, 512))
    power = (seen**2).sum(axis=2).mean(axis=1)
    smooth = cv2.GaussianBlur(power[:, None], (1, 61), 12.0, borderType=cv2.BORDER_REFLECT)
    return np.asarray(1 / np.sqrt(smooth), np.float32).reshape(-1, 1, 1)


def _excess(sigma: float) -> float:
    """What blur is left to do after the scatterers' own grain."""
    return float(np.sqrt(max(sigma**2 - GRAIN**2, 0.09)))


def _gaussian(sigma: float) -> Floats:
    radius = max(1, int(np.ceil(3 * sigma)))
    return np.asarray(cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F), np.float32)


def _sigma(kernel: Floats) -> float:
    at = np.arange(len(kernel)) - len(kernel) // 2
    return float(np.sqrt((kernel[:, 0] * at**2).sum()))
