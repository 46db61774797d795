"""A graph that is opened once for each batch size, with arrays that stay where they are.

OpenVINO fuses fewer layers where the batch size is left open. ONNX Runtime's CUDA provider chooses a convolution's algorithm and plans
memory for the last shape it has seen: batches of 64, 4 and 64 through one session have it choose three times (measured by others: 2.9
times slower, vernacula #191). A session that only ever sees one batch size chooses once. The weights are 8 MB, so sessions are cheap;
activations are what counts, and those belong to a batch size anyway. Fixed shapes and addresses are also what CUDA graphs and TensorRT
ask for.
"""

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Figures, Grey, PatchShape, PatchType

BATCH_AXIS = "N"
"""As training names the first axis of what a graph takes and gives."""
DTYPES: dict[str, PatchType] = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


Lock = Callable[[NDArray[Any]], bool]
"""Page-locks an array as long as it lives."""


class Bound(Protocol):
    """Runs batches of one size, one at a time."""

    def run(self, batch: Grey) -> Figures: ...


class BoundBatch:
    """One stream's arrays for one batch size: on the host, page-locked where that can be, and on the device.

    Outputs are written into the host's arrays by `run` itself, unless they must have an address on the device (`keeps_outputs`: a CUDA
    graph writes to where it wrote when it was captured, and nothing brings that home).
    """

    def __init__(self, ort: Any, session: Any, memory: tuple[str, int], lock: Lock, *, keeps_outputs: bool = False) -> None:
        """`memory`: ("cuda", 0), or ("cpu", 0) to do without a GPU what is done with one."""
        self._session = session
        self._binding = session.io_binding()
        (taken,) = session.get_inputs()
        self._given = np.zeros(taken.shape, DTYPES[taken.type])
        lock(self._given)
        self._on_device = ort.OrtValue.ortvalue_from_shape_and_type(taken.shape, DTYPES[taken.type], *memory)
        self._binding.bind_ortvalue_input(taken.name, self._on_device)
        bind = partial(self._bind_on_device, ort, memory) if keeps_outputs else partial(self._bind_on_host, lock)
        self._figures: list[Callable[[], NDArray[np.float32]]] = [bind(output) for output in session.get_outputs()]

    def run(self, batch: Grey) -> Figures:
        np.copyto(self._given, batch, casting="no")
        self._on_device.update_inplace(self._given)  # back when all of it is there
        self._session.run_with_iobinding(self._binding)  # back when the device is done
        return [figure() for figure in self._figures]

    def _bind_on_host(self, lock: Lock, output: Any) -> Callable[[], NDArray[np.float32]]:
        array = np.zeros(output.shape, np.float32)
        lock(array)
        self._binding.bind_output(output.name, "cpu", 0, np.float32, output.shape, array.ctypes.data)
        return array.copy

    def _bind_on_device(self, ort: Any, memory: tuple[str, int], output: Any) -> Callable[[], NDArray[np.float32]]:
        value = ort.OrtValue.ortvalue_from_shape_and_type(output.shape, np.float32, *memory)
        self._binding.bind_ortvalue_output(output.name, value)
        return lambda: np.array(value.numpy())


class BucketGraph:
    """A `Graph` of as many sessions as there are batch sizes, each opened when it is first needed."""

    def __init__(
        self,
        open_session: Callable[[int], Any],
        bind: Callable[[Any], Bound],
        streams: int,
        taken_by: Callable[[Any], tuple[tuple[int, ...], PatchType]],
    ) -> None:
        """`open_session(batch size)`, at once for single patches; `bind(session)` a stream; `taken_by(session)` is the shape
        (N, C, T, h, w) and type of what it takes."""
        self._open_session = open_session
        self._bind = bind
        self._streams = streams
        self._opening = threading.Lock()
        self._idle: dict[int, SimpleQueue[Bound]] = {}
        session = open_session(1)
        (_, c, t, h, w), self._dtype = taken_by(session)
        self._patch_shape = (c, t, h, w)
        self._keep(1, session)

    @property
    def patch_shape(self) -> PatchShape:
        return self._patch_shape

    @property
    def dtype(self) -> PatchType:
        return self._dtype

    def run(self, batch: Grey) -> Figures:
        idle = self._bound(len(batch))
        bound = idle.get()
        try:
            return bound.run(batch)
        finally:
            idle.put(bound)

    def forget(self) -> None:
        """Close all sessions; the next batch of each size opens its own again. Not while a batch runs."""
        with self._opening:
            self._idle.clear()

    def _bound(self, size: int) -> "SimpleQueue[Bound]":
        if size not in self._idle:
            with self._opening:
                if size not in self._idle:
                    self._keep(size, self._open_session(size))
        return self._idle[size]

    def _keep(self, size: int, session: Any) -> None:
        idle: SimpleQueue[Bound] = SimpleQueue()
        for _ in range(self._streams):
            idle.put(self._bind(session))
        self._idle[size] = idle
