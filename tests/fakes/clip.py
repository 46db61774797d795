"""A clip held in memory: frames drawn by the test."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import ClipInfo


class MemoryClip:
    """Frames (H, W) grey or (H, W, 3) colour, shown at `times_s` (30 frames a second when not given)."""

    def __init__(
        self, frames: Sequence[NDArray[np.uint8]], times_s: Sequence[float] | None = None, duration_s: float | None = None
    ) -> None:
        self._frames = list(frames)
        times = np.array(times_s if times_s is not None else np.arange(len(frames)) / 30, np.float64)
        height, width = frames[0].shape[:2]
        end_s = duration_s if duration_s is not None else float(times[-1]) + 1 / 30
        self._info = ClipInfo(times, end_s, width, height, np.zeros(len(times), np.bool_), "memory", None, ())

    @property
    def info(self) -> ClipInfo:
        return self._info

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        for frame in self._frames:
            yield frame if frame.ndim == 2 else frame.mean(axis=2).astype(np.uint8)

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        for frame in self._frames:
            yield frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
