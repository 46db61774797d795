"""What all parts of a visit share: the bundle, the device, how often things are repeated."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.bundle import Bundle
from service.engine.base import GraphEngine, Share, Task
from service.engine.cuda import CudaEngine, Tuning
from service.engine.onnx import OnnxEngine
from service.engine.precision import Precision, moving_textures
from tests.bench import bare
from tests.bench.table import Row
from tests.bench.timing import median, timed_s
from tests.engine.on_cpu import CudaEngineOnCpu


@dataclass(frozen=True)
class Visit:
    """`dry`: on the CPU, with few and small batches."""

    dry: bool

    @cached_property
    def bundle(self) -> Bundle:
        return bare.shipped_bundle()

    @property
    def device(self) -> str:
        """`SEASHORE_DEVICE` of what is checked."""
        return "onnx-cpu" if self.dry else "cuda:0"

    @property
    def torch_device(self) -> str:
        return "cpu" if self.dry else "cuda:0"

    @property
    def sizes(self) -> tuple[int, ...]:
        return (4, 1) if self.dry else CudaEngine.sizes

    def of(self, number: int, dry: int) -> int:
        return dry if self.dry else number

    def engine(self, precision: Precision = Precision.FLOAT32, tuning: Tuning | None = None, graphs: "Graphs | None" = None) -> CudaEngine:
        """The engine of `SEASHORE_DEVICE=cuda`, not warm. HEURISTIC unless `tuning` says otherwise."""
        kind = CudaEngineOnCpu if self.dry else CudaEngine
        model, saliency = graphs or (self.bundle.model_onnx, self.bundle.saliency_onnx)
        engine = kind(model, saliency, precision=precision, tuning=tuning or Tuning(search="HEURISTIC"))
        engine.sizes = self.sizes
        return engine

    def on_cpu(self) -> GraphEngine:
        """What every answer is held against."""
        return OnnxEngine(self.bundle.model_onnx, self.bundle.saliency_onnx, share=Share.alone())

    def patches(self, number: int) -> NDArray[np.uint8]:
        textures = moving_textures(self.bundle.input_spec.patch_shape)
        return np.concatenate([textures] * -(-number // len(textures)))[:number]

    def speed(self, work: Callable[[], object], patches: int) -> float:
        """Patches a second: the median of several calls of `work`, which does that many."""
        return patches / median(timed_s(work, times=self.of(30, 2), warm_up=self.of(5, 1)))

    def engine_speed(self, engine: GraphEngine, task: Task, size: int) -> float:
        patches = self.patches(size)
        if task is Task.CLASSIFY:
            return self.speed(lambda: engine.logits(patches), size)
        pixels = patches.astype(np.float32)
        return self.speed(lambda: engine.logits_and_gradients(pixels), size)


Graphs = tuple[Path, Path]


def tried(what: str, figures: Callable[[], tuple[str, ...]], columns: int) -> Row:
    """A row, or why there is none: on the day nobody can mend a part, and the others must not be lost with it."""
    print(f"... {what}", file=sys.stderr, flush=True)
    try:
        return Row(what, figures())
    except Exception as error:
        return failed(what, error, columns)


def failed(what: str, error: Exception, columns: int) -> Row:
    detail = getattr(error, "log_detail", "") or ""
    said = f"failed: {type(error).__name__}: {error} {detail}".replace("|", "/").replace("\n", " ")
    print(said, file=sys.stderr, flush=True)
    return Row(what, (said[:300], *[""] * (columns - 1)))


def has_failed(row: Row) -> bool:
    return row.figures[0].startswith(("failed", "NO"))


def find_nvidia_libraries() -> None:
    """Start this program again with CUDA and cuDNN where the linker looks: their packages lie beside torch, not beside ONNX Runtime."""
    folders = sorted({str(path.parent) for root in sys.path for path in _libraries(Path(root))})
    known = os.environ.get("LD_LIBRARY_PATH", "")
    if folders and not all(folder in known for folder in folders):
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, known]).rstrip(os.pathsep)
        os.execv(sys.executable, [sys.executable, "-m", "tests.gpu_visit", *sys.argv[1:]])


def _libraries(root: Path) -> Iterator[Path]:
    yield from (root / "nvidia").glob("*/lib/lib*.so.*")
