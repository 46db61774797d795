"""Frame rates, files and orders are done to a strip alike for both twins."""

import numpy as np
import pytest

from tests.training.trials.sources import measured_px, rms_px, swaying
from training.counterfactual import Base
from training.recording import Codec, Coding, Quality
from training.trials.conditions import AS_TRAINED, CODECS, PLAIN, Condition, Order, backwards, of_files, slower, under
from training.trials.twins import clip_twins

SHUFFLED = Condition(order=Order.SHUFFLED)


def test_at_10_frames_a_second_each_is_on_the_screen_for_three_ticks() -> None:
    assert slower(9, 10.0).tolist() == [0, 0, 0, 3, 3, 3, 6, 6, 6]


def test_at_20_frames_a_second_each_other_is_on_the_screen_twice() -> None:
    """Taken at 0, 1.5, 3 ...: the second is first seen at tick 2."""
    assert slower(6, 20.0).tolist() == [0, 0, 2, 3, 3, 5]


def test_a_slower_scanner_shows_frames_again_and_says_when_they_were_taken() -> None:
    window = under(swaying(), Condition(rate_fps=10.0), [0]).windows[0]

    assert np.array_equal(window.strip[2], swaying().windows[0].strip[0])
    assert window.taken_s[:4].tolist() == pytest.approx([0, 0, 0, 0.1])


def test_a_clip_is_thinned_to_no_more_frames_than_it_has() -> None:
    def rates(fps: float) -> list[float]:
        return [condition.rate_fps for condition in of_files(fps) if condition.rate_fps is not None]

    assert rates(22.2) == [9, 12, 15, 20]
    assert rates(29.97) == [9, 12, 15, 20, 25, 30]


def test_every_codec_is_tried_at_every_quality() -> None:
    codings = [condition.coding for condition in of_files(22.2) if condition.coding is not None]

    assert len(codings) == len(CODECS) * 3 == 15
    assert Codec.NONE not in {coding.codec for coding in codings}


def test_a_file_changes_the_picture_and_not_its_times() -> None:
    window = under(swaying(), Condition(coding=Coding(Codec.MJPEG, Quality.COARSE)), [0]).windows[0]
    before = swaying().windows[0]

    assert np.array_equal(window.taken_s, before.taken_s)
    assert 1 < np.abs(window.strip.astype(int) - before.strip).mean() < 40


def test_the_same_seed_does_the_same_to_both_twins() -> None:
    """What training's finish does to two equal clips is equal; another seed does something else."""
    first, second, other = (under(swaying(), AS_TRAINED, [seed]).windows[0].strip for seed in (3, 3, 4))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_backwards_the_last_frame_comes_first_and_time_still_rises() -> None:
    source = swaying(fps=10.0)
    window = under(source, Condition(order=Order.REVERSED), [0]).windows[0]

    assert np.array_equal(window.strip, source.windows[1].strip[::-1])
    assert (np.diff(window.taken_s) >= 0).all()
    assert len(np.unique(window.taken_s.round(6))) == 20


def test_twice_backwards_is_the_clip() -> None:
    window = swaying().windows[0]

    assert np.array_equal(backwards(backwards(window)).strip, window.strip)
    assert backwards(backwards(window)).taken_s == pytest.approx(window.taken_s)


def test_a_lung_slides_as_far_backwards() -> None:
    made = clip_twins(swaying(), Base.LOCKED, 30.0, np.random.default_rng(1)).sliding
    reversed_made = under(made, Condition(order=Order.REVERSED), [0])

    assert rms_px(reversed_made, 1) == pytest.approx(rms_px(made, 0), rel=0.1)


def test_a_still_lung_is_at_the_same_place_of_its_wall_in_any_order() -> None:
    """The sway shuffled: wall and lung jump together, so what is left between them is none."""
    shuffled = under(swaying(), SHUFFLED, [0])

    assert not np.array_equal(shuffled.windows[0].strip, swaying().windows[0].strip)
    assert np.nanmedian(np.abs(measured_px(shuffled))) < 0.1


def test_shuffled_frames_are_those_of_the_window() -> None:
    before, after = (source.windows[0].strip.reshape(60, -1).sum(axis=1) for source in (swaying(), under(swaying(), SHUFFLED, [0])))

    assert sorted(before.tolist()) == sorted(after.tolist())


def test_conditions_are_called_by_what_they_do() -> None:
    names = [str(c) for c in (PLAIN, AS_TRAINED, SHUFFLED, Condition(rate_fps=9.0), Condition(coding=Coding(Codec.GIF, Quality.FINE)))]

    assert names == ["plain", "as in training", "shuffled", "9 fps", "gif fine"]
