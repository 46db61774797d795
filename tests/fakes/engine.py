"""An engine whose answers are computed in the head: logit = bias + weights . pixels."""

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Task


class LinearEngine:
    """logit = bias + sum(weights * pixels); the gradient is `weights` (C, T, h, w) whatever the pixels.

    `batch_sizes` lists how many patches each `logits_and_gradients` call held.
    """

    device = "cpu (fake)"
    streams = 1

    def __init__(self, weights: NDArray[np.float32], bias: float = 0.0) -> None:
        self.weights = weights.astype(np.float32)
        self.bias = bias
        self.batch_sizes: list[int] = []

    def buckets(self, task: Task) -> tuple[int, ...]:
        return 16, 8, 4, 2, 1

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._logits(patches.astype(np.float32))

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert pixels.dtype == np.float32
        self.batch_sizes.append(len(pixels))
        return self._logits(pixels), np.broadcast_to(self.weights, pixels.shape).copy()

    def _logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = (pixels * self.weights).sum(axis=(1, 2, 3, 4)) + np.float32(self.bias)
        return logits


class SquareEngine:
    """logit = sum(pixels ** 2) / 2; the gradient is the pixels themselves, so noise shows in it."""

    device = "cpu (fake)"

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.logits_and_gradients(patches.astype(np.float32))[0]

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return (pixels**2 / 2).sum(axis=(1, 2, 3, 4)), pixels.copy()
