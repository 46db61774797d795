"""What every peer does with a clip: the service's own decoding, tiling, engine, pooling and JSON, in halves around the batch."""

import os
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.api.schemas import answer_of
from service.bundle import read_bundle, resolve
from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.engine.base import GraphEngine, Grey, Share, Task
from service.engine.select import open_engine
from service.engine.turn import Answer, Lane
from service.model import LoadedModel
from service.pipeline import Begun, Options, begin, finish
from service.reading import Saliency
from service.settings import Settings

OPTIONS = Options(saliency=Saliency.NONE)
Patches = NDArray[np.uint8]
"""(N, C, T, h, w)"""
Logits = NDArray[np.float32]
"""(N,)"""
NEVER_WAIT = 10**6
"""Windows that may be on their way: the first half of a clip waits for none."""


class Order:
    """A clip's turn at the device that only writes down what is asked: the peer's framework makes the batch and fills it in."""

    def __init__(self) -> None:
        self.asked: list[tuple[Task, Grey, Future[Answer]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def ask(self, task: Task, patches: Grey) -> Future[Answer]:
        future: Future[Answer] = Future()
        self.asked.append((task, patches, future))
        return future

    def patches(self) -> list[Patches]:
        return [patches.astype(np.uint8, copy=False) for _, patches, _ in self.asked]

    @property
    def num_patches(self) -> int:
        return sum(map(len, self.patches()))

    def fill(self, logits: Logits) -> None:
        """`logits` of all patches, in the order in which they were asked for."""
        start = 0
        for _, patches, future in self.asked:
            future.set_result(Answer(logits[start : start + len(patches)], None, 0.0))
            start += len(patches)


class NamedDevice:
    """What the pipeline must know of a device whose turns are made elsewhere."""

    def __init__(self, device: str) -> None:
        self.device = device

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> Order:
        return Order()


@dataclass(frozen=True, slots=True)
class Started:
    """A clip between its two halves."""

    begun: Begun
    order: Order


@dataclass(frozen=True, slots=True)
class ClipWork:
    """One process's model and what it does with clips."""

    model: LoadedModel
    engine: GraphEngine

    @classmethod
    def ready(cls, share: Share | None = None) -> "ClipWork":
        """With the shipped model, warm. `share` of the cores; all of them for one batch at a time unless it is given."""
        settings = Settings()
        bundle = read_bundle(resolve(settings.model_store, None, default=settings.default_model))
        engine = open_engine(bundle.model_onnx, bundle.saliency_onnx, device="cpu", share=share)
        for size in range(1, 17):
            engine.logits(np.zeros((size, *bundle.input_spec.patch_shape), np.uint8))
        return cls(LoadedModel(bundle, NamedDevice(engine.device)), engine)

    def start(self, body: bytes) -> Started:
        """Decode, locate, cut. Nothing is classified yet."""
        order = Order()
        return Started(begin(open_clip(body, DEFAULT_LIMITS), self.model, OPTIONS, order, windows_ahead=NEVER_WAIT), order)

    def classify(self, started: list[Started]) -> list[Started]:
        """One call of the engine for the patches of all these clips."""
        patches = [part for one in started for part in one.order.patches()]
        logits = self.engine.logits(np.concatenate(patches)) if patches else np.empty(0, np.float32)
        start = 0
        for one in started:
            one.order.fill(logits[start : start + one.order.num_patches])
            start += one.order.num_patches
        return started

    def answer(self, started: Started) -> bytes:
        """Pool, judge, and write the JSON of the service."""
        analysis, _ = finish(started.begun)
        return answer_of(analysis).model_dump_json().encode()


def share_of_environment() -> Share | None:
    """What the bench's setting says (BENCH_CORES, BENCH_STREAMS); None where it says nothing."""
    cores, streams = os.environ.get("BENCH_CORES"), os.environ.get("BENCH_STREAMS")
    return Share(int(cores), int(streams or 1)) if cores else None


def setting(name: str, default: float) -> float:
    """A number of the bench's setting of a peer."""
    return float(os.environ.get(f"BENCH_{name}", default))
