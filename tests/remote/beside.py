"""The desks of a cluster in one process: everything is pickled on its way, as between processes."""

import asyncio
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Task
from service.reading import Wanted
from service.remote.calls import answer_of
from service.shelf import ModelEntry

ENTRY = ModelEntry("linear", "0.0.1", is_default=True, is_loaded=False)
NOWHERE = Path("nowhere")


class Beside:
    """`Replicas` of one desk. `methods` lists what was called."""

    def __init__(self, desk: object, loop: asyncio.AbstractEventLoop) -> None:
        self._desk = desk
        self._loop = loop
        self.methods: list[str] = []

    def call(self, method: str, *arguments: Any, wanted: Wanted) -> Any:
        self.methods.append(method)
        sent = pickle.loads(pickle.dumps(arguments))
        asked = asyncio.run_coroutine_threadsafe(getattr(self._desk, method)(*sent), self._loop)
        try:
            while not wait([asked], timeout=0.01).done:
                wanted()
        except BaseException:
            asked.cancel()
            raise
        return answer_of(pickle.loads(pickle.dumps(asked.result())))


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class GatedEngine:
    """logit = sum of the patch. Batches wait until `gate` is open; `batches` lists the patches' values."""

    device = "cpu (fake)"
    streams = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []
        self.bug: Exception | None = None

    def buckets(self, task: Task) -> tuple[int, ...]:
        return 4, 2, 1

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(patches[:, 0, 0, 0, 0].tolist())
        assert self.gate.wait(10)
        if self.bug:
            raise self.bug
        return np.asarray(patches.sum(axis=(1, 2, 3, 4)), np.float32)

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.logits(pixels.astype(np.uint8)), np.ones_like(pixels)


def patches(*values: int) -> NDArray[np.uint8]:
    """Patches of two pixels, both of this value."""
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1, 1).repeat(2, axis=4)
