"""The M-mode net: the published size, one column of a patch, one logit."""

import torch

from training.models import BASELINES, build
from training.models.resnet2d import MiddleColumn


def test_with_three_channels_it_has_the_parameters_of_resnet_18_and_one_logit() -> None:
    """He's ResNet-18 has 11 689 512 with its 1000 classes (513 000); one logit has 513."""
    model = build("mmode-resnet-18", channels=3, width=64)

    assert sum(parameter.numel() for parameter in model.parameters()) == 11_689_512 - 513_000 + 513
    assert BASELINES == ("mmode-resnet-18",)


def test_the_picture_is_the_middle_column_with_depth_down_and_time_to_the_right() -> None:
    patch = torch.arange(2 * 3 * 4).reshape(1, 1, 2, 3, 4)  # 2 frames of 3 rows and 4 columns

    assert MiddleColumn()(patch).tolist() == [[[[1, 13], [5, 17], [9, 21]]]]


def test_only_the_middle_column_counts() -> None:
    model = build("mmode-resnet-18", channels=1, width=2).eval()
    patches = torch.randint(0, 256, (2, 1, 64, 48, 48), dtype=torch.uint8)
    changed = patches.clone()
    changed[..., 0] = 0
    changed[..., -1] = 255
    with torch.no_grad():
        logits, again = model(patches), model(changed)

    assert logits.shape == (2,)
    assert torch.equal(logits, again)
