"""What the pipeline needs of whatever runs the graph, and what every engine shares."""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import EngineFailed
from service.machine import available_cores

PatchShape = tuple[int, int, int, int]
"""C, T, h, w."""
PatchType = type[np.uint8] | type[np.float32]
Grey = NDArray[np.uint8 | np.float32]
"""What a graph takes, (N, C, T, h, w): `model.onnx` uint8, of flow float32; `saliency.onnx` float32."""
Figures = list[NDArray[np.float32]]
"""A graph's outputs, each (N, ...)."""


class Task(Enum):
    """Which graph a patch goes through."""

    CLASSIFY = "classify"
    """`model.onnx`: the logit."""
    EXPLAIN = "explain"
    """`saliency.onnx`: the logit and its gradient."""


class Engine(Protocol):
    """Runs one bundle's graphs on one device, any number of patches a call.

    May be called from several threads at once; `streams` calls get on side by side, more wait for each other.
    `service.engine.batcher` fills its batches from many clips.
    """

    @property
    def streams(self) -> int:
        """Batches it runs at the same time. At least 1."""
        ...

    def buckets(self, task: Task) -> tuple[int, ...]:
        """Batch sizes it is made for, descending, ending in 1."""
        ...

    @property
    def device(self) -> str:
        """Where the work is really done: "cpu (OpenVINO)", "cpu (ONNX Runtime)", "cuda:0 (ONNX Runtime)"."""
        ...

    def logits(self, patches: Grey) -> NDArray[np.float32]:
        """Patches (N, C, T, h, w) of grey levels -> logits (N,), positive for sliding; (N, F) of a graph that tells F numbers of each.
        A graph of flow takes float32.

        N may be 0. Raises: EngineFailed.
        """
        ...

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pixels (N, C, T, h, w) in 0..255 -> logits (N,) and d logit / d grey level (N, C, T, h, w).

        Raises: EngineFailed.
        """
        ...


class Graph(Protocol):
    """One opened graph. `run` is called by as many threads at a time as the engine has streams."""

    @property
    def patch_shape(self) -> PatchShape: ...

    @property
    def dtype(self) -> PatchType: ...

    def run(self, batch: Grey) -> Figures: ...


@dataclass(frozen=True, slots=True)
class Share:
    """The cores an engine may use, and into how many streams they are parted."""

    cores: int
    streams: int

    @property
    def cores_a_stream(self) -> int:
        return max(1, self.cores // self.streams)

    @classmethod
    def alone(cls) -> "Share":
        """One batch at a time on all cores: for whoever asks from one thread (training, evaluation, export)."""
        return cls(available_cores(), 1)

    @classmethod
    def shared(cls) -> "Share":
        """A stream for each core: for the batcher.

        Threads of one stream wait for each other after every layer, and for whoever decodes a clip on the core of one of them.
        With two streams of one thread two cores did 605 patches a second in batches of 4; one stream of two threads did 557 in
        batches of 16, its best.
        """
        cores = available_cores()
        return cls(cores, min(cores, MAX_STREAMS))


MAX_STREAMS = 32
"""Each keeps its own activations, up to 200 MB in the saliency graph."""


class GraphEngine(ABC):
    """An `Engine` over a runtime that opens ONNX files: batches, streams, errors. A runtime says how a file is opened.

    `model.onnx` is opened at once, so that a broken one is found at start; `saliency.onnx`, where there is one, with `warm_up` or the
    first call that needs it.

    Calls are cut into a few batch sizes, because runtimes plan memory and choose kernels anew for each size they have not
    seen, and `warm_up` has shown them all of these.
    """

    runtime: str
    """Its name, as operators know it."""
    sizes: tuple[int, ...] = (16, 8, 4, 2, 1)
    """Batch sizes, descending."""
    batch_cells = 2_000_000
    """Most pixels in a batch of more than one: the saliency graph keeps every activation, at width 64 some 400 bytes a pixel."""

    def __init__(self, model_onnx: Path, saliency_onnx: Path | None, *, streams: int = 1) -> None:
        self._streams = streams
        self._opening = threading.Lock()
        self._places = threading.BoundedSemaphore(streams)  # more at a time are no faster and take more memory
        self._saliency_onnx = saliency_onnx
        self._model = self._opened(model_onnx)
        self._saliency: Graph | None = None

    @property
    @abstractmethod
    def device(self) -> str: ...

    @property
    def streams(self) -> int:
        return self._streams

    def buckets(self, task: Task) -> tuple[int, ...]:
        return self._sizes(self._graph(task)) if task in self.tasks else (1,)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Those that it has a graph for."""
        return (Task.CLASSIFY,) if self._saliency_onnx is None else tuple(Task)

    @abstractmethod
    def _open(self, path: Path) -> Graph:
        """May raise whatever the runtime raises."""

    def logits(self, patches: Grey) -> NDArray[np.float32]:
        graph = self._graph(Task.CLASSIFY)
        self._check(graph, patches)
        patches = np.ascontiguousarray(patches)
        logits = np.empty(0, np.float32)
        for part in batches(len(patches), self._sizes(graph)):
            (told,) = self._run(graph, patches[part])
            if len(logits) == 0:
                logits = np.empty((len(patches), *told.shape[1:]), np.float32)
            logits[part] = told
        return logits

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        graph = self._graph(Task.EXPLAIN)
        self._check(graph, pixels)
        pixels = np.ascontiguousarray(pixels)
        logits, gradients = np.empty(len(pixels), np.float32), np.empty(pixels.shape, np.float32)
        for part in batches(len(pixels), self._sizes(graph)):
            logits[part], gradients[part] = self._run(graph, pixels[part])
        return logits, gradients

    def warm_up(self, patch_shape: PatchShape) -> None:
        """Open what is not open and run both graphs once with every batch size, on every stream.

        Raises: EngineFailed, also when the graphs do not take patches of (C, T, h, w).
        """
        with ThreadPoolExecutor(self.streams) as threads:
            for size in self.buckets(Task.CLASSIFY):
                self._on_all(threads, self.logits, np.zeros((size, *patch_shape), self._model.dtype))
            for size in self.buckets(Task.EXPLAIN) if Task.EXPLAIN in self.tasks else ():
                self._on_all(threads, self.logits_and_gradients, np.zeros((size, *patch_shape), np.float32))

    def _on_all(self, threads: ThreadPoolExecutor, run: Callable[[Any], object], batch: Grey) -> None:
        for running in [threads.submit(run, batch) for _ in range(self.streams)]:
            running.result()

    def _graph(self, task: Task) -> Graph:
        if task is Task.CLASSIFY:
            return self._model
        if self._saliency_onnx is None:
            raise EngineFailed("The model has no graph that explains it.")
        with self._opening:
            if self._saliency is None:
                self._saliency = self._opened(self._saliency_onnx)
            return self._saliency

    def _sizes(self, graph: Graph) -> tuple[int, ...]:
        return tuple(size for size in self.sizes if size == 1 or size * math.prod(graph.patch_shape) <= self.batch_cells)

    def _opened(self, path: Path) -> Graph:
        try:
            return self._open(path)
        except EngineFailed:
            raise
        except Exception as error:  # each runtime has error classes of its own, none of them public
            raise EngineFailed(f"{self.runtime} could not open the model.", log_detail=repr(error)) from error

    def _run(self, graph: Graph, batch: Grey) -> Figures:
        try:
            with self._places:
                figures = graph.run(batch)
        except Exception as error:
            raise EngineFailed(f"{self.runtime} failed while it ran the model.", log_detail=repr(error)) from error
        if any(len(figure) != len(batch) for figure in figures):
            raise EngineFailed(f"{self.runtime} gave another number of answers than it was given patches.")
        if not np.isfinite(figures[0]).all():
            raise EngineFailed(f"The model gave logits that are not numbers on {self.device}.")
        return figures

    def _check(self, graph: Graph, patches: Grey) -> None:
        if patches.dtype != graph.dtype:  # a bug: a runtime may cast without a word
            raise TypeError(f"The graph takes {graph.dtype.__name__}, not {patches.dtype}.")
        if patches.shape[1:] != graph.patch_shape:
            raise EngineFailed(
                f"The model takes patches of {_times(graph.patch_shape)} (C, T, h, w); they were {_times(patches.shape[1:])}."
            )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def batches(number: int, sizes: tuple[int, ...]) -> Iterator[slice]:
    """Slices of 0..number, each as long as one of `sizes` (descending, ending in 1): the longest that fits, again and again."""
    start = 0
    while start < number:
        size = next(size for size in sizes if size <= number - start)
        yield slice(start, start + size)
        start += size
