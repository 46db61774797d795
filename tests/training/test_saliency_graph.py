"""The gradient written out layer by layer is autograd's."""

import pytest
import torch
from torch import Tensor, nn

from tests.training.test_models import net
from training.models import NAMES
from training.models.resnet3d import Changes, SameConv3d, SameMaxPool3d
from training.saliency_graph import SaliencyGraph, layer_of


def pullback(module: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient by `x` as the layer written for the module gives it."""
    layer = layer_of(module, tuple(x.shape[2:]))
    with torch.no_grad():
        out, pull = layer.run(x)
        assert out.shape == gradient.shape
        return pull(gradient)


def by_autograd(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """A random gradient by the module's output, and autograd's by its input."""
    x = x.clone().requires_grad_()
    out = module(x)
    gradient = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    return gradient, torch.autograd.grad(out, x, gradient)[0]


def error(given: Tensor, expected: Tensor) -> float:
    """Length of the difference in lengths of what was expected, worst patch."""
    return float(((given - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)).max())


@pytest.mark.parametrize("size", [(4, 6, 5), (5, 1, 4), (7, 8, 2)])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (1, 2), (3, 2), (7, 2)])
def test_a_convolutions_adjoint_for_even_and_odd_axes(kernel: int, stride: int, size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    convolution = SameConv3d(2, 3, kernel, stride).double()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    gradient, expected = by_autograd(convolution, x)

    assert error(pullback(convolution, x, gradient), expected) < 1e-14


def rectified_pool() -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), SameMaxPool3d())


@pytest.mark.parametrize("size", [(4, 4, 4), (5, 4, 3), (1, 2, 7), (7, 8, 6)])
def test_max_pooling_gives_the_gradient_to_the_maximum_autograd_gives_it_to(size: tuple[int, int, int]) -> None:
    """Of five levels only, two of them dark, so that most windows hold several maxima and some of these are rectified away."""
    torch.manual_seed(0)
    x = torch.randint(-1, 4, (50, 1, *size)).double()
    gradient, expected = by_autograd(rectified_pool(), x)

    assert torch.allclose(pullback(rectified_pool(), x, gradient), expected, rtol=0, atol=1e-12)


def test_of_equal_maxima_the_first_gets_all() -> None:
    flat = torch.full((1, 1, 1, 1, 4), 7.0)

    # windows: cells 0 1 2 and 2 3
    assert pullback(rectified_pool(), flat, torch.tensor([10.0, 1]).view(1, 1, 1, 1, 2)).flatten().tolist() == [10, 0, 1, 0]


def test_a_window_that_is_dark_gives_its_gradient_to_no_cell() -> None:
    dark = torch.tensor([-1.0, 0, -2, -3]).view(1, 1, 1, 1, 4)

    assert pullback(rectified_pool(), dark, torch.tensor([10.0, 1]).view(1, 1, 1, 1, 2)).flatten().tolist() == [0, 0, 0, 0]


def test_a_max_pool_that_stands_behind_no_relu_is_refused() -> None:
    with pytest.raises(ValueError, match="^There is an adjoint for a max-pool behind a ReLU only.$"):
        layer_of(nn.Sequential(SameMaxPool3d()), (4, 4, 4))


@pytest.mark.parametrize("level", [0.0, 200.0])
def test_the_gradient_by_what_changes_is_autograds(level: float) -> None:
    torch.manual_seed(0)
    x = level + torch.rand(3, 2, 5, 4, 3, dtype=torch.float64) * 20
    gradient, expected = by_autograd(Changes(), x)

    assert error(pullback(Changes(), x, gradient), expected) < 1e-12


@pytest.mark.parametrize("px", [30, 60, 90])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_autograds_for_every_net_and_patch(name: str, px: int) -> None:
    """In double precision, where rounding does not move a value across a kink."""
    model = net(name, channels=2, width=2).double()
    pixels = torch.randint(0, 256, (2, 2, 60, px, px), generator=torch.Generator().manual_seed(px)).double().requires_grad_()
    logits = model(pixels)
    (expected,) = torch.autograd.grad(logits.sum(), pixels)
    with torch.no_grad():
        given, gradients = SaliencyGraph(model, (2, 60, px, px))(pixels)

    assert torch.allclose(given, logits, rtol=1e-12)
    assert error(gradients, expected) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_in_single_precision_the_gradient_is_autograds_to_1e_5(name: str) -> None:
    model = net(name, channels=1, width=8)
    pixels = torch.randint(0, 256, (2, 1, 60, 30, 30), generator=torch.Generator().manual_seed(0)).float().requires_grad_()
    (expected,) = torch.autograd.grad(model(pixels).sum(), pixels)
    with torch.no_grad():
        _, gradients = SaliencyGraph(model, (1, 60, 30, 30))(pixels)

    assert error(gradients, expected) < 1e-5


def test_where_most_of_a_patch_is_black_the_gradient_is_still_autograds() -> None:
    """Below the pleura pictures are black over long stretches; all their maxima are tied."""
    model = net("resnet3d-18", width=2).double()
    pixels = torch.zeros(1, 1, 60, 30, 30, dtype=torch.float64)
    pixels[..., :5, :] = 200
    pixels.requires_grad_()
    (expected,) = torch.autograd.grad(model(pixels).sum(), pixels)
    with torch.no_grad():
        _, gradients = SaliencyGraph(model, (1, 60, 30, 30))(pixels)

    assert error(gradients, expected) < 1e-12


def test_the_model_itself_is_left_as_it_was() -> None:
    model = net("resnet3d-18").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    SaliencyGraph(model, (1, 12, 10, 10))(torch.zeros(1, 1, 12, 10, 10))

    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_net_whose_adjoint_is_not_written_is_refused() -> None:
    with pytest.raises(ValueError, match="^There is no saliency graph for a Linear.$"):
        SaliencyGraph(nn.Linear(1, 1), (1, 12, 10, 10))
    with pytest.raises(ValueError, match="^There is no adjoint for a GELU.$"):
        layer_of(nn.GELU(), (12, 10, 10))


def test_channels_must_be_the_nets() -> None:
    with pytest.raises(ValueError, match="^The model takes 1 channels, the patch shape has 3.$"):
        SaliencyGraph(net("resnet3d-18"), (3, 12, 10, 10))
