"""What another scanner would make of a run: the same for all its frames but for the noise, and black stays black."""

from dataclasses import replace

import torch

from training.signs.augment import augment_frames
from training.signs.preset import FrameAugment

OFF = FrameAugment()


def changed(frames: torch.Tensor, settings: FrameAugment, seed: int = 0) -> torch.Tensor:
    return augment_frames(frames, settings, torch.Generator().manual_seed(seed))


def test_another_scanner_changes_the_grey_levels_of_each_run_by_itself_and_leaves_black() -> None:
    frames = torch.full((40, 3, 16, 16), 120, dtype=torch.uint8)
    frames[..., :4] = 0

    seen = changed(frames, replace(OFF, scanner=1.0))

    assert float(seen[..., :4].abs().max()) == 0
    assert float(seen.min()) >= 0
    assert float(seen.max()) <= 255
    means = seen[..., 4:].mean(dim=(2, 3))
    assert float(means.mean(dim=1).std()) > 15
    # Noise of at most 3 % of the grey scale over 192 pixels.
    assert float((means - means.mean(dim=1, keepdim=True)).abs().max()) < 3


def test_a_zoom_keeps_the_skin_in_the_picture_more_often_than_its_depth() -> None:
    levels = torch.arange(1, 33, dtype=torch.uint8)[None, None, :, None].repeat(60, 1, 1, 32)

    zoomed = changed(levels, replace(OFF, zoom=1.0))[:, 0, :, 16]

    assert zoomed.shape == (60, 32)
    assert float((zoomed[:, 0] < 5).float().mean()) > float((zoomed[:, -1] > 28).float().mean())
    assert bool((zoomed.diff(dim=1)[:, 1:-2] > -1e-3).all())


def test_half_of_the_runs_are_rescanned_where_a_half_is_asked_for() -> None:
    seen = changed(torch.full((400, 1, 8, 8), 100, dtype=torch.uint8), replace(OFF, scanner=0.5))

    assert 0.4 < float((seen != 100).any(dim=3).any(dim=2).float().mean()) < 0.6
