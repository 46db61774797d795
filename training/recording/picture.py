"""What happens to a clip's picture on the way to the file: gain, display maps, frame averaging, noise, zoom."""

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from training.recording.take import Frames, Recording


class DisplayMap(StrEnum):
    """How the scanner turns echo levels into grey: each vendor has its own, and each user a favourite."""

    PLAIN = "plain"
    SOFT = "soft"
    """Lifts the dark half: haze and noise are seen."""
    HARD = "hard"
    """An S-curve: dark gets black, bright gets white."""
    STEPS = "steps"
    """Sixteen greys, as old frame grabbers stored."""


def amplified(recording: Recording, gain_db: float, dynamic_range_db: float = 60.0) -> Recording:
    """Gain turned up by `gain_db` on a scanner that shows `dynamic_range_db` from black to white; what was black stays black."""
    levels = np.arange(256, dtype=np.float64)
    curve = np.where(levels > 0, np.clip(levels + 255 * gain_db / dynamic_range_db, 0, 255), 0)
    return _through(recording, curve)


def mapped(recording: Recording, display_map: DisplayMap) -> Recording:
    x = np.arange(256) / 255
    match display_map:
        case DisplayMap.PLAIN:
            return recording
        case DisplayMap.SOFT:
            return _through(recording, 255 * x**0.7)
        case DisplayMap.HARD:
            return _through(recording, 255 * x * x * (3 - 2 * x))
        case DisplayMap.STEPS:
            return _through(recording, 17 * np.floor(15.99 * x))


def averaged(recording: Recording, persistence: float) -> Recording:
    """Frame averaging: each frame with `persistence` (0..1) of what was shown before, which smears what moves."""
    shown, frames = recording.grey[0].astype(np.float32), [recording.grey[0]]
    for frame in recording.grey[1:]:
        shown = cv2.addWeighted(frame.astype(np.float32), 1 - persistence, shown, persistence, 0.0).astype(np.float32)
        frames.append(np.rint(shown).astype(np.uint8))
    return recording.showing(np.stack(frames))


def noisy(recording: Recording, grey_levels: float, rng: np.random.Generator) -> Recording:
    """Noise of this standard deviation, new in each frame, where there are echoes: an analogue grabber's or a weak signal's."""
    pool = np.rint(grey_levels * rng.standard_normal((2 * recording.grey.shape[1], 2 * recording.grey.shape[2]))).astype(np.int16)
    return recording.showing(np.stack([_with_noise(frame, pool, rng) for frame in recording.grey]))


def _with_noise(frame: Frames, pool: NDArray[np.int16], rng: np.random.Generator) -> Frames:
    """The pool is cut anew for each frame: to draw as many normal numbers would take longer than all the rest."""
    height, width = frame.shape
    y, x = int(rng.integers(height)), int(rng.integers(width))
    changed = np.clip(frame + pool[y : y + height, x : x + width], 0, 255).astype(np.uint8)
    return np.where(frame > 0, changed, frame)


def zoomed(recording: Recording, factor: float) -> Recording:
    """The stored picture larger (its rim is lost) or smaller (black around it), about its upper middle, in frames of the same size."""
    height, width = recording.grey.shape[1:]
    # About a point a third down: the zoom box is laid over the pleura, not over the depth below it.
    x, y = (width - 1) / 2, (height - 1) / 3
    matrix = np.array([[factor, 0, x * (1 - factor)], [0, factor, y * (1 - factor)]], np.float64)
    smooth = 0.45 / factor if factor < 1 else 0.0
    return recording.showing(np.stack([_warped(frame, matrix, smooth) for frame in recording.grey]))


def _warped(frame: Frames, matrix: NDArray[np.float64], smooth_px: float) -> Frames:
    # Shrinking without smoothing first would alias speckle into other speckle.
    source = cv2.GaussianBlur(frame, (0, 0), smooth_px) if smooth_px > 0.45 else frame
    return np.asarray(cv2.warpAffine(source, matrix, frame.shape[::-1], flags=cv2.INTER_LINEAR), np.uint8)


def _through(recording: Recording, curve: NDArray[np.float64]) -> Recording:
    table = np.rint(curve).astype(np.uint8)
    return recording.showing(table[recording.grey])
