"""The exact gradient of a logit by its pixels, as a graph an inference engine can run: no autograd in it.

Every layer of a net becomes a `Layer`. Its `run` gives the layer's output and its pullback, which takes the gradient by the
output to the gradient by the input; both are plain operators, so tracing `SaliencyGraph` gives one graph.

    pixels ----> layer ----> layer ----> ... ----> head ----> logits
                   :           :                     |
    gradients <- pullback <- pullback <- ... <-------'

What matters, all measured (times are of one patch of 2x60x30x30 at width 16 on one core in OpenVINO 2026.4, all of it 7.0 ms):
* the adjoint of a convolution is a plain convolution, for stride 2 in polyphase form (see `_Conv`). Spreading the gradient out with
  zeros costs 8 times as much. ConvTranspose is not used: with weights it shares with a Conv, OpenVINO 2026.4 gives wrong gradients, and
  for the stem with its few channels it took 3 times the whole graph;
* max-pool takes one axis at a time and gives the gradient to the *first* maximum of a window, as autograd does. Ties above zero
  are common (flat black regions); giving it to all of them is 10 % wrong;
* OpenVINO keeps channels last between convolutions and knows that layout for five axes only: a reshape, a stack or a sixth axis costs
  two copies. Whatever is elementwise waits for memory, 0.1 ms for a tensor of the stem's size, so that the number of passes counts;
* weights are in the file once; everything else that does not depend on the pixels is computed before tracing, or export takes minutes.

A new kind of layer is a `Layer` and a line in `layer_of`; a new kind of net besides that needs `SaliencyGraph` to know its order.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.fold import affine, fold_batch_norm
from training.models.resnet3d import (
    BatchNormReLU,
    Changes,
    LogitHead,
    Normalise,
    Residual,
    ResNet3D,
    SameConv3d,
    SameMaxPool3d,
    changes,
    same_padding,
)

Size = tuple[int, int, int]
"""T, h, w."""
Pullback = Callable[[Tensor], Tensor]
"""Gradient by a layer's output -> gradient by its input."""


