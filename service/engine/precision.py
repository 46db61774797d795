"""How exactly a GPU calculates, and whether it may: a rounded engine must answer as an exact one does."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Engine, PatchShape


class Precision(StrEnum):
    """Of what is multiplied; sums, inputs and answers are float32 in all of them."""

    FLOAT32 = "float32"
    TF32 = "tf32"
    """10 bits of mantissa instead of 23, float32's range. Ampere and later."""
    FLOAT16 = "float16"
    """10 bits, and nothing above 65 504."""

    @property
    def mark(self) -> str:
        """What an engine's `device` says of it; float32 goes without saying."""
        return "" if self is Precision.FLOAT32 else f", {self.name if self is Precision.TF32 else 'FP16'}"


LOGIT_LIMIT = 0.02
"""Furthest a logit may be from the exact one: half a hundredth of a probability at most, a quarter of what the golden clip is allowed."""
GRADIENT_LIMIT = 0.05
"""Furthest a patch's gradient may be from the exact one, as a share of its length: the two then correlate by 0.998 or more.

Both limits leave room for TF32. With the inputs of every convolution rounded to its 10 bits (in torch, on a CPU; no GPU was at hand)
the shipped network's logits moved by 0.001 at most, gradients by 0.5 % in the median and 2.6 % at most: a ReLU or a maximum that
changes sides takes a share of the gradient with it. With float16 weights logits moved by 0.0017.
"""
NUM_PATCHES = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """Between a rounded engine and an exact one, over the patches where they differ most."""

    logit: float
    gradient: float
    """Length of the difference, as a share of the exact gradient's."""

    @property
    def is_small(self) -> bool:
        """False also where one is not a number."""
        return self.logit <= LOGIT_LIMIT and self.gradient <= GRADIENT_LIMIT


def difference(rounded: Engine, exact: Engine, patch_shape: PatchShape) -> Difference:
    """Both engines' answers to the same patches, by both graphs. Raises: EngineFailed."""
    patches = moving_textures(patch_shape)
    pixels = patches.astype(np.float32)
    logits, gradients = exact.logits_and_gradients(pixels)
    rounded_logits, rounded_gradients = rounded.logits_and_gradients(pixels)
    apart = [rounded.logits(patches) - exact.logits(patches), rounded_logits - logits]
    axes = (1, 2, 3, 4)
    share = np.sqrt(((rounded_gradients - gradients) ** 2).sum(axes) / np.maximum((gradients**2).sum(axes), np.finfo(np.float32).tiny))
    return Difference(float(np.abs(apart).max()), float(share.max()))


def moving_textures(patch_shape: PatchShape) -> NDArray[np.uint8]:
    """(16, C, T, h, w): speckle of 3 px that slides by 0 to 15 px over the patch, each patch a little further and fainter.

    White noise would be the same to a network at every speed, and say nothing of how it rounds what it is asked about.
    """
    channels, frames, height, width = patch_shape
    rng = np.random.default_rng(0)
    grains = rng.integers(0, 256, (NUM_PATCHES, channels, height // 3 + 1, (width + frames) // 3 + 1)).astype(np.float32)
    texture = grains.repeat(3, axis=2).repeat(3, axis=3)[:, :, :height]
    patches = np.empty((NUM_PATCHES, *patch_shape), np.uint8)
    for k in range(NUM_PATCHES):
        for t in range(frames):
            left = k * t // (max(frames, NUM_PATCHES) - 1)
            patches[k, :, t] = texture[k, :, :, left : left + width] * (1 - k / (2 * NUM_PATCHES))
    return patches
