"""Runs of whole frames, as the models that look at the whole picture take them: the one path that serving and training share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.frame_cut import cut_to
from service.cine.frame_spec import FrameSpec
from service.cine.sector import Sector
from service.cine.walk import Walker


@dataclass(frozen=True, slots=True)
class FrameRun:
    """One model input."""

    start_s: float
    end_s: float
    frames: NDArray[np.uint8]
    """(T, h, w)"""
    shown: NDArray[np.int64]
    """Which frames of the clip they are, (T,)."""


class FrameRunner:
    """The runs of one clip as its frames go by."""

    def __init__(self, info: ClipInfo, sector: Sector, spec: FrameSpec) -> None:
        self._spec = spec
        self.cut = cut_to(sector, spec.side_px, spec.geometry)
        self._walker = Walker(info, self.cut, fps=spec.fps, length=spec.num_frames, stride=spec.stride_frames)

    def see(self, frame: NDArray[np.uint8]) -> Iterator[FrameRun]:
        """As `Walker.see`."""
        for run in self._walker.see(frame):
            start_s = run.start_tick / self._spec.fps
            yield FrameRun(start_s, start_s + self._spec.run_s, run.frames, run.shown)


def frame_runs(clip: Clip, sector: Sector, spec: FrameSpec) -> Iterator[FrameRun]:
    """Walk once through the clip; only one run is held. Nothing comes of a clip shorter than a run."""
    runner = FrameRunner(clip.info, sector, spec)
    for frame in clip.frames():
        yield from runner.see(frame)
