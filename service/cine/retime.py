"""Time as integers: which frame is on the screen at each tick of another frame rate, and where windows begin."""

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 0.3
"""How much of a tick early a frame may be taken. Time stamps are rounded (a GIF's to 10 ms, Matroska's to 1 ms), so a 30 fps
clip is often a few milliseconds late for its tick. Half a tick would be the widest net, but it puts 60 fps exactly on the
edge, where rounding alone decides and the answer judders; 0.3 keeps every usual rate (10, 15, 20, 24, 25, 30, 50, 60, 90,
120 fps to 30) at least 1 ms off it."""


def retime(times_s: NDArray[np.float64], duration_s: float, fps: float) -> NDArray[np.int64]:
    """The frame shown at each tick of `fps`, from 0 to the end: indices into `times_s`, never falling, (n,).

    `times_s` starts at 0 and strictly increases (F,); `duration_s` is when the last frame goes. n = duration_s * fps, rounded,
    at least 1. Tick k shows the last frame whose time is at most (k + 0.3) / fps. Frames are repeated or left out, never
    blended: a blended frame is a picture nobody took.
    """
    num_ticks = max(1, round(duration_s * fps))
    ticks_s = (np.arange(num_ticks) + _TOLERANCE) / fps
    return np.searchsorted(times_s, ticks_s, side="right").astype(np.int64) - 1


def windows(num_frames: int, length: int, stride: int) -> list[int]:
    """The first frame of each window. The last window is pulled back to the end, so every frame is in one.

        frames   0 . . . . . . . . . 10      length 4, stride 3
                 [-----]                     starts 0, 3, 6, 7
                       [-----]
                             [-----]
                               [-----]

    Empty when the clip is shorter than one window. `stride` is at most `length`, or frames would be left out.
    """
    if not 1 <= stride <= length:
        raise ValueError(f"A stride of {stride} frames does not fit windows of {length}.")
    last = num_frames - length
    if last < 0:
        return []
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]
