"""Runs of whole frames, as the models that look at the whole picture take them: the one path that serving and training share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.frame_cut import cut_to
from service.cine.frame_spec import FrameSpec
from service.cine.sector import Sector
from service.cine.walk import walk


@dataclass(frozen=True, slots=True)
class FrameRun:
    """One model input."""

    start_s: float
    end_s: float
    frames: NDArray[np.uint8]
    """(T, h, w)"""
    shown: NDArray[np.int64]
    """Which frames of the clip they are, (T,)."""


def frame_runs(clip: Clip, sector: Sector, spec: FrameSpec) -> Iterator[FrameRun]:
    """Walk once through the clip; only one run is held. Nothing comes of a clip shorter than a run."""
    cut = cut_to(sector, spec.side_px, spec.geometry)
    for run in walk(clip, cut, fps=spec.fps, length=spec.num_frames, stride=spec.stride_frames):
        start_s = run.start_tick / spec.fps
        yield FrameRun(start_s, start_s + spec.run_s, run.frames, run.shown)
