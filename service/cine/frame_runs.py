"""Runs of whole frames, as the models that look at the whole picture take them: the one path that serving and training share."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
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


@dataclass(frozen=True, slots=True, eq=False)
class FrameCut:
    """Frames (H, W) -> the box of the sector, black outside the sector, (side, side).

    What is written beside the echoes (names, depths, a logo) tells the hospital, and a model that has seen few hospitals would take
    it for the sign.
    """

    box: tuple[int, int, int, int]
    """(x0, y0, x1, y1) of the frame, x1 and y1 exclusive."""
    inside: NDArray[np.uint8]
    """1 in the sector, 0 elsewhere, of the box."""
    side_px: int

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self.box
        seen = frame[y0:y1, x0:x1] * self.inside
        # INTER_AREA averages where it shrinks, as every resizer that does not alias, and is linear where it enlarges.
        return np.asarray(cv2.resize(seen, (self.side_px, self.side_px), interpolation=cv2.INTER_AREA), np.uint8)


def cut_to(sector: Sector, side_px: int) -> FrameCut:
    height, width = sector.mask.shape
    outline = np.array(sector.outline())
    drawn = np.zeros((height, width), np.uint8)
    cv2.fillPoly(drawn, [np.round(outline).astype(np.int32)], 1)
    x0, y0 = np.clip(np.floor(outline.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(outline.max(axis=0)) + 1, (x0 + 1, y0 + 1), (width, height)).astype(int)
    return FrameCut((int(x0), int(y0), int(x1), int(y1)), drawn[y0:y1, x0:x1], side_px)


class FrameRunner:
    """The runs of one clip as its frames go by."""

    def __init__(self, info: ClipInfo, sector: Sector, spec: FrameSpec) -> None:
        self._spec = spec
        cut = cut_to(sector, spec.side_px)
        self.box = cut.box
        """What of the frame the runs show: x0, y0, x1, y1, the last two exclusive."""
        self._walker = Walker(info, cut, fps=spec.fps, length=spec.num_frames, stride=spec.stride_frames)

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
