"""retime(): which frame each tick shows. windows(): no frame is left out."""

import numpy as np
import pytest

from service.cine.retime import retime, windows


def shown(fps: float, num_frames: int, target_fps: float = 30.0) -> list[int]:
    return retime(np.arange(num_frames) / fps, num_frames / fps, target_fps).tolist()


def test_a_clip_at_the_target_rate_is_left_as_it_is() -> None:
    assert shown(30, 90) == list(range(90))


def test_ntsc_rate_is_left_as_it_is_for_two_seconds() -> None:
    assert shown(30000 / 1001, 60) == list(range(60))


def test_twice_the_rate_shows_every_second_frame() -> None:
    assert shown(60, 12) == [0, 2, 4, 6, 8, 10]


def test_four_times_the_rate_shows_every_fourth_frame() -> None:
    assert np.diff(shown(120, 240)).tolist() == [4] * 59


def test_half_the_rate_shows_every_frame_twice() -> None:
    assert shown(15, 3) == [0, 0, 1, 1, 2, 2]


def test_ten_frames_a_second_show_each_frame_three_times() -> None:
    assert shown(10, 3) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_25_frames_become_30_by_repeating_every_fifth() -> None:
    assert shown(25, 5) == [0, 1, 1, 2, 3, 4]


def test_one_frame_a_second_fills_its_second() -> None:
    assert shown(1, 2) == [0] * 30 + [1] * 30


def test_the_last_frame_is_held_until_the_end_of_the_clip() -> None:
    assert retime(np.array([0.0, 0.1]), 0.3, 10.0).tolist() == [0, 1, 1]


def test_a_single_frame_of_no_length_is_one_tick() -> None:
    assert retime(np.array([0.0]), 0.0, 30.0).tolist() == [0]


def test_a_long_pause_repeats_the_frame_before_it() -> None:
    assert retime(np.array([0.0, 0.1, 0.5]), 0.6, 10.0).tolist() == [0, 1, 1, 1, 1, 2]


def test_a_frame_a_little_late_is_still_taken_at_its_tick() -> None:
    gif_times_s = np.array([0.0, 0.03, 0.07, 0.10, 0.13, 0.17])  # 30 fps, rounded to 10 ms

    assert retime(gif_times_s, 0.2, 30.0).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("fps", [10, 15, 20, 24, 25, 30, 50, 60, 90, 120])
def test_rounding_stamps_to_milliseconds_changes_nothing(fps: int) -> None:
    exact_s = np.arange(4 * fps) / fps

    assert retime(np.round(exact_s, 3), 4.0, 30.0).tolist() == retime(exact_s, 4.0, 30.0).tolist()


@pytest.mark.parametrize("fps", [1, 7, 9, 12.5, 19.1, 22.24, 24, 25, 29.97, 30, 31.16, 39, 47, 60, 120])
def test_ticks_cover_the_clip_from_its_first_frame_to_its_last(fps: float) -> None:
    for num_frames in range(1, 130):
        index = retime(np.arange(num_frames) / fps, num_frames / fps, 30.0)

        assert len(index) == max(1, round(num_frames / fps * 30))
        assert index[0] <= 0.3 * fps / 30  # the tolerance
        assert (np.diff(index) >= 0).all()
        assert num_frames - 1 - index[-1] <= fps / 30  # no more is cut at the end than one tick


def test_windows_start_a_stride_apart_and_the_last_is_pulled_back_to_the_end() -> None:
    assert windows(11, 4, 3) == [0, 3, 6, 7]


def test_windows_that_fit_exactly_need_no_pulling_back() -> None:
    assert windows(120, 60, 30) == [0, 30, 60]


def test_a_clip_of_one_window_has_one() -> None:
    assert windows(60, 60, 30) == [0]


def test_a_clip_shorter_than_a_window_has_none() -> None:
    assert windows(59, 60, 30) == []


@pytest.mark.parametrize("stride", [0, 61])
def test_a_stride_that_leaves_frames_out_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match=f"A stride of {stride} frames does not fit windows of 60."):
        windows(100, 60, stride)


def test_every_frame_is_in_a_window_and_no_window_leaves_the_clip() -> None:
    for length in range(1, 9):
        for stride in range(1, length + 1):
            for num_frames in range(length, 30):
                starts = windows(num_frames, length, stride)

                covered = {frame for start in starts for frame in range(start, start + length)}
                assert covered == set(range(num_frames))
                assert starts == sorted(set(starts))
