"""Clips on their way in: every limit holds while the body streams, and nothing of an upload stays behind."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.service import WordReader, serving, wait_until

LIMIT_BYTES = 100_000
OVERHEAD_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(WordReader(), max_upload_bytes=LIMIT_BYTES, upload_deadline_s=1.0) as client:
        yield client


def form(*parts: tuple[str, bytes], boundary: bytes = b"edge", is_closed: bool = True) -> bytes:
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n" % (boundary, name.encode(), data) for name, data in parts
    )
    return body + (b"--%b--\r\n" % boundary if is_closed else b"")


def post_form(client: httpx.Client, body: bytes, content_type: str = "multipart/form-data; boundary=edge") -> httpx.Response:
    return client.post("/v1/predict", content=body, headers={"content-type": content_type})


def problem(response: httpx.Response) -> tuple[int, str, str]:
    return response.status_code, response.json()["code"], response.json()["detail"]


def test_an_empty_body_says_how_a_clip_is_sent(client: httpx.Client) -> None:
    expected = (
        400,
        "empty_upload",
        "The clip has 0 bytes. Send it as the field 'clip' of a form, or as the body itself: curl -F clip=@CLIP http://HOST:PORT/v1/predict",
    )

    assert problem(client.post("/v1/predict")) == expected
    assert problem(post_form(client, form(("clip", b"")))) == expected


def test_a_form_without_a_clip_says_so(client: httpx.Client) -> None:
    assert problem(post_form(client, form())) == (
        *(400, "empty_upload"),
        "The form has no field 'clip': curl -F clip=@CLIP http://HOST:PORT/v1/predict",
    )


def test_options_in_the_form_are_refused_not_ignored(client: httpx.Client) -> None:
    assert problem(post_form(client, form(("clip", b"present"), ("saliency", b"none")))) == (
        *(422, "bad_option"),
        "The form has a field 'saliency'; it takes 'clip' alone. Options go in the address: ?saliency=none",
    )


def test_two_clips_in_one_form_are_refused(client: httpx.Client) -> None:
    assert problem(post_form(client, form(("clip", b"present"), ("clip", b"absent")))) == (
        *(422, "bad_option"),
        "The form has more than one field 'clip'; send one clip a request.",
    )


@pytest.mark.parametrize(
    "body",
    [form(("clip", b"present"), is_closed=False), form(("clip", b"present"))[:-12], b"no form at all", b""],
    ids=["not closed", "cut off", "not a form", "empty"],
)
def test_a_broken_form_says_so(client: httpx.Client, body: bytes) -> None:
    assert problem(post_form(client, body)) == (
        *(422, "unreadable_clip"),
        "The form is cut off or damaged, so the clip in it cannot be read.",
    )


def test_a_form_without_a_boundary_says_so(client: httpx.Client) -> None:
    assert problem(post_form(client, form(("clip", b"present")), "multipart/form-data")) == (
        *(422, "unreadable_clip"),
        "The form has no boundary in its Content-Type. Let the client set that header itself.",
    )


def test_a_clip_of_the_limit_is_taken_and_one_byte_more_is_not(client: httpx.Client) -> None:
    too_large = (413, "upload_too_large", "The clip is larger than the 100000 bytes this service accepts.")

    for send in (lambda clip: client.post("/v1/predict", content=clip), lambda clip: post_form(client, form(("clip", clip)))):
        assert send(b"p" * LIMIT_BYTES).status_code == 200
        assert problem(send(b"p" * (LIMIT_BYTES + 1))) == too_large


@pytest.mark.parametrize("content_type", ["application/octet-stream", "multipart/form-data; boundary=edge"])
@pytest.mark.parametrize("is_size_declared", [True, False])
def test_a_body_over_the_limit_is_refused_while_it_streams(client: httpx.Client, content_type: str, is_size_declared: bool) -> None:
    """The server answers although the body never ends: it does not wait for the rest."""
    size = b"Content-Length: 9999999999" if is_size_declared else b"Transfer-Encoding: chunked"
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\n%b\r\n\r\n" % (content_type.encode(), size)
    start = b"--edge\r\nContent-Disposition: form-data; name=clip\r\n\r\n" if "multipart" in content_type else b""
    data = start + b"p" * (LIMIT_BYTES + OVERHEAD_BYTES)
    chunk = data if is_size_declared else b"%x\r\n%b\r\n" % (len(data), data)

    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=5) as connection:
        connection.sendall(head + chunk)
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_form_cannot_hide_an_endless_header_or_preamble(client: httpx.Client) -> None:
    endless = b"--edge\r\nContent-Disposition: form-data; name=clip; filename=" + b"x" * 300_000

    assert post_form(client, endless).status_code in (413, 422)


def test_a_clip_that_does_not_arrive_in_time_is_given_up(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=5) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\npre")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 504 ")


def test_an_upload_that_breaks_off_leaves_nothing_behind_and_the_next_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serving(WordReader()) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=5) as connection:
            connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\npresent")
            assert wait_until(lambda: list(tmp_path.iterdir()))
        assert wait_until(lambda: not list(tmp_path.iterdir()))

        assert client.post("/v1/predict", content=b"present").status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "video/mp4", "application/x-npz"])
def test_an_answered_request_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accept: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serving(WordReader()) as client:
        for word in (b"present", b"bug", b"unreadable_clip"):
            client.post("/v1/predict", content=word, headers={"accept": accept})

        assert wait_until(lambda: not list(tmp_path.iterdir()))
