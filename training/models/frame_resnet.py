"""Signs of a frame by a ResNet (He et al. 2015, arXiv 1512.03385): A-lines, B-lines, pleural effusion, consolidation.

    grey frames (N, 1, h, w) -> 7x7 conv /2 -> BN ReLU -> 3x3 max-pool /2 -> 4 stages of blocks -> mean -> logits (N, 4)

ResNet-152 is the published net; ResNet-18 of a small width is the one a CPU can serve. A frame is one grey channel: the published net is
given the same picture three times, and summing its stem's weights over the three gives the same figures (`grey_stem`).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.frames import NormaliseFrames, by_frame
from training.models.resnet2d import Basic, convolution

Depth = Literal["resnet-18", "resnet-152"]

REPETITIONS: Mapping[str, Sequence[int]] = {"resnet-18": (2, 2, 2, 2), "resnet-152": (3, 8, 36, 3)}
"""Of the four stages: blocks of two 3x3 convolutions in the first, bottlenecks in the second."""
EXPANSION = 4
NUM_SIGNS = 4


class FrameResNet(nn.Module):
    """Frames (N, 1, h, w), grey levels 0..255 -> logits (N, `num_signs`).

    `width` is the number of channels of the stem; 64 is the published net, and every later stage doubles it.
    """

    outputs = ("logits",)

    def __init__(self, depth: Depth, *, width: int = 64, num_signs: int = NUM_SIGNS, mean: float = 0.0, scale: float = 255.0) -> None:
        super().__init__()
        self.depth = depth
        self.normalise = NormaliseFrames(mean, scale)
        self.stem = nn.Sequential(*convolution(1, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
        blocks: list[nn.Module] = []
        inside = width
        for stage, repetition in enumerate(REPETITIONS[depth]):
            for index in range(repetition):
                stride = 2 if stage > 0 and index == 0 else 1
                filters = width << stage
                if depth == "resnet-18":
                    blocks.append(Basic(inside, filters, stride))
                    inside = filters
                else:
                    blocks.append(_Bottleneck(inside, filters, stride))
                    inside = EXPANSION * filters
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inside, num_signs)

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.linear(self._seen(frames).mean(dim=(2, 3)))
        return logits

    def with_maps(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and where they come from: maps (N, `num_signs`, h / 32, w / 32) whose means they are.

        Class activation maps (Zhou et al. 2016, arXiv 1512.04150), exact for a mean and one linear layer; Grad-CAM gives the same.
        """
        seen = self._seen(frames)
        maps = torch.einsum("kc,nchw->nkhw", self.linear.weight, seen) + self.linear.bias[:, None, None]
        return maps.mean(dim=(2, 3)), maps

    def _seen(self, frames: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.stem(by_frame(self.normalise(frames))))
        return out


class _Bottleneck(nn.Module):
    """relu(x + 1x1, 3x3 and 1x1 convolution of x), four times as wide at its end; the stride is that of the 3x3 (as in torchvision)."""

    def __init__(self, inside: int, filters: int, stride: int) -> None:
        super().__init__()
        outside = EXPANSION * filters
        first, second, third = (
            convolution(inside, filters, 1, 1),
            convolution(filters, filters, 3, stride),
            convolution(filters, outside, 1, 1),
        )
        self.body = nn.Sequential(*first, nn.ReLU(), *second, nn.ReLU(), *third)
        same_shape = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same_shape else nn.Sequential(*convolution(inside, outside, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.add(self.body(x), self.shortcut(x)))


def grey_stem(weights: Tensor) -> Tensor:
    """The weights (n, 3, 7, 7) of a stem for colour, for a grey frame that was to be given three times: (n, 1, 7, 7)."""
    return weights.sum(dim=1, keepdim=True)
