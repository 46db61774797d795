"""B-lines by weak supervision (Kerdegari et al. 2021, arXiv 2102.01059): a label of a second is learnt, and the moment comes out.

    (N, T, 64, 64) -> CNN -> (N, T, 256) -> [LSTM, both ways] -> h (N, T, F) -> [attention] -> mean over time -> logit

    attention: e_t = h_t w_a, a = softmax(e) over time; what is averaged is a_t h_t, times T, so that attention that is even
    changes nothing

Four variants, as published: C2D+A and C3D+A without the LSTM, C2D+LSTM without the attention, C2D+LSTM+A with both. Stated are
four 3x3 convolutions with ReLU and stride 1, two max-pools, 256 features a frame, 16 hidden units a direction, batch
normalisation in CNN and LSTM, dropout 0.2. Not stated, and chosen here: the channels, 16 16 32 32; a pool after the second and
the fourth convolution; and that the norms stand before the ReLU and on the features that the LSTM is given.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from training.models.frames import NormaliseFrames, by_frame

Variant = Literal["c2d+a", "c3d+a", "c2d+lstm", "c2d+lstm+a"]

CHANNELS = 16
"""Of the first two convolutions; the other two have twice as many."""
POOLED_AFTER = (1, 3)
FEATURES = 256
HIDDEN = 16


class BLineNet(nn.Module):
    """Runs of frames (N, T, h, w), grey levels 0..255 -> logits (N, 1), positive for B-lines; attention (N, T), which adds up to 1.

    `side` is h and w, a multiple of 4. Without attention only the logits come out.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        side: int = 64,
        channels: int = CHANNELS,
        features: int = FEATURES,
        dropout: float = 0.2,
        mean: float = 0.0,
        scale: float = 255.0,
    ) -> None:
        super().__init__()
        if side % 4:
            raise ValueError(f"Two pools halve the frame twice: its side must be a multiple of 4, not {side}.")
        if min(channels, features) < 1:
            raise ValueError(f"A net needs channels and features; {channels} and {features} were asked for.")
        self.normalise = NormaliseFrames(mean, scale)
        self.cnn = (_Cnn3d if variant == "c3d+a" else _Cnn2d)(side, channels, features, dropout)
        self.lstm = _Lstm(features, dropout) if "lstm" in variant else None
        averaged = features if self.lstm is None else 2 * HIDDEN
        self.attention = nn.Linear(averaged, 1, bias=False) if variant.endswith("+a") else None
        self.linear = nn.Linear(averaged, 1)
        self.outputs = ("logits",) if self.attention is None else ("logits", "attention")

    def forward(self, frames: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self.cnn(self.normalise(frames))
        if self.lstm is not None:
            features = self.lstm(features)
        if self.attention is None:
            logits: Tensor = self.linear(features.mean(dim=1))
            return logits
        attention = torch.softmax(self.attention(features)[..., 0], dim=1)
        logits = self.linear((attention[..., None] * features).sum(dim=1))
        return logits, attention


class _Cnn2d(nn.Module):
    """Each frame by itself: (N, 1, T, h, w) -> (N, T, 256)."""

    def __init__(self, side: int, channels: int, features: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inside, outside) in enumerate(_in_and_out(channels)):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if index in POOLED_AFTER else []
        self.convolutions = nn.Sequential(*layers)
        self.features = _features(side, channels, features, dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(self.convolutions(by_frame(x)).flatten(1)).unflatten(0, (-1, x.shape[2]))
        return out


class _Cnn3d(nn.Module):
    """Each frame with its neighbours, 3x3x3; pools halve the picture and leave the time: (N, 1, T, h, w) -> (N, T, 256)."""

    def __init__(self, side: int, channels: int, features: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inside, outside) in enumerate(_in_and_out(channels)):
            layers += [nn.Conv3d(inside, outside, 3, padding=1), nn.BatchNorm3d(outside), nn.ReLU()]
            layers += [nn.MaxPool3d((1, 2, 2))] if index in POOLED_AFTER else []
        self.convolutions = nn.Sequential(*layers)
        self.features = _features(side, channels, features, dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(by_frame(self.convolutions(x)).flatten(1)).unflatten(0, (-1, x.shape[2]))
        return out


class _Lstm(nn.Module):
    """(N, T, 256) -> (N, T, 2 * 16): what a frame shows, told from those before and after it."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.lstm = nn.LSTM(features, HIDDEN, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.norm(features.flatten(0, 1)).unflatten(0, features.shape[:2]))
        out: Tensor = self.dropout(hidden)
        return out


def _in_and_out(channels: int) -> Iterator[tuple[int, int]]:
    """Of the four convolutions."""
    return pairwise((1, channels, channels, 2 * channels, 2 * channels))


def _features(side: int, channels: int, features: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * channels * (side // 4) ** 2, features), nn.ReLU(), nn.Dropout(dropout))
