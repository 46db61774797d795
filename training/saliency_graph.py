"""The exact gradient of a logit by its pixels, as a graph an inference engine can run: no autograd in it.

Every layer of a net becomes a `Layer`. Its `run` gives the layer's output and its pullback, which takes the gradient by the
output to the gradient by the input; both are plain operators, so tracing `SaliencyGraph` gives one graph.

    pixels ----> layer ----> layer ----> ... ----> head ----> logits
                   :           :                     |
    gradients <- pullback <- pullback <- ... <-------'

What matters, all measured (ResNet3D-18, width 16, 2 cores, OpenVINO: 3.2 forward passes for both outputs):
* a stride-1 convolution's adjoint is the transposed convolution with the *same* weights, so the file holds them once. Written as a
  convolution with flipped weights it is no faster in OpenVINO or ONNX Runtime and the file is twice as large. The same holds for
  stride 2, where runtimes have a real strided adjoint;
* but not for the stem: with 1 to 3 channels to write, that adjoint took 3 times the whole graph. It is polyphase instead (see
  `_PolyphaseConv`);
* max-pool takes one axis at a time and gives the gradient to the *first* maximum of a window, as autograd does. Ties above zero
  are common (flat black regions); giving it to all of them is 10 % wrong;
* everything that does not depend on the pixels is computed before tracing, or export takes minutes.

A new kind of layer is a `Layer` and a line in `layer_of`; a new kind of net besides that needs `SaliencyGraph` to know its order.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.fold import affine, fold_batch_norm
from training.models.resnet3d import BatchNormReLU, LogitHead, Normalise, Residual, ResNet3D, SameConv3d, SameMaxPool3d, same_padding

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


class _ReLU(Layer):
    """Rectifies, after an affine map of each channel where there is one (batch-norm that no convolution could take)."""

    zero: Tensor
    factor: Tensor
    offset: Tensor

    def __init__(self, size: Size, norm: nn.BatchNorm3d | None = None) -> None:
        super().__init__(size)
        self.has_norm = norm is not None
        self.register_buffer("zero", torch.zeros(()))
        if norm is not None:
            factor, offset = affine(norm)
            self.register_buffer("factor", factor.view(1, -1, 1, 1, 1))
            self.register_buffer("offset", offset.view(1, -1, 1, 1, 1))

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        y = F.relu(x * self.factor + self.offset if self.has_norm else x)

        def pullback(gradient: Tensor) -> Tensor:
            return torch.where(y > 0, gradient * self.factor if self.has_norm else gradient, self.zero)

        return y, pullback


class _Conv(Layer):
    """A convolution; its adjoint is the transposed convolution with the same weights."""

    weight: Tensor
    bias: Tensor

    def __init__(self, source: SameConv3d, size: Size) -> None:
        self.kernel, self.stride = source.kernel_size[0], source.stride[0]
        super().__init__(_divided(size, self.stride))
        self.in_size = size
        self.padding = [same_padding(length, self.kernel, self.stride) for length in size]
        assert source.bias is not None
        self.register_buffer("weight", source.weight.detach().clone())
        self.register_buffer("bias", source.bias.detach().clone())

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        if self.stride == 1:
            return F.conv3d(x, self.weight, self.bias, padding=self.kernel // 2), self.pullback
        return F.conv3d(_padded(x, self.padding), self.weight, self.bias, stride=self.stride), self.pullback

    def pullback(self, gradient: Tensor) -> Tensor:
        if self.stride == 1:
            return F.conv_transpose3d(gradient, self.weight, padding=self.kernel // 2)
        # The transposed convolution writes every cell some window has read, the zeros around the input too: those are cut away.
        # Where the last window stops short of the input (1x1x1), the cells it never read are added: their gradient is zero.
        read = [(out - 1) * self.stride + self.kernel for out in self.out_size]
        unread = [max(length - cells, 0) for length, cells in zip(self.in_size, read, strict=True)]
        spread = F.conv_transpose3d(gradient, self.weight, stride=self.stride, output_padding=unread)
        (t, _), (h, _), (w, _) = self.padding
        size = self.in_size
        return spread[:, :, t : t + size[0], h : h + size[1], w : w + size[2]]


class _PolyphaseConv(_Conv):
    """A stride-2 convolution whose adjoint is one stride-1 convolution and an interleave.

    An input cell n = 2 m + phase is read through every second tap of the kernel only, which taps depends on the phase:

        input      0   1   2   3   4   5     phase 0 of the gradient at m: taps 0, 2, 4, ... of the outputs around m
        output       0       1       2       phase 1                      taps 1, 3, 5, ...

    So each of the 2x2x2 phases is a small convolution of the gradient, all eight are computed as channels of one, and their
    results are interleaved. Putting zeros between the gradient's cells instead costs 8 times as much.
    """

    phases: Tensor

    def __init__(self, source: SameConv3d, size: Size) -> None:
        super().__init__(source, size)
        axes = [_phase_taps(self.kernel, before) for before, _ in self.padding]
        outs, channels = self.weight.shape[:2]
        phases = self.weight.new_zeros(2, 2, 2, channels, outs, *(len(axis[0]) for axis in axes))
        for phase in product(range(2), repeat=3):
            taps = [enumerate(axis[which]) for axis, which in zip(axes, phase, strict=True)]
            for (t, kernel_t), (h, kernel_h), (w, kernel_w) in product(*map(list, taps)):
                if None not in (kernel_t, kernel_h, kernel_w):
                    phases[phase][:, :, t, h, w] = self.weight[:, :, kernel_t, kernel_h, kernel_w].T
        self.register_buffer("phases", phases.flatten(0, 3).contiguous())
        self.around = [_phase_padding(self.kernel, before) for before, _ in self.padding]

    def pullback(self, gradient: Tensor) -> Tensor:
        together = F.conv3d(_padded(gradient, self.around), self.phases)
        channels, (t, h, w) = self.weight.shape[1], self.out_size
        apart = together.reshape(-1, 2, 2, 2, channels, t, h, w).permute(0, 4, 5, 1, 6, 2, 7, 3)
        whole = apart.reshape(-1, channels, 2 * t, 2 * h, 2 * w)
        return whole[:, :, : self.in_size[0], : self.in_size[1], : self.in_size[2]]


def _phase_reach(kernel: int, before: int) -> list[dict[int, int]]:
    """For each phase, {output's offset from m: kernel index}. Output i reads input n through kernel index n + before - 2 i."""
    reach = []
    for phase in range(2):
        indices = range((phase + before) % 2, kernel, 2)
        reach.append({(phase + before - index) // 2: index for index in indices})
    return reach


def _phase_taps(kernel: int, before: int) -> list[list[int | None]]:
    """For each phase, the kernel index under each tap of the one convolution that serves both; None where it has none."""
    reach = _phase_reach(kernel, before)
    offsets = {offset for phase in reach for offset in phase}
    return [[phase.get(offset) for offset in range(min(offsets), max(offsets) + 1)] for phase in reach]


def _phase_padding(kernel: int, before: int) -> tuple[int, int]:
    """Zeros before and after the gradient so that the one convolution gives as many cells as the gradient has."""
    offsets = {offset for phase in _phase_reach(kernel, before) for offset in phase}
    return -min(offsets), max(offsets)


class _MaxPool(Layer):
    """3x3x3, stride 2, for inputs that are not negative (it stands behind a ReLU): one axis after the other, w first.

    The first maximum in the order t, h, w (autograd's) is the first along w, then h, then t.
    """

    def __init__(self, size: Size) -> None:
        super().__init__(_divided(size, 2))
        self.axes = nn.ModuleList([_MaxPoolAxis(2 + axis, size[axis]) for axis in (2, 1, 0)])

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        pullbacks: list[Pullback] = []
        for axis in self.axes:
            x, pullback = cast(_MaxPoolAxis, axis).run(x)
            pullbacks.append(pullback)
        return x, _one_after_the_other(pullbacks[::-1])


class _MaxPoolAxis(nn.Module):
    """Windows of 3, 2 apart, along one axis. Cells are named by their place in a window; `last` is the next window's `first`.

        even length   0 1 2 3 4 5 .        odd length   . 0 1 2 3 4 .
                      f m l                             f m l
                          f m l                             f m l
                              f m l                             f m l
    """

    zero: Tensor

    def __init__(self, axis: int, length: int) -> None:
        super().__init__()
        self.axis, self.length, self.windows = axis, length, -(-length // 2)
        self.register_buffer("zero", torch.zeros(()))

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        wide = self._beside(x, self.length % 2, 1, -1.0)  # -1 is never the maximum
        ends = self._part(wide, 0, 2 * self.windows + 1, 2)
        middle = self._part(wide, 1, 2 * self.windows, 2)
        first, last = self._part(ends, 0, self.windows), self._part(ends, 1, self.windows + 1)
        y = torch.maximum(torch.maximum(first, middle), last)

        def pullback(gradient: Tensor) -> Tensor:
            to_first = torch.where(first >= y, gradient, self.zero)
            left = gradient - to_first
            to_middle = torch.where(middle >= y, left, self.zero)
            return self._together(to_first, to_middle, left - to_middle)

        return y, pullback

    def _together(self, first: Tensor, middle: Tensor, last: Tensor) -> Tensor:
        """Gradients by place in the window -> gradient by cell."""
        if self.length % 2 == 0:  # cells are f m f m ..., the very last `last` is padding
            ends = first + self._beside(self._part(last, 0, self.windows - 1), 1, 0)
            return self._interleave(ends, middle)
        ends = last + self._beside(self._part(first, 1, self.windows), 0, 1)  # cells are m l m l ..., the very first `first` is padding
        return self._part(self._interleave(middle, ends), 0, self.length)

    def _beside(self, x: Tensor, before: int, after: int, value: float = 0.0) -> Tensor:
        return F.pad(x, [0, 0] * (4 - self.axis) + [before, after], value=value)

    def _part(self, x: Tensor, start: int, stop: int, step: int = 1) -> Tensor:
        return x[(slice(None),) * self.axis + (slice(start, stop, step),)]

    def _interleave(self, even: Tensor, odd: Tensor) -> Tensor:
        return torch.stack([even, odd], dim=self.axis + 1).flatten(self.axis, self.axis + 1)


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
layer_of.register(BatchNormReLU, lambda source, size: _ReLU(size, source.norm))
layer_of.register(SameMaxPool3d, lambda _, size: _MaxPool(size))
layer_of.register(Residual, _Residual)


@layer_of.register
def _conv_of(source: SameConv3d, size: Size) -> Layer:
    is_stem = source.stride[0] == 2 and source.in_channels < 8
    return _PolyphaseConv(source, size) if is_stem else _Conv(source, size)
