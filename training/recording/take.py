"""A recording in memory: grey frames and the times they are shown, read by the service like an upload."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import ClipInfo
from service.cine.survey import find_duplicates

Frames = NDArray[np.uint8]
Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recording:
    """A clip (service.cine.clip.Clip) made of arrays. Every effect of this package takes one and gives another."""

    grey: Frames
    """(F, H, W)"""
    times_s: Times
    """From 0, strictly increasing, (F,)."""
    duration_s: float

    def __post_init__(self) -> None:
        if self.grey.ndim != 3 or len(self.grey) == 0:
            raise ValueError(f"A recording is made of frames (F, H, W); this array has the shape {self.grey.shape}.")
        if len(self.times_s) != len(self.grey):
            raise ValueError(f"A recording of {len(self.grey)} frames needs as many times; there are {len(self.times_s)}.")
        if self.times_s[0] != 0 or (np.diff(self.times_s) <= 0).any() or self.duration_s <= self.times_s[-1]:
            raise ValueError("The times of a recording begin at 0 and rise from frame to frame, and the last frame is shown for a while.")

    def __repr__(self) -> str:
        return f"Recording{self.grey.shape}, {self.duration_s:.2f} s"

    @classmethod
    def at(cls, grey: Frames, fps: float) -> "Recording":
        """Frames shown at a steady rate."""
        return cls(grey, np.arange(len(grey)) / fps, len(grey) / fps)

    def showing(self, grey: Frames) -> "Recording":
        """The same times with other pictures."""
        return replace(self, grey=grey)

    @property
    def info(self) -> ClipInfo:
        _, height, width = self.grey.shape
        return ClipInfo(self.times_s, self.duration_s, width, height, _duplicates(self.grey), "array", None, ())

    def frames(self) -> Iterator[Frames]:
        return iter(self.grey)

    def rgb_frames(self) -> Iterator[Frames]:
        return (np.repeat(frame[..., None], 3, axis=2) for frame in self.grey)


def _duplicates(grey: Frames) -> NDArray[np.bool_]:
    """As the service's own decoder tells them."""
    changes = [cv2.absdiff(before, after) for before, after in zip(grey[:-1], grey[1:], strict=True)]
    mean = np.array([0.0, *(cv2.mean(change)[0] for change in changes)])
    largest = np.array([0.0, *(cv2.minMaxLoc(change)[1] for change in changes)])
    return find_duplicates(mean, largest)
