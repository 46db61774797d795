"""LitServe: decode_request, a batched predict, encode_response. `python -m tests.bench.peers.behind_litserve PORT`.

Batches of requests as https://lightning.ai/docs/litserve/features/batching says (max_batch_size, batch_timeout), more
workers a device as https://lightning.ai/docs/litserve/how-tos/parallelism-types says for CPU-bound work; "fast queue" (ZeroMQ)
for throughput. Each worker is a process that decodes, predicts and encodes one batch after the other.
"""

import sys
from typing import Annotated

import litserve
from fastapi import Body, Response

from tests.bench.peers.clip_work import ClipWork, Started, setting, share_of_environment


class ClipAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.work = ClipWork.ready(share_of_environment())

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Started:
        return self.work.start(request)

    def batch(self, inputs: list[Started]) -> list[Started]:
        return inputs

    def predict(self, started: list[Started]) -> list[Started]:
        """One call of the engine for a whole batch; without batching LitServe hands over a single clip."""
        return self.work.classify(started) if isinstance(started, list) else self.work.classify([started])[0]  # type: ignore[return-value]

    def unbatch(self, output: list[Started]) -> list[Started]:
        return output

    def encode_response(self, output: Started) -> Response:
        return Response(self.work.answer(output), media_type="application/json")


def main() -> None:
    api = ClipAPI(max_batch_size=int(setting("MAX_BATCH", 8)), batch_timeout=setting("WAIT_S", 0.01))
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(setting("WORKERS", 1)), timeout=False, fast_queue=bool(setting("FAST_QUEUE", 0))
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
