"""One walk through a clip, at another frame rate, in runs of frames: only one run is held, and whoever else needs the frames hears them."""

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


class Walker:
    """Runs of `length` frames, one every `stride`, the last one pulled back to the end, as the clip's frames go by. Nothing comes of
    a clip shorter than a run."""

    def __init__(self, info: ClipInfo, cut: Cut, *, fps: float, length: int, stride: int) -> None:
        self._cut = cut
        self._length = length
        self._shown = retime(info.times_s, info.duration_s, fps)
        self._starts = deque(windows(len(self._shown), length, stride))
        self._held: deque[NDArray[np.uint8]] = deque(maxlen=length)
        self._tick = 0
        self._index = -1

    def see(self, frame: NDArray[np.uint8]) -> Iterator[Run]:
        """The runs that end with the clip's next frame (H, W). Every frame must be seen, in order, and what comes of it be taken."""
        self._index += 1
        if not self._is_shown():
            return
        piece = self._cut(frame)
        while self._is_shown():
            self._held.append(piece)
            self._tick += 1
            if self._starts and self._tick == self._starts[0] + self._length:
                start = self._starts.popleft()
                yield Run(start, np.stack(self._held), self._shown[start : self._tick])

    def _is_shown(self) -> bool:
        return self._tick < len(self._shown) and self._shown[self._tick] == self._index


def walk(clip: Clip, cut: Cut, *, fps: float, length: int, stride: int) -> Iterator[Run]:
    """As a `Walker` over the whole clip."""
    walker = Walker(clip.info, cut, fps=fps, length=length, stride=stride)
    for frame in clip.frames():
        yield from walker.see(frame)


class HeardClip:
    """A clip whose grey frames somebody else hears as they go by: decoding is most of the work, and is done once for both."""

    def __init__(self, clip: Clip, hear: Callable[[NDArray[np.uint8]], None]) -> None:
        self._clip = clip
        self._hear = hear

    @property
    def info(self) -> ClipInfo:
        return self._clip.info

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        for frame in self._clip.frames():
            self._hear(frame)
            yield frame

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        return self._clip.rgb_frames()
