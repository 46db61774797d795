"""What costs the service something before it knows who asks: the head of a request, and a body that is no clip. Sent as bytes, by hand."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from service.api import small_body
from tests.fakes.service import WordReader, problem, serving, wait_until

MAX_HEAD_BYTES, HEAD_DEADLINE_S, MAX_CONNECTIONS = 4096, 2.0, 8
ENDLESS_BYTES = 32 * 2**20
"""More than sockets hold on to: who is not stopped before has been read to the end."""


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    limits = {"max_head_bytes": MAX_HEAD_BYTES, "head_deadline_s": HEAD_DEADLINE_S, "max_connections": MAX_CONNECTIONS}
    with serving(WordReader(), **limits) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 0), 20)


def answer(connection: socket.socket) -> str:
    """All that comes until the service hangs up; "" where it hung up without a word."""
    heard = b""
    try:
        while data := connection.recv(65536):
            heard += data
    except ConnectionResetError:  # it was still being sent to
        pass
    return heard.decode()


def sent_until_cut_off(connection: socket.socket, content: bytes, most: int, *, pause_s: float = 0.0) -> int:
    num_sent = 0
    with suppress(ConnectionError):
        while num_sent < most:
            num_sent += connection.send(content)
            time.sleep(pause_s)
    return num_sent


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-More: " + b"a" * 1000 + b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-One: ", b"a" * 1000),
        (b"GET /", b"a" * 1000),
    ],
    ids=["many headers", "one header", "address"],
)
def test_a_head_without_an_end_is_not_read_to_its_end(client: httpx.Client, start: bytes, more: bytes) -> None:
    with connected(client) as connection:
        connection.sendall(start)
        assert sent_until_cut_off(connection, more * 16, ENDLESS_BYTES) < ENDLESS_BYTES
    assert client.get("/healthz").status_code == 200


def test_a_head_that_is_too_long_is_refused(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 2 * MAX_HEAD_BYTES)
        assert answer(connection).startswith("HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost: local"], ids=["nothing", "half a head"])
def test_who_says_nothing_is_not_listened_to_for_long(client: httpx.Client, begun: bytes) -> None:
    with connected(client) as connection:
        connection.sendall(begun)
        start_s = time.monotonic()
        said = answer(connection)
    assert said.endswith("No request came within 2 s.")
    assert 0.8 * HEAD_DEADLINE_S < time.monotonic() - start_s < 15


def test_a_head_that_drips_is_late_too(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(b"GET /")
        assert sent_until_cut_off(connection, b"a", 200, pause_s=0.05) < 100


def test_one_request_after_another_is_answered_on_one_connection(client: httpx.Client) -> None:
    with connected(client) as connection:
        for _ in range(3):
            time.sleep(0.4 * HEAD_DEADLINE_S)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b""
            while not heard.endswith(b"}"):  # head and body may come one after the other
                heard += connection.recv(65536)
            assert heard.startswith(b"HTTP/1.1 200 OK")


def test_a_body_may_take_longer_than_a_head(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 7\r\n\r\npre")
        time.sleep(1.5 * HEAD_DEADLINE_S)
        connection.sendall(b"sent")
        assert answer(connection).startswith("HTTP/1.1 200 OK")


def test_connections_are_so_many_and_no_more(client: httpx.Client) -> None:
    with ExitStack() as held:
        lines = [held.enter_context(connected(client)) for _ in range(MAX_CONNECTIONS)]
        one_more = held.enter_context(connected(client))
        assert answer(one_more).startswith("HTTP/1.1 503 Service Unavailable")
        assert all("408" in answer(line) for line in lines)
    assert wait_until(lambda: client.get("/healthz").status_code == 200)


def test_a_body_that_is_no_clip_is_small(client: httpx.Client) -> None:
    refused = client.post("/v1/session", json={"key": "a" * 70_000})

    assert problem(refused) == (422, "bad_option")
    assert refused.json()["detail"] == "The body has more than 65536 bytes; nothing that is asked here needs so many."


def test_a_body_that_is_no_clip_comes_soon(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_body, "BODY_DEADLINE_S", 0.3)
    with connected(client) as connection:
        connection.sendall(b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20\r\n\r\n{")
        said = answer(connection)

    assert said.startswith("HTTP/1.1 422")
    assert "The body did not arrive within 0.3 s." in said
