"""Uploads of every kind that goes wrong or is out of the way, over HTTP, read by the real service with the shipped model.

Each is answered with a sentence (a 4xx with a stable code, or 200 `not_assessable` with the reason), and the next clip is served.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.fakes import dicom, media
from tests.fakes.media import Frames
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import serving, shipped_bundle, shipped_reader, wait_until

NUM_FRAMES = 66
"""2.2 s at 30 frames a second: a window and a little."""
FULL_RATE = {"frame_time_ms": 1000 / 30}


def lung() -> Frames:
    """A sliding lung under a convex probe, (66, 240, 320), grey."""
    return small_phantom("present", NUM_FRAMES / 30).frames


def in_colour(frames: Frames) -> Frames:
    return np.repeat(frames[..., None], 3, axis=-1)


def landscape() -> Frames:
    """Sky, a sun that wanders, and a green hill that waves, (66, 240, 320, 3)."""
    y, x = np.mgrid[:240, :320].astype(np.float32)
    return np.stack([_landscape(x + 3 * n, x - 2 * n, y) for n in range(NUM_FRAMES)])


def _landscape(hill_x: Any, sun_x: Any, y: Any) -> Frames:
    sky = np.stack([80 + y / 6, 140 + y / 4, 230 - y / 12], axis=-1)
    hill = np.stack([60 + 30 * np.sin(hill_x / 9), 130 + 40 * np.sin(hill_x / 7 + y / 5), 50 + 20 * np.cos(y / 6)], axis=-1)
    picture = np.where((y > 130 + 10 * np.sin(hill_x / 40))[..., None], hill, sky)
    picture[(sun_x - 60) ** 2 + (y - 60) ** 2 < 900] = 250, 220, 60
    return picture.astype(np.uint8)


def test_card() -> Frames:
    """Eight grey bars that move on by 4 px a frame, (66, 240, 320)."""
    bars = np.repeat(np.linspace(0, 255, 8).astype(np.uint8), 40)
    return np.stack([np.tile(np.roll(bars, 4 * n), (240, 1)) for n in range(NUM_FRAMES)])


test_card.__test__ = False  # type: ignore[attr-defined]


def turned(frames: Frames, clockwise_deg: int) -> bytes:
    """Stored on its side, with the metadata that puts it upright again."""
    stored = np.ascontiguousarray(np.rot90(frames, clockwise_deg // 90, axes=(1, 2)))
    return media.rotated(media.mp4(stored), clockwise_deg)


def at_4k(frames: Frames) -> bytes:
    """Every other frame, at 15 frames a second, to spare the encoder."""
    large = np.stack([cv2.resize(frame, (3840, 2160)) for frame in frames[::2]])
    return media.mp4(large, fps=15, options={"crf": "23", "preset": "ultrafast"})


def opaque(frames: Frames) -> Frames:
    return np.concatenate([in_colour(frames), np.full((*frames.shape, 1), 255, np.uint8)], axis=-1)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(shipped_reader()) as client:
        yield client


@pytest.fixture(autouse=True)
def _the_next_request_is_served(client: httpx.Client) -> Iterator[None]:
    yield
    assert client.post("/v1/predict?saliency=none", content=media.mp4(lung())).status_code == 200


def send(client: httpx.Client, clip: bytes, query: str = "") -> httpx.Response:
    """As a browser sends it, called .mp4 whatever it is."""
    return client.post(f"/v1/predict{query}", files={"clip": ("lung.mp4", clip, "video/mp4")})


@pytest.mark.parametrize(
    ("make", "status", "code", "words"),
    [
        (lambda: b"", 400, "empty_upload", "The clip has 0 bytes. Send it as the field 'clip' of a form, or as the body itself: curl "),
        (lambda: media.TEXT, 415, "unsupported_format", "This is text, not a clip. MP4, MOV, AVI, MKV, WebM, MPEG, GIF and "),
        (media.png, 415, "unsupported_format", "This is a PNG picture, not a clip. MP4, "),
        (lambda: bytes(range(1, 256)) * 40, 415, "unsupported_format", "This is not a clip of a known kind. MP4, "),
        (lambda: media.playlist("http://127.0.0.1:9/secret"), 415, "unsupported_format", "This is text, not a clip. "),
        (
            lambda: media.truncated(media.mp4(lung()), 0.5),
            422,
            "unreadable_clip",
            "The clip is damaged or cut off: it begins like a clip and could not be opened. Please export or copy it again.",
        ),
        (media.sound_only, 422, "no_video", "The file has no moving pictures in it, only sound or data."),
        (lambda: media.huge_gif(20_000), 422, "frame_too_large", "The frames are 20000 x 20000 px; at most 9.4 million pixels a frame "),
        (
            lambda: media.mp4(np.zeros((2, 4320, 7680), np.uint8)),
            422,
            "frame_too_large",
            "The frames are 7680 x 4320 px; at most 9.4 million pixels a frame can be read. Please export the clip at a smaller size.",
        ),
        (
            lambda: media.mp4(np.zeros((3, 32, 32), np.uint8)),
            422,
            "frame_too_small",
            "The frames are 32 x 32 px; each side must have at least 64 px.",
        ),
        (
            media.ten_minutes,
            422,
            "clip_too_long",
            "The clip is longer than 120 s, the most that can be read in one clip. Please cut it. Longer ones go to /v1/jobs",
        ),
        (dicom.without_pixel_data, 422, "no_video", "The DICOM object has no pixel data, or is cut off before it."),
        (
            lambda: dicom.of_modality("CT"),
            422,
            "wrong_modality",
            "The DICOM object has the modality CT; only ultrasound (modality US) can be read.",
        ),
    ],
    ids=[
        *("empty", "text", "picture", "noise", "playlist", "cut off", "sound only", "huge", "8K", "tiny", "ten minutes"),
        *("DICOM without pixel data", "DICOM of CT"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    client: httpx.Client, make: Callable[[], bytes], status: int, code: str, words: str
) -> None:
    response = send(client, make())

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["detail"].startswith(words)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda: media.mp4(lung()[:1]), "too_short", "s (1 frame); at least 2.0 s are needed. Record 4 s or more, to see a breath."),
        (lambda: media.mp4(lung()[:59]), "too_short", "s (59 frames); at least 2.0 s are needed. Record 4 s or more, to see a breath."),
        (dicom.single_frame, "too_short", "s (1 frame); at least 2.0 s are needed. "),
        (lambda: media.truncated(media.streamable_mp4(lung()), 0.5), "too_short", "s (32 frames); at least 2.0 s are needed. "),
        (
            lambda: media.mp4(lung()[:10], fps=1),
            "frame_rate_too_low",
            "The clip shows 1.0 different frames a second; at least 7 are needed. Reduce the depth, or export the clip at its full ",
        ),
        (
            lambda: media.mp4(frozen(small_phantom("present", NUM_FRAMES / 30))),
            "frozen",
            "The picture does not change at all: this is a frozen image. Record a moving clip.",
        ),
        (lambda: media.mp4(lung() // 12), "too_dark", "The picture is almost black. Raise the gain, or check the contact "),
        (
            lambda: media.mp4(landscape()),
            "not_ultrasound",
            "The picture is in colour, not a grey ultrasound image. Send the B-mode clip, without Doppler.",
        ),
        (
            lambda: media.mp4(test_card()),
            "no_pleura",
            "No pleural line was found. Place the probe between two ribs, so that the bright line lies across the picture, or ",
        ),
        (lambda: media.palette_avi(200, 10, 10), "too_short", "s (2 frames); at least 2.0 s are needed. "),
    ],
    ids=[
        *("1 frame", "59 frames", "DICOM of one frame", "cut off", "1 fps", "frozen", "dark", "landscape", "test card"),
        *("red square",),
    ],
)
def test_what_cannot_be_assessed_is_an_answer_with_the_reason(
    client: httpx.Client, make: Callable[[], bytes], code: str, words: str
) -> None:
    response = send(client, make())

    body = response.json()
    assert response.status_code == 200, response.text
    assert body["lung_sliding"] == {"probability": None, "interval": None, "verdict": "not_assessable", "wall_control": None}
    assert body["quality"]["assessable"] is False
    assert body["quality"]["reasons"][0]["code"] == code
    assert words in body["quality"]["reasons"][0]["detail"]
    assert body["windows"] == []


def test_a_landscape_without_colours_gets_no_verdict(client: httpx.Client) -> None:
    """A horizon is a bright line across the picture: it may be taken for a pleura, but for a doubtful one."""
    body = send(client, media.mp4(landscape()[..., 1])).json()

    assert body["lung_sliding"]["verdict"] in ("indeterminate", "not_assessable")
    assert {reason["code"] for reason in body["quality"]["reasons"]} & {"pleura_doubtful", "no_pleura"}


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda: media.mp4(lung()[:60]), {"frames": 60, "fps": 30.0, "duration_s": 2.0}),
        (lambda: media.mp4(lung()[:, :239, :317], pix_fmt="yuv444p"), {"width": 317, "height": 239}),
        (lambda: media.mp4(np.repeat(lung(), 4, axis=0), fps=120), {"frames": 264, "fps": 120.0, "duration_s": 2.2}),
        (lambda: media.mp4(lung(), times_ms=media.uneven_times_ms([20, 47, 33], NUM_FRAMES)), {"frames": 66, "duration_s": 2.2}),
        (lambda: turned(lung(), 90), {"width": 320, "height": 240}),
        (lambda: turned(lung(), 180), {"width": 320, "height": 240}),
        (lambda: media.mp4(lung(), pix_fmt="gray"), {"frames": 66}),
        (lambda: media.encode(lung(), **media.EVERY_KIND["gif"]), {"frames": 66, "fps": 25.0}),
        (lambda: media.ten_bit_mkv(lung()), {"frames": 66}),
        (lambda: media.alpha_mov(opaque(lung())), {"frames": 66}),
        (lambda: dicom.native(lung(), **FULL_RATE), {"frames": 66, "fps": 30.0}),
    ],
    ids=["60 frames", "odd sizes", "120 fps", "VFR", "rotated", "upside down", "grey", "palette", "10 bit", "alpha", "DICOM"],
)
def test_an_unusual_clip_of_a_sliding_lung_is_read_like_any_other(
    client: httpx.Client, make: Callable[[], bytes], facts: dict[str, float]
) -> None:
    body = send(client, make()).json()

    assert {name: body["clip"][name] for name in facts} == pytest.approx(facts, abs=0.03)
    assert body["quality"]["assessable"] is True
    assert body["lung_sliding"]["verdict"] in ("present", "indeterminate")
    assert body["windows"][0]["patches"] != []
    assert body["warnings"] == []


def test_a_clip_in_4k_is_read(client: httpx.Client) -> None:
    body = send(client, at_4k(lung()), "?saliency=none").json()

    assert (body["clip"]["width"], body["clip"]["height"]) == (3840, 2160)
    assert body["lung_sliding"]["verdict"] in ("present", "indeterminate")


@pytest.mark.parametrize(
    ("make", "warnings"),
    [
        (
            lambda: dicom.native(lung(), frame_time_ms=None),
            ["The object does not say when its frames were taken; 30 frames a second were assumed."],
        ),
        (
            lambda: media.truncated(media.streamable_mp4(lung()), 0.97),
            [
                "1 frame could not be decoded and was left out.",
                "The clip is cut off: it says that it lasts 2.2 s, and 2.1 s of it could be read.",
            ],
        ),
    ],
    ids=["DICOM without frame times", "cut off near its end"],
)
def test_what_had_to_be_assumed_or_left_out_is_said(client: httpx.Client, make: Callable[[], bytes], warnings: list[str]) -> None:
    body = send(client, make()).json()

    assert body["quality"]["assessable"] is True
    assert body["warnings"] == warnings


@pytest.mark.parametrize(
    ("query", "status", "code", "detail"),
    [
        ("?saliency=loud", 422, "bad_option", "saliency is 'loud'; it can be none, vanilla or smoothgrad."),
        ("?model=other", 404, "unknown_model", "There is no such model; there "),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(client: httpx.Client, query: str, status: int, code: str, detail: str) -> None:
    response = send(client, media.mp4(lung()), query)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["detail"].startswith(detail)


def test_an_unknown_model_is_told_which_there_are(client: httpx.Client) -> None:
    bundle = shipped_bundle()

    assert f"{bundle.parent.name}:{bundle.name}" in send(client, media.mp4(lung()), "?model=other").json()["detail"]


def test_a_region_outside_the_picture_is_no_pleura(client: httpx.Client) -> None:
    body = send(client, media.mp4(lung()), "?region=5000,5000 6000,5000 6000,6000").json()

    assert body["lung_sliding"]["verdict"] == "not_assessable"
    assert [reason["code"] for reason in body["quality"]["reasons"]] == ["no_pleura"]


def test_a_body_over_the_limit_is_refused_and_the_next_is_served() -> None:
    clip = media.mp4(lung())
    with serving(shipped_reader(), max_upload_bytes=len(clip)) as client:
        refused = send(client, clip + b"\0")

        assert (refused.status_code, refused.json()["code"]) == (413, "upload_too_large")
        assert refused.json()["detail"].startswith("The clip is larger than the ")
        assert send(client, clip).status_code == 200


@pytest.mark.parametrize("accept", ["video/mp4", "application/x-npz"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: media.mp4(lung()[:1]),
        lambda: media.mp4(lung()[:, :239, :317], pix_fmt="yuv444p"),
        lambda: media.mp4(landscape()),
        dicom.single_frame,
        lambda: media.palette_avi(200, 10, 10),
    ],
    ids=["1 frame", "odd sizes", "landscape", "DICOM of one frame", "red square"],
)
def test_every_answer_comes_in_every_form(client: httpx.Client, make: Callable[[], bytes], accept: str) -> None:
    response = client.post("/v1/predict", content=make(), headers={"accept": accept})

    assert (response.status_code, response.headers["content-type"]) == (200, accept)
    assert len(response.content) > 500


def test_the_type_is_told_from_the_content_not_from_the_name_or_the_declared_type(client: httpx.Client) -> None:
    response = client.post("/v1/predict", files={"clip": ("letter.txt", media.mp4(lung()), "text/plain")})

    assert response.status_code == 200


def test_the_times_of_all_stages_are_told(client: httpx.Client) -> None:
    times = send(client, media.mp4(lung())).json()["timings_ms"]

    assert times.pop("signs") == 0
    assert min(times.values()) > 0
    assert times["total"] >= times["decode"] + times["pleura"] + times["model"] + times["saliency"]


def test_a_damaged_object_that_names_its_patient_in_the_wrong_place_puts_no_name_into_the_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """pydicom quotes a value that is none of its kind, and the name of the file."""
    frame_time = b"\x18\x00\x63\x10DS"
    sound = dicom.native(lung(), frame_time_ms=40.0)
    assert sound.count(frame_time + b"\x04\x0040.0") == 1
    damaged = sound.replace(frame_time + b"\x04\x0040.0", frame_time + b"\x08\x00" + dicom.PATIENT.encode())

    with caplog.at_level(logging.DEBUG):
        response = client.post("/v1/predict", files={"clip": (f"{dicom.PATIENT}.dcm", damaged)})
        assert wait_until(lambda: "POST /v1/predict: 200 ok in" in caplog.text)  # written once the answer is on its way

    assert response.status_code == 200
    assert dicom.PATIENT not in caplog.text
    assert dicom.PATIENT not in response.text
