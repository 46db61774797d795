"""The peers as servers, each with the settings that are tried before the load: the best of them is what Seashore is held against."""

import sys
from collections.abc import Mapping

from tests.bench.servers import Server

BEST: dict[str, tuple[int, int]] = {"LitServe": (1, 1), "Ray Serve": (2, 2), "BentoML": (2, 2), "FastAPI": (0, 2)}
"""Which of its settings was best with 1 client and with more, on 2 cores, over three runs; `--tune` tries them all again."""


def candidates(cores: int) -> dict[str, tuple[Server, ...]]:
    """Peer -> its sensible settings on this many cores.

    For each: one process with the engine on all cores, and a process for each core with an engine of one thread, as their pages
    advise for CPU-bound work; batches of clips with the short waits of their examples.
    """
    each = {"BENCH_WORKERS": str(cores), "BENCH_CORES": "1"}
    streams = {"BENCH_CORES": str(cores), "BENCH_STREAMS": str(cores)}
    return {
        "LitServe": (
            _peer("LitServe", "behind_litserve", {"BENCH_MAX_BATCH": "8", "BENCH_WAIT_S": "0.01"}),
            _peer("LitServe", "behind_litserve", {**each, "BENCH_MAX_BATCH": "4", "BENCH_WAIT_S": "0.01"}),
            _peer("LitServe", "behind_litserve", {**each, "BENCH_MAX_BATCH": "1"}),
        ),
        "Ray Serve": (
            _peer("Ray Serve", "behind_ray", {"BENCH_MAX_BATCH": "8"}, ready="/"),
            _peer("Ray Serve", "behind_ray", {**each, "BENCH_MAX_BATCH": "4"}, ready="/"),
            _peer("Ray Serve", "behind_ray", {"BENCH_REPLICAS": str(cores), "BENCH_MAX_PATCHES": "256"}, ready="/"),
        ),
        "BentoML": (
            _peer("BentoML", "behind_bentoml", {"BENCH_SPLIT": "1", "BENCH_MAX_PATCHES": "256"}, ready="/readyz"),
            _peer("BentoML", "behind_bentoml", {"BENCH_SPLIT": "1", **each, "BENCH_MAX_PATCHES": "256"}, ready="/readyz"),
            _peer("BentoML", "behind_bentoml", {"BENCH_SPLIT": "0", **each, "BENCH_MAX_BATCH": "4"}, ready="/readyz", field="clips"),
        ),
        "FastAPI": (
            _peer("FastAPI", "plain_fastapi", {}),
            _peer("FastAPI", "plain_fastapi", streams),
            _peer("FastAPI", "plain_fastapi", each),
        ),
    }


def _peer(name: str, module: str, environment: Mapping[str, str], *, ready: str = "/health", field: str = "") -> Server:
    command = (sys.executable, "-m", f"tests.bench.peers.{module}", "{port}")
    return Server(name, command, "/predict", ready, environment, field)
