"""Patches a second: every way to run the graphs on this GPU, and torch's ways beside them."""

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from service.engine.base import GraphEngine, Task
from service.engine.cuda import ConvSearch, Tuning
from service.engine.precision import Precision
from service.engine.select import open_engine
from tests.bench import bare
from tests.bench.table import Row, Section, figure
from tests.gpu_visit import peers
from tests.gpu_visit.half import write_half
from tests.gpu_visit.visit import Visit, tried

WITH_GRAPHS = Tuning("HEURISTIC", graphs=True)
SEARCHES: tuple[ConvSearch, ...] = ("HEURISTIC", "EXHAUSTIVE")
Speeds = Callable[[int], float]
"""Patches a second in batches of a size."""


def measure(visit: Visit) -> list[Section]:
    return [_buckets(visit, Task.CLASSIFY), _buckets(visit, Task.EXPLAIN), _streams(visit), _saliency(visit)]


def _buckets(visit: Visit, task: Task) -> Section:
    ways = _classifying(visit) if task is Task.CLASSIFY else _explaining(visit)
    columns = tuple(f"batches of {size}" for size in visit.sizes)
    rows = [_row(visit, what, way) for what, way in ways]
    title = "Patches a second, " + ("model.onnx" if task is Task.CLASSIFY else "saliency.onnx: logit and gradient")
    return Section(title, columns, tuple(rows), ("One batch at a time, from the host's memory and back to it.",))


def _row(visit: Visit, what: str, way: Callable[[], Speeds]) -> Row:
    def figures() -> tuple[str, ...]:
        speed = way()
        return tuple(figure(speed(size), digits=0) for size in visit.sizes)

    return tried(what, figures, len(visit.sizes))


def _of(visit: Visit, task: Task, opened: Callable[[], GraphEngine]) -> Callable[[], Speeds]:
    def way() -> Speeds:
        engine = opened()
        return lambda size: visit.engine_speed(engine, task, size)

    return way


def _engines(visit: Visit, task: Task) -> Iterator[tuple[str, Callable[[], Speeds]]]:
    for precision in (Precision.FLOAT32, Precision.TF32):
        for search in SEARCHES:
            yield f"CUDA, {precision}, {search}", _of(visit, task, partial(visit.engine, precision, Tuning(search)))
        yield f"CUDA, {precision}, HEURISTIC, CUDA graphs", _of(visit, task, partial(visit.engine, precision, WITH_GRAPHS))
    if not visit.dry:
        for precision in (Precision.FLOAT32, Precision.FLOAT16):
            yield f"TensorRT, {precision}", _of(visit, task, partial(_tensorrt, visit, precision))


def _classifying(visit: Visit) -> Iterator[tuple[str, Callable[[], Speeds]]]:
    yield from _engines(visit, Task.CLASSIFY)
    yield "CUDA, float32, HEURISTIC, without I/O binding", lambda: _unbound(visit)
    yield "CUDA, float16 graph (made here, not shipped), HEURISTIC", lambda: _half(visit, Tuning("HEURISTIC"))
    yield "CUDA, float16 graph, CUDA graphs", lambda: _half(visit, WITH_GRAPHS)
    yield "torch eager, float32", lambda: lambda size: visit.speed(peers.eager(visit, size), size)
    said = "float32 (dry run)" if visit.dry else "float16, channels-last"
    yield f"torch eager, {said}", lambda: lambda size: visit.speed(peers.half(visit, size), size)
    for mode in peers.COMPILE_MODES:
        yield f"torch.compile ({mode}), {said}", partial(_compiled, visit, mode)


def _compiled(visit: Visit, mode: str) -> Speeds:
    """In the two largest sizes: each is compiled for itself, in a minute or so."""

    def speed(size: int) -> float:
        return visit.speed(peers.compiled(visit, size, mode), size) if size in visit.sizes[:2] else math.nan

    return speed


def _explaining(visit: Visit) -> Iterator[tuple[str, Callable[[], Speeds]]]:
    yield from _engines(visit, Task.EXPLAIN)
    yield "torch autograd, float32", lambda: lambda size: visit.speed(peers.autograd_of(visit, size), size)


def _tensorrt(visit: Visit, precision: Precision) -> GraphEngine:
    return open_engine(visit.bundle.model_onnx, visit.bundle.saliency_onnx, device="tensorrt", precision=precision)


def _unbound(visit: Visit) -> Speeds:
    """`InferenceSession.run` on arrays that lie where they lie; a session for each size, as the engine has."""
    engine = visit.engine()

    def speed(size: int) -> float:
        session = engine._session(visit.bundle.model_onnx, size, "HEURISTIC")
        patches = visit.patches(size)
        return visit.speed(lambda: session.run(None, {"patches": patches}), size)

    return speed


def _half(visit: Visit, tuning: Tuning) -> Speeds:
    with tempfile.TemporaryDirectory() as folder:
        graph = write_half(visit.bundle.model_onnx, Path(folder) / "half.onnx")
        engine = visit.engine(tuning=tuning, graphs=(graph, visit.bundle.saliency_onnx))
        for size in visit.sizes:
            engine.logits(visit.patches(size))  # sessions are opened while the graph is there
    return lambda size: visit.engine_speed(engine, Task.CLASSIFY, size)


def _streams(visit: Visit) -> Section:
    """The bare loop, as `make bench` has it."""

    def figures(streams: int) -> tuple[str, ...]:
        engine = visit.engine(tuning=Tuning("HEURISTIC", streams))
        return tuple(_loop(visit, engine, task) for task in Task)

    rows = [tried(f"{streams}", partial(figures, streams), len(Task)) for streams in (1, 2, 3)]
    return Section("Streams: patches a second in the largest batches, float32", ("model.onnx", "saliency.onnx"), tuple(rows))


def _loop(visit: Visit, engine: GraphEngine, task: Task) -> str:
    number = engine.streams * engine.buckets(task)[0] * visit.of(8, 1)
    patches = visit.patches(number)
    work = patches if task is Task.CLASSIFY else patches.astype(np.float32)
    return figure(visit.speed(lambda: bare.run(engine, task, work), number), digits=0)


def _saliency(visit: Visit) -> Section:
    """On one engine, in the batch size that both graphs have."""

    def figures() -> tuple[str, ...]:
        engine = visit.engine()
        size = min(engine.buckets(task)[0] for task in Task)
        forward, both = (visit.engine_speed(engine, task, size) for task in Task)
        torch_speed = visit.speed(peers.autograd_of(visit, size), size)
        return figure(forward / both), figure(both / torch_speed), str(size)

    columns = ("logit and gradient, in forward passes", "times torch autograd's speed", "batch")
    return Section("Saliency", columns, (tried("CUDA, float32, HEURISTIC", figures, len(columns)),))
