"""What happens to a picture on its way to the file."""

import numpy as np
import pytest

from tests.training.recording.recordings import numbered, shown, speckled
from training.recording import Recording
from training.recording.picture import DisplayMap, amplified, averaged, mapped, noisy, zoomed


def test_six_decibels_of_sixty_are_a_tenth_of_the_greys() -> None:
    # 255 / 10 = 25.5; black stays black, white stays white.
    assert shown(amplified(numbered(3, step=100), 6.0)) == [0, 126, 226]
    assert shown(amplified(numbered(3, step=120), 6.0)) == [0, 146, 255]


@pytest.mark.parametrize(
    ("display_map", "middle"), [(DisplayMap.PLAIN, 102), (DisplayMap.SOFT, 134), (DisplayMap.HARD, 90), (DisplayMap.STEPS, 102)]
)
def test_a_display_map_keeps_black_and_white(display_map: DisplayMap, middle: int) -> None:
    # 102 is two fifths of white: 0.4 ** 0.7 = 0.527, 0.16 * 2.2 = 0.352.
    levels = Recording.at(np.array([0, 102, 255], np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2), 30.0)

    assert shown(mapped(levels, display_map)) == [0, middle, 255]


def test_sixteen_greys_are_left_of_a_stepped_map() -> None:
    assert len(np.unique(mapped(numbered(256), DisplayMap.STEPS).grey)) == 16


def test_averaging_keeps_a_share_of_what_was_shown() -> None:
    flash = Recording.at(np.array([0, 200, 0, 0], np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2), 30.0)

    assert shown(averaged(flash, 0.5)) == [0, 100, 50, 25]


def test_noise_is_as_strong_as_asked_and_black_stays_black() -> None:
    grey = np.full((4, 64, 64), 100, np.uint8)
    grey[:, :, :10] = 0

    taken = noisy(Recording.at(grey, 30.0), 8.0, np.random.default_rng(0)).grey.astype(int)

    assert (taken[:, :, :10] == 0).all()
    assert taken[:, :, 10:].std() == pytest.approx(8.0, rel=0.1)
    assert np.abs(taken[1] - taken[0]).max() > 8


def test_zooming_in_moves_what_is_off_the_middle_further_out() -> None:
    grey = np.zeros((1, 61, 101), np.uint8)
    grey[0, 19:22, 69:72] = 200

    rows, columns = np.nonzero(zoomed(Recording.at(grey, 30.0), 2.0).grey[0] > 100)

    # The zoom is about column 50, row 20: twenty columns to the right become forty.
    assert (rows.mean(), columns.mean()) == (20, 90)


def test_zooming_out_leaves_black_around() -> None:
    taken = zoomed(Recording.at(np.full((1, 61, 101), 200, np.uint8), 30.0), 0.5).grey[0]

    assert taken[:, :20].max() == 0
    assert taken[20, 50] == 200


def test_effects_leave_the_times_and_the_count_alone() -> None:
    recording = speckled()
    taken = [amplified(recording, 3.0), mapped(recording, DisplayMap.HARD), averaged(recording, 0.4), zoomed(recording, 1.2)]

    assert all(np.array_equal(one.times_s, recording.times_s) and one.grey.shape == recording.grey.shape for one in taken)
