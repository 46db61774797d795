"""Times one answer for every clip, through HTTP, as a client sees it: `make bench CLIPS=folder`. Standard library only.

Serves the shipped model in a process of its own, on a free port, asks one clip after the other and prints each time, the
median and the slowest. Exits 1 when an answer is not 200 or takes longer than --limit.

With --pacs N the whole chain is timed instead: stored by C-STORE, until the results are in an archive (`bench_pacs.py`).
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CLIP_SUFFIXES = {".avi", ".dcm", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}
READY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    clip: Path
    status: int
    seconds: float
    says: str
    """The verdict and its probability, or the code of the problem."""


def main() -> int:
    options = _options()
    clips = sorted(_clips(options.paths))
    if not clips:
        print(f"No clip under {' '.join(map(str, options.paths))}.", file=sys.stderr)
        return 1
    if options.pacs is not None:
        from bench_pacs import time_chain  # needs more than the standard library

        return time_chain(clips, options.pacs, _service)
    with _service({}) as port:
        answers = [_ask(port, clip, options.query) for clip in clips for _ in range(options.repeat)]
    for answer in answers:
        print(f"{answer.seconds:7.2f} s  {answer.status}  {answer.says:28}  {answer.clip.name}")
    seconds = [answer.seconds for answer in answers]
    refused = sum(answer.status != 200 for answer in answers)
    print(f"\n{len(answers)} answers: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s, {refused} not 200")
    return int(refused > 0 or (options.limit is not None and max(seconds) > options.limit))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+", type=Path, help="clips, or folders of clips")
    parser.add_argument("--query", default="", help="options of the request, such as saliency=none")
    parser.add_argument("--repeat", type=int, default=1, help="ask for each clip so many times")
    parser.add_argument("--limit", type=float, metavar="S", help="fail when an answer takes longer, in seconds")
    parser.add_argument("--pacs", type=int, metavar="N", help="time N clips from C-STORE to their results in an archive instead")
    return parser.parse_args()


def _clips(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from [path] if path.is_file() else (p for p in path.rglob("*") if p.suffix.lower() in CLIP_SUFFIXES)


@contextmanager
def _service(settings: dict[str, str]) -> Iterator[int]:
    """The port of a service that is ready. `settings` go into its environment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    seashore = Path(sys.executable).with_name("seashore")
    environment = {**os.environ, **settings}
    process = subprocess.Popen([seashore, "serve", "--port", str(port)], stdout=subprocess.DEVNULL, env=environment)
    try:
        began = time.monotonic()
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() - began > READY_WITHIN_S:
                sys.exit(f"The service ended, or was not ready within {READY_WITHIN_S:.0f} s. What it said stands above.")
            time.sleep(0.2)
        print(f"ready {time.monotonic() - began:.1f} s after its start\n")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _ask(port: int, clip: Path, query: str) -> Answer:
    body = clip.read_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    connection.request("POST", f"/v1/predict?{query}", body, {"Content-Type": "application/octet-stream"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    seconds = time.perf_counter() - began
    connection.close()
    return Answer(clip, response.status, seconds, _says(answer))


def _says(answer: dict[str, object]) -> str:
    sliding = answer.get("lung_sliding")
    if not isinstance(sliding, dict):
        return str(answer.get("code"))
    probability = sliding["probability"]
    return sliding["verdict"] + ("" if probability is None else f" {probability:.2f}")


if __name__ == "__main__":
    sys.exit(main())
