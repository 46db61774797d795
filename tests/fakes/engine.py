"""Engines whose answers are computed in the head; and one that can be broken."""

import threading
import time

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Engine, Task
from service.errors import EngineFailed


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


class FragileEngine:
    """logit = sum of the patch plus `lies_by`; the gradient is one everywhere. Can hang, be lost, be slow; POISON fails its batch."""

    POISON = 255
    streams = 1

    def __init__(self, *, device: str = "cpu (fake)", is_lost: bool = False, hangs: bool = False, lies_by: float = 0.0) -> None:
        self.device = device
        self.lies_by = lies_by
        self.takes_s = 0.0
        self.num_running = 0
        self._is_lost = is_lost
        self._gate = threading.Event()
        if not hangs:
            self._gate.set()

    def hang(self) -> None:
        self._gate.clear()

    def lose(self) -> None:
        """As CUDA is after one error: every call raises."""
        self._is_lost = True

    def release(self) -> None:
        self._gate.set()

    def buckets(self, task: Task) -> tuple[int, ...]:
        return 4, 2, 1

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.num_running += 1
        try:
            self._gate.wait(60)
            time.sleep(self.takes_s)
            if self._is_lost:
                raise EngineFailed("ONNX Runtime failed while it ran the model.", log_detail="CUDA error 700")
            if (patches[:, 0, 0, 0, 0] == self.POISON).any():
                raise EngineFailed("This patch is poison.")
            return np.asarray(patches.sum(axis=(1, 2, 3, 4)), np.float32) + np.float32(self.lies_by)
        finally:
            self.num_running -= 1

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.logits(pixels.astype(np.uint8)), np.ones_like(pixels)


class BreakableEngine:
    """Another engine, real until it is broken: then each call hangs or raises. `num_failed` counts those that raised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gate = threading.Event()
        self._is_lost = False
        self.num_failed = 0
        self.mend()

    def hang(self) -> None:
        self._gate.clear()

    def lose(self) -> None:
        self._is_lost = True

    def mend(self) -> None:
        self._is_lost = False
        self._gate.set()

    @property
    def streams(self) -> int:
        return self._engine.streams

    @property
    def device(self) -> str:
        return self._engine.device

    def buckets(self, task: Task) -> tuple[int, ...]:
        return self._engine.buckets(task)

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._break()
        return self._engine.logits(patches)

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self._break()
        return self._engine.logits_and_gradients(pixels)

    def _break(self) -> None:
        self._gate.wait(120)
        if self._is_lost:
            self.num_failed += 1
            raise EngineFailed("OpenVINO failed while it ran the model.")
