"""Phantoms that several test files look at, each simulated once a run."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.phantom import Phantom, PhantomSpec, simulate
from training.phantom.presets import PRESETS


@cache
def preset_phantom(name: str, duration_s: float = 2.5, seed: int = 0) -> Phantom:
    """A preset of `training.phantom.presets`, 640x480, 30 fps. Shared: do not write to its arrays (they refuse)."""
    phantom = simulate(replace(PRESETS[name], duration_s=duration_s), seed)
    phantom.frames.flags.writeable = False
    return phantom


@cache
def small_phantom(name: str, duration_s: float = 1.0, seed: int = 0) -> Phantom:
    """The same at 320x240, quicker to make and to decode."""
    return _small(PRESETS[name], duration_s, seed)


def frozen(phantom: Phantom) -> NDArray[np.uint8]:
    """Its middle frame, repeated: a clip in which nothing moves, noise included."""
    return np.repeat(phantom.frames[len(phantom.frames) // 2][None], len(phantom.frames), axis=0)


def _small(spec: PhantomSpec, duration_s: float, seed: int) -> Phantom:
    half = replace(spec, width_px=320, height_px=240, mm_per_px=2 * spec.mm_per_px, top_px=spec.top_px / 2, num_beams=128, num_depths=240)
    phantom = simulate(replace(half, duration_s=duration_s), seed)
    phantom.frames.flags.writeable = False
    return phantom
