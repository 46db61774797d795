"""Plain FastAPI: a sync endpoint in the thread pool, no batching. `python -m tests.bench.peers.plain_fastapi PORT`.

A path operation that blocks is declared with `def` and runs in the pool of 40 threads
(https://fastapi.tiangolo.com/async/#path-operation-functions, https://www.starlette.io/threadpool); more processes are
uvicorn's `--workers` (https://fastapi.tiangolo.com/deployment/server-workers/).
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI, Response

from tests.bench.peers.clip_work import ClipWork, setting, share_of_environment

work: dict[str, ClipWork] = {}


@asynccontextmanager
async def load(_: FastAPI) -> AsyncIterator[None]:
    work["clip"] = ClipWork.ready(share_of_environment())
    yield


app = FastAPI(lifespan=load)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/predict")
def predict(clip: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Response:
    (started,) = work["clip"].classify([work["clip"].start(clip)])
    return Response(work["clip"].answer(started), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(f"{__spec__.name}:app", port=int(sys.argv[1]), workers=int(setting("WORKERS", 1)), log_level="warning")
