"""ONNX Runtime: the engine for CUDA, and for a CPU without OpenVINO."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from service.engine.base import Figures, GraphEngine, Grey, PatchShape, Share
from service.errors import EngineFailed

ConvSearch = Literal["HEURISTIC", "EXHAUSTIVE", "DEFAULT"]
"""How cuDNN's convolution is chosen. EXHAUSTIVE tries all, again for every new input shape, and warm-up takes minutes."""


class OnnxEngine(GraphEngine):
    runtime = "ONNX Runtime"

    def __init__(
        self,
        model_onnx: Path,
        saliency_onnx: Path,
        *,
        cuda: bool,
        gpu: int = 0,
        conv_search: ConvSearch = "HEURISTIC",
        share: Share | None = None,
    ) -> None:
        """`cuda`: on the GPU of that number, or EngineFailed; there is no silent way back to the CPU. `share` is of the CPU's cores."""
        share = share or Share.alone()
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads; it reports to Microsoft otherwise
        try:
            onnxruntime = import_module("onnxruntime")
        except ImportError as error:
            raise EngineFailed("ONNX Runtime is not installed here.", log_detail=repr(error)) from error
        self._ort: Any = onnxruntime
        self._cuda = cuda
        self._gpu = gpu
        self._threads = share.cores_a_stream
        self._conv_search = conv_search
        if cuda:
            self.sizes = (64, *self.sizes)
            self.batch_cells = 8_000_000
            self._prepare_cuda()
        super().__init__(model_onnx, saliency_onnx, streams=1 if cuda else share.streams)

    @property
    def device(self) -> str:
        return f"cuda:{self._gpu} (ONNX Runtime)" if self._cuda else "cpu (ONNX Runtime)"

    def _prepare_cuda(self) -> None:
        available = self._ort.get_available_providers()
        if "CUDAExecutionProvider" not in available:
            raise EngineFailed("This ONNX Runtime is built without CUDA.", log_detail=f"providers: {available}")
        self._ort.preload_dlls()  # CUDA and cuDNN may be Python packages, which the linker does not find by itself

    def _open(self, path: Path) -> "_OrtGraph":
        options = self._ort.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of every operator it runs on the CPU
        options.intra_op_num_threads = self._threads
        session = self._ort.InferenceSession(path, options, providers=self._providers())
        # After a device error `run` would otherwise open the graph again on the CPU, 50 times slower, and say nothing.
        session.disable_fallback()
        running = session.get_providers()
        if self._cuda and running[0] != "CUDAExecutionProvider":
            raise EngineFailed(
                "CUDA could not be started: is there a GPU with its driver, CUDA and cuDNN?", log_detail=f"providers: {running}"
            )
        return _OrtGraph(session)

    def _providers(self) -> list[Any]:
        if not self._cuda:
            return ["CPUExecutionProvider"]
        options = {
            "device_id": self._gpu,
            "cudnn_conv_algo_search": self._conv_search,
            "use_tf32": 0,  # TF32 keeps 10 bits of the mantissa: logits would differ from the CPU's by 1e-3
        }
        return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


class _OrtGraph:
    def __init__(self, session: Any) -> None:
        self._session = session
        (taken,) = session.get_inputs()
        self._name = taken.name
        _, c, t, h, w = taken.shape
        self._patch_shape = (c, t, h, w)

    @property
    def patch_shape(self) -> PatchShape:
        return self._patch_shape

    def run(self, batch: Grey) -> Figures:
        figures: Figures = self._session.run(None, {self._name: batch})
        return figures
