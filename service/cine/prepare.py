"""From an opened clip to the model's inputs, window by window: the one path that serving and training share."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.motion import Motion, measure_motion, wall_path
from service.cine.retime import retime, windows
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import Plan, cut


@dataclass(frozen=True, slots=True)
class StripWindow:
    """The strip through one window."""

    start_frame: int
    """At the spec's frame rate."""
    strip: NDArray[np.uint8]
    """(T, rows, columns)"""
    taken_s: NDArray[np.float64]
    """When each frame was really taken: a frame shown twice, or repeated by a converter, keeps its first time, (T,)."""


@dataclass(frozen=True, slots=True)
class PreparedWindow:
    """What the model and the measurement need of one window."""

    start_s: float
    end_s: float
    motion: Motion
    patches: NDArray[np.uint8]
    """(N, C, T, h, w), in the order of the plan."""


def num_windows(info: ClipInfo, spec: InputSpec) -> int:
    return len(windows(len(retime(info.times_s, info.duration_s, spec.fps)), spec.window_frames, spec.window_stride_frames))


def strip_windows(clip: Clip, grid: StripGrid, spec: InputSpec) -> Iterator[StripWindow]:
    """Walk once through the clip; only one window of strips is held. Nothing comes of a clip shorter than a window."""
    info = clip.info
    shown = retime(info.times_s, info.duration_s, spec.fps)
    starts = deque(windows(len(shown), spec.window_frames, spec.window_stride_frames))
    taken = info.times_s[np.maximum.accumulate(np.where(info.is_duplicate, 0, np.arange(info.num_frames)))]
    held: deque[NDArray[np.uint8]] = deque(maxlen=spec.window_frames)
    tick = 0
    for index, frame in enumerate(clip.frames()):
        strip = grid.cut(frame) if tick < len(shown) and shown[tick] == index else None
        while strip is not None and tick < len(shown) and shown[tick] == index:
            held.append(strip)
            tick += 1
            if starts and tick == starts[0] + spec.window_frames:
                start = starts.popleft()
                yield StripWindow(start, np.stack(held), taken[shown[start:tick]])


def prepare_window(window: StripWindow, grid: StripGrid, plan: Plan, spec: InputSpec) -> PreparedWindow:
    """Measure the motion and cut the patches of one window."""
    motion = measure_motion(window.strip, window.taken_s, grid.zero_row, grid.first_row, plan.centres)
    paths = wall_path(motion.wall, motion.pair_frames, len(window.strip), spec.fps)
    return PreparedWindow(
        start_s=window.start_frame / spec.fps,
        end_s=(window.start_frame + spec.window_frames) / spec.fps,
        motion=motion,
        patches=cut(window.strip, grid.zero_row, plan, paths, spec),
    )
