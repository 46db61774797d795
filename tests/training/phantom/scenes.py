"""Small, clear phantoms for tests: nothing is seen but what moves, and only what is asked for moves."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom import Phantom, PhantomSpec
from training.phantom.geometry import lay_out
from training.phantom.presets import PRESETS

STILL = dict(drift_mm=0.0, tremor_mm=0.0, wall_lateral_mm=0.0, wall_axial_mm=0.0, out_of_plane=0.0)
CLEAR = dict(mirror_db=-60.0, num_a_lines=0, noise_db=-90.0, noise_rise_db_per_cm=0.0, persistence=0.0, edge_loss_db=0.0)
SMALL = dict(width_px=320, height_px=240, mm_per_px=0.2, top_px=3.0, num_beams=128, num_depths=240)


def scene(**changes: object) -> PhantomSpec:
    """A linear probe, 0.2 mm a pixel, pleura 17 mm deep, half a second; the lung slides 6 mm in a breath, nothing else moves."""
    plain = dict(ribs=(), b_lines=(), lung_pulse_mm=0.0, haze_decorrelation_mm=1e6, duration_s=0.5, breath_phase=0.05, pleura_tilt_deg=0.0)
    return replace(PRESETS["linear_present"], **(STILL | CLEAR | SMALL | plain | changes))  # type: ignore[arg-type]


def strip(
    phantom: Phantom, frame: int, from_mm: float, to_mm: float, from_u_mm: float = -14.0, to_u_mm: float = 14.0
) -> NDArray[np.float32]:
    """The picture along the pleura, 0.1 mm a pixel both ways, between two depths below it (negative: above)."""
    geometry, line = lay_out(phantom.spec), phantom.truth.pleura_px
    assert line is not None
    u_line, z_line = geometry.to_mm(line[frame, :, 0], line[frame, :, 1])
    u, below = np.arange(from_u_mm, to_u_mm, 0.1), np.arange(from_mm, to_mm, 0.1)[:, None]
    at = geometry.to_px(np.broadcast_to(u, (len(below), len(u))), np.interp(u, u_line, z_line) + below).astype(np.float32)
    return np.asarray(cv2.remap(phantom.frames[frame], at[..., 0], at[..., 1], cv2.INTER_LINEAR), np.float32)


def moved_mm(phantom: Phantom, before: int, after: int, from_mm: float, to_mm: float, *places_mm: float) -> float:
    """How far the picture moved along the pleura between two frames, by phase correlation."""
    first, last = (strip(phantom, frame, from_mm, to_mm, *places_mm) for frame in (before, after))
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    (columns, _), _ = cv2.phaseCorrelate(first - first.mean(), last - last.mean(), window)
    return 0.1 * columns


def alike(first: NDArray[np.float32], last: NDArray[np.float32]) -> float:
    """Correlation of two strips without their shading."""
    textures = [strip - cv2.GaussianBlur(strip, (0, 0), 15) for strip in (first, last)]
    return float(np.corrcoef(textures[0].ravel(), textures[1].ravel())[0, 1])
