"""The clients, against a real HTTP server whose answers are written down beforehand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.bench.loadgen import LoadOrder, Outcome, probability_of, run

ANSWER = json.dumps({"lung_sliding": {"probability": 0.97651}}).encode()


@dataclass
class Script:
    """Statuses in the order in which they are given; 200 from then on. `bodies` is what came, `most_at_once` how many waited together."""

    statuses: list[int]
    retry_after: str | None = "0.2"
    wait_s: float = 0.0
    bodies: list[bytes] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def served(script: Script) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802 (the name that http.server calls)
            body = self.rfile.read(int(self.headers["content-length"]))
            with script.lock:
                script.bodies.append(body)
                status = script.statuses.pop(0) if script.statuses else 200
                script.at_once += 1
                script.most_at_once = max(script.most_at_once, script.at_once)
            threading.Event().wait(script.wait_s)
            with script.lock:
                script.at_once -= 1
            self.send_response(status)
            if status == 429 and script.retry_after is not None:
                self.send_header("Retry-After", script.retry_after)
            answer = ANSWER if status == 200 else b"{}"
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who waited has gone
                self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip"
    path.write_bytes(b"not a clip")
    return str(path)


def loaded(script: Script, clip: str, **changes: Any) -> Outcome:
    with served(script) as port:
        return run(LoadOrder(port, "/predict", clip, **{"clients": 1, "seconds": 5.0, "max_requests": 1, **changes}))


def test_a_refusal_is_waited_out_and_the_wait_counts(clip: str) -> None:
    outcome = loaded(Script([429, 429]), clip)

    assert outcome.statuses == {"429": 2, "200": 1}
    assert outcome.retry_after_s == [0.2, 0.2]
    assert outcome.wait_s[0] >= 0.4
    assert outcome.answer_s[0] < 0.2


def test_a_refusal_that_does_not_say_when_is_counted(clip: str) -> None:
    outcome = loaded(Script([429], retry_after=None), clip, once=True)

    assert (outcome.statuses, outcome.refused_without_retry_after, outcome.answer_s) == ({"429": 1}, 1, [])


def test_who_asks_once_takes_the_refusal(clip: str) -> None:
    outcome = loaded(Script([429, 429]), clip, clients=3, max_requests=3, once=True)

    assert outcome.statuses == {"429": 2, "200": 1}


def test_an_answer_that_does_not_come_is_a_timeout(clip: str) -> None:
    assert loaded(Script([], wait_s=0.5), clip, timeout_s=0.1).statuses == {"timeout": 1}


def test_nobody_there_is_an_error(clip: str) -> None:
    with served(Script([])) as port:
        pass

    assert run(LoadOrder(port, "/", clip, clients=1, seconds=1.0, max_requests=1)).statuses == {"error": 1}


def test_every_client_waits_for_its_answer_before_it_asks_again(clip: str) -> None:
    script = Script([], wait_s=0.1)

    outcome = loaded(script, clip, clients=4, max_requests=12)

    assert (outcome.statuses, script.most_at_once) == ({"200": 12}, 4)
    assert outcome.clips_a_second == pytest.approx(12 / outcome.elapsed_s)


def test_nobody_asks_anew_after_the_end(clip: str) -> None:
    assert loaded(Script([429] * 9, retry_after="0.3"), clip, seconds=0.1, max_requests=100).statuses == {"429": 2}
    assert loaded(Script([], wait_s=0.3), clip, seconds=0.1, max_requests=100).statuses == {"200": 1}


def test_the_clip_is_the_body_or_a_field_of_a_form(clip: str) -> None:
    script = Script([])
    loaded(script, clip)
    loaded(script, clip, field="clips")

    assert script.bodies[0] == b"not a clip"
    assert b'name="clips"' in script.bodies[1]
    assert b"\r\n\r\nnot a clip\r\n--" in script.bodies[1]


@pytest.mark.parametrize("said", [ANSWER, json.dumps([ANSWER.decode()]).encode(), json.dumps(ANSWER.decode()).encode()])
def test_the_probability_is_found_however_a_server_wraps_it(said: bytes) -> None:
    assert probability_of(said) == 0.9765


def test_a_clip_that_was_not_assessed_has_none() -> None:
    assert probability_of(b'{"lung_sliding": {"probability": null}}') is None
