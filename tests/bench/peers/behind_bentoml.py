"""BentoML with adaptive batching: `python -m tests.bench.peers.behind_bentoml PORT`.

As https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html says: a service with a batchable API (`batchable=True`,
max_batch_size, max_latency_ms) that another service calls, here through arrays whose first axis is the patches; workers as
https://docs.bentoml.com/en/latest/build-with-bentoml/parallelize-requests.html says. With BENCH_SPLIT=0 one service takes whole clips
in batches, and no patches travel between processes.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType

from tests.bench.peers.clip_work import ClipWork, Logits, Patches, setting, share_of_environment

WORKERS = int(setting("WORKERS", 1))
MAX_BATCH = int(setting("MAX_BATCH", 8))
LATENCY_MS = int(setting("LATENCY_MS", 60_000))
"""BentoML answers 503 to what it expects to take longer. Its default is a minute."""
Clip = Annotated[Path, ContentType("application/octet-stream")]


@bentoml.service(name="engine", workers=1, traffic={"timeout": 600})
class Engine:
    def __init__(self) -> None:
        self.work = ClipWork.ready(share_of_environment())

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=int(setting("MAX_PATCHES", 512)), max_latency_ms=LATENCY_MS)
    def logits(self, patches: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return self.work.engine.logits(patches)


@bentoml.service(name="split", workers=WORKERS, traffic={"timeout": 600})
class Split:
    engine = bentoml.depends(Engine)

    def __init__(self) -> None:
        self.work = ClipWork.ready(share_of_environment())
        self.threads = ThreadPoolExecutor(int(setting("THREADS", 2)))

    @bentoml.api(route="/predict")
    async def predict(self, clip: Clip, /) -> str:
        run = asyncio.get_running_loop().run_in_executor
        started = await run(self.threads, self.work.start, clip.read_bytes())
        patches: list[Patches] = started.order.patches()
        logits: Logits = await self.engine.to_async.logits(np.concatenate(patches)) if patches else np.empty(0, np.float32)
        started.order.fill(logits)
        return (await run(self.threads, self.work.answer, started)).decode()


@bentoml.service(name="whole", workers=WORKERS, traffic={"timeout": 600})
class Whole:
    def __init__(self) -> None:
        self.work = ClipWork.ready(share_of_environment())

    @bentoml.api(route="/predict", batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LATENCY_MS)
    def predict(self, clips: list[Clip]) -> list[str]:
        started = self.work.classify([self.work.start(clip.read_bytes()) for clip in clips])
        return [self.work.answer(one).decode() for one in started]


if __name__ == "__main__":
    service = "Split" if setting("SPLIT", 1) else "Whole"
    sys.argv = ["bentoml", "serve", f"{__spec__.name}:{service}", "--port", sys.argv[1], "--host", "127.0.0.1"]
    from bentoml_cli.cli import cli

    cli()
