"""What is changed on the way into training, on pictures small enough to write out."""

import pytest
import torch
from torch import Tensor

from training.augment import augment
from training.experiment import AugmentSettings

OFF = AugmentSettings(mirror=0, reverse=0, gamma=1, gain=1, noise=0)
PATCH = torch.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=torch.uint8)  # two frames of 2x2


def changed(patches: Tensor, settings: AugmentSettings, pair: list[int] | None = None, seed: int = 0) -> Tensor:
    numbers = torch.tensor(pair if pair is not None else list(range(len(patches))))
    return augment(patches, numbers, settings, torch.Generator().manual_seed(seed))


def one(**settings: float) -> list[object]:
    given = {"mirror": 0, "reverse": 0, "gamma": 1, "gain": 1, "noise": 0} | settings
    return changed(PATCH[None, None], AugmentSettings(**given))[0, 0].tolist()


def test_with_everything_off_grey_levels_stay_as_they_are() -> None:
    out = changed(PATCH[None, None], OFF)

    assert out.dtype == torch.float32
    assert out[0, 0].tolist() == PATCH.tolist()


def test_mirrored_left_and_right_change_places_and_up_stays_up() -> None:
    assert one(mirror=1) == [[[2, 1], [4, 3]], [[6, 5], [8, 7]]]


def test_reversed_the_last_frame_comes_first() -> None:
    assert one(reverse=1) == [[[5, 6], [7, 8]], [[1, 2], [3, 4]]]


def many(value: int, num: int = 400) -> Tensor:
    return torch.full((num, 2, 2, 4, 4), value, dtype=torch.uint8)


def test_half_of_the_patches_are_mirrored_each_as_a_whole() -> None:
    patches = PATCH[None, None].expand(400, 2, 2, 2, 2)
    out = changed(patches, AugmentSettings(0.5, 0, 1, 1, 0))
    first = out[:, :, :, 0, 0]  # 1 and 5 as they were, 2 and 6 mirrored

    assert 150 < int((first[:, 0, 0] == 2).sum()) < 250
    assert torch.equal(first - first[:, :1, :1], torch.tensor([[0.0, 4.0], [0.0, 4.0]]).expand(400, 2, 2))


def test_gain_multiplies_by_up_to_its_factor_and_black_stays_black() -> None:
    gained = changed(many(100), AugmentSettings(0, 0, 1, 1.25, 0))[:, 0, 0, 0, 0]

    assert 80 <= gained.min() < 83
    assert 122 < gained.max() <= 125
    assert changed(many(0), AugmentSettings(0, 0, 1.5, 1.5, 0)).max() == 0


def test_gamma_bends_the_grey_scale_and_keeps_its_ends() -> None:
    bent = changed(many(64), AugmentSettings(0, 0, 2, 1, 0))[:, 0, 0, 0, 0]

    # 255 * (64 / 255)^2 = 16 and 255 * (64 / 255)^0.5 = 128.
    assert bent.min() == pytest.approx(16, abs=1)
    assert bent.max() == pytest.approx(128, abs=2)
    assert changed(many(255), AugmentSettings(0, 0, 2, 1, 0)).min() == pytest.approx(255, abs=1e-3)


def test_noise_has_up_to_its_deviation_no_mean_and_is_new_in_every_frame() -> None:
    noise = changed(many(100), AugmentSettings(0, 0, 1, 1, 6)) - 100
    deviations = noise.flatten(1).std(dim=1)

    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert deviations.max() == pytest.approx(6, abs=1.5)
    assert deviations.min() < 1
    assert not torch.equal(noise[0, 0, 0], noise[0, 0, 1])


def test_grey_levels_stay_between_black_and_white() -> None:
    out = changed(torch.cat([many(0), many(255)]), AugmentSettings(0.5, 0.5, 1.5, 1.5, 20))

    assert (out.min(), out.max()) == (0, 255)


def test_twins_are_changed_alike() -> None:
    patches = torch.arange(16, dtype=torch.uint8).view(1, 1, 2, 2, 4).expand(40, 1, 2, 2, 4)
    pair = [number // 2 for number in range(40)]
    out = changed(patches, AugmentSettings(0.5, 0.5, 1.5, 1.5, 0), pair)

    assert torch.equal(out[0::2], out[1::2])
    assert len({tuple(patch.flatten().tolist()) for patch in out[0::2]}) == 20


def test_the_same_seed_changes_them_the_same_way() -> None:
    settings = AugmentSettings(0.5, 0.5, 1.5, 1.5, 6)

    assert torch.equal(changed(many(100), settings), changed(many(100), settings))
    assert not torch.equal(changed(many(100), settings), changed(many(100), settings, seed=1))


def test_what_is_given_is_left_as_it_is() -> None:
    patches = many(100)
    changed(patches, AugmentSettings(0.5, 0.5, 1.5, 1.5, 6))

    assert torch.equal(patches, many(100))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="Shares of patches lie between 0 and 1; mirror is 1.5 and reverse 0."):
        AugmentSettings(1.5, 0, 1, 1, 0)
    with pytest.raises(ValueError, match="Found gamma 0.9, gain 1, noise 0; needed are at least 1, 1 and 0."):
        AugmentSettings(0, 0, 0.9, 1, 0)
