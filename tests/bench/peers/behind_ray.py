"""Ray Serve: an ingress that decodes, and an engine whose `@serve.batch` makes batches of patches. `... behind_ray PORT`.

`@serve.batch` as https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html says: max_batch_size, batch_wait_timeout_s,
and batch_size_fn so that a batch is counted in patches and not in clips; max_ongoing_requests above the batch size. Work that
blocks runs in threads (https://docs.ray.io/en/master/serve/advanced-guides/asyncio-best-practices.html) or in more replicas
(https://docs.ray.io/en/latest/serve/advanced-guides/performance.html). Patches go from the ingress to the engine through Ray's
object store when they are separate deployments; with BENCH_REPLICAS=0 one deployment does both and nothing is sent.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from tests.bench.peers.clip_work import ClipWork, Logits, Patches, Started, setting, share_of_environment

MAX_BATCH = int(setting("MAX_BATCH", 8))
WAIT_S = setting("WAIT_S", 0.01)
ONGOING = 64


def num_patches(parts: list[Patches]) -> int:
    return sum(map(len, parts))


@serve.deployment(max_ongoing_requests=ONGOING, ray_actor_options={"num_cpus": 0.5})
class Engine:
    """Batches of patches, of many clips."""

    def __init__(self) -> None:
        self.work = ClipWork.ready(share_of_environment())

    @serve.batch(max_batch_size=int(setting("MAX_PATCHES", 512)), batch_wait_timeout_s=WAIT_S, batch_size_fn=num_patches)
    async def __call__(self, parts: list[Patches]) -> list[Logits]:
        logits = await asyncio.to_thread(self.work.engine.logits, np.concatenate(parts))
        return np.split(logits, np.cumsum([len(part) for part in parts])[:-1])


@serve.deployment(max_ongoing_requests=ONGOING, ray_actor_options={"num_cpus": 0.5})
class Ingress:
    """Decodes, locates and cuts in a thread, asks the engine, answers."""

    def __init__(self, engine: DeploymentHandle) -> None:
        self.engine = engine
        self.work = ClipWork.ready(share_of_environment())
        self.threads = ThreadPoolExecutor(int(setting("THREADS", 2)))

    async def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(b"ok")
        loop = asyncio.get_running_loop()
        started = await loop.run_in_executor(self.threads, self.work.start, await request.body())
        patches = started.order.patches()
        started.order.fill(await self.engine.remote(np.concatenate(patches)) if patches else np.empty(0, np.float32))
        return Response(await loop.run_in_executor(self.threads, self.work.answer, started), media_type="application/json")


@serve.deployment(max_ongoing_requests=ONGOING, ray_actor_options={"num_cpus": 0.5})
class Whole:
    """Both in one replica: `@serve.batch` collects clips that are decoded and waits for nothing else."""

    def __init__(self) -> None:
        self.work = ClipWork.ready(share_of_environment())
        self.threads = ThreadPoolExecutor(int(setting("THREADS", 2)))

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_S)
    async def classify(self, started: list[Started]) -> list[Started]:
        return await asyncio.to_thread(self.work.classify, started)

    async def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(b"ok")
        run = partial(asyncio.get_running_loop().run_in_executor, self.threads)
        started = await self.classify(await run(self.work.start, await request.body()))
        return Response(await run(self.work.answer, started), media_type="application/json")


def main() -> None:
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, configure_logging=True, object_store_memory=256 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1]), "request_timeout_s": 600})
    if replicas := int(setting("REPLICAS", 0)):
        app = Ingress.options(num_replicas=replicas).bind(Engine.bind())
    else:
        app = Whole.options(num_replicas=int(setting("WORKERS", 1))).bind()
    serve.run(app, name="bench", route_prefix="/", blocking=True)


if __name__ == "__main__":
    main()
