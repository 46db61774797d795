"""Under load: the batcher against the bare loop, whole answers over HTTP, and how busy the GPU is meanwhile."""

import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from service.engine.base import Share, Task
from service.engine.batcher import Batcher
from service.engine.cuda import CudaEngine, Tuning
from tests.bench import bare
from tests.bench.servers import ROOT, Running, ServerFailed, running, seashore
from tests.bench.table import Row, Section, figure, millis
from tests.bench.timing import percentile
from tests.gpu_visit.gpu import Watch
from tests.gpu_visit.visit import Visit, failed, tried

CLIPS_AT_ONCE = 8
WINDOW = 24
"""Patches that a clip asks about at once."""
CONCURRENCY = (1, 8, 32)


def measure(visit: Visit) -> list[Section]:
    return [_batcher(visit), _answers(visit)]


def _batcher(visit: Visit) -> Section:
    columns = ("patches/s", "of the bare loop", "GPU busy", "GPU memory at most")
    rows = [
        tried(f"{task.value}, {streams} stream{'s'[: streams - 1]}", partial(_loaded, visit, task, streams), len(columns))
        for task in Task
        for streams in (1, 2)
    ]
    return Section(f"The batcher, {CLIPS_AT_ONCE} clips that ask {WINDOW} patches at a time", columns, tuple(rows))


def _loaded(visit: Visit, task: Task, streams: int) -> tuple[str, ...]:
    engine = visit.engine(tuning=Tuning("HEURISTIC", streams))
    engine.warm_up(visit.bundle.input_spec.patch_shape)
    alone = _alone(visit, engine, task)
    with Watch() as watch:
        done, seconds = _Clips(visit, engine, task).ask_for(visit.of(10, 1))
    return figure(done / seconds, digits=0), figure(done / seconds / alone), watch.busy, watch.peak_memory


def _alone(visit: Visit, engine: CudaEngine, task: Task) -> float:
    number = engine.streams * engine.buckets(task)[0] * visit.of(8, 1)
    patches = visit.patches(number)
    work = patches if task is Task.CLASSIFY else patches.astype(np.float32)
    return visit.speed(lambda: bare.run(engine, task, work), number)


@dataclass
class _Clips:
    """So many clips at a time, each with two windows on their way."""

    visit: Visit
    engine: CudaEngine
    task: Task
    done: int = 0

    def ask_for(self, seconds: float) -> tuple[int, float]:
        """Patches answered, and how long that took."""
        batcher, lock = Batcher(self.engine), threading.Lock()
        patches = self.visit.patches(WINDOW)
        asked = patches if self.task is Task.CLASSIFY else patches.astype(np.float32)
        start_s = time.perf_counter()

        def clip() -> None:
            with batcher.turn() as turn:
                waiting = [turn.ask(self.task, asked)]
                while time.perf_counter() - start_s < seconds:
                    waiting.append(turn.ask(self.task, asked))
                    waiting.pop(0).result()
                    with lock:
                        self.done += WINDOW
                waiting.pop().result()
                with lock:
                    self.done += WINDOW

        threads = [threading.Thread(target=clip) for _ in range(CLIPS_AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - start_s
        batcher.close()
        return self.done, took_s


def _answers(visit: Visit) -> Section:
    """Over HTTP, by clients in a process of their own, the service as it is shipped but for its device and a longer queue."""
    columns = ("clips/s", "p50", "p99", "statuses", "GPU busy", "GPU memory at most")
    settings = {
        "SEASHORE_DEVICE": visit.device,
        "SEASHORE_MAX_CONCURRENT": str(Share.alone().cores),
        "SEASHORE_MAX_QUEUED": "64",
        "SEASHORE_JOBS": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    rows: list[Row] = []
    note = "The golden clip of the bundle."
    try:
        here = replace(seashore(settings), command=(sys.executable, "-m", "service.cli", "serve", "--port", "{port}"))
        with running(here) as server:
            note += f" Ready {server.ready_after_s:.1f} s after its start."
            for saliency in ("none", "vanilla"):
                for clients in CONCURRENCY[: visit.of(3, 2)]:
                    asked = partial(_asked, visit, server, clients, saliency)
                    rows.append(tried(f"{clients} at once, saliency={saliency}", asked, len(columns)))
    except ServerFailed as error:
        rows.append(failed("the service", error, len(columns)))
    return Section("Whole answers", columns, tuple(rows), (note,))


def _asked(visit: Visit, server: Running, clients: int, saliency: str) -> tuple[str, ...]:
    path = f"/v1/predict?saliency={saliency}"
    clip = visit.bundle.golden_clip
    server.ask(clip, clients=clients, seconds=1.0, max_requests=2, path=path)
    with Watch() as watch:
        outcome = server.ask(clip, clients=clients, seconds=visit.of(15, 2), path=path)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(outcome.statuses.items()))
    times = millis(percentile(outcome.answer_s, 0.5)), millis(percentile(outcome.answer_s, 0.99))
    return figure(outcome.clips_a_second), *times, statuses, watch.busy, watch.peak_memory
