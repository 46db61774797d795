"""CMWRU: 3-D convolutions with residual blocks on 40 (also 34, 45, 60) frames of 256x256. Its positive class is *absence* of sliding.

    (N, T, 256, 256) -> conv 3x3x3, 8, BN ReLU, pool (1, 2, 2)
      -> 2 blocks of 16 -> 2 blocks of 32, the first of stride 2 -> 2 blocks of 64, the first of stride 2
      -> 64 x 10 x 32 x 32 = 655,360 -> linear 64 (41,943,104 parameters), BN, ReLU, dropout -> linear 32, ReLU, dropout -> linear 1

    block: ReLU(BN conv dropout3d ReLU BN conv of x + x, or its 1x1x1 convolution where the shape changes)

The first convolution is printed as 680 parameters. No stated kernel gives that number: 3x3x3 of one grey channel has 224, of three colours
656. Taken here is 3x3x3 of one channel, for echoes are grey. How the blocks are made inside is not published; the flattened size and the
first linear layer fit these strides.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from training.models.frames import NormaliseFrames

STEM = 8
STAGES = (16, 32, 64)
STRIDES = (1, 2, 2)
HEAD = (64, 32)


class Cmwru(nn.Module):
    """Runs of frames (N, T, h, w), grey levels 0..255 -> logits (N, 1), positive for *absent* sliding.

    `frames` is T; `side` is h and w, a multiple of 2. `dropout` is that of the head and of each block's dropout3d.
    """

    outputs = ("logits",)

    def __init__(self, *, frames: int = 40, side: int = 256, dropout: float = 0.65, mean: float = 0.0, scale: float = 255.0) -> None:
        super().__init__()
        if side % 2:
            raise ValueError(f"The first pool halves the frame: its side must be even, not {side}.")
        self.normalise = NormaliseFrames(mean, scale)
        self.stem = nn.Sequential(nn.Conv3d(1, STEM, 3, padding=1), nn.BatchNorm3d(STEM), nn.ReLU(), nn.MaxPool3d((1, 2, 2)))
        blocks: list[nn.Module] = []
        inside = STEM
        for channels, stride in zip(STAGES, STRIDES, strict=True):
            blocks += [_Block(inside, channels, stride, dropout), _Block(channels, channels, 1, dropout)]
            inside = channels
        self.blocks = nn.Sequential(*blocks)
        flat = inside * _halved_twice(frames) * _halved_twice(side // 2) ** 2
        self.head = nn.Sequential(
            nn.Linear(flat, HEAD[0]),
            nn.BatchNorm1d(HEAD[0]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HEAD[0], HEAD[1]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HEAD[1], 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(self.normalise(frames))).flatten(1))
        return logits


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inside, outside, 3, stride, padding=1),
            nn.BatchNorm3d(outside),
            nn.ReLU(),
            nn.Dropout3d(dropout),
            nn.Conv3d(outside, outside, 3, padding=1),
            nn.BatchNorm3d(outside),
        )
        self.shortcut = nn.Identity() if stride == 1 and inside == outside else nn.Conv3d(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def _halved_twice(length: int) -> int:
    """By two convolutions of stride 2 with a border of one: an odd length is rounded up."""
    return -(-length // 4)
