"""The networks that can be trained, by name. A new one is a module here and a line in `_BUILDERS`."""

from collections.abc import Sequence
from typing import Protocol

from torch import nn

from training.models.resnet2d import MModeResNet18
from training.models.resnet3d import ResNet3D


class Builder(Protocol):
    def __call__(
        self, *, channels: int, width: int, mean: float | Sequence[float] = 0.0, scale: float | Sequence[float] = 255.0
    ) -> nn.Module: ...


def _resnet3d(kind: str, repetitions: Sequence[int], *, of_changes: bool = False) -> Builder:
    def build_resnet3d(
        *, channels: int, width: int, mean: float | Sequence[float] = 0.0, scale: float | Sequence[float] = 255.0
    ) -> nn.Module:
        return ResNet3D(
            kind,  # type: ignore[arg-type]
            repetitions,
            channels=channels,
            width=width,
            mean=mean,
            scale=scale,
            of_changes=of_changes,
        )

    return build_resnet3d


_BUILDERS: dict[str, Builder] = {
    "resnet3d-18": _resnet3d("basic", (2, 2, 2, 2)),
    "resnet3d-34": _resnet3d("basic", (3, 4, 6, 3)),
    "resnet3d-50": _resnet3d("bottleneck", (3, 4, 6, 3)),
    "resnet3d-18-changes": _resnet3d("basic", (2, 2, 2, 2), of_changes=True),
}

NAMES = tuple(_BUILDERS)
"""What can be served: each has its saliency graph."""


def _mmode_resnet18(*, channels: int, width: int, mean: float | Sequence[float] = 0.0, scale: float | Sequence[float] = 255.0) -> nn.Module:
    return MModeResNet18(channels=channels, width=width, mean=mean, scale=scale)


_BASELINES: dict[str, Builder] = {"mmode-resnet-18": _mmode_resnet18}
BASELINES = tuple(_BASELINES)
"""What others are compared with: fitted and judged, never exported."""


def build(
    name: str,
    *,
    channels: int,
    width: int,
    mean: float | Sequence[float] = 0.0,
    scale: float | Sequence[float] = 255.0,
) -> nn.Module:
    """An untrained net taking (N, channels, T, h, w) grey levels 0..255 and giving logits (N,), positive for sliding.

    Raises: ValueError for a name that is not in `NAMES` or `BASELINES`, no channel or no width.
    """
    builders = _BUILDERS | _BASELINES
    if name not in builders:
        raise ValueError(f"There is no model called {name!r}; there are {', '.join(NAMES)}.")
    if channels < 1 or width < 1:
        raise ValueError(f"A model needs at least 1 channel and a width of at least 1; {channels} and {width} were asked for.")
    return builders[name](channels=channels, width=width, mean=mean, scale=scale)
