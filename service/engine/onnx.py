"""ONNX Runtime: loaded without its reports, its sessions without their way back to the CPU; and the engine for a CPU without OpenVINO."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from service.engine.base import Figures, GraphEngine, Grey, PatchShape, PatchType, Share
from service.engine.bound import BATCH_AXIS, DTYPES
from service.errors import EngineFailed


def load_library() -> Any:
    """`onnxruntime`. Raises: EngineFailed where it is not installed."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library loads; it reports to Microsoft otherwise
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise EngineFailed("ONNX Runtime is not installed here.", log_detail=repr(error)) from error


def open_session(ort: Any, path: Path, providers: list[Any], *, threads: int, batch: int | None = None) -> Any:
    """A graph on the first of `providers` that starts, for batches of one size where that is given. May raise what the library raises."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of every operator it runs on the CPU
    options.intra_op_num_threads = threads
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH_AXIS, batch)
    # Otherwise, when a provider does not start, the graph is opened on the CPU; and after a device error `run` opens it there again,
    # 50 times slower, and says nothing.
    session = ort.InferenceSession(path, options, providers=providers, enable_fallback=0)
    session.disable_fallback()
    return session


class OnnxEngine(GraphEngine):
    """On the CPU."""

    runtime = "ONNX Runtime"

    def __init__(self, model_onnx: Path, saliency_onnx: Path | None, *, share: Share | None = None) -> None:
        share = share or Share.alone()
        self._ort = load_library()
        self._threads = share.cores_a_stream
        super().__init__(model_onnx, saliency_onnx, streams=share.streams)

    @property
    def device(self) -> str:
        return "cpu (ONNX Runtime)"

    def _open(self, path: Path) -> "_OrtGraph":
        return _OrtGraph(open_session(self._ort, path, ["CPUExecutionProvider"], threads=self._threads))


class _OrtGraph:
    """One session for every batch size: on a CPU nothing is chosen by shape."""

    def __init__(self, session: Any) -> None:
        self._session = session
        (taken,) = session.get_inputs()
        self._name = taken.name
        _, c, t, h, w = taken.shape
        self._patch_shape = (c, t, h, w)
        self._dtype = DTYPES[taken.type]

    @property
    def patch_shape(self) -> PatchShape:
        return self._patch_shape

    @property
    def dtype(self) -> PatchType:
        return self._dtype

    def run(self, batch: Grey) -> Figures:
        figures: Figures = self._session.run(None, {self._name: batch})
        return figures
