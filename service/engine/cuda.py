"""The GPU engine: ONNX Runtime on CUDA, a session for each batch size, arrays bound once."""

import logging
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from service.engine.base import Figures, GraphEngine, Grey, PatchShape, PatchType, Task
from service.engine.bound import DTYPES, Bound, BoundBatch, BucketGraph, Lock
from service.engine.nvidia import PageLock, has_tf32
from service.engine.onnx import load_library, open_session
from service.engine.precision import Precision
from service.errors import EngineFailed

ConvSearch = Literal["HEURISTIC", "EXHAUSTIVE", "DEFAULT"]
"""How cuDNN's convolutions are chosen. HEURISTIC asks a table; EXHAUSTIVE times them all, anew for every new input shape."""
TUNING_AT_MOST_S = 4.0
"""First batch of EXHAUSTIVE on the largest bucket. There are four buckets and two graphs, and 60 s until the service must be ready."""
TIMED_BATCHES = 10
CUDA_SIZES = (64, 16, 4, 1)
"""Few: each has a session with its own choice of convolutions and its own activations."""

_NOT_OFFERED = {
    Precision.TF32: "TF32 needs a GPU of compute capability 8.0 or more",
    Precision.FLOAT16: "float16 needs TensorRT (SEASHORE_DEVICE=tensorrt)",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What may make a GPU faster and does not change its answers. `python -m tests.gpu_visit` times all of it; nobody has yet."""

    search: ConvSearch | None = None
    """None: HEURISTIC and EXHAUSTIVE are timed at warm-up, and the faster is kept."""
    streams: int = 1
    """Batches at the same time. With two, one is copied while the other is computed; their activations take twice the memory."""
    graphs: bool = False
    """CUDA graphs: a batch's kernels are launched as one. Runs one batch at a time whatever `streams` says."""


def cuda_options(gpu: int, precision: Precision, search: ConvSearch, *, graphs: bool = False) -> dict[str, Any]:
    """The CUDA provider's options."""
    return {
        "device_id": gpu,
        "cudnn_conv_algo_search": search,
        "use_tf32": int(precision is Precision.TF32),  # on unless it is said otherwise; logits differ from the CPU's by 1e-3
        "arena_extend_strategy": "kSameAsRequested",  # the other doubles its memory each time, in each of eight sessions
        "enable_cuda_graph": int(graphs),
    }


class CudaEngine(GraphEngine):
    """`model.onnx` and `saliency.onnx` on one GPU, or EngineFailed: there is no silent way back to the CPU.

    A precision that it cannot have is float32 (float16 among them: the graphs' weights are float32).
    """

    runtime = "ONNX Runtime"
    provider = "CUDAExecutionProvider"
    sizes = CUDA_SIZES
    batch_cells = 8_000_000

    def __init__(
        self,
        model_onnx: Path,
        saliency_onnx: Path | None,
        *,
        gpu: int = 0,
        precision: Precision = Precision.FLOAT32,
        tuning: Tuning | None = None,
    ) -> None:
        self._ort = load_library()
        self._gpu = gpu
        self._tuning = tuning or Tuning()
        self.precision = self._offered(precision)
        self._searches: dict[Path, ConvSearch] = {}
        self._prepare()
        self._lock = self._page_lock()
        # A CUDA graph belongs to the thread that captured it, and no two threads may touch it.
        self._thread = ThreadPoolExecutor(1, "cuda-graphs") if self._tuning.graphs else None
        self._paths = {Task.CLASSIFY: model_onnx} | ({} if saliency_onnx is None else {Task.EXPLAIN: saliency_onnx})
        super().__init__(model_onnx, saliency_onnx, streams=1 if self._tuning.graphs else self._tuning.streams)

    @property
    def device(self) -> str:
        return f"cuda:{self._gpu} (ONNX Runtime{self.precision.mark})"

    @property
    def patch_shape(self) -> PatchShape:
        return self._model.patch_shape

    def warm_up(self, patch_shape: PatchShape) -> None:
        if self._tuning.search is None and patch_shape == self.patch_shape:
            for task in self.tasks:
                self._settle_search(task)
        super().warm_up(patch_shape)

    def search(self, task: Task) -> ConvSearch:
        """How that graph's convolutions are chosen."""
        return self._search_of(self._paths[task])

    def _offered(self, precision: Precision) -> Precision:
        if precision is Precision.FLOAT32 or (precision is Precision.TF32 and has_tf32(self._gpu)):
            return precision
        _log.warning("%s, so float32 is used.", _NOT_OFFERED[precision])
        return Precision.FLOAT32

    def _prepare(self) -> None:
        available = self._ort.get_available_providers()
        if self.provider not in available:
            raise EngineFailed("This ONNX Runtime is built without CUDA.", log_detail=f"providers: {available}")
        self._ort.preload_dlls()  # CUDA and cuDNN may be Python packages, which the linker does not find by itself

    def _open(self, path: Path) -> BucketGraph:
        return BucketGraph(lambda size: self._session(path, size, self._search_of(path)), self._bind, self.streams, taken_by)

    def _search_of(self, path: Path) -> ConvSearch:
        return self._searches.get(path, self._tuning.search or "HEURISTIC")

    def _session(self, path: Path, size: int, search: ConvSearch) -> Any:
        session = open_session(self._ort, path, self._providers(path, search), threads=1, batch=size)
        running = session.get_providers()
        if running[0] != self.provider:
            raise EngineFailed(self._not_started(), log_detail=f"providers: {running}")
        return session

    def _not_started(self) -> str:
        return "CUDA could not be started: is there a GPU with its driver, CUDA and cuDNN?"

    def _providers(self, path: Path, search: ConvSearch) -> list[Any]:
        options = cuda_options(self._gpu, self.precision, search, graphs=self._tuning.graphs)
        return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]

    def _bind(self, session: Any) -> Bound:
        bound = BoundBatch(self._ort, session, self._memory(), self._lock, keeps_outputs=self._tuning.graphs)
        return bound if self._thread is None else _OnOneThread(bound, self._thread)

    def _memory(self) -> tuple[str, int]:
        return "cuda", self._gpu

    def _page_lock(self) -> Lock:
        return PageLock(int((self._ort.cuda_version or "0").partition(".")[0]), self._gpu).lock

    def _settle_search(self, task: Task) -> None:
        """Time both ways on the largest bucket, keep the faster for all. Raises: EngineFailed, of HEURISTIC alone."""
        path, graph = self._paths[task], self._graph(task)
        size = self.buckets(task)[0]
        batch = np.zeros((size, *graph.patch_shape), graph.dtype)
        heuristic = self._timed(path, "HEURISTIC", batch)
        try:
            exhaustive = self._timed(path, "EXHAUSTIVE", batch)
        except EngineFailed as error:  # of memory: it tries what needs the most
            _log.warning("Convolutions of %s could not be tried one by one; HEURISTIC is kept. %s", path.stem, error.log_detail)
            return
        self._searches[path] = faster(heuristic, exhaustive)
        _log.info(
            "Convolutions of %s in batches of %d: HEURISTIC %.2f ms, EXHAUSTIVE %.2f ms after %.1f s of tuning; %s is kept.",
            path.stem, size, heuristic.batch_s * 1e3, exhaustive.batch_s * 1e3, exhaustive.first_s, self._searches[path],
        )  # fmt: skip
        if isinstance(graph, BucketGraph):
            graph.forget()

    def _timed(self, path: Path, search: ConvSearch, batch: Grey) -> "Timed":
        """Raises: EngineFailed."""
        start_s = time.perf_counter()
        try:
            bound = self._bind(self._session(path, len(batch), search))
            bound.run(batch)
            first_s = time.perf_counter() - start_s
            return Timed(first_s, statistics.median(_seconds(bound, batch) for _ in range(TIMED_BATCHES)))
        except Exception as error:
            raise EngineFailed(f"{self.runtime} failed while it chose how to run the model.", log_detail=repr(error)) from error


