"""look_over(): frames spread over the clip, and what they say together."""

import numpy as np

from service.cine.overview import look_over
from tests.fakes.clip import MemoryClip


def clip_of(levels: list[int]) -> MemoryClip:
    return MemoryClip([np.full((4, 6), level, np.uint8) for level in levels])


def test_the_frames_are_spread_over_the_clip_first_and_last_among_them() -> None:
    overview = look_over(clip_of(list(range(101))), num_frames=5)

    assert overview.frames[:, 0, 0].tolist() == [0, 25, 50, 75, 100]


def test_two_dozen_frames_are_looked_at() -> None:
    assert len(look_over(clip_of(list(range(100)))).frames) == 24


def test_all_frames_of_a_shorter_clip_are_looked_at() -> None:
    assert look_over(clip_of([7, 8, 9])).frames[:, 0, 0].tolist() == [7, 8, 9]


def test_mean_brightest_and_change_are_of_each_pixel() -> None:
    overview = look_over(clip_of([0, 250, 200]))

    assert overview.mean[3, 5] == 150.0
    assert overview.brightest[3, 5] == 250
    assert overview.change[3, 5] == (250 + 50) / 2


def test_a_single_frame_does_not_change() -> None:
    assert look_over(clip_of([9])).change.tolist() == np.zeros((4, 6)).tolist()


def test_height_and_width_are_the_frames() -> None:
    overview = look_over(clip_of([1, 2]))

    assert (overview.height, overview.width) == (4, 6)
