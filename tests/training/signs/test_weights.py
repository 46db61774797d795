"""Weights that somebody else has trained, from a file as torchvision writes them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.models.frame_resnet import FrameResNet
from training.signs.weights import WeightsError, load_resnet, torchvision_name


def as_torchvision_writes_it(net: FrameResNet) -> dict[str, Tensor]:
    """In another order than ours and without counters, as its older files are; the stem for colour, each of the three a third."""
    state = {name: value for name, value in net.state_dict().items() if not name.startswith(("normalise.", "linear."))}
    named = {torchvision_name(name, net.depth): value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    named["conv1.weight"] = named["conv1.weight"].repeat(1, 3, 1, 1) / 3
    return {name: named[name] for name in sorted(named)} | {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}


def small(seed: int) -> FrameResNet:
    torch.manual_seed(seed)
    net = FrameResNet("resnet-18", width=2).eval()
    for name, value in net.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    return net


@pytest.mark.parametrize(
    ("ours", "depth", "theirs"),
    [
        ("stem.0.weight", "resnet-152", "conv1.weight"),
        ("stem.1.running_var", "resnet-152", "bn1.running_var"),
        ("blocks.0.shortcut.1.bias", "resnet-152", "layer1.0.downsample.1.bias"),
        ("blocks.3.body.4.weight", "resnet-152", "layer2.0.bn2.weight"),
        ("blocks.49.body.6.weight", "resnet-152", "layer4.2.conv3.weight"),
        ("blocks.7.body.3.weight", "resnet-18", "layer4.1.conv2.weight"),
    ],
)
def test_layers_are_called_as_torchvision_calls_them(ours: str, depth: str, theirs: str) -> None:
    assert torchvision_name(ours, depth) == theirs


def test_a_net_gives_the_features_of_the_one_whose_weights_it_took(tmp_path: Path) -> None:
    theirs, ours = small(1), small(2)
    torch.save(as_torchvision_writes_it(theirs), tmp_path / "weights.pt")
    head = ours.linear.weight.clone()

    load_resnet(ours, tmp_path / "weights.pt")

    pictures = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(ours.blocks(ours.stem(pictures)), theirs.blocks(theirs.stem(pictures)))
    torch.testing.assert_close(ours.linear.weight, head)
    assert float(ours.normalise.grey.scale) == pytest.approx(255 * 0.226)


def test_a_file_of_another_net_is_told_from_one_of_none(tmp_path: Path) -> None:
    torch.save(as_torchvision_writes_it(FrameResNet("resnet-18", width=4)), tmp_path / "wide.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "one.pt")
    torch.save(torch.zeros(1), tmp_path / "array.pt")
    (tmp_path / "text.pt").write_text("no weights")

    with pytest.raises(WeightsError, match=r"^conv1\.weight is \(4, 1, 7, 7\) in the file; the net has \(2, 1, 7, 7\) there\.$"):
        load_resnet(small(0), tmp_path / "wide.pt")
    with pytest.raises(WeightsError, match=r"^The file has no conv1\.weight; it is of another net, or of none\.$"):
        load_resnet(small(0), tmp_path / "one.pt")
    with pytest.raises(WeightsError, match=r"^The file holds no weights by name\.$"):
        load_resnet(small(0), tmp_path / "array.pt")
    with pytest.raises(WeightsError, match=r"^The file is not one of weights that torch has written\.$"):
        load_resnet(small(0), tmp_path / "text.pt")
    with pytest.raises(WeightsError, match=r"^The file of weights cannot be read: there is no such file, or it may not be read\.$"):
        load_resnet(small(0), tmp_path / "none.pt")
