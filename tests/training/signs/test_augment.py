"""What is done to a run of frames is done alike to all its frames, and the pleura stays up."""

from dataclasses import replace

import torch
from torch import Tensor

from training.signs.augment import augment_frames
from training.signs.preset import FrameAugment

OFF = FrameAugment()


def changed(frames: Tensor, settings: FrameAugment, seed: int = 0) -> Tensor:
    return augment_frames(frames, settings, torch.Generator().manual_seed(seed))


def left_half(num: int = 8) -> Tensor:
    """Bright on the left: (num, 2, 16, 16)."""
    frames = torch.zeros(num, 2, 16, 16, dtype=torch.uint8)
    frames[..., :8] = 200
    return frames


def test_switched_off_nothing_changes() -> None:
    torch.testing.assert_close(changed(left_half(), OFF), left_half().float())


def test_mirrored_left_is_right_and_up_stays_up() -> None:
    up_left = torch.zeros(3, 2, 16, 16, dtype=torch.uint8)
    up_left[:, :, 2, 3] = 250

    mirrored = changed(up_left, replace(OFF, mirror=1.0))

    assert mirrored.nonzero().tolist() == [[n, t, 2, 12] for n in range(3) for t in range(2)]


def test_half_of_the_runs_are_mirrored_where_a_half_is_asked_for() -> None:
    bright_right = (changed(left_half(400), replace(OFF, mirror=0.5))[:, 0, 0, -1] > 0).float().mean()

    assert 0.4 < float(bright_right) < 0.6


def test_light_stays_within_the_grey_scale_and_is_the_same_for_all_frames_of_a_run() -> None:
    lit = changed(left_half(50), replace(OFF, light=1.0))

    assert float(lit.min()) >= 0
    assert float(lit.max()) <= 255
    torch.testing.assert_close(lit[:, 0], lit[:, 1])
    assert len(lit[:, 0, 0, 0].unique()) > 40


def test_a_crop_enlarges_and_a_turn_leaves_the_middle() -> None:
    dot = torch.zeros(20, 1, 33, 33, dtype=torch.uint8)
    dot[:, :, 15:18, 15:18] = 255

    cropped = changed(dot, replace(OFF, crop=1.0, crop_least=0.5))
    turned = changed(dot, replace(OFF, turn=1.0))

    assert float(cropped.sum(dim=(1, 2, 3)).mean()) > 1.2 * float(dot[0].float().sum())
    assert bool((turned[:, 0, 16, 16] > 250).all())


def test_the_same_generator_draws_the_same() -> None:
    every = FrameAugment(mirror=0.5, light=0.5, turn=0.5, crop=0.5)

    torch.testing.assert_close(changed(left_half(), every, 3), changed(left_half(), every, 3))
