"""CMWRA: optical flow into 3-D convolutions. Its first linear layer alone has 335,544,576 parameters, 1.3 GB.

    flow (N, 2, 39, 256, 256), px a step to the right and down
      -> conv (2, 3, 3), 2 -> 16 (592 parameters), ReLU, BN, pool 2
      -> conv (2, 3, 3), 16 -> 32 (9,248), ReLU, BN, pool 2
      -> 32 x 10 x 64 x 64 = 1,310,720 -> linear 256 (335,544,576), ReLU -> linear 128, ReLU -> linear 1

The flattened size is printed as 1,318,728; the parameters of the layer after it decide. They need a border of one in time as well, so that
39 steps become 40, 20, 21 and 10.
"""

import torch
from torch import Tensor, nn

STEPS = 39
CHANNELS = (16, 32)
HEAD = (256, 128)


class Cmwra(nn.Module):
    """Flow (N, 2, steps, h, w) in px a step -> logits (N, 1), positive for *absent* sliding. `side` is h and w, a multiple of 4."""

    outputs = ("logits",)
    scale: Tensor

    def __init__(self, *, steps: int = STEPS, side: int = 256, scale: float = 1.0) -> None:
        """`scale`: the flow's deviation, by which it is divided."""
        super().__init__()
        if side % 4:
            raise ValueError(f"Two pools halve the frame twice: its side must be a multiple of 4, not {side}.")
        if not scale > 0:
            raise ValueError("The scale of a flow must be above 0.")
        self.register_buffer("scale", torch.tensor(float(scale)))
        layers: list[nn.Module] = []
        for inside, outside in zip((2, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv3d(inside, outside, (2, 3, 3), padding=1), nn.ReLU(), nn.BatchNorm3d(outside), nn.MaxPool3d(2)]
        self.convolutions = nn.Sequential(*layers)
        flat = CHANNELS[-1] * _pooled_twice(steps) * (side // 4) ** 2
        self.head = nn.Sequential(nn.Linear(flat, HEAD[0]), nn.ReLU(), nn.Linear(HEAD[0], HEAD[1]), nn.ReLU(), nn.Linear(HEAD[1], 1))

    def forward(self, flow: Tensor) -> Tensor:
        logits: Tensor = self.head(self.convolutions(flow / self.scale).flatten(1))
        return logits


def _pooled_twice(steps: int) -> int:
    """A kernel of two with a border of one makes one more of them, a pool half as many."""
    once = (steps + 1) // 2
    return (once + 1) // 2
