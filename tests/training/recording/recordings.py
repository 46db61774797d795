"""Recordings whose frames can be told apart at a glance."""

from dataclasses import replace

import numpy as np

from training.phantom import simulate
from training.phantom.presets import PRESETS
from training.recording import Recording


def numbered(count: int, fps: float = 30.0, step: int = 1) -> Recording:
    """Frame n is 8 x 8 pixels of grey level n * step."""
    return Recording.at(np.repeat(np.arange(0, count * step, step, dtype=np.uint8), 64).reshape(count, 8, 8), fps)


def shown(recording: Recording) -> list[int]:
    """The grey level of each frame's first pixel."""
    return [int(frame[0, 0]) for frame in recording.grey]


def speckled() -> Recording:
    """Five frames of a phantom, 64 x 128."""
    spec = replace(PRESETS["linear_present"], width_px=128, height_px=64, mm_per_px=0.5, duration_s=0.17, num_beams=96, num_depths=96)
    return Recording.at(simulate(spec).frames, 30.0)
