"""What the pipeline needs of whatever runs the graph."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one bundle's graphs on one device. Any number of patches a call; batching is the engine's business."""

    @property
    def device(self) -> str:
        """Where the work is really done: "cpu (OpenVINO)", "cpu (ONNX Runtime)", "cuda:0 (ONNX Runtime)"."""
        ...

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Patches (N, C, T, h, w) of grey levels -> logits (N,), positive for sliding. N may be 0.

        Raises: EngineFailed.
        """
        ...

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixels (N, C, T, h, w) in 0..255 -> logits (N,) and d logit / d grey level (N, C, T, h, w).

        Raises: EngineFailed.
        """
        ...
