"""The engine alone: batches of its largest size on every stream, nothing else going on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from service.bundle import Bundle, read_bundle, resolve
from service.engine.base import GraphEngine, Grey, Share, Task
from service.engine.select import open_engine
from service.settings import Settings


@cache
def shipped_bundle() -> Bundle:
    settings = Settings()
    return read_bundle(resolve(settings.model_store, None, default=settings.default_model))


@cache
def shipped_engine(share: Share | None = None) -> GraphEngine:
    """As the service opens it (`auto`, a stream for each core) unless a share is given; warm."""
    bundle = shipped_bundle()
    engine = open_engine(bundle.model_onnx, bundle.saliency_onnx, device="auto", share=share or Share.shared())
    engine.warm_up(bundle.input_spec.patch_shape)
    return engine


def random_patches(number: int) -> NDArray[np.uint8]:
    shape = shipped_bundle().input_spec.patch_shape
    return np.random.default_rng(0).integers(0, 256, (number, *shape), dtype=np.uint8)


def run(engine: GraphEngine, task: Task, patches: Grey) -> None:
    """All patches through the engine, its streams side by side."""
    one = engine.logits if task is Task.CLASSIFY else lambda part: engine.logits_and_gradients(part.astype(np.float32, copy=False))
    with ThreadPoolExecutor(engine.streams) as streams:
        for done in [streams.submit(one, part) for part in _parts(patches, engine.buckets(task)[0])]:
            done.result()


def loop_s(engine: GraphEngine, task: Task, patches: Grey) -> float:
    start_s = time.perf_counter()
    run(engine, task, patches)
    return time.perf_counter() - start_s


def _parts(patches: Grey, size: int) -> Iterator[Grey]:
    yield from (patches[start : start + size] for start in range(0, len(patches), size))
