"""A first look at a clip: a few frames spread over it, and what they say together."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.survey import NUM_STILLS, SurveyedClip, spread


@dataclass(frozen=True, slots=True)
class Overview:
    """Frames spread evenly over a clip, and their statistics pixel by pixel."""

    frames: NDArray[np.uint8]
    """(K, H, W), K >= 1, in the order shown."""
    mean: NDArray[np.float32]
    """(H, W)"""
    brightest: NDArray[np.uint8]
    """Largest grey level of each pixel, (H, W)."""
    change: NDArray[np.float32]
    """Mean absolute difference of a pixel from one surveyed frame to the next, (H, W); 0 for one frame."""

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])


def look_over(clip: Clip, num_frames: int = NUM_STILLS) -> Overview:
    """Look at `num_frames` frames spread over the clip: all of them when it has fewer, fewer when they are very large."""
    info = clip.info
    wanted = spread(info.num_frames, info.width, info.height, num_frames)
    stills = clip.stills if isinstance(clip, SurveyedClip) else {}
    if wanted <= stills.keys():
        frames = np.stack([stills[index] for index in sorted(wanted)])
    else:
        frames = np.stack([frame for index, frame in enumerate(clip.frames()) if index in wanted])
    return Overview(frames=frames, mean=_mean(frames), brightest=frames.max(axis=0), change=_change(frames))


def _mean(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    total = np.zeros(frames.shape[1:], np.float32)
    for frame in frames:
        cv2.accumulate(frame, total)
    return total / np.float32(len(frames))


def _change(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    total = np.zeros(frames.shape[1:], np.float32)
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        cv2.accumulate(cv2.absdiff(before, after), total)
    return total / np.float32(max(len(frames) - 1, 1))
