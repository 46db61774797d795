"""The network of a preset, and what a layer of it weighs."""

import torch
from torch import Tensor, nn

from training.experiment import ExperimentError
from training.models.blines import BLineNet
from training.models.cmwra import Cmwra
from training.models.cmwru import Cmwru
from training.models.frame_resnet import REPETITIONS, FrameResNet
from training.models.rcm import Rcm2dSmall
from training.signs.preset import Loss, Preset

_BLINES = ("c2d+a", "c3d+a", "c2d+lstm", "c2d+lstm+a")


def build_network(preset: Preset, *, mean: float = 0.0, scale: float = 255.0) -> nn.Module:
    """Untrained. `mean` and `scale` of the training runs' grey levels; of a flow `scale` alone, in px. Raises: ExperimentError."""
    network, frames = preset.network, preset.frames
    kind, side, dropout = network.kind, frames.side_px, network.dropout
    try:
        if kind == "blines":
            _check_variant(network.variant, _BLINES)
            return BLineNet(
                network.variant,  # type: ignore[arg-type]
                side=side,
                channels=network.channels,
                features=network.features,
                dropout=dropout,
                mean=mean,
                scale=scale,
            )
        if kind == "resnet":
            _check_variant(network.variant, tuple(REPETITIONS))
            return FrameResNet(network.variant, width=network.width, num_signs=len(preset.signs), mean=mean, scale=scale)  # type: ignore[arg-type]
        if kind == "rcm2d-small":
            return Rcm2dSmall(side=side, dropout=dropout, mean=mean, scale=scale)
        if kind == "cmwru":
            return Cmwru(frames=frames.num_frames, side=side, dropout=dropout, mean=mean, scale=scale)
        return Cmwra(steps=frames.num_frames - frames.flow_step, side=side, scale=scale)
    except ValueError as error:
        raise ExperimentError(f"In network: {error}") from None


def logits_of(given: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The first of what a net gives."""
    return given[0] if isinstance(given, tuple) else given


def attention_of(given: Tensor | tuple[Tensor, ...]) -> Tensor | None:
    return given[1] if isinstance(given, tuple) else None


def num_parameters(network: nn.Module) -> int:
    """That are learnt: a norm's two, not its running mean and variance."""
    return sum(parameter.numel() for parameter in network.parameters())


def probabilities(logits: Tensor, loss: Loss) -> Tensor:
    """(n, K): of each sign by its own, of one among several by softmax."""
    return torch.softmax(logits, dim=1) if loss.kind == "softmax" else torch.sigmoid(logits)


def _check_variant(variant: str, known: tuple[str, ...]) -> None:
    if variant not in known:
        raise ValueError(f"There is no variant {variant!r}; there are {', '.join(known)}.")
