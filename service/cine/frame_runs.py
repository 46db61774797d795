"""Runs of whole frames, or of the flow between them, as the models that look at the whole picture take them: the one path that serving
and training share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.flow import FlowField, dis_flow, flow_steps
from service.cine.frame_cut import cut_to
from service.cine.frame_spec import FrameSpec
from service.cine.sector import Sector
from service.cine.walk import Walker

Given = NDArray[np.uint8 | np.float32]


@dataclass(frozen=True, slots=True)
class FrameRun:
    """One model input."""

    start_s: float
    end_s: float
    given: Given
    """`FrameSpec.run_shape`, of `FrameSpec.run_dtype`. Flow is in px of the square, right and down, rounded to half precision."""
    shown: NDArray[np.int64]
    """Which frames of the clip they are, (T,)."""


class FrameRunner:
    """The runs of one clip as its frames go by."""

    def __init__(self, info: ClipInfo, sector: Sector, spec: FrameSpec, field: FlowField | None = None) -> None:
        """`field` makes the flow, where the spec asks for it: DIS unless given."""
        self._spec = spec
        self._field = field
        self.cut = cut_to(sector, spec.side_px, spec.geometry)
        self._walker = Walker(info, self.cut, fps=spec.fps, length=spec.num_frames, stride=spec.stride_frames)

    def see(self, frame: NDArray[np.uint8]) -> Iterator[FrameRun]:
        """As `Walker.see`."""
        for run in self._walker.see(frame):
            start_s = run.start_tick / self._spec.fps
            yield FrameRun(start_s, start_s + self._spec.run_s, self._given(run.frames), run.shown)

    def _given(self, frames: NDArray[np.uint8]) -> Given:
        if not self._spec.is_flow:
            return frames[None]
        flow = flow_steps(frames, self._field or dis_flow(), self._spec.flow_step)
        # Training keeps it in half precision, half as many gigabytes; what is served must not be finer than what was learnt from.
        return flow.astype(np.float16).astype(np.float32)


def frame_runs(clip: Clip, sector: Sector, spec: FrameSpec, field: FlowField | None = None) -> Iterator[FrameRun]:
    """Walk once through the clip; only one run is held. Nothing comes of a clip shorter than a run."""
    runner = FrameRunner(clip.info, sector, spec, field)
    for frame in clip.frames():
        yield from runner.see(frame)
