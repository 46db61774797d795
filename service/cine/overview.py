"""A first look at a clip: a few frames spread over it, and what they say together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip

OVERVIEW_FRAMES = 24
"""Frames looked at. Eight already fix the sector; two dozen average the pleura over a breath."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Frames spread evenly over a clip, and their statistics pixel by pixel."""

    frames: NDArray[np.uint8]
    """(K, H, W), K >= 1, in the order shown."""
    mean: NDArray[np.float32]
    """(H, W)"""
    brightest: NDArray[np.uint8]
    """Largest grey level of each pixel, (H, W)."""
    change: NDArray[np.float32]
    """Mean absolute difference of a pixel from one surveyed frame to the next, (H, W); 0 for one frame."""

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])


def look_over(clip: Clip, num_frames: int = OVERVIEW_FRAMES) -> Overview:
    """Look at `num_frames` frames spread over the clip (all of them, when it has fewer)."""
    wanted = set(np.linspace(0, clip.info.num_frames - 1, min(num_frames, clip.info.num_frames)).round().astype(int).tolist())
    frames = np.stack([frame for index, frame in enumerate(clip.frames()) if index in wanted])
    steps = np.abs(np.diff(frames.astype(np.int16), axis=0))
    return Overview(
        frames=frames,
        mean=frames.mean(axis=0, dtype=np.float32),
        brightest=frames.max(axis=0),
        change=steps.mean(axis=0, dtype=np.float32) if len(steps) else np.zeros(frames.shape[1:], np.float32),
    )
