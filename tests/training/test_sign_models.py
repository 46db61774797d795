"""The published nets of the signs around sliding have the layers and the numbers of parameters that are published."""

import pytest
import torch
from torch import Tensor, nn

from training.models.blines import BLineNet, Variant
from training.models.cmwra import Cmwra
from training.models.cmwru import Cmwru
from training.models.frame_resnet import FrameResNet
from training.models.frames import by_frame
from training.models.rcm import Rcm2dSmall
from training.signs.networks import build_network, num_parameters
from training.signs.preset import read_preset


def shapes_of(net: nn.Module, given: Tensor) -> dict[str, tuple[int, ...]]:
    """What each layer gives, without the batch; without computing it."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> None:
        def hook(_: nn.Module, __: object, out: object) -> None:
            seen[name] = tuple(out.shape[1:]) if isinstance(out, Tensor) else ()

        net.get_submodule(name).register_forward_hook(hook)

    for name, _ in net.named_modules():
        if name:
            note(name)
    with torch.no_grad():
        net.to("meta").eval()(given.to("meta"))
    return seen


# RCM2d_Small: its table of layers


def test_rcm2d_small_has_the_published_number_of_parameters_in_all() -> None:
    assert num_parameters(Rcm2dSmall()) == 6_827_717


def test_rcm2d_small_begins_with_the_published_100_parameters_and_flattens_to_4096() -> None:
    net = Rcm2dSmall()
    shapes = shapes_of(net, torch.zeros(2, 30, 256, 256))

    assert num_parameters(net.cnn[0]) == 100
    assert shapes["cnn"] == (16, 16, 16)
    assert (num_parameters(net.features[1]), num_parameters(net.gru), num_parameters(net.head[1])) == (2_097_664, 4_724_736, 1_025)


# CMWRU: its table of layers


@pytest.fixture
def cmwru() -> Cmwru:
    with torch.device("meta"):
        return Cmwru()


def test_cmwru_has_the_published_stages_and_its_flattened_size(cmwru: Cmwru) -> None:
    shapes = shapes_of(cmwru, torch.zeros(2, 40, 256, 256))

    assert shapes["stem"] == (8, 40, 128, 128)
    assert [shapes[f"blocks.{k}"] for k in (1, 3, 5)] == [(16, 40, 128, 128), (32, 20, 64, 64), (64, 10, 32, 32)]
    assert len(cmwru.blocks) == 6


def test_cmwrus_first_linear_layer_has_the_published_41_943_104_parameters(cmwru: Cmwru) -> None:
    assert num_parameters(cmwru.head[0]) == 41_943_104


def test_cmwrus_first_convolution_is_3x3x3_for_no_stated_kernel_gives_the_printed_680(cmwru: Cmwru) -> None:
    assert num_parameters(cmwru.stem[0]) == 8 * (3 * 3 * 3 + 1) == 224


@pytest.mark.parametrize("frames", [34, 40, 45, 60])
def test_cmwru_takes_each_published_number_of_frames(frames: int) -> None:
    assert Cmwru(frames=frames, side=16).eval()(torch.zeros(2, frames, 16, 16, dtype=torch.uint8)).shape == (2, 1)


# CMWRA: its table of layers


def test_cmwra_has_the_published_numbers_of_parameters_and_the_flattened_size_that_they_need() -> None:
    with torch.device("meta"):
        net = Cmwra()
    shapes = shapes_of(net, torch.zeros(2, 2, 39, 256, 256))

    assert (num_parameters(net.convolutions[0]), num_parameters(net.convolutions[4])) == (592, 9_248)
    assert shapes["convolutions"] == (32, 10, 64, 64)
    assert 32 * 10 * 64 * 64 == 1_310_720
    assert num_parameters(net.head[0]) == 335_544_576
    assert [shapes[f"head.{k}"] for k in (0, 2, 4)] == [(256,), (128,), (1,)]


# B-lines: the text of Kerdegari 2021 (arXiv 2102.01059)


@pytest.mark.parametrize("variant", ["c2d+a", "c3d+a", "c2d+lstm", "c2d+lstm+a"])
def test_a_b_line_net_gives_a_logit_and_where_it_has_attention_a_share_of_it_a_frame(variant: Variant) -> None:
    net = BLineNet(variant, side=16).eval()
    told = net(torch.zeros(2, 30, 16, 16, dtype=torch.uint8))

    if variant == "c2d+lstm":
        assert isinstance(told, Tensor)
        assert (told.shape, net.outputs) == ((2, 1), ("logits",))
    else:
        logits, attention = told
        assert (logits.shape, attention.shape, net.outputs) == ((2, 1), (2, 30), ("logits", "attention"))
        torch.testing.assert_close(attention.sum(dim=1), torch.ones(2))


def test_a_b_line_net_has_four_3x3_convolutions_two_pools_256_features_and_16_hidden_units_a_direction() -> None:
    net = BLineNet("c2d+lstm+a")
    convolutions = [layer for layer in net.cnn.modules() if isinstance(layer, nn.Conv2d)]

    assert [(layer.kernel_size, layer.stride) for layer in convolutions] == [((3, 3), (1, 1))] * 4
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in net.cnn.modules()) == 2
    assert net.lstm is not None
    assert net.attention is not None
    assert shapes_of(net, torch.zeros(2, 30, 64, 64))["cnn"] == (30, 256)
    # Two directions, four gates of 16 units each: weights of 256 features and of 16 units, and two biases.
    assert num_parameters(net.lstm.lstm) == 2 * 4 * 16 * (256 + 16 + 2)
    assert num_parameters(net.attention) == 32


def test_even_attention_is_the_mean() -> None:
    attended, plain = BLineNet("c2d+lstm+a", side=16).eval(), BLineNet("c2d+lstm", side=16).eval()
    plain.load_state_dict({name: value for name, value in attended.state_dict().items() if name != "attention.weight"})
    assert attended.attention is not None
    nn.init.zeros_(attended.attention.weight)
    frames = torch.randint(0, 256, (2, 6, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(attended(frames)[0], plain(frames))


# Four signs: He 2015, table 1


def test_resnet_152_for_four_signs_is_the_published_net_but_for_its_head_and_its_grey_stem() -> None:
    with torch.device("meta"):
        net = FrameResNet("resnet-152")
    of_imagenet, head, grey = 60_192_808, 2048 * 1000 + 1000, 2 * 64 * 7 * 7

    assert num_parameters(net) == of_imagenet - head - grey + (2048 * 4 + 4)
    assert len(net.blocks) == 3 + 8 + 36 + 3


def test_a_frame_is_halved_five_times_on_its_way_through_a_resnet() -> None:
    shapes = shapes_of(FrameResNet("resnet-18", width=4), torch.zeros(2, 1, 224, 224))

    assert shapes["stem"] == (4, 56, 56)
    assert shapes["blocks"] == (32, 7, 7)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BLineNet("c2d+a", side=30), "Two pools halve the frame twice: its side must be a multiple of 4, not 30."),
        (lambda: Rcm2dSmall(side=100), "The pools divide the frame by 16: its side must be a multiple of 16, not 100."),
        (lambda: Cmwru(side=33), "The first pool halves the frame: its side must be even, not 33."),
        (lambda: Cmwra(side=30), "Two pools halve the frame twice: its side must be a multiple of 4, not 30."),
        (lambda: Cmwra(side=32, scale=0.0), "The scale of a flow must be above 0."),
    ],
)
def test_a_frame_that_cannot_be_pooled_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.") + "$"):
        make()  # type: ignore[operator]


# The small nets: what a CPU can serve


def macs_of(net: nn.Module, given: Tensor) -> int:
    """Multiplications of all convolutions and linear layers, and of an LSTM's gates; without computing it."""
    seen: list[int] = []

    def note(layer: nn.Module, _: object, out: object) -> None:
        if isinstance(layer, nn.Conv2d | nn.Linear) and isinstance(out, Tensor):
            channel = 1 if isinstance(layer, nn.Conv2d) else -1
            seen.append(out.numel() * layer.weight.numel() // out.shape[channel])
        if isinstance(layer, nn.LSTM) and isinstance(out, tuple):
            seen.append(out[0].numel() // (2 * layer.hidden_size) * sum(p.numel() for n, p in layer.named_parameters() if "weight" in n))

    for layer in net.modules():
        layer.register_forward_hook(note)
    with torch.no_grad():
        net.to("meta").eval()(given.to("meta"))
    return sum(seen)


@pytest.mark.parametrize(("name", "parameters", "gmac_per_s"), [("signs-small", 1.0e6, 0.2), ("blines-small", 1.5e6, 0.3)])
def test_a_small_net_has_few_parameters_and_multiplies_little_in_a_second_of_clip(name: str, parameters: float, gmac_per_s: float) -> None:
    preset = read_preset(name)
    net, frames = build_network(preset), preset.frames

    macs = macs_of(net, torch.zeros(frames.run_shape))

    assert num_parameters(net) < parameters
    assert 0 < macs * frames.fps / frames.stride_frames / 1e9 < gmac_per_s


def test_the_last_layer_of_signs_small_is_one_linear_layer_of_a_mean_over_the_picture() -> None:
    net = build_network(read_preset("signs-small")).eval()
    assert isinstance(net, FrameResNet)
    frames = torch.randint(0, 256, (2, 1, 112, 112), dtype=torch.uint8)

    with torch.no_grad():
        maps = net.blocks(net.stem(by_frame(net.normalise(frames))))
        by_place = torch.einsum("nchw,kc->nkhw", maps, net.linear.weight)

        torch.testing.assert_close(by_place.mean(dim=(2, 3)) + net.linear.bias, net(frames), atol=1e-5, rtol=1e-4)
