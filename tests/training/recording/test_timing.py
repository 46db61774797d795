"""What exporters and late grabbers do to frames and their times."""

import numpy as np

from tests.training.recording.recordings import numbered, shown
from training.recording.timing import at_rate, blended, dropped, repeated


def test_at_twice_the_rate_every_frame_is_shown_twice() -> None:
    exported = at_rate(numbered(3, fps=30), 60.0)

    assert shown(exported) == [0, 0, 1, 1, 2, 2]
    assert np.allclose(exported.times_s, np.arange(6) / 60)


def test_at_half_the_rate_every_other_frame_is_left_out() -> None:
    exported = at_rate(numbered(6, fps=30), 15.0)

    assert shown(exported) == [0, 2, 4]
    assert exported.duration_s == numbered(6).duration_s


def test_a_repeated_frame_is_bit_equal_to_the_one_before() -> None:
    taken = repeated(numbered(100), 0.3, np.random.default_rng(0))

    repeats = np.flatnonzero(np.diff(shown(taken)) == 0) + 1
    assert 20 <= len(repeats) <= 40
    assert all(np.array_equal(taken.grey[at], taken.grey[at - 1]) for at in repeats)
    assert taken.info.is_duplicate[repeats].all()
    assert np.array_equal(taken.times_s, numbered(100).times_s)


def test_repeats_in_a_row_all_show_the_last_new_frame() -> None:
    assert shown(repeated(numbered(5), 0.999999, np.random.default_rng(0))) == [0, 0, 0, 0, 0]


def test_what_is_left_after_dropping_keeps_its_time() -> None:
    taken = dropped(numbered(100), 0.3, np.random.default_rng(0))

    assert 60 <= len(taken.grey) <= 80
    assert np.allclose(taken.times_s * 30, shown(taken))
    assert taken.duration_s == numbered(100).duration_s


def test_the_first_frame_is_never_lost() -> None:
    assert shown(dropped(numbered(5), 0.999999, np.random.default_rng(0))) == [0]


def test_an_interpolated_frame_is_a_blend_of_its_neighbours() -> None:
    exported = blended(numbered(3, fps=30, step=10), 60.0)

    # Half-way between levels 0 and 10 lies 5; after the last frame there is nothing to blend with.
    assert shown(exported) == [0, 5, 10, 15, 20, 20]


def test_blending_at_the_same_rate_changes_nothing() -> None:
    assert np.array_equal(blended(numbered(4), 30.0).grey, numbered(4).grey)
