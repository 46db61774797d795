"""Where and when the answer came from: input gradients, plain or averaged over noisy copies, pooled to a map and a time course."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.findings import PatchSaliency

MAX_PIXELS_PER_CALL = 32_000_000
"""Noisy copies sent to the engine at once, in pixels (128 MB as float32): 296 patches of 2x60x30x30."""

SAMPLES_A_ROUND = 4
"""Noisy copies of a patch between two looks at its map; one batch of the CPU engine."""
SETTLED_CORRELATION = 0.99
"""A patch whose map correlates as much with its map one round before gets no more samples.

On 84 patches of 12 real clips and a phantom 18 of 25 samples were used (mean). A patch's map then correlated 0.993 with that of all 25
(median; 0.980 at least), all maps of a clip together 0.991 at least, and they were at most 3 % brighter. A limit of 0.985 used 15 samples,
and the maps of 3 patches in 48 fell below 0.98.
"""

FULL_SCALE_PERCENTILE = 99.5
"""What counts as 1. Not the maximum: one pixel at a patch's edge is often ten times the rest and would leave all else dark."""


class Gradients(Protocol):
    """Whatever gives gradients: an engine, or a turn at one."""

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixels (N, C, T, h, w) in 0..255 -> logits (N,) and d logit / d grey level (N, C, T, h, w). Raises: EngineFailed."""
        ...


def vanilla(engine: Gradients, patches: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patches (N, C, T, h, w) -> logits (N,) and d logit / d grey level (N, C, T, h, w).

    The logits are those that classifying the patches gives, to 1e-5: nobody need ask for them apart. Raises: EngineFailed.
    """
    return engine.logits_and_gradients(patches.astype(np.float32))


def smoothgrad(
    engine: Gradients,
    patches: NDArray[np.uint8],
    *,
    samples: int,
    noise_grey_levels: float,
    seed: int,
    settled: float | None = SETTLED_CORRELATION,
) -> NDArray[np.float32]:
    """The mean gradient (N, C, T, h, w) over up to `samples` noisy copies of each patch (Smilkov et al. 2017, arXiv:1706.03825).

    The noise is Gaussian, `noise_grey_levels` its standard deviation, and is not clipped to 0..255. A patch gets no more copies
    once its map (the largest |gradient| over channels and time) correlates at least `settled` with that of a round before; with
    None each gets all. Sample k carries the same noise in every patch, and each patch is judged by itself: its saliency depends
    neither on the patches it came with nor on the batches they were sent in.

    Raises: EngineFailed.
    """
    if samples < 1:
        raise ValueError(f"SmoothGrad needs at least 1 sample, not {samples}.")
    noise = [_noise(patches.shape[1:], noise_grey_levels, seed, k) for k in range(samples)]
    means = np.empty(patches.shape, np.float32)
    for part in _parts(patches):
        means[part] = _Smoothing(patches[part]).mean(engine, noise, settled)
    return means


def _parts(patches: NDArray[np.uint8]) -> Iterator[slice]:
    """Patches whose copies of one round go into one call."""
    size = max(1, MAX_PIXELS_PER_CALL // (SAMPLES_A_ROUND * max(1, math.prod(patches.shape[1:]))))
    for start in range(0, len(patches), size):
        yield slice(start, min(start + size, len(patches)))


class _Smoothing:
    """Sums the gradients of noisy copies, round by round, of those patches that have not settled."""

    def __init__(self, patches: NDArray[np.uint8]) -> None:
        self._patches = patches
        self._unsettled = list(range(len(patches)))
        # Single precision: 25 gradients of one size lose nothing that a map of 8 bits could show.
        self._sums = np.zeros(patches.shape, np.float32)
        self._taken = np.zeros(len(patches), np.int64)
        self._maps: dict[int, NDArray[np.float32]] = {}
        # One for all rounds: memory taken anew costs as much as adding the noise.
        self._copies = np.empty((len(patches) * SAMPLES_A_ROUND, *patches.shape[1:]), np.float32)

    def mean(self, engine: Gradients, noise: list[NDArray[np.float32]], settled: float | None) -> NDArray[np.float32]:
        for first in range(0, len(noise), SAMPLES_A_ROUND):
            if self._unsettled:
                self._take(engine, noise[first : first + SAMPLES_A_ROUND])
                if settled is not None:
                    self._unsettled = [n for n in self._unsettled if not self._has_settled(n, settled)]
        self._sums /= self._taken.reshape(-1, 1, 1, 1, 1).astype(np.float32)
        return self._sums

    def _take(self, engine: Gradients, noise: list[NDArray[np.float32]]) -> None:
        copies = self._copies[: len(self._unsettled) * len(noise)]
        places = [(n, one) for n in self._unsettled for one in noise]
        for copy, (n, one) in zip(copies, places, strict=True):
            np.add(self._patches[n], one, out=copy)
        _, gradients = engine.logits_and_gradients(copies)
        for gradient, (n, _) in zip(gradients, places, strict=True):
            self._sums[n] += gradient
            self._taken[n] += 1

    def _has_settled(self, n: int, settled: float) -> bool:
        before, self._maps[n] = self._maps.get(n), np.abs(self._sums[n]).max(axis=(0, 1))
        return before is not None and _correlation(before, self._maps[n]) >= settled


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Pearson's, over the pixels; 1 for maps that are both flat, which show the same."""
    one, other = one - one.mean(), other - other.mean()
    both = math.sqrt(float((one * one).sum()) * float((other * other).sum()))
    return float((one * other).sum()) / both if both > 0.0 else float(not (one.any() or other.any()))


@lru_cache(maxsize=32)
def _noise(shape: tuple[int, ...], grey_levels: float, seed: int, sample: int) -> NDArray[np.float32]:
    """Kept: drawing it anew costs a third of a pass. 25 samples of 2x60x30x30 are 11 MB."""
    noise = np.random.default_rng((seed, sample)).standard_normal(shape, dtype=np.float32) * np.float32(grey_levels)
    noise.setflags(write=False)
    return noise


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
