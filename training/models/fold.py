"""Exact rewritings of a trained net that leave less to compute. Each gives a new net, in evaluation mode."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from training.models.resnet3d import BatchNormReLU, Normalise, ResNet3D, SameConv3d

Net = TypeVar("Net", bound=nn.Module)


def fold_batch_norm(model: Net) -> Net:
    """The same net, every convolution that is followed by batch-norm doing its work too. In evaluation mode."""
    folded = copy.deepcopy(model).eval()
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                convolution, norm = module[index], module[index + 1]
                if isinstance(convolution, SameConv3d) and isinstance(norm, BatchNormReLU):
                    _fold(convolution, norm.norm)
                    module[index + 1] = nn.ReLU()
    return folded


def affine(norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Batch-norm in evaluation is x * factor + offset; both (channels,)."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    factor = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    return factor, (norm.bias - norm.running_mean * factor).detach()


def _fold(convolution: SameConv3d, norm: nn.BatchNorm3d) -> None:
    factor, offset = affine(norm)
    assert convolution.bias is not None
    with torch.no_grad():
        convolution.weight.mul_(factor.view(-1, 1, 1, 1, 1))
        convolution.bias.mul_(factor).add_(offset)


def fold_grey(model: ResNet3D) -> ResNet3D:
    """A net for one grey channel, equal to `model` on that channel repeated: the stem's weights are summed.

    A quarter less work for three channels.
    Raises: ValueError when the channels are normalised differently (at the zero border no single kernel does the same).
    """
    normalise = model.normalise
    if not isinstance(normalise, Normalise):
        raise ValueError("Only a net that is shown grey levels can be folded into one channel.")
    mean, scale = float(normalise.mean[0, 0]), float(normalise.scale[0, 0])
    if not (bool((normalise.mean == mean).all()) and bool((normalise.scale == scale).all())):
        raise ValueError("Channels that are normalised differently cannot be folded into one.")
    folded = copy.deepcopy(model).eval()
    stem = folded.stem[0]
    assert isinstance(stem, SameConv3d)
    folded.channels = 1
    folded.normalise = Normalise(1, mean, scale).to(stem.weight)
    summed = SameConv3d(1, stem.out_channels, stem.kernel_size[0], stem.stride[0])
    summed.weight = nn.Parameter(stem.weight.detach().sum(dim=1, keepdim=True))
    summed.bias = stem.bias
    folded.stem[0] = summed
    return folded
