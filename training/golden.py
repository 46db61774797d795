"""The clip that a bundle carries, and answers the same wherever it is opened: a phantom, so that it may be given away."""

from pathlib import Path

from training.phantom.presets import PRESETS
from training.phantom.simulate import simulate

PRESET, SEED = "present", 3


def write_golden_clip(folder: Path) -> Path:
    clip = folder / "golden.mp4"
    simulate(PRESETS[PRESET], seed=SEED).write(clip)
    return clip
