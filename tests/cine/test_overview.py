"""look_over(): frames spread over the clip, and what they say together."""

from dataclasses import replace

import numpy as np
import pytest

from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.cine.overview import look_over
from service.cine.survey import SurveyedClip, spread
from tests.fakes.clip import MemoryClip
from tests.fakes.media import mp4, streamable_mp4, texture, truncated


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


@pytest.mark.parametrize("cache_bytes", [0, 29 * 160 * 120, DEFAULT_LIMITS.cache_bytes])
def test_a_clip_too_large_for_the_cache_is_looked_over_from_what_was_kept_while_it_was_opened(cache_bytes: int) -> None:
    cached = open_clip(mp4(), DEFAULT_LIMITS)
    clip = open_clip(mp4(), replace(DEFAULT_LIMITS, cache_bytes=cache_bytes))
    assert isinstance(clip, SurveyedClip)

    assert np.array_equal(look_over(clip).frames, look_over(cached).frames)
    assert sorted(clip.stills) == ([] if cache_bytes == DEFAULT_LIMITS.cache_bytes else sorted(spread(30, 160, 120)))


def test_a_clip_whose_header_lies_of_its_length_is_walked_through_once_more() -> None:
    """Cut off after half: what was kept is not what is wanted."""
    data = truncated(streamable_mp4(texture()), 0.6)
    clip = open_clip(data, replace(DEFAULT_LIMITS, cache_bytes=0))

    assert 0 < clip.info.num_frames < 30
    assert np.array_equal(look_over(clip).frames, look_over(open_clip(data, DEFAULT_LIMITS)).frames)
