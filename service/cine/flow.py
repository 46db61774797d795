"""Optical flow: how far each pixel has moved from one frame to a later one."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Flow = NDArray[np.float32]
FlowField = Callable[[NDArray[np.uint8], NDArray[np.uint8]], Flow]
"""Two frames (h, w) -> px to the right and down from the first to the second, (2, h, w)."""


def dis_flow() -> FlowField:
    """Dense inverse search (Kroeger et al. 2016, arXiv 1603.03590), as OpenCV brings it: no weights, 7 ms for 256x256 on a core."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def field(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Flow:
        moved = search.calc(before, after, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(moved.transpose(2, 0, 1), np.float32)

    return field


def flow_steps(frames: NDArray[np.uint8], field: FlowField, step: int) -> Flow:
    """Frames (T, h, w) -> the flow from each to the one `step` later, (2, T - step, h, w)."""
    if not 1 <= step < len(frames):
        raise ValueError(f"A flow over {step} frames does not fit a run of {len(frames)}.")
    return np.stack([field(before, after) for before, after in zip(frames[:-step], frames[step:], strict=True)], axis=1)
