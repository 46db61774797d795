"""Saliency of engines whose gradient is known by heart."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from service.evidence import saliency
from tests.fakes.engine import LinearEngine, SquareEngine

SHAPE = (1, 4, 2, 3)
"""C, T, h, w"""


def random_patches(num: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (num, *SHAPE), dtype=np.uint8)


def test_vanilla_is_the_gradient_of_the_engine() -> None:
    weights = np.arange(24, dtype=np.float32).reshape(SHAPE)
    patches = np.ones((2, *SHAPE), np.uint8)

    logits, gradients = saliency.vanilla(LinearEngine(weights, bias=0.5), patches)

    assert logits.tolist() == [276.5, 276.5]  # 0 + 1 + ... + 23, and the bias
    assert np.array_equal(gradients, np.stack([weights, weights]))


def test_smoothgrad_of_a_linear_engine_is_its_weights() -> None:
    weights = np.arange(24, dtype=np.float32).reshape(SHAPE)

    gradients = saliency.smoothgrad(LinearEngine(weights), np.ones((2, *SHAPE), np.uint8), samples=5, noise_grey_levels=30.0, seed=0)

    assert np.allclose(gradients, weights, rtol=1e-6)


def test_smoothgrad_averages_the_noise_away() -> None:
    patches = random_patches(2)

    gradients = saliency.smoothgrad(SquareEngine(), patches, samples=400, noise_grey_levels=10.0, seed=3, settled=None)

    noise = gradients - patches  # the gradient of x**2 / 2 is x, so what is left is the mean noise
    assert 0.3 < noise.std() < 0.7  # 10 / sqrt(400) = 0.5


def test_smoothgrad_is_the_same_every_time_and_differs_with_the_seed() -> None:
    patches = random_patches(1)
    once, again, other = (saliency.smoothgrad(SquareEngine(), patches, samples=3, noise_grey_levels=10.0, seed=s) for s in (7, 7, 8))

    assert np.array_equal(once, again)
    assert not np.allclose(once, other)


@pytest.mark.parametrize("settled", [None, 0.99])
def test_smoothgrad_of_a_patch_does_not_depend_on_its_company_nor_on_the_batches(
    settled: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = random_patches(5)
    smoothed = partial(saliency.smoothgrad, SquareEngine(), samples=40, noise_grey_levels=100.0, seed=0, settled=settled)
    together, alone = smoothed(patches), smoothed(patches[3:4])
    monkeypatch.setattr(saliency, "MAX_PIXELS_PER_CALL", 2 * saliency.SAMPLES_A_ROUND * 24)
    in_small_calls = smoothed(patches)

    assert np.allclose(together[3], alone[0])
    assert np.allclose(together, in_small_calls)


@pytest.mark.parametrize(
    ("num_patches", "patches_a_call", "samples", "calls"),
    [(2, 10, 12, [8, 8, 8]), (2, 10, 10, [8, 8, 4]), (5, 2, 8, [8, 8, 8, 8, 4, 4]), (1, 0, 4, [4]), (0, 10, 12, [])],
)
def test_smoothgrad_asks_in_rounds_of_four_copies_a_patch_and_bounds_its_calls(
    num_patches: int, patches_a_call: int, samples: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saliency, "MAX_PIXELS_PER_CALL", patches_a_call * 4 * 24)
    engine = LinearEngine(np.ones(SHAPE, np.float32))

    gradients = saliency.smoothgrad(engine, random_patches(num_patches), samples=samples, noise_grey_levels=5.0, seed=0, settled=None)

    assert engine.batch_sizes == calls
    assert gradients.shape == (num_patches, *SHAPE)


class RestlessEngine(LinearEngine):
    """Linear, except on patches that are bright: there every copy has a gradient of its own."""

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, gradients = super().logits_and_gradients(pixels)
        is_bright = pixels.mean(axis=(1, 2, 3, 4)) > 128
        return logits, np.where(is_bright.reshape(-1, 1, 1, 1, 1), pixels - 200, gradients)


def test_a_patch_whose_map_has_settled_gets_no_more_samples() -> None:
    engine = RestlessEngine(np.arange(24, dtype=np.float32).reshape(SHAPE))
    calm, bright = np.full(SHAPE, 20, np.uint8), np.full(SHAPE, 200, np.uint8)

    gradients = saliency.smoothgrad(engine, np.stack([calm, bright]), samples=14, noise_grey_levels=1.0, seed=0, settled=0.99999)

    assert engine.batch_sizes == [8, 8, 4, 2]  # both, both, and then the bright one alone until it has had its 14
    assert np.allclose(gradients[0], engine.weights)
    noise = np.mean([saliency._noise(SHAPE, 1.0, 0, k) for k in range(14)], axis=0)
    assert np.allclose(gradients[1], noise, atol=1e-4)


def test_a_dark_map_has_settled_when_it_stays_dark() -> None:
    dark, lit = np.zeros((2, 2), np.float32), np.eye(2, dtype=np.float32)

    assert saliency._correlation(dark, dark) == 1.0
    assert saliency._correlation(dark, lit) == 0.0
    assert saliency._correlation(lit, 3 * lit + 1) == pytest.approx(1.0)
    assert saliency._correlation(lit, 1 - lit) == pytest.approx(-1.0)


def test_smoothgrad_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="SmoothGrad needs at least 1 sample, not 0."):
        saliency.smoothgrad(SquareEngine(), random_patches(1), samples=0, noise_grey_levels=1.0, seed=0)


def test_pool_takes_the_largest_over_channels_and_time_and_the_mean_over_the_patch() -> None:
    gradients = np.zeros((1, 2, 3, 2, 2), np.float32)
    gradients[0, 0, 0, 0, 0] = -8.0  # sign does not matter
    gradients[0, 1, 0, 0, 0] = 4.0  # a weaker channel at the same pixel
    gradients[0, 1, 2, 1, 1] = 2.0

    maps, times = saliency.pool(gradients)

    assert maps.tolist() == [[[8.0, 0.0], [0.0, 2.0]]]
    assert times.tolist() == [[2.0, 0.0, 0.5]]


def test_all_patches_share_one_scale() -> None:
    gradients = np.ones((2, 1, 4, 30, 30), np.float32)
    gradients[1] *= 0.25

    strong, weak = saliency.from_gradients(gradients)

    assert (strong.map.max(), weak.map.max()) == (1.0, 0.25)
    assert (strong.time.max(), weak.time.max()) == (1.0, 0.25)


def test_one_extreme_pixel_does_not_darken_the_rest() -> None:
    gradients = np.ones((1, 1, 4, 30, 30), np.float32)
    gradients[0, 0, 0, 0, 0] = 1000.0

    (patch,) = saliency.from_gradients(gradients)

    assert (patch.map.min(), patch.map.max()) == (1.0, 1.0)


def test_a_model_that_looked_nowhere_leaves_zeros() -> None:
    (patch,) = saliency.from_gradients(np.zeros((1, 1, 4, 3, 3), np.float32))

    assert patch.map.tolist() == [[0.0] * 3] * 3
    assert patch.time.tolist() == [0.0] * 4


def test_a_single_pixel_in_a_dark_clip_is_still_seen() -> None:
    gradients = np.zeros((1, 1, 4, 30, 30), np.float32)
    gradients[0, 0, 2, 5, 6] = 3.0

    (patch,) = saliency.from_gradients(gradients)

    assert np.argwhere(patch.map == 1.0).tolist() == [[5, 6]]
    assert patch.time.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_no_patches_have_no_saliency() -> None:
    assert saliency.from_gradients(np.zeros((0, 1, 60, 30, 30), np.float32)) == ()
