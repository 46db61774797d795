"""TensorRT within ONNX Runtime, where it is installed: compiles each batch size for this very GPU, in minutes, and keeps what it made."""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from service.engine.cuda import ConvSearch, CudaEngine, Tuning
from service.engine.nvidia import UNKNOWN, gpu_name, preload_tensorrt, tensorrt_version
from service.engine.precision import Precision
from service.errors import EngineFailed

WORKSPACE_BYTES = 2**31
"""Scratch memory a layer may ask for while it is compiled and run."""

_log = logging.getLogger(__name__)


class TensorRtEngine(CudaEngine):
    """As `CudaEngine`, compiled. What TensorRT does not take runs on CUDA, never on the CPU without a word."""

    runtime = "TensorRT"
    provider = "TensorrtExecutionProvider"

    def __init__(
        self,
        model_onnx: Path,
        saliency_onnx: Path | None,
        *,
        gpu: int = 0,
        precision: Precision = Precision.FLOAT32,
        cache: Path | None = None,
    ) -> None:
        """`cache`: folder of what was compiled, for all GPUs, versions and models; the user's cache folder unless given."""
        self._cache = cache or user_cache()
        # TensorRT chooses its convolutions itself, and runs one batch of a session at a time.
        super().__init__(model_onnx, saliency_onnx, gpu=gpu, precision=precision, tuning=Tuning(search="HEURISTIC"))

    @property
    def device(self) -> str:
        return f"cuda:{self._gpu} (TensorRT{self.precision.mark})"

    def _offered(self, precision: Precision) -> Precision:
        return precision

    def _prepare(self) -> None:
        available = self._ort.get_available_providers()
        if self.provider not in available:
            raise EngineFailed("This ONNX Runtime is built without TensorRT.", log_detail=f"providers: {available}")
        self._ort.preload_dlls()
        preload_tensorrt()
        if tensorrt_version() == UNKNOWN:  # ONNX Runtime would say so too, with an empty folder left behind
            raise EngineFailed(self._not_started(), log_detail="no libnvinfer")

    def _not_started(self) -> str:
        return "TensorRT could not be started: are a GPU with its driver, CUDA, cuDNN and TensorRT 10 there?"

    def _providers(self, path: Path, search: ConvSearch) -> list[Any]:
        folder = self._cache / cache_key(path, gpu_name(self._gpu), self._ort.__version__, tensorrt_version(), self.precision)
        if not folder.is_dir():
            _log.info("TensorRT compiles %s for this GPU, which takes minutes; what it makes is kept for the next start.", path.stem)
            folder.mkdir(parents=True, mode=0o700)
        options = tensorrt_options(self._gpu, self.precision, folder)
        return [(self.provider, options), *super()._providers(path, search)]


def tensorrt_options(gpu: int, precision: Precision, folder: Path) -> dict[str, Any]:
    """The TensorRT provider's options.

    No `trt_profile_*_shapes`: each session's graph has its batch size written into it, so least, best and most are one.
    """
    return {
        "device_id": gpu,
        "trt_fp16_enable": precision is Precision.FLOAT16,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_max_workspace_size": WORKSPACE_BYTES,
    }


def cache_key(graph: Path, gpu: str, ort_version: str, tensorrt: str, precision: Precision) -> Path:
    """<GPU>-ort<version>-trt<version>/<sha256 of the graph>-<precision>: what was compiled fits nothing else."""
    with graph.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    machine = re.sub(r"[^A-Za-z0-9.]+", "_", f"{gpu} ort{ort_version} trt{tensorrt}")
    return Path(machine) / f"{sha256}-{precision}"


def user_cache() -> Path:
    """Where the XDG base directory specification puts what a program can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seashore" / "tensorrt"
