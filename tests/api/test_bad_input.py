"""Files that are no clip, sent as a caller sends them: the real decoder's sentence comes back, and the next clip is served."""

from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from tests.fakes import media
from tests.fakes.service import DecodingReader, serving


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(DecodingReader()) as client:
        yield client


def tiny() -> bytes:
    return media.mp4(np.zeros((3, 32, 32), np.uint8))


@pytest.mark.parametrize(
    ("make", "status", "code", "words"),
    [
        (lambda: b"", 400, "empty_upload", "The clip has 0 bytes."),
        (lambda: media.TEXT, 415, "unsupported_format", "This is text, not a clip. MP4, "),
        (media.png, 415, "unsupported_format", ", not a clip. MP4, "),
        (lambda: bytes(range(1, 256)) * 40, 415, "unsupported_format", "not a clip"),
        (lambda: media.playlist("http://127.0.0.1:9/secret"), 415, "unsupported_format", "not a clip"),
        (lambda: media.truncated(media.mp4(), 0.5), 422, "unreadable_clip", "cut off"),
        (media.sound_only, 422, "no_video", "The file has no moving pictures in it, only sound or data."),
        (lambda: media.huge_gif(20_000), 422, "frame_too_large", "20000 x 20000"),
        (
            lambda: media.mp4(np.zeros((3, 32, 32), np.uint8)),
            422,
            "frame_too_small",
            "The frames are 32 x 32 px; each side must have at least 64 px.",
        ),
        (media.ten_minutes, 422, "clip_too_long", "The clip is longer than 120 s"),
    ],
    ids=["empty", "text", "picture", "noise", "playlist", "cut off", "sound only", "huge", "tiny", "ten minutes"],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    client: httpx.Client, make: Callable[[], bytes], status: int, code: str, words: str
) -> None:
    response = client.post("/v1/predict", files={"clip": ("lung.mp4", make(), "video/mp4")})

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert words in response.json()["detail"]
    assert client.post("/v1/predict", content=media.mp4()).status_code == 200


def test_a_clip_too_long_is_told_of_jobs(client: httpx.Client) -> None:
    assert "/v1/jobs" in client.post("/v1/predict", content=media.ten_minutes()).json()["detail"]


def test_the_type_is_told_from_the_content_not_from_the_name_or_the_declared_type(client: httpx.Client) -> None:
    response = client.post("/v1/predict", files={"clip": ("letter.txt", media.mp4(), "text/plain")})

    assert response.status_code == 200
