"""Patches a second: our engine, our batcher under load, and the other ways to run the same graph on the same cores."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.base import Share, Task
from service.engine.batcher import Batcher
from service.engine.turn import Answer
from service.machine import available_cores
from tests.bench import bare
from tests.bench.flop import flop_a_patch, peak_gflops
from tests.bench.plan import Plan, say
from tests.bench.table import Row, Section, figure
from tests.bench.timing import median

NUM_PATCHES = 96
WINDOW = 15
"""Patches of a window of a usual clip."""
CLIPS_AT_ONCE = 8
BATCHES = (4, 8, 16)


@dataclass(slots=True)
class Contender:
    """One way to run the graph. `run` does `NUM_PATCHES` patches."""

    name: str
    run: Callable[[], None]
    note: str = ""
    speeds: list[float] = field(default_factory=list)
    """Patches a second, one of each round."""


def measure(plan: Plan) -> Section:
    """All in turn, so that what the machine does beside falls on all of them."""
    contenders = list(_contenders(plan))
    for number in range(int(plan.of(7, 2))):
        say(f"engine, round {number + 1}")
        for contender in contenders:
            time.sleep(0.3)  # until the threads of the one before have stopped spinning for more work
            start_s = time.perf_counter()
            contender.run()
            contender.speeds.append(NUM_PATCHES / (time.perf_counter() - start_s))
    contenders = _best_of_kind(contenders)
    flop, peak = flop_a_patch(bare.shipped_bundle().model_onnx), peak_gflops()
    ours = median(contenders[0].speeds)
    rows = [_row(contender, ours, flop, peak) for contender in contenders]
    rows += [Row(name, ("-", "-", "-", f"not run: {because}")) for name, because in _MISSING]
    note = (
        f"{flop / 1e9:.3f} GFLOP a patch (convolutions and matrix products of model.onnx, counted from its shapes); "
        f"peak {peak:.0f} GFLOP/s in float32, the best matrix product of NumPy and torch, sides 512 to 2048."
    )
    return Section("Patches a second", ("patches/s", "of the bare loop", "of the peak", "how"), tuple(rows), (note,))


_MISSING: list[tuple[str, str]] = []


def _row(contender: Contender, ours: float, flop: int, peak: float) -> Row:
    speed = median(contender.speeds)
    return Row(contender.name, (figure(speed, digits=0), figure(speed / ours), f"{100 * speed * flop / 1e9 / peak:.0f} %", contender.note))


def _best_of_kind(contenders: list[Contender]) -> list[Contender]:
    """Of those of one name the fastest."""
    best: dict[str, Contender] = {}
    for one in contenders:
        if one.name not in best or median(one.speeds) > median(best[one.name].speeds):
            best[one.name] = one
    return list(best.values())


def _contenders(plan: Plan) -> Iterator[Contender]:
    patches = bare.random_patches(NUM_PATCHES)
    ours, alone = bare.shipped_engine(), bare.shipped_engine(Share.alone())
    how = f"{ours.streams} streams, batches of {ours.buckets(Task.CLASSIFY)[0]}"
    yield _warm(Contender("our engine, bare loop", lambda: bare.run(ours, Task.CLASSIFY, patches), f"{ours.device}, {how}"))
    batcher = Batcher(ours)
    yield _warm(Contender("our batcher, 8 clips at once", lambda: _through(batcher, patches), "windows of 15 patches"))
    yield _warm(Contender("our engine, one stream", lambda: bare.run(alone, Task.CLASSIFY, patches), "training and export"))
    _MISSING.clear()
    for kind, make in (("ONNX Runtime", _onnxruntime), ("OpenVINO, its own settings", _openvino), ("torch", _torch)):
        say(f"engine: {kind}")
        try:
            yield from map(_warm, make(plan, patches))
        except Exception as error:  # a library that is missing or cannot do it here has a row that says so
            _MISSING.append((kind, f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"))


def _warm(contender: Contender) -> Contender:
    contender.run()
    return contender


def _through(batcher: Batcher, patches: np.ndarray) -> None:  # type: ignore[type-arg]
    """As the service does it: clips in threads of their own, each asking window by window, three ahead."""
    parts = [patches[start : start + WINDOW] for start in range(0, len(patches), WINDOW)]
    threads = [threading.Thread(target=_clip, args=(batcher, parts[number::CLIPS_AT_ONCE])) for number in range(CLIPS_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _clip(batcher: Batcher, windows: list[Any]) -> None:
    with batcher.turn() as turn:
        futures: list[Future[Answer]] = [turn.ask(Task.CLASSIFY, window) for window in windows]
        for future in futures:
            future.result()


def _in_batches(one: Callable[[Any], object], patches: Any, size: int) -> Callable[[], None]:
    def run() -> None:
        for start in range(0, len(patches), size):
            one(patches[start : start + size])

    return run


def _onnxruntime(plan: Plan, patches: Any) -> Iterator[Contender]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    session = onnxruntime.InferenceSession(bare.shipped_bundle().model_onnx, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for size in BATCHES[-1:] if plan.quick else BATCHES:
        one = _in_batches(lambda part: session.run(None, {name: part}), patches, size)
        yield Contender("ONNX Runtime", one, f"CPU provider as it comes, batches of {size}")


def _openvino(plan: Plan, patches: Any) -> Iterator[Contender]:
    import openvino

    core = openvino.Core()
    for name, more in (("float32", {"INFERENCE_PRECISION_HINT": "f32"}), ("its own precision", {})):
        compiled = core.compile_model(core.read_model(bare.shipped_bundle().model_onnx), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", **more})
        queue = openvino.AsyncInferQueue(compiled)
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        for size in BATCHES[:1] if plan.quick else BATCHES[:2]:
            note = f"THROUGHPUT, {len(queue)} requests, batches of {size}, {precision}"
            yield Contender(f"OpenVINO, {name}", _queued(queue, patches, size), note)


def _queued(queue: Any, patches: Any, size: int) -> Callable[[], None]:
    def run() -> None:
        for start in range(0, len(patches), size):
            queue.start_async([patches[start : start + size]], share_inputs=True)
        queue.wait_all()

    return run


def _torch(plan: Plan, patches: Any) -> Iterator[Contender]:
    import torch

    from training.models.fold import fold_batch_norm
    from training.restore import restore

    torch.set_num_threads(available_cores())
    net = fold_batch_norm(restore(bare.shipped_bundle())).eval()
    given = torch.from_numpy(patches)
    sizes = BATCHES[1:2] if plan.quick else BATCHES
    for layout, moved in (("contiguous", net), ("channels last", _channels_last(net))):
        for size in sizes:
            yield Contender("torch eager", _inferring(moved, given, size), f"{layout}, batches of {size}, batch norms folded")
    if plan.quick:
        _MISSING.append(("torch.compile", "a quick run does not wait for its compiler"))
        return
    for layout, moved in (("contiguous", net), ("channels last", _channels_last(net))):
        note = f"inductor, {layout}, batches of {sizes[-1]}, batch norms folded"
        yield Contender("torch.compile", _inferring(torch.compile(moved), given, sizes[-1]), note)


def _channels_last(net: Any) -> Any:
    import copy

    import torch

    return copy.deepcopy(net).to(memory_format=torch.channels_last_3d)


def _inferring(net: Any, given: Any, size: int) -> Callable[[], None]:
    import torch

    run = _in_batches(net, given, size)

    def infer() -> None:
        with torch.inference_mode():
            run()

    return infer
