"""The CPU engine: OpenVINO runs 3-D convolutions 4 times as fast as ONNX Runtime does on a CPU (measured)."""

import sys
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from service.engine.base import Figures, GraphEngine, Grey, PatchType, Share
from service.engine.bound import BucketGraph
from service.errors import EngineFailed


class OpenVinoEngine(GraphEngine):
    runtime = "OpenVINO"

    def __init__(self, model_onnx: Path, saliency_onnx: Path | None, *, share: Share | None = None) -> None:
        share = share or Share.alone()
        if share.cores_a_stream == 1:
            self.sizes = (4, 2, 1)  # a batch's activations stay in a core's own cache: 605 patches a second, 539 in batches of 16
        with _first:
            self._core = _core(_library())
        self._config = {
            # With AMX or AVX512-BF16 the plug-in would round to bfloat16 by itself, and figures would differ between machines.
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": share.streams,
            # The plug-in counts the machine's cores, not the container's share of them.
            "INFERENCE_NUM_THREADS": share.cores,
            # Pinned threads of two processes wait for the same core while others are idle.
            "ENABLE_CPU_PINNING": False,
        }
        super().__init__(model_onnx, saliency_onnx, streams=share.streams)

    @property
    def device(self) -> str:
        return "cpu (OpenVINO)"

    def _open(self, path: Path) -> BucketGraph:
        """Compiled for each batch size. With the size left open the plug-in fuses fewer layers: 3.4 ms a patch and not 2.7, and with its
        gradient 7.5 ms and not 6.2 (one core)."""
        return BucketGraph(partial(self._compiled, path), _Request, self.streams, _taken_by)

    def _compiled(self, path: Path, size: int) -> Any:
        model = self._core.read_model(path)
        _, *patch_shape = model.input(0).partial_shape
        model.reshape([size, *(side.get_length() for side in patch_shape)])
        return self._core.compile_model(model, "CPU", self._config)


def _library() -> Any:
    """Raises: EngineFailed where it is not installed."""
    # Where openvino-telemetry is installed, importing OpenVINO reports to Google. It does without when it cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return import_module("openvino")
    except ImportError as error:
        raise EngineFailed("OpenVINO is not installed here.", log_detail=repr(error)) from error


@cache
def _core(library: Any) -> Any:
    """One for the whole process, never given back.

    On processors with AMX each Core's CPU plug-in gives its thread a stack for signal handlers (sigaltstack), and puts back the one
    before when it goes. When the first of two Cores goes before the second, that one is unmapped by then, and the next signal that
    Python handles, Ctrl-C say, ends the process with SIGSEGV (openvino 2026.4.1).
    """
    # The binding looks numpy up when it first meets an array, in a static initialiser that lets go of the GIL: two threads that
    # come there together wait for each other for ever, and the whole process with them.
    library.Tensor(np.zeros(1, np.float32))
    return library.Core()


_first = Lock()
"""Held by whoever may be the first in this process to use OpenVINO."""


def _taken_by(compiled: Any) -> tuple[tuple[int, ...], PatchType]:
    taken = compiled.input(0)
    return tuple(taken.shape), taken.element_type.to_dtype().type


class _Request:
    """One stream's way through one compiled graph."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    def run(self, batch: Grey) -> Figures:
        outputs = self._request.infer([batch], share_inputs=True, share_outputs=True)
        # Copies: the next `infer` writes its outputs into the same memory.
        return [np.array(output) for output in outputs.values()]
