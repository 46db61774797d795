"""How a lung slides past the wall in a counterfactual."""

import numpy as np
import pytest

from tests.fakes.inputs import speckle
from training.slide import MIN_SLIDE_RMS_PX, Renewal, Shimmer, draw_shimmer, draw_slide, elsewhere, shift_rms

FRAMES, COLUMNS = 60, 300


def test_shift_rms_is_how_far_it_moves_in_four_frames() -> None:
    assert shift_rms(np.arange(60.0), 30) == 4
    assert shift_rms(np.zeros(60), 30) == 0
    assert shift_rms(np.arange(20.0), 10) == 1  # one frame at 10 fps


def test_every_slide_drawn_can_be_told_from_none() -> None:
    slides = [draw_slide(FRAMES, COLUMNS, 30, np.random.default_rng(seed)) for seed in range(60)]
    fastest = [max(shift_rms(slide[:, x], 30) for x in range(0, COLUMNS, 10)) for slide in slides]
    slowest = [min(shift_rms(slide[:, x], 30) for x in range(0, COLUMNS, 10)) for slide in slides]

    assert min(fastest) > 0.6 * MIN_SLIDE_RMS_PX  # at the side where the lung stretches least
    assert 5 <= sum(rms < 0.05 for rms in slowest) <= 25  # a quarter has a lung point


def test_beside_a_lung_point_no_column_jumps() -> None:
    """25 px in the fastest breath of 1.5 s are 2 px a frame at most; a lung point that passes must not add to it."""
    for seed in range(60):
        slide = draw_slide(FRAMES, COLUMNS, 30, np.random.default_rng(seed))

        assert np.abs(np.diff(slide, axis=0)).max() < 5


def texture(seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.repeat(speckle((1, 40, COLUMNS), seed), 3, axis=0).astype(np.float32)


def alike(a: np.ndarray[tuple[int, ...], np.dtype[np.float32]], b: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_lung_that_stays_keeps_its_speckle_and_lung_that_slides_brings_new() -> None:
    """Three frames: at home, half way to another texture, all the way."""
    renewal, lung = Renewal(10.0, 70), texture()
    moved = np.repeat(np.array([[0.0], [10.0], [20.0]], np.float32), COLUMNS, axis=1)

    assert renewal.of(lung, np.zeros_like(moved)) is lung
    changed = renewal.of(lung, moved)
    assert np.allclose(changed[0], lung[0], atol=1e-3)
    assert [round(alike(lung[0], frame), 1) for frame in changed] == [1.0, pytest.approx(0.7, abs=0.15), pytest.approx(0.0, abs=0.25)]


def test_speckle_from_elsewhere_is_new_and_a_shadow_stays_where_it_is() -> None:
    lung = texture()
    lung[:, :, 100:180] *= 0.2
    other = elsewhere(lung, 70)

    assert other[:, :, 120:160].mean() == pytest.approx(lung[:, :, 120:160].mean(), rel=0.25)
    assert other[:, :, 120:160].std() < 0.5 * other[:, :, 220:260].std()
    assert abs(alike(lung[0, :, 200:280], other[0, :, 200:280])) < 0.3


def test_a_shimmer_is_a_factor_or_a_sum() -> None:
    texture = np.full((2, 3, 4), 60, np.float32)
    log_gain = np.array([[0.0], [0.1]], np.float32)

    assert Shimmer(log_gain, is_offset=False).of(texture)[1, 0, 0] == pytest.approx(60 * 1.105, abs=0.1)
    assert Shimmer(log_gain, is_offset=True).of(texture)[1, 0, 0] == pytest.approx(60 + 6, abs=0.1)  # 60 grey levels a neper
    assert (Shimmer(log_gain, is_offset=True).of(texture)[0] == 60).all()


def test_two_lungs_of_five_do_not_shimmer_and_none_by_more_than_its_two_beats() -> None:
    drawn = [draw_shimmer(60, 90, 30.0, np.random.default_rng(seed)).log_gain for seed in range(200)]
    steady = np.mean([not gain.any() for gain in drawn])

    assert steady == pytest.approx(0.4, abs=0.1)
    assert max(np.abs(gain).max() for gain in drawn) <= 2 * 2 * 0.3
