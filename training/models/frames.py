"""What the nets that look at whole frames have in common: how their input is normalised, and how they are asked.

    grey levels (N, T, h, w), uint8 or float in 0..255 -> (N, 1, T, h, w) of mean 0 and deviation 1

The nets that look at patches of the pleura stand in `resnet3d` and `resnet2d`; these are the published ones beside them, which
are given the whole picture, resized.
"""

from typing import Protocol

from torch import Tensor, nn

from training.models.resnet3d import Normalise


class FrameNet(Protocol):
    """A net that is given runs of whole frames."""

    outputs: tuple[str, ...]
    """What it gives, in order: "logits" (N, K) first; "attention" (N, T) of those that have one."""

    def __call__(self, frames: Tensor) -> Tensor | tuple[Tensor, ...]: ...


class NormaliseFrames(nn.Module):
    """(N, T, h, w) grey levels 0..255 -> (N, 1, T, h, w), (grey - mean) / scale. The first layer of every graph."""

    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.grey = Normalise(1, mean, scale)

    def forward(self, frames: Tensor) -> Tensor:
        out: Tensor = self.grey(frames[:, None])
        return out


def by_frame(x: Tensor) -> Tensor:
    """(N, C, T, h, w) -> (N * T, C, h, w): each frame a picture of its own."""
    return x.transpose(1, 2).flatten(0, 1)