@dataclass(frozen=True, slots=True)
class Timed:
    """One way to choose convolutions, on one batch."""

    first_s: float
    """Opening and the first batch, in which the choice is made."""
    batch_s: float
    """Each batch after it."""


def faster(heuristic: Timed, exhaustive: Timed) -> ConvSearch:
    """EXHAUSTIVE where it pays and its tuning ends in time."""
    return "EXHAUSTIVE" if exhaustive.first_s <= TUNING_AT_MOST_S and exhaustive.batch_s < heuristic.batch_s else "HEURISTIC"


def _seconds(bound: Bound, batch: Grey) -> float:
    start_s = time.perf_counter()
    bound.run(batch)
    return time.perf_counter() - start_s


def taken_by(session: Any) -> tuple[tuple[int, ...], PatchType]:
    """Shape (N, C, T, h, w) and type of what an ONNX Runtime session takes."""
    (taken,) = session.get_inputs()
    return tuple(taken.shape), DTYPES[taken.type]


class _OnOneThread:
    """A bound batch that only one thread ever runs."""

    def __init__(self, bound: Bound, thread: ThreadPoolExecutor) -> None:
        self._bound = bound
        self._thread = thread

    def run(self, batch: Grey) -> Figures:
        return self._thread.submit(self._bound.run, batch).result()
