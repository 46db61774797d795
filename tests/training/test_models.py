"""The networks: the published sizes, TensorFlow's padding, normalisation inside, and the exact rewritings of them."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from training.models import NAMES, build
from training.models.fold import fold_batch_norm, fold_grey
from training.models.resnet3d import BatchNormReLU, ResNet3D, SameConv3d, SameMaxPool3d, same_padding

PATCHES = (2, 12, 10, 10)
"""Small (T, h, w) that still go through odd and even axes on the way down: 12 6 3 2 1 and 10 5 3 2 1."""


def net(name: str, *, channels: int = 1, width: int = 4, seed: int = 0) -> nn.Module:
    """A net whose batch-norms have seen something, in evaluation mode."""
    torch.manual_seed(seed)
    model = build(name, channels=channels, width=width)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return model.eval()


def grey(number: int, channels: int, *size: int) -> Tensor:
    return torch.randint(0, 256, (number, channels, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "millions"), [("resnet3d-18", 33.21), ("resnet3d-34", 63.52), ("resnet3d-50", 46.22)])
def test_at_width_64_and_three_channels_the_parameters_are_the_published_ones(name: str, millions: float) -> None:
    model = build(name, channels=3, width=64)

    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2) == millions


def test_the_width_scales_every_stage() -> None:
    model = build("resnet3d-18", channels=1, width=8)
    widths = [module.out_channels for module in model.modules() if isinstance(module, SameConv3d)]

    assert sorted(set(widths)) == [8, 16, 32, 64]


def test_a_bottleneck_gives_four_times_its_width() -> None:
    model = build("resnet3d-50", channels=1, width=8)

    assert model.head.linear.in_features == 4 * 64


@pytest.mark.parametrize("name", NAMES)
def test_patches_of_every_published_size_give_one_logit_each(name: str) -> None:
    model = build(name, channels=2, width=1).eval()

    with torch.no_grad():
        assert [model(grey(2, 2, 60, px, px)).shape for px in (30, 60, 90)] == [(2,)] * 3


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding"),
    [
        (60, 7, 2, (2, 3)),
        (15, 7, 2, (3, 3)),
        (30, 3, 2, (0, 1)),
        (15, 3, 2, (1, 1)),
        (8, 3, 1, (1, 1)),
        (8, 1, 2, (0, 0)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding_puts_the_odd_zero_at_the_end(length: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(length, kernel, stride) == padding


def test_a_strided_convolution_of_an_even_axis_begins_on_its_first_cell() -> None:
    convolution = SameConv3d(1, 1, 3, 2)
    nn.init.ones_(convolution.weight)
    line = torch.tensor([1.0, 2, 4, 8, 16, 32]).view(1, 1, 6, 1, 1)

    # windows: 1+2+4, 4+8+16, 16+32 and the padding
    assert convolution(line).flatten().tolist() == [7, 28, 48]


@pytest.mark.parametrize(("line", "maxima"), [([1, 5, 2, 3], [5, 3]), ([1, 5, 2, 3, 4], [5, 5, 4]), ([-3, -1], [-1])])
def test_max_pooling_of_even_and_odd_axes(line: list[float], maxima: list[float]) -> None:
    assert SameMaxPool3d()(torch.tensor(line, dtype=torch.float32).view(1, 1, -1, 1, 1)).flatten().tolist() == maxima


def test_grey_levels_are_normalised_channel_by_channel() -> None:
    model = build("resnet3d-18", channels=2, width=1, mean=[100, 0], scale=[50, 10])
    pixels = torch.tensor([200.0, 30]).view(1, 2, 1, 1, 1)

    assert model.normalise(pixels).flatten().tolist() == [2, 3]


def test_bytes_and_floats_of_the_same_grey_levels_give_the_same_logits() -> None:
    model, patches = net("resnet3d-18"), grey(2, 1, *PATCHES[1:])

    with torch.no_grad():
        assert torch.equal(model(patches), model(patches.float()))


def test_a_new_net_is_unsure() -> None:
    """An untrained net's logits are small, so training does not begin by unlearning."""
    model = build("resnet3d-18", channels=1, width=8).train()

    assert float(model(grey(8, 1, 12, 10, 10)).detach().abs().max()) < 10


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On busy machines the threads of so small a net mostly wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_small_net_learns_sixteen_patches() -> None:
    """Half of them move by a pixel a frame, half stand still."""
    torch.manual_seed(0)
    texture = torch.randint(0, 256, (16, 1, 1, 12, 12)).float()
    moving = torch.cat([texture[:8].roll(shift, dims=4) for shift in range(12)], dim=2)
    patches = torch.cat([moving, texture[8:].expand(8, 1, 12, 12, 12)])
    labels = torch.tensor([1.0] * 8 + [0.0] * 8)
    model = build("resnet3d-18", channels=1, width=8).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(25):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(patches), labels).backward()
        optimiser.step()

    with torch.no_grad():
        assert ((model.eval()(patches) > 0) == labels.bool()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet2d-18"}, f"There is no model called 'resnet2d-18'; there are {', '.join(NAMES)}."),
        ({"width": 0}, "A model needs at least 1 channel and a width of at least 1; 2 and 0 were asked for."),
        ({"mean": [1, 2, 3]}, "3 values of mean were given for 2 channels."),
        ({"scale": 0}, "A normalisation scale must be above 0."),
    ],
)
def test_what_cannot_be_built_is_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        build(**({"name": "resnet3d-18", "channels": 2, "width": 4} | arguments))

    assert str(raised.value) == message


def test_three_equal_channels_fold_into_one_exactly() -> None:
    model = net("resnet3d-18", channels=3).double()
    patches = grey(2, 1, *PATCHES[1:])
    folded = fold_grey(model)

    with torch.no_grad():
        assert torch.allclose(folded(patches), model(patches.expand(-1, 3, -1, -1, -1)), rtol=0, atol=1e-12)
    assert (folded.channels, model.channels) == (1, 3)


def test_channels_normalised_differently_do_not_fold() -> None:
    with pytest.raises(ValueError, match="^Channels that are normalised differently cannot be folded into one.$"):
        fold_grey(ResNet3D("basic", [1], channels=2, width=1, mean=[0, 1]))


@pytest.mark.parametrize("name", NAMES)
def test_folding_batch_norm_changes_no_logit(name: str) -> None:
    model = net(name).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_batch_norm(model)
    patches = grey(2, 1, *PATCHES[1:]).double()

    with torch.no_grad():
        assert torch.allclose(folded(patches), model(patches), rtol=1e-12, atol=1e-12)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_every_convolution_that_batch_norm_follows_takes_it_over() -> None:
    def norms(model: nn.Module) -> int:
        return sum(isinstance(module, BatchNormReLU) for module in model.modules())

    model = build("resnet3d-18", channels=1, width=1)

    # 17: the stem's, 15 in 8 blocks and the last. Folded: the stem's and the second of every block.
    assert (norms(model), norms(fold_batch_norm(model))) == (17, 8)
