"""Weights of a ResNet that somebody else has trained, from a local file, into the net that looks at frames.

torchvision      conv1, bn1, layer1.0.conv1, layer1.0.bn1, ..., layer1.0.downsample.0, ..., fc
FrameResNet      stem.0, stem.1, blocks.0.body.0, blocks.0.body.1, ..., blocks.0.shortcut.0, ..., linear

Nothing is fetched.
"""

from pathlib import Path

from torch import Tensor, nn

from training.models.frame_resnet import REPETITIONS, FrameResNet, grey_stem
from training.weight_file import Refusal, read_weights

IMAGENET_MEAN, IMAGENET_DEVIATION = 255 * 0.449, 255 * 0.226
"""Of grey levels. torchvision normalises red, green and blue each by its own (0.485 0.456 0.406, 0.229 0.224 0.225); of a grey picture the
mean of the three is near enough to go on learning from."""
_COUNTER = "num_batches_tracked"
"""Older files do not have it, and nothing depends on it."""


class WeightsError(ValueError):
    """This file does not hold weights of such a net."""


_REFUSAL = Refusal(
    WeightsError,
    unreadable="The file of weights cannot be read: there is no such file, or it may not be read.",
    foreign="The file is not one of weights that torch has written.",
    nameless="The file holds no weights by name.",
)


def load_resnet(net: nn.Module, path: Path) -> None:
    """All but the last layer, which keeps what it was drawn with. Raises: WeightsError."""
    assert isinstance(net, FrameResNet), "a preset names weights for a resnet alone"
    given, taken = read_weights(path, _REFUSAL), dict[str, Tensor]()
    for ours, value in net.state_dict().items():
        if ours.startswith(("linear.", "normalise.")) or ours.endswith(_COUNTER):
            continue
        theirs = torchvision_name(ours, net.depth)
        if theirs not in given:
            raise WeightsError(f"The file has no {theirs}; it is of another net, or of none.")
        array = grey_stem(given[theirs]) if theirs == "conv1.weight" and given[theirs].ndim == 4 else given[theirs]
        if array.shape != value.shape:
            raise WeightsError(f"{theirs} is {tuple(array.shape)} in the file; the net has {tuple(value.shape)} there.")
        taken[ours] = array
    net.load_state_dict(taken, strict=False)
    net.normalise.grey.mean.fill_(IMAGENET_MEAN)
    net.normalise.grey.scale.fill_(IMAGENET_DEVIATION)


def torchvision_name(ours: str, depth: str) -> str:
    """ "blocks.3.body.4.weight" of a ResNet-152 -> "layer2.0.bn2.weight"."""
    part, *rest = ours.split(".")
    if part == "stem":
        return f"{('conv1', 'bn1')[int(rest[0])]}.{rest[1]}"
    number, kind, layer, array = int(rest[0]), rest[1], int(rest[2]), rest[3]
    stage, index = _place(number, depth)
    if kind == "shortcut":
        return f"layer{stage}.{index}.downsample.{layer}.{array}"
    # Of a body each third layer is a ReLU: convolution, norm, ReLU, convolution, norm, ...
    return f"layer{stage}.{index}.{('conv', 'bn')[layer % 3]}{layer // 3 + 1}.{array}"


def _place(number: int, depth: str) -> tuple[int, int]:
    """The stage, counted from 1, and the place in it of block `number` of all."""
    for stage, repetition in enumerate(REPETITIONS[depth], 1):
        if number < repetition:
            return stage, number
        number -= repetition
    raise AssertionError(f"A {depth} has no block beyond its stages.")
