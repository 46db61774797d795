"""One walk through a clip, at another frame rate, in runs of frames: only one run is held."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.retime import retime, windows

Cut = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""What is wanted of a frame (H, W)."""


@dataclass(frozen=True, slots=True)
class Run:
    """Some frames in a row."""

    start_tick: int
    """At the frame rate asked for."""
    frames: NDArray[np.uint8]
    """What `cut` made of each, (T, ...)."""
    shown: NDArray[np.int64]
    """Which frames of the clip they are, (T,)."""


def taken_s(info: ClipInfo) -> NDArray[np.float64]:
    """When each frame was really taken: one that repeats the frame before it keeps that one's time, (F,)."""
    first = np.maximum.accumulate(np.where(info.is_duplicate, 0, np.arange(info.num_frames)))
    return np.asarray(info.times_s[first], np.float64)


def num_runs(info: ClipInfo, fps: float, length: int, stride: int) -> int:
    return len(windows(len(retime(info.times_s, info.duration_s, fps)), length, stride))


def walk(clip: Clip, cut: Cut, *, fps: float, length: int, stride: int) -> Iterator[Run]:
    """Runs of `length` frames, one every `stride`, the last one pulled back to the end. Nothing comes of a clip shorter than a run."""
    shown = retime(clip.info.times_s, clip.info.duration_s, fps)
    starts = deque(windows(len(shown), length, stride))
    held: deque[NDArray[np.uint8]] = deque(maxlen=length)
    tick = 0
    for index, frame in enumerate(clip.frames()):
        piece = cut(frame) if tick < len(shown) and shown[tick] == index else None
        while piece is not None and tick < len(shown) and shown[tick] == index:
            held.append(piece)
            tick += 1
            if starts and tick == starts[0] + length:
                start = starts.popleft()
                yield Run(start, np.stack(held), shown[start:tick])
