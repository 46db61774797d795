"""Both classes of a whole clip: one slide for all windows, and nothing else between the twins."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes.inputs import SPEC
from tests.training.trials.sources import FRAMES, ROWS_ABOVE, ROWS_BELOW, rms_px, swaying
from training.counterfactual import PLEURA_HALF_WIDTH_PX, Base
from training.slide import MIN_SLIDE_RMS_PX
from training.trials.twins import ClipTwins, _draw_breathing, clip_twins, with_lung_of


def twins(base: Base = Base.LOCKED, fps: float = 30.0, seed: int = 1) -> ClipTwins:
    return clip_twins(swaying(fps=fps), base, SPEC.fps, np.random.default_rng(seed))


@pytest.mark.parametrize("base", [Base.LOCKED, Base.MIRROR])
def test_one_twin_slides_past_its_wall_and_the_other_does_not(base: Base) -> None:
    made = twins(base)

    assert max(rms_px(made.sliding, w) for w in (0, 1)) > MIN_SLIDE_RMS_PX
    assert max(rms_px(made.still, w) for w in (0, 1)) < MIN_SLIDE_RMS_PX


def test_the_twins_differ_below_the_pleural_line_only() -> None:
    made = twins()
    above = np.s_[:, : ROWS_ABOVE - PLEURA_HALF_WIDTH_PX]

    for still, sliding, window in zip(made.still.windows, made.sliding.windows, swaying().windows, strict=True):
        assert np.array_equal(still.strip[above], sliding.strip[above])
        assert np.array_equal(still.strip[above], window.strip[above])
        assert not np.array_equal(still.strip, sliding.strip)


def test_the_slide_stated_is_the_one_that_was_put_in() -> None:
    made = twins(Base.MIRROR)
    measured = np.sqrt(np.mean([rms_px(made.sliding, w) ** 2 for w in (0, 1)]))

    assert made.slide_rms_px >= MIN_SLIDE_RMS_PX / 2
    assert measured == pytest.approx(made.slide_rms_px, rel=0.5)


def test_the_same_seed_gives_the_same_twins_and_another_gives_others() -> None:
    first, again, other = (twins(seed=seed).sliding.windows[0].strip for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_slide_is_drawn_for_the_whole_clip_and_all_of_the_pleura_makes_it() -> None:
    for seed in range(10):
        breathing = _draw_breathing(swaying(), SPEC.fps, np.random.default_rng(seed))

        assert len(breathing.slide_px) == len(breathing.place_px) == 2 * FRAMES
        assert (np.ptp(breathing.slide_px, axis=0) > 1).all()  # no lung point
        assert np.abs(np.diff(breathing.slide_px, axis=0)).max() < 4  # and no jump from the one window to the other


def test_a_frame_the_scanner_showed_twice_stays_twice_the_same() -> None:
    """At 10 frames a second each is on the screen for three ticks."""
    strip = twins(fps=10.0).sliding.windows[0].strip

    assert np.array_equal(strip[0], strip[2])
    assert not np.array_equal(strip[2], strip[3])


def test_another_clips_lung_comes_under_this_clips_wall() -> None:
    own, other = swaying(0), swaying(1)
    made = with_lung_of(own, other)

    assert np.array_equal(made.windows[1].strip[:, :ROWS_ABOVE], own.windows[1].strip[:, :ROWS_ABOVE])
    assert np.array_equal(made.windows[1].strip[:, ROWS_ABOVE:], other.windows[1].strip[:, ROWS_ABOVE:])


def test_a_narrower_lung_is_mirrored_in_its_edge() -> None:
    narrow = swaying(1, columns=150)
    lung = with_lung_of(swaying(0), narrow).windows[0].strip[:, ROWS_ABOVE:]

    assert lung.shape[1:] == (ROWS_BELOW, 240)
    assert np.array_equal(lung[:, :, :150], narrow.windows[0].strip[:, ROWS_ABOVE:])
    assert np.array_equal(lung[:, :, 150], lung[:, :, 148])  # reflected about column 149


def test_a_clip_with_fewer_windows_lends_those_it_has_again() -> None:
    short = with_lung_of(swaying(0), replace(swaying(1), windows=swaying(1).windows[:1]))

    assert len(short.windows) == 2
    assert np.array_equal(short.windows[1].strip[:, ROWS_ABOVE:], swaying(1).windows[0].strip[:, ROWS_ABOVE:])
