"""One answer for every clip, through HTTP, as a client sees it: `make bench ARGS="--clips folder"`."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.servers import running, seashore

CLIP_SUFFIXES = {".avi", ".dcm", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}


@dataclass(frozen=True, slots=True)
class Answer:
    clip: Path
    status: int
    seconds: float
    says: str
    """The verdict and its probability, or the code of the problem."""


def list_answers(clips: Sequence[Path], *, query: str = "", repeat: int = 1, limit_s: float | None = None) -> int:
    """Ask one clip after the other, print each time, the median and the slowest.

    Gives the exit status: 1 when an answer is not 200 or takes longer than the limit.
    """
    with running(seashore()) as server:
        print(f"ready {server.ready_after_s:.1f} s after its start\n")
        answers = [_ask(server.port, clip, query) for clip in clips for _ in range(repeat)]
    for answer in answers:
        print(f"{answer.seconds:7.2f} s  {answer.status}  {answer.says:28}  {answer.clip.name}")
    seconds = [answer.seconds for answer in answers]
    refused = sum(answer.status != 200 for answer in answers)
    print(f"\n{len(answers)} answers: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s, {refused} not 200")
    return int(refused > 0 or (limit_s is not None and max(seconds) > limit_s))


def found(paths: Sequence[Path]) -> list[Path]:
    """The clips among these files and folders, by name."""
    return sorted(_clips(paths))


def _clips(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from [path] if path.is_file() else (p for p in path.rglob("*") if p.suffix.lower() in CLIP_SUFFIXES)


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
