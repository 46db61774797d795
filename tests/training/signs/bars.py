"""Clips whose sign anybody can see: a bright bar from top to bottom of a grey picture, in some of the frames or in all."""

from dataclasses import dataclass, replace

import numpy as np

from service.cine.clip import Clip
from service.cine.frame_spec import FrameSpec
from training.array_clip import ArrayClip
from training.signs.preset import Preset, read_preset
from training.signs.sources import Truths

FPS = 30.0


@dataclass(frozen=True, slots=True)
class Bar:
    """Clip `number` of a patient of its own, 24 frames of 64x64; every other one shows the bar, from frame `first` on."""

    number: int
    first: int = 0
    part: str = ""

    @property
    def patient(self) -> str:
        return f"patient-{self.number}"

    @property
    def is_shown(self) -> bool:
        return self.number % 2 == 0

    def identity(self) -> str:
        return f"bar {self.number} {self.first}"

    def open(self) -> tuple[Clip, Truths]:
        grey = np.random.default_rng(self.number).integers(60, 90, (24, 64, 64), dtype=np.uint8)
        shown = (np.arange(24) >= self.first) & self.is_shown
        at = 16 + self.number % 24
        grey[shown, :, at : at + 8] = 250
        return ArrayClip(grey, FPS), Truths((int(self.is_shown),), shown, FPS)


def small_preset(**fit: object) -> Preset:
    """C2D+LSTM+A on runs of 8 frames of 16x16, a few epochs."""
    preset = read_preset("blines-c2d-lstm-a", quick=True)
    few = replace(preset.fit, **({"epochs": 6, "batch_size": 4, "learning_rate": 3e-3, "num_threads": 1} | fit))  # type: ignore[arg-type]
    return replace(preset, folds=1, frames=FrameSpec(FPS, 8, 8, 16, "uint8"), fit=few)
