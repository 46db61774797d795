"""Frames in memory, as a clip: how phantoms enter the same path that uploads take."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import ClipInfo


@dataclass(frozen=True, slots=True)
class ArrayClip:
    """Grey frames (F, H, W) shown at a steady rate."""

    grey: NDArray[np.uint8]
    fps: float

    def __repr__(self) -> str:
        return f"ArrayClip{self.grey.shape} at {self.fps:g} fps"

    @property
    def info(self) -> ClipInfo:
        count, height, width = self.grey.shape
        repeats = np.concatenate([[False], (self.grey[1:] == self.grey[:-1]).all(axis=(1, 2))])
        return ClipInfo(np.arange(count) / self.fps, count / self.fps, width, height, repeats, "array", None, ())

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self.grey)

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        return (np.repeat(frame[..., None], 3, axis=2) for frame in self.grey)
