"""The clients, in a process of their own: each asks, waits for the answer and asks again. `python -m tests.bench.loadgen < order.json`.

An order (JSON on standard input) says where, what, how many clients and for how long; standard output gets what came of it.
A 429 is done as its Retry-After says, and the wait counts: `wait_s` is from the first asking until the answer.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

BOUNDARY = "seashore-bench-0123456789"


@dataclass(frozen=True, slots=True)
class LoadOrder:
    port: int
    path: str
    clip: str
    """A file."""
    clients: int
    seconds: float
    """Nobody asks anew after this; what was asked is waited for."""
    field: str = ""
    """Name of the multipart field the clip is sent in; empty: the clip is the body."""
    timeout_s: float = 60.0
    max_requests: int = 1_000_000
    """In all."""
    once: bool = False
    """Every client asks once and takes a 429 as its answer."""


@dataclass(slots=True)
class Outcome:
    """What became of one order."""

    answer_s: list[float] = field(default_factory=list)
    """Of each 200: from its own sending to its last byte."""
    wait_s: list[float] = field(default_factory=list)
    """Of each 200: since the client first asked for it, refusals and their waits included."""
    statuses: dict[str, int] = field(default_factory=dict)
    """By status, "timeout" and "error" (no HTTP answer) among them."""
    refused_without_retry_after: int = 0
    retry_after_s: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    """From the start until the last answer."""
    probabilities: list[float | None] = field(default_factory=list)
    """All that differ."""

    @property
    def clips_a_second(self) -> float:
        return len(self.answer_s) / self.elapsed_s if self.elapsed_s else 0.0


def run(order: LoadOrder) -> Outcome:
    """Blocks until every client has its last answer."""
    return _Clients(order).run()


class _Clients:
    def __init__(self, order: LoadOrder) -> None:
        self._order = order
        self._body, self._headers = _request(order)
        self._outcome = Outcome()
        self._statuses: Counter[str] = Counter()
        self._probabilities: set[float | None] = set()
        self._asked = 0
        self._lock = threading.Lock()

    def run(self) -> Outcome:
        threads = [threading.Thread(target=self._client) for _ in range(self._order.clients)]
        self._start_s = last_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
            last_s = time.perf_counter()
        self._outcome.elapsed_s = last_s - self._start_s
        self._outcome.statuses = dict(self._statuses)
        self._outcome.probabilities = sorted(self._probabilities, key=lambda value: -1.0 if value is None else value)
        return self._outcome

    def _client(self) -> None:
        connection = _Connection(self._order)
        while self._may_ask():
            self._one_clip(connection)
            if self._order.once:
                break
        connection.close()

    def _may_ask(self) -> bool:
        with self._lock:
            self._asked += 1
            return self._asked <= self._order.max_requests and time.perf_counter() - self._start_s < self._order.seconds

    def _one_clip(self, connection: "_Connection") -> None:
        """Until there is an answer that is no 429."""
        first_s = time.perf_counter()
        while True:
            sent_s = time.perf_counter()
            status, retry_after, data = connection.ask(self._body, self._headers)
            done_s = time.perf_counter()
            with self._lock:
                self._statuses[status] += 1
                if status == "200":
                    self._outcome.answer_s.append(done_s - sent_s)
                    self._outcome.wait_s.append(done_s - first_s)
                    self._probabilities.add(probability_of(data))
                if status == "429":
                    self._outcome.refused_without_retry_after += retry_after is None
                    self._outcome.retry_after_s.append(retry_after or 0.0)
            if status != "429" or self._order.once:
                return
            if done_s - self._start_s > self._order.seconds:
                return  # nobody asks anew after the end, refused or not
            time.sleep(retry_after or 1.0)


class _Connection:
    """Kept alive between requests; opened again after a fault."""

    def __init__(self, order: LoadOrder) -> None:
        self._order = order
        self._connection = http.client.HTTPConnection("127.0.0.1", order.port, timeout=order.timeout_s)

    def ask(self, body: bytes, headers: dict[str, str]) -> tuple[str, float | None, bytes]:
        """Status, Retry-After in seconds, body."""
        try:
            self._connection.request("POST", self._order.path, body, headers)
            response = self._connection.getresponse()
            data = response.read()
            after = response.headers.get("retry-after")
            return str(response.status), None if after is None else float(after), data
        except TimeoutError:
            self._connection.close()
            return "timeout", None, b""
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return "error", None, b""

    def close(self) -> None:
        self._connection.close()


def probability_of(data: bytes) -> float | None:
    """Of an answer in JSON, to 4 places; BentoML sends a list of one, and the JSON as a string."""
    said = json.loads(data)
    while isinstance(said, (list, str)):
        said = said[0] if isinstance(said, list) else json.loads(said)
    probability = said["lung_sliding"]["probability"]
    return None if probability is None else round(float(probability), 4)


def _request(order: LoadOrder) -> tuple[bytes, dict[str, str]]:
    clip = Path(order.clip).read_bytes()
    if not order.field:
        return clip, {"Content-Type": "application/octet-stream"}
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{order.field}"; filename="clip"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    return head.encode() + clip + f"\r\n--{BOUNDARY}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


if __name__ == "__main__":
    json.dump(asdict(run(LoadOrder(**json.load(sys.stdin)))), sys.stdout)
