"""RCM2d_Small: a small residual CNN looks at each of 30 frames of 256x256, a GRU at what it says of them, 6,827,717 parameters.

    (N, T, 256, 256)
      -> conv 7x7, 1 -> 2    ReLU BN  residual  pool 4
      -> conv 3x3, 2 -> 4    ReLU BN  residual  pool 2
      -> conv 3x3, 4 -> 8    ReLU BN  residual  pool 2
      -> conv 3x3, 8 -> 16   ReLU BN                    -> 16 x 16 x 16 = 4096
      -> dropout, linear 512, ReLU, BN -> GRU 1024, its last state -> dropout, linear 1

    residual: x + BN(ReLU(conv 3x3 of conv 3x3 of x)), the channels as they are

Published are the channels, the first kernel (100 parameters), the pools, the head and the whole number. What a residual block is made of is
not; of all stacks that fit the number this is the regular one: two convolutions and one norm in each of three blocks, none after the
last convolution. Layer by layer: 100 + 4 + (76 + 4), 76 + 8 + (296 + 8), 296 + 16 + (1168 + 16), 1168 + 32; 2,097,664 + 1,024 +
4,724,736 + 1,025.
"""

from torch import Tensor, nn

from training.models.frames import NormaliseFrames, by_frame

CHANNELS = (2, 4, 8, 16)
KERNELS = (7, 3, 3, 3)
POOLS = (4, 2, 2)
FEATURES, HIDDEN = 512, 1024


class Rcm2dSmall(nn.Module):
    """Runs of frames (N, T, h, w), grey levels 0..255 -> logits (N, 1), positive for what it is trained on.

    `side` is h and w, a multiple of 16.
    """

    outputs = ("logits",)

    def __init__(
        self,
        *,
        side: int = 256,
        features: int = FEATURES,
        hidden: int = HIDDEN,
        dropout: float = 0.5,
        mean: float = 0.0,
        scale: float = 255.0,
    ) -> None:
        super().__init__()
        if side % 16:
            raise ValueError(f"The pools divide the frame by 16: its side must be a multiple of 16, not {side}.")
        self.normalise = NormaliseFrames(mean, scale)
        layers: list[nn.Module] = []
        for index, (inside, outside) in enumerate(zip((1, *CHANNELS), CHANNELS, strict=False)):
            layers += [nn.Conv2d(inside, outside, KERNELS[index], padding=KERNELS[index] // 2), nn.ReLU(), nn.BatchNorm2d(outside)]
            layers += [_Residual(outside), nn.MaxPool2d(POOLS[index])] if index < len(POOLS) else []
        self.cnn = nn.Sequential(*layers)
        self.features = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(CHANNELS[-1] * (side // 16) ** 2, features), nn.ReLU(), nn.BatchNorm1d(features)
        )
        self.gru = nn.GRU(features, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, 1))

    def forward(self, frames: Tensor) -> Tensor:
        x = self.cnn(by_frame(self.normalise(frames)))
        states, _ = self.gru(self.features(x.flatten(1)).unflatten(0, (-1, frames.shape[1])))
        logits: Tensor = self.head(states[:, -1])
        return logits


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out
