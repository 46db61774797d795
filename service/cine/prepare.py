"""From an opened clip to the model's inputs, window by window: the one path that serving and training share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.motion import Motion, Pairs, Shifts, follow_lung, follow_wall, pair_up, wall_path
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import Plan, cut
from service.cine.walk import num_runs, taken_s, walk


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
class CutWindow:
    """One window's patches, and the motion of the wall that they were cut along."""

    start_s: float
    end_s: float
    pairs: Pairs
    wall: Shifts
    patches: NDArray[np.uint8]
    """(N, C, T, h, w), in the order of the plan."""


@dataclass(frozen=True, slots=True)
class PreparedWindow:
    """What the model and the measurement need of one window."""

    start_s: float
    end_s: float
    motion: Motion
    patches: NDArray[np.uint8]
    """(N, C, T, h, w), in the order of the plan."""


def num_windows(info: ClipInfo, spec: InputSpec) -> int:
    return num_runs(info, spec.fps, spec.window_frames, spec.window_stride_frames)


def strip_windows(clip: Clip, grid: StripGrid, spec: InputSpec) -> Iterator[StripWindow]:
    """Walk once through the clip; only one window of strips is held. Nothing comes of a clip shorter than a window."""
    taken = taken_s(clip.info)
    for run in walk(clip, grid.cut, fps=spec.fps, length=spec.window_frames, stride=spec.window_stride_frames):
        yield StripWindow(run.start_tick, run.frames, taken[run.shown])


def cut_window(window: StripWindow, grid: StripGrid, plan: Plan, spec: InputSpec) -> CutWindow:
    """Follow the wall and cut the patches of one window: what the model waits for."""
    pairs = pair_up(window.taken_s)
    wall = follow_wall(window.strip, pairs, grid.zero_row, grid.first_row, plan.centres)
    return CutWindow(
        start_s=window.start_frame / spec.fps,
        end_s=(window.start_frame + spec.window_frames) / spec.fps,
        pairs=pairs,
        wall=wall,
        patches=cut(window.strip, grid.zero_row, plan, wall_path(wall, pairs.first, len(window.strip), spec.fps), spec),
    )


def measure_lung(window: StripWindow, cut: CutWindow, grid: StripGrid, plan: Plan) -> Motion:
    """Follow the lung of a window that has been cut: nothing but the measured slide waits for it."""
    lung = follow_lung(window.strip, cut.pairs, grid.zero_row, plan.centres)
    return Motion(cut.pairs.first, plan.centres, cut.wall, lung)


def prepare_window(window: StripWindow, grid: StripGrid, plan: Plan, spec: InputSpec) -> PreparedWindow:
    """Measure the motion and cut the patches of one window."""
    cut = cut_window(window, grid, plan, spec)
    return PreparedWindow(cut.start_s, cut.end_s, measure_lung(window, cut, grid, plan), cut.patches)
