"""Where and when the answer came from: input gradients, plain or averaged over noisy copies, pooled to a map and a time course."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Engine
from service.findings import PatchSaliency

MAX_PIXELS_PER_CALL = 32_000_000
"""Noisy copies sent to the engine at once, in pixels (128 MB as float32): 592 patches of 60x30x30."""

FULL_SCALE_PERCENTILE = 99.5
"""What counts as 1. Not the maximum: one pixel at a patch's edge is often ten times the rest and would leave all else dark."""


def vanilla(engine: Engine, patches: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patches (N, C, T, h, w) -> logits (N,) and d logit / d grey level (N, C, T, h, w).

    Raises: EngineFailed.
    """
    return engine.logits_and_gradients(patches.astype(np.float32))


def smoothgrad(
    engine: Engine,
    patches: NDArray[np.uint8],
    *,
    samples: int,
    noise_grey_levels: float,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean gradient over `samples` noisy copies of each patch (Smilkov et al. 2017, arXiv:1706.03825).

    Returns the logits (N,) of the patches *as they are*, so that the answer does not depend on how it is explained,
    and the mean gradient (N, C, T, h, w). The noise is Gaussian, `noise_grey_levels` its standard deviation, and is
    not clipped to 0..255. Sample k carries the same noise in every patch: a patch's saliency depends neither on the
    patches it came with nor on the batches they were sent in.

    Raises: EngineFailed.
    """
    if samples < 1:
        raise ValueError(f"SmoothGrad needs at least 1 sample, not {samples}.")
    total = np.zeros(patches.shape, np.float64)
    for part, first, last in _calls(patches, samples):
        noise = np.stack([_noise(patches.shape[1:], noise_grey_levels, seed, k) for k in range(first, last)])
        noisy = patches[part][None] + noise[:, None]  # (samples, N, C, T, h, w)
        _, gradients = engine.logits_and_gradients(noisy.reshape(-1, *patches.shape[1:]))
        total[part] += gradients.reshape(noisy.shape).sum(axis=0, dtype=np.float64)
    return engine.logits(patches), (total / samples).astype(np.float32)


def _calls(patches: NDArray[np.uint8], samples: int) -> Iterator[tuple[slice, int, int]]:
    """Which patches and which samples go into each engine call: full batches when patches are few, bounded when many."""
    copies = max(1, MAX_PIXELS_PER_CALL // max(1, math.prod(patches.shape[1:])))
    for start in range(0, len(patches), copies):
        part = slice(start, min(start + copies, len(patches)))
        samples_a_call = max(1, copies // (part.stop - part.start))
        for first in range(0, samples, samples_a_call):
            yield part, first, min(first + samples_a_call, samples)


def _noise(shape: tuple[int, ...], grey_levels: float, seed: int, sample: int) -> NDArray[np.float32]:
    unit = np.random.default_rng((seed, sample)).standard_normal(shape, dtype=np.float32)
    return unit * np.float32(grey_levels)


def pool(gradients: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gradients (N, C, T, h, w) -> maps (N, h, w) and time courses (N, T), in units of the gradient.

    |gradient| is pooled over the channels by maximum (as in the SmoothGrad paper, for colours). The map is its
    *largest* value over time: sliding shows in a few frames, and a mean over two seconds would wash them out.
    The time course is its *mean* over the patch, so that one bright pixel does not stand for a whole frame.
    Pool a clip part by part and `normalise` once, so that memory need not hold all its gradients.
    """
    num_patches, _, num_frames, height, width = gradients.shape
    maps = np.empty((num_patches, height, width), np.float32)
    times = np.empty((num_patches, num_frames), np.float32)
    for n, gradient in enumerate(gradients):
        magnitude = np.abs(gradient).max(axis=0)  # (T, h, w)
        magnitude.max(axis=0, out=maps[n])
        magnitude.mean(axis=(1, 2), out=times[n])
    return maps, times


def normalise(maps: NDArray[np.float32], times: NDArray[np.float32]) -> tuple[PatchSaliency, ...]:
    """Maps (N, h, w) and time courses (N, T) of *all* patches of a clip -> their saliency, 0..1.

    One scale for the whole clip, so that patches and windows compare: 1 is the 99.5th percentile of all maps
    (of all time courses), and what lies above is 1. A model that did not look anywhere leaves zeros.
    """
    return tuple(PatchSaliency(map=m, time=t) for m, t in zip(_unit(maps), _unit(times), strict=True))


def from_gradients(gradients: NDArray[np.float32]) -> tuple[PatchSaliency, ...]:
    """Gradients (N, C, T, h, w) of all patches of a clip -> the saliency of each."""
    return normalise(*pool(gradients))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if values.size == 0:
        return values
    full_scale = float(np.percentile(values, FULL_SCALE_PERCENTILE)) or float(values.max())
    if full_scale <= 0.0:
        return np.zeros_like(values)
    shares: NDArray[np.float32] = np.clip(values / np.float32(full_scale), 0.0, 1.0)
    return shares
