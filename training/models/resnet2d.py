"""ResNet-18 on M-mode pictures (Jascur 2021, doi 10.3390/app11156976): the baseline that the 3-D nets are compared with.

    grey levels (N, C, T, h, w) -> middle column -> (N, C, h, T), depth down and time to the right -> normalise
    -> 7x7 conv /2 -> BN ReLU -> 3x3 max-pool /2 -> 4 stages of 2 basic blocks -> mean -> logit

The net is He's ResNet-18 (arXiv 1512.03385): BN and ReLU after each convolution, symmetric padding. It takes the same patches
as the 3-D nets and looks at one column of their pixels, so that both kinds are fitted, judged and drawn by the same code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.resnet3d import Normalise

STAGES = (2, 2, 2, 2)


class MiddleColumn(nn.Module):
    """Patches (N, C, T, h, w) -> M-mode pictures (N, C, h, T) of their middle column (the left one of an even width's two)."""

    def forward(self, patches: Tensor) -> Tensor:
        return patches[..., (patches.shape[-1] - 1) // 2].transpose(2, 3)


class MModeResNet18(nn.Module):
    """Patches (N, C, T, h, w) of grey levels 0..255 -> logits (N,), positive for sliding.

    `width` is the number of channels of the stem; 64 is the published net, and every later stage doubles it.
    """

    def __init__(self, *, channels: int, width: int, mean: float | Sequence[float], scale: float | Sequence[float]) -> None:
        super().__init__()
        self.channels = channels
        self.normalise = Normalise(channels, mean, scale)
        self.column = MiddleColumn()
        self.stem = nn.Sequential(*convolution(channels, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
        blocks: list[nn.Module] = []
        inside = width
        for stage, repetition in enumerate(STAGES):
            for index in range(repetition):
                blocks.append(Basic(inside, width << stage, stride=2 if stage > 0 and index == 0 else 1))
                inside = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inside, 1)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.blocks(self.stem(self.column(self.normalise(patches))))
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))[:, 0]
        return logits


class Basic(nn.Module):
    """relu(x + two 3x3 convolutions of x); the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        first, second = convolution(inside, outside, 3, stride), convolution(outside, outside, 3, 1)
        self.body = nn.Sequential(*first, nn.ReLU(), *second)
        same_shape = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same_shape else nn.Sequential(*convolution(inside, outside, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.add(self.body(x), self.shortcut(x)))


def convolution(inside: int, outside: int, kernel: int, stride: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """As in He's nets: without a bias, symmetric padding, and the norm that follows it."""
    layer = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, nn.BatchNorm2d(outside)
