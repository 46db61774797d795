"""A recording is a clip the service can read."""

import numpy as np
import pytest

from tests.training.recording.recordings import numbered
from training.recording import Recording


def test_thirty_frames_a_second_are_shown_for_a_thirtieth_of_a_second_each() -> None:
    recording = numbered(60)

    assert recording.duration_s == pytest.approx(2.0)
    assert recording.info.fps == pytest.approx(30.0)
    assert (recording.info.width, recording.info.height) == (8, 8)


def test_frames_come_as_grey_and_as_colour() -> None:
    recording = numbered(3, step=10)

    assert [frame.shape for frame in recording.frames()] == [(8, 8)] * 3
    assert [frame.shape for frame in recording.rgb_frames()] == [(8, 8, 3)] * 3
    assert [int(frame[0, 0, 2]) for frame in recording.rgb_frames()] == [0, 10, 20]


def test_an_equal_frame_is_told_as_a_duplicate() -> None:
    recording = numbered(4, step=20)

    assert recording.showing(recording.grey[[0, 0, 1, 2]]).info.is_duplicate.tolist() == [False, True, False, False]


def test_its_repr_shows_no_pixels() -> None:
    assert repr(numbered(60)) == "Recording(60, 8, 8), 2.00 s"


@pytest.mark.parametrize(
    ("shape", "times_s", "sentence"),
    [
        ((8, 8), [0.0], "A recording is made of frames (F, H, W); this array has the shape (8, 8)."),
        ((2, 8, 8), [0.0], "A recording of 2 frames needs as many times; there are 1."),
        (
            (2, 8, 8),
            [0.0, 0.0],
            "The times of a recording begin at 0 and rise from frame to frame, and the last frame is shown for a while.",
        ),
    ],
)
def test_a_recording_that_cannot_be_is_refused(shape: tuple[int, ...], times_s: list[float], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        Recording(np.zeros(shape, np.uint8), np.array(times_s), 1.0)

    assert str(refused.value) == sentence