class SaliencyGraph(nn.Module):
    """Pixels (N, C, T, h, w), float32 in 0..255 -> logits (N,) and d logit / d grey level (N, C, T, h, w).

    Batch-norm is as in evaluation. `patch_shape` is (C, T, h, w), fixed; N is free.
    Raises: ValueError for a net whose adjoint is not written, or channels that are not the net's.
    """

    def __init__(self, model: nn.Module, patch_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        if not isinstance(model, ResNet3D):
            raise ValueError(f"There is no saliency graph for a {type(model).__name__}.")
        if patch_shape[0] != model.channels:
            raise ValueError(f"The model takes {model.channels} channels, the patch shape has {patch_shape[0]}.")
        folded = fold_batch_norm(model)
        with torch.no_grad():
            self.layers = _Chain([folded.normalise, folded.stem, folded.blocks, folded.last], patch_shape[1:])
            self.head = _Head(folded.head, self.layers.out_size)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features, pullback = self.layers.run(pixels)
        return self.head(features), pullback(self.head.gradient)


class _Head(nn.Module):
    """Mean and one linear unit. Its gradient is the same for every patch and every place: (1, channels, 1, 1, 1)."""

    gradient: Tensor

    def __init__(self, head: LogitHead, size: Size) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("gradient", (head.linear.weight.detach() / (size[0] * size[1] * size[2])).view(1, -1, 1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.head(features))


class Layer(nn.Module):
    """One step of the net for inputs of one size (any N); `out_size` is the size of what it gives."""

    def __init__(self, out_size: Size) -> None:
        super().__init__()
        self.out_size = out_size

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        raise NotImplementedError


@singledispatch
def layer_of(module: nn.Module, size: Size) -> Layer:
    """The layer with its adjoint for a module of the net, for inputs of `size`."""
    raise ValueError(f"There is no adjoint for a {type(module).__name__}.")


class _Chain(Layer):
    """Modules one after the other."""

    def __init__(self, modules: Iterable[nn.Module], size: Size) -> None:
        layers: list[Layer] = []
        for module in modules:
            if isinstance(module, SameMaxPool3d):
                _leave_mask_to_pool(layers)
            layers.append(layer_of(module, size))
            size = layers[-1].out_size
        super().__init__(size)
        self.layers = nn.ModuleList(layers)

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        pullbacks: list[Pullback] = []
        for layer in self.layers:
            x, pullback = cast(Layer, layer).run(x)
            pullbacks.append(pullback)
        return x, _one_after_the_other(pullbacks[::-1])


def _leave_mask_to_pool(layers: list[Layer]) -> None:
    if not (layers and isinstance(layers[-1], _ReLU)):
        raise ValueError("There is an adjoint for a max-pool behind a ReLU only.")
    layers[-1].masks = False


def _one_after_the_other(pullbacks: list[Pullback]) -> Pullback:
    def through_all(gradient: Tensor) -> Tensor:
        for pullback in pullbacks:
            gradient = pullback(gradient)
        return gradient

    return through_all


class _Normalise(Layer):
    mean: Tensor
    scale: Tensor

    def __init__(self, source: Normalise, size: Size) -> None:
        super().__init__(size)
        self.register_buffer("mean", source.mean.clone())
        self.register_buffer("scale", source.scale.clone())

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        return (x - self.mean) / self.scale, lambda gradient: gradient / self.scale


class _Changes(Layer):
    """y = (x - mean over time) / s with s = sqrt(variance + 4). With P for "minus the mean over time", which is its own adjoint:

    pullback(g) = P g / s - mean(g y) (x - mean) / s^2

    The pullback is on (N, C, T, h * w): with h and w apart OpenVINO takes 0.9 ms for it and not 0.3. What leads to y is the net's own
    `changes` to the letter: summed in another order, y rounds otherwise, and where a ReLU stands at its kink the gradient jumps (2 of 48
    real patches were up to 8e-4 off autograd's; so they are within 7e-7, for 4 % more time).
    """

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        moving, _, contrast = changes(x)
        moving, x, contrast = moving.flatten(3), x.flatten(3), contrast.flatten(3)
        mean, per_contrast = x.mean(dim=(2, 3), keepdim=True), 1 / contrast

        def pullback(gradient: Tensor) -> Tensor:
            gradient = gradient.flatten(3)
            along = (gradient * moving).mean(dim=(2, 3), keepdim=True) * per_contrast**3
            # One pass over gradient and x; what has no time axis is put together first.
            still_part = along * mean - gradient.mean(dim=2, keepdim=True) * per_contrast
            return self._unflattened(gradient * per_contrast - x * along + still_part)

        return self._unflattened(moving / contrast), pullback

    def _unflattened(self, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[1], *self.out_size)


class _ReLU(Layer):
    """Rectifies, after an affine map of each channel where there is one (batch-norm that no convolution could take)."""

    zero: Tensor
    factor: Tensor
    offset: Tensor

    def __init__(self, size: Size, norm: nn.BatchNorm3d | None = None) -> None:
        super().__init__(size)
        self.has_norm = norm is not None
        self.masks = True
        """Not where the next layer takes the gradient to zero wherever this one's output is zero."""
        self.register_buffer("zero", torch.zeros(()))
        if norm is not None:
            factor, offset = affine(norm)
            self.register_buffer("factor", factor.view(1, -1, 1, 1, 1))
            self.register_buffer("offset", offset.view(1, -1, 1, 1, 1))

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        y = F.relu(x * self.factor + self.offset if self.has_norm else x)

        def pullback(gradient: Tensor) -> Tensor:
            scaled = gradient * self.factor if self.has_norm else gradient
            return torch.where(y > 0, scaled, self.zero) if self.masks else scaled

        return y, pullback


class _Conv(Layer):
    """A convolution, and its adjoint as *one* convolution of the gradient with stride 1, followed for stride 2 by an interleave.

    Output i reads input n through kernel index n + before - stride * i. So an input cell n = stride * m + phase is reached through
    every second index when the stride is 2, and which those are depends on its phase:

        kernel index   0 1 2 3 4 5 6          phase 0 of the gradient at m: indices 0 2 4 6 of the outputs around m
        output m       . . . . . . .          phase 1                               1 3 5

    Each of the 2x2x2 phases is a small convolution of the gradient; all eight are computed as channels of one (polyphase), where the
    shorter ones have a zero for a tap. With stride 1 there is one phase, and this is the kernel flipped.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, source: SameConv3d, size: Size) -> None:
        self.kernel, self.stride = source.kernel_size[0], source.stride[0]
        super().__init__(_divided(size, self.stride))
        self.in_size = size
        self.padding = [same_padding(length, self.kernel, self.stride) for length in size]
        self.reach = [_Reach(self.kernel, self.stride, before) for before, _ in self.padding]
        assert source.bias is not None
        self.register_buffer("weight", source.weight.detach().clone())
        self.register_buffer("bias", source.bias.detach().clone())
        for axis, reach in enumerate(self.reach):
            self.register_buffer(f"indices_{axis}", torch.tensor(reach.indices()).flatten())

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        return F.conv3d(_padded(x, self.padding), self.weight, self.bias, stride=self.stride), self.pullback

    def pullback(self, gradient: Tensor) -> Tensor:
        by_phase = F.conv3d(_padded(gradient, [reach.padding for reach in self.reach]), self.adjoint_weight())
        if self.stride == 1:
            return by_phase
        s, channels, (t, h, w) = self.stride, self.weight.shape[1], self.out_size
        # Channels last to begin with: one copy, of what lies in memory that way, and not two.
        cells = by_phase.permute(0, 2, 3, 4, 1).reshape(-1, t, h, w, s, s, s, channels)
        whole = cells.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(-1, channels, s * t, s * h, s * w)
        return whole[:, :, : self.in_size[0], : self.in_size[1], : self.in_size[2]]

    def adjoint_weight(self) -> Tensor:
        """(phases * channels in, channels out, taps, taps, taps), gathered from the forward weights *in the graph*, so that the
        file holds them once; runtimes do this when they open it."""
        s = self.stride
        gathered = F.pad(self.weight.transpose(0, 1), (0, 1) * 3)  # index `kernel` is the zero
        for axis in range(3):
            gathered = gathered.index_select(2 + axis, self.get_buffer(f"indices_{axis}"))
        channels, outs = gathered.shape[:2]
        t, h, w = (length // s for length in gathered.shape[2:])
        by_phase = gathered.reshape(channels, outs, s, t, s, h, s, w).permute(2, 4, 6, 0, 1, 3, 5, 7)
        return by_phase.reshape(s**3 * channels, outs, t, h, w)


class _Reach:
    """Through which kernel indices the outputs around m reach the input cells of each phase, along one axis."""

    def __init__(self, kernel: int, stride: int, before: int) -> None:
        self._kernel = kernel
        self._by_phase = [
            {(phase + before - index) // stride: index for index in range((phase + before) % stride, kernel, stride)}
            for phase in range(stride)
        ]
        offsets = [offset for phase in self._by_phase for offset in phase]
        self._first, self._last = min(offsets), max(offsets)

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after the gradient, so that each phase gets as many cells as the gradient has."""
        return -self._first, self._last

    def indices(self) -> list[list[int]]:
        """Kernel index by phase and tap; the kernel's length where a phase has none."""
        return [[phase.get(offset, self._kernel) for offset in range(self._first, self._last + 1)] for phase in self._by_phase]


class _MaxPool(Layer):
    """3x3x3, stride 2, behind a ReLU, whose mask it puts on the gradient: one axis after the other, w first.

    The first maximum in the order t, h, w (autograd's) is the first along w, then h, then t. The cell that gets a window's gradient
    holds its maximum, so the ReLU's mask is that of the maxima: an eighth of the cells to go over.
    """

    zero: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__(_divided(size, 2))
        self.axes = nn.ModuleList([_MaxPoolAxis(axis, size[axis]) for axis in (2, 1, 0)])
        self.register_buffer("zero", torch.zeros(()))

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        pullbacks: list[Pullback] = []
        for axis in self.axes:
            x, pullback = cast(_MaxPoolAxis, axis).run(x)
            pullbacks.append(pullback)
        y, to_cells = x, _one_after_the_other(pullbacks[::-1])
        return y, lambda gradient: to_cells(torch.where(y > 0, gradient, self.zero))


class _MaxPoolAxis(nn.Module):
    """Windows of 3, 2 apart, along one axis (0 1 2 for T h w). Cells are named by their place in a window, f m l.

    even length   0 1 2 3 4 5 .        odd length   . 0 1 2 3 4 .
                  f m l                             f m l
                      f m l                             f m l
                          f m l                             f m l

    Cells that are not there (.) count as 0: where they tie, the maximum is 0 and the gradient has been masked.

    The way back, from a gradient by place and window to one by cell, is a product with a matrix of zeros and ones, exact. Stacking
    and flattening, as one would write it, took OpenVINO 1.0 ms for all axes (the matrix 0.3), nearest-neighbour resizing 0.3 but ONNX
    Runtime 4.4 on a CPU (0.3), transposed convolutions 0.6.
    """

    zero: Tensor
    cell_of: Tensor

    def __init__(self, axis: int, length: int) -> None:
        super().__init__()
        self.axis, self.is_odd = axis, length % 2
        self.register_buffer("zero", torch.zeros(()))
        self.register_buffer("cell_of", _cell_of(length))

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        y = self._pooled(x, 3, ceil_mode=True)
        first_or_middle = self._pooled(x, 2)
        first = F.pad(self._every_second(x, 1), [0, 0] * (2 - self.axis) + [1, 0]) if self.is_odd else self._every_second(x, 0)

        def pullback(gradient: Tensor) -> Tensor:
            to_last = torch.where(first_or_middle < y, gradient, self.zero)
            left = gradient - to_last
            to_first = torch.where(first >= y, left, self.zero)
            return self._to_cells(torch.cat([to_first, left - to_first, to_last], dim=2 + self.axis))

        return y, pullback

    def _pooled(self, x: Tensor, length: int, *, ceil_mode: bool = False) -> Tensor:
        along = [axis == self.axis for axis in range(3)]
        kernel, stride, padding = ([there if on else other for on in along] for there, other in ((length, 1), (2, 1), (self.is_odd, 0)))
        return F.max_pool3d(x, kernel, stride, padding=padding, ceil_mode=ceil_mode)

    def _every_second(self, x: Tensor, start: int) -> Tensor:
        return x[(slice(None),) * (2 + self.axis) + (slice(start, None, 2),)]

    def _to_cells(self, pieces: Tensor) -> Tensor:
        """`pieces` has the axis three times as long as there are windows: first, middle, last."""
        cell_of = self.cell_of.to(pieces.dtype)
        if self.axis == 2:
            return pieces @ cell_of.T
        return (cell_of @ pieces.flatten(3 + self.axis)).reshape(-1, *self._shape(pieces))

    def _shape(self, pieces: Tensor) -> list[int]:
        shape = list(pieces.shape[1:])
        shape[1 + self.axis] = len(self.cell_of)
        return shape


def _cell_of(length: int) -> Tensor:
    """(cells, 3 * windows): 1 where the place f, m or l of the window is the cell."""
    windows = -(-length // 2)
    cells = torch.arange(3).view(3, 1) + 2 * torch.arange(windows) - length % 2  # (place, window)
    return (torch.arange(length).view(-1, 1) == cells.flatten()).to(torch.get_default_dtype())


class _Residual(Layer):
    def __init__(self, source: Residual, size: Size) -> None:
        body = layer_of(source.body, size)
        super().__init__(body.out_size)
        self.body = body
        self.shortcut = layer_of(source.shortcut, size)

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        through, body = self.body.run(x)
        past, shortcut = self.shortcut.run(x)
        return through + past, lambda gradient: body(gradient) + shortcut(gradient)


class _Identity(Layer):
    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        return x, lambda gradient: gradient


def _divided(size: Size, stride: int) -> Size:
    t, h, w = (-(-length // stride) for length in size)
    return t, h, w


def _padded(x: Tensor, padding: list[tuple[int, int]]) -> Tensor:
    t, h, w = padding
    return F.pad(x, (*w, *h, *t)) if any(map(any, padding)) else x


layer_of.register(nn.Sequential, _Chain)
layer_of.register(nn.Identity, lambda _, size: _Identity(size))
layer_of.register(nn.ReLU, lambda _, size: _ReLU(size))
layer_of.register(Normalise, _Normalise)
layer_of.register(Changes, lambda _, size: _Changes(size))
layer_of.register(BatchNormReLU, lambda source, size: _ReLU(size, source.norm))
layer_of.register(SameMaxPool3d, lambda _, size: _MaxPool(size))
layer_of.register(Residual, _Residual)
layer_of.register(SameConv3d, _Conv)
