"""Frames as JPEGs in one file: each lies where the index says, and is the frame that was drawn."""

import math
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.evidence.rendition import FRAMES_AHEAD, Rendition, render
from tests.fakes.clip import MemoryClip
from tests.fakes.media import texture

RED, BLUE = (220, 30, 20), (20, 30, 220)
TWO = {"width": 64, "height": 48, "duration_s": 1.0, "times_s": [0.0, 0.5], "offsets": [0, 7, 20]}


def frames_in(path: Path, rendition: Rendition) -> list[NDArray[np.uint8]]:
    """Decoded as a browser does: RGB."""
    data = np.fromfile(path, np.uint8)
    parts = [data[begin:end] for begin, end in zip(rendition.offsets, rendition.offsets[1:], strict=False)]
    assert len(data) == rendition.offsets[-1]
    return [cv2.cvtColor(cv2.imdecode(part, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for part in parts]


def test_every_frame_lies_where_the_index_says_in_its_own_size(tmp_path: Path) -> None:
    drawn = texture(5, 161, 121)
    rendition = render(MemoryClip(list(drawn)), tmp_path / "frames")
    shown = frames_in(tmp_path / "frames", rendition)

    assert (rendition.width, rendition.height, len(shown)) == (161, 121, 5)
    for before, after in zip(drawn, shown, strict=True):
        assert after.shape == (121, 161, 3)
        assert np.abs(after.astype(int) - before[..., None]).max() <= 6


def test_colours_are_kept(tmp_path: Path) -> None:
    """Doppler, and the marks of a scanner."""
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in (RED, BLUE)]
    shown = frames_in(tmp_path / "frames", render(MemoryClip(frames), tmp_path / "frames"))

    assert [np.abs(frame.astype(int) - colour).max() <= 4 for frame, colour in zip(shown, (RED, BLUE), strict=True)] == [True, True]


def test_a_coloured_line_one_pixel_wide_is_still_one(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, 20] = RED
    shown = frames_in(tmp_path / "frames", render(MemoryClip([frame]), tmp_path / "frames"))[0].astype(int)

    assert (shown[:, 20, 0] - shown[:, 20, 2]).min() > 150
    assert (shown[:, [18, 19, 21, 22], 0] - shown[:, [18, 19, 21, 22], 2]).max() < 50


def test_times_are_the_clips_own(tmp_path: Path) -> None:
    rendition = render(MemoryClip(list(texture(3)), times_s=[0.0, 0.1, 0.4], duration_s=0.5), tmp_path / "frames")

    assert (rendition.times_s, rendition.duration_s) == ((0.0, 0.1, 0.4), 0.5)


def test_the_same_clip_makes_the_same_bytes(tmp_path: Path) -> None:
    clip = MemoryClip(list(texture(3)))

    assert render(clip, tmp_path / "one") == render(clip, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_share_that_is_done_is_told_frame_by_frame_and_whoever_raises_there_ends_it(tmp_path: Path) -> None:
    told: list[float] = []

    def stop_halfway(share: float) -> None:
        told.append(share)
        if share == 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        render(MemoryClip(list(texture(4))), tmp_path / "frames", stop_halfway)

    assert told == [0.25, 0.5]


def test_frames_are_not_gathered(tmp_path: Path) -> None:
    alive: set[int] = set()
    most = 0

    class Film(MemoryClip):
        def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
            nonlocal most
            for number in range(60):
                frame = np.full((48, 64, 3), number, np.uint8)
                alive.add(number)
                weakref.finalize(frame, alive.discard, number)
                most = max(most, len(alive))
                yield frame
                del frame

    render(Film([np.zeros((48, 64), np.uint8)] * 60), tmp_path / "frames")

    assert most <= FRAMES_AHEAD + 4  # in line, being made, being put, being encoded


def test_an_index_is_read_back_as_it_was_written() -> None:
    assert Rendition.from_json(TWO) == Rendition(64, 48, 1.0, (0.0, 0.5), (0, 7, 20))
    assert {**Rendition.from_json(TWO).to_json(), "times_s": [0.0, 0.5], "offsets": [0, 7, 20]} == TWO
    assert repr(Rendition.from_json(TWO)) == "Rendition(2 frames of 64 x 48 px, 20 bytes)"


@pytest.mark.parametrize(
    "change",
    [
        {"times_s": [], "offsets": [0]},
        {"offsets": [0, 7]},
        {"offsets": [1, 7, 20]},
        {"offsets": [0, 20, 7]},
        {"offsets": [0, 7, math.inf]},
        {"offsets": None},
        {"times_s": [0.5, 0.0]},
        {"times_s": [0.0, math.nan]},
        {"times_s": ["now", "then"]},
        {"duration_s": math.inf},
        {"width": []},
    ],
)
def test_what_is_no_index_is_not_taken_for_one(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"frames|index|convert"):
        Rendition.from_json(TWO | change)
