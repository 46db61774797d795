"""The exact gradient of a logit by its pixels, as a graph an inference engine can run: no autograd in it.

Every layer of a net becomes a `Layer`, whose `run` gives the layer's output and its pullback (gradient by the output ->
gradient by the input), both in plain operators.

    pixels -> layer -> layer -> ... -> head -> logits
                 :        :              |
    gradients <- pullback <- pullback <--'
"""

import os
from collections.abc import Callable, Sequence
from functools import singledispatch
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.resnet3d import (
    BatchNormReLU,
    LogitHead,
    Normalise,
    Residual,
    ResNet3D,
    SameConv3d,
    SameMaxPool3d,
    same_padding,
)

S1 = os.environ.get("S1", "flip")  # flip | T
S2 = os.environ.get("S2", "poly")  # poly | T
STEM = os.environ.get("STEM", "poly")

Size = tuple[int, int, int]
Pullback = Callable[[Tensor], Tensor]


class Layer(nn.Module):
    def __init__(self, out_size: Size) -> None:
        super().__init__()
        self.out_size = out_size

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        raise NotImplementedError


class SaliencyGraph(nn.Module):
    def __init__(self, model: nn.Module, patch_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        channels, *size = patch_shape
        with torch.no_grad():
            modules = [model.normalise, *model.stem, *model.blocks, model.last]
            self.layers = chain(modules, (size[0], size[1], size[2]))
            self.head = HeadLayer(model.head, self.layers.out_size)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features, pull = self.layers.run(pixels)
        return self.head(features), pull(self.head.gradient)


class HeadLayer(nn.Module):
    def __init__(self, head: LogitHead, size: Size) -> None:
        super().__init__()
        self.register_buffer("weight", head.linear.weight.detach().clone())
        self.register_buffer("bias", head.linear.bias.detach().clone())
        cells = size[0] * size[1] * size[2]
        self.register_buffer("gradient", (self.weight / cells).view(1, -1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.mean(dim=(2, 3, 4)), self.weight, self.bias)[:, 0]


class Chain(Layer):
    def __init__(self, layers: list[Layer], size: Size) -> None:
        super().__init__(layers[-1].out_size if layers else size)
        self.layers = nn.ModuleList(layers)

    def run(self, x: Tensor) -> tuple[Tensor, Pullback]:
        pulls: list[Pullback] = []
        for layer in self.layers:
            x, pull = layer.run(x)
            pulls.append(pull)

        def pullback(g: Tensor) -> Tensor:
            for pull in reversed(pulls):
                g = pull(g)
            return g

        return x, pullback


class NormaliseLayer(Layer):
    def __init__(self, source: Normalise, size: Size):
        super().__init__(size)
        self.register_buffer("mean", source.mean.clone())
        self.register_buffer("scale", source.scale.clone())

    def run(self, x):
        return (x - self.mean) / self.scale, lambda g: g / self.scale


class AffineReLULayer(Layer):
    def __init__(self, norm: nn.BatchNorm3d, size: Size):
        super().__init__(size)
        s, b = affine(norm)
        self.register_buffer("factor", s.view(1, -1, 1, 1, 1))
        self.register_buffer("offset", b.view(1, -1, 1, 1, 1))
        self.register_buffer("zero", torch.zeros(()))

    def run(self, x):
        y = F.relu(x * self.factor + self.offset)
        return y, lambda g: torch.where(y > 0, g * self.factor, self.zero)


class ReLULayer(Layer):
    def __init__(self, size: Size):
        super().__init__(size)
        self.register_buffer("zero", torch.zeros(()))

    def run(self, x):
        y = F.relu(x)
        return y, lambda g: torch.where(y > 0, g, self.zero)


def affine(norm):
    s = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return s.detach(), (norm.bias - norm.running_mean * s).detach()


class ConvLayer(Layer):
    def __init__(self, source: SameConv3d, size: Size, norm=None):
        k, s = source.kernel_size[0], source.stride[0]
        super().__init__(tuple(-(-n // s) for n in size))
        self.k, self.s, self.size = k, s, size
        w, b = source.weight.detach(), source.bias.detach()
        if norm is not None:
            f, o = affine(norm)
            w, b = w * f.view(-1, 1, 1, 1, 1), b * f + o
        self.register_buffer("weight", w.clone())
        self.register_buffer("bias", b.clone())
        self.pads = [same_padding(n, k, s) for n in size]
        mode = S1 if s == 1 else (STEM if k == 7 else S2)
        self.mode = mode
        if mode in ("flip",):
            self.register_buffer("back", w.transpose(0, 1).flip(2, 3, 4).contiguous())
        elif mode == "poly" and k > 1:
            self.back_poly(w)
        elif k == 1:
            self.register_buffer("back", w.transpose(0, 1).contiguous())

    def back_poly(self, w):
        axes = [phase_taps(self.k, lo) for lo, _ in self.pads]
        o, c = w.shape[:2]
        big = w.new_zeros(2, 2, 2, c, o, *[hi - l0 + 1 for l0, hi, _ in axes])
        for p in product(range(2), repeat=3):
            for (tt, kt), (th, kh), (tw, kw) in product(*[ax[2][q] for ax, q in zip(axes, p)]):
                big[p][:, :, tt, th, tw] = w[:, :, kt, kh, kw].T
        self.register_buffer("back", big.flatten(0, 3).contiguous())
        # outputs needed m in 0..M-1 with n=2m+p<size; pad dy so that conv gives M
        self.back_pads = [(-l0, hi) for l0, hi, _ in axes]

    def run(self, x):
        if self.s > 1 and self.k > 1:
            (t0, t1), (h0, h1), (w0, w1) = self.pads
            y = F.conv3d(F.pad(x, (w0, w1, h0, h1, t0, t1)), self.weight, self.bias, stride=2)
        else:
            y = F.conv3d(x, self.weight, self.bias, stride=self.s, padding=self.k // 2 if self.s == 1 else 0)
        return y, self.pull

    def pull(self, g):
        if self.s == 1:
            if self.mode == "T":
                return F.conv_transpose3d(g, self.weight, padding=self.k // 2)
            return F.conv3d(g, self.back, padding=self.k // 2)
        if self.mode == "T":
            los = [p[0] for p in self.pads]
            # full output length (m-1)*2+k ; crop lo .. lo+n
            out = [(m - 1) * 2 + self.k for m in self.out_size]
            if self.k == 1:
                y = F.conv_transpose3d(g, self.weight, stride=2, output_padding=[n - 1 - (m - 1) * 2 for n, m in zip(self.size, self.out_size)])
                return y
            y = F.conv_transpose3d(g, self.weight, stride=2)
            (a, b, c), (T, H, W) = los, self.size
            return y[:, :, a : a + T, b : b + H, c : c + W]
        if self.k == 1:
            y = F.conv3d(g, self.back)
            for axis in (4, 3, 2):
                y = interleave(y, y * 0, axis)[(slice(None),) * axis + (slice(0, self.size[axis - 2]),)]
            return y
        (t0, t1), (h0, h1), (w0, w1) = self.back_pads
        if all(p == (1, 1) for p in self.back_pads):
            y = F.conv3d(g, self.back, padding=1)
        else:
            y = F.conv3d(F.pad(g, (w0, w1, h0, h1, t0, t1)), self.back)
        n = y.shape[0]
        c = self.weight.shape[1]
        M = self.out_size
        if os.environ.get("IL", "8d") == "8d":
            y = y.reshape(-1, 2, 2, 2, c, *M).permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(-1, c, 2 * M[0], 2 * M[1], 2 * M[2])
        else:
            # phases (pt, ph, pw, c)
            y = y.reshape(-1, 4, 2, c * M[0] * M[1] * M[2]).transpose(2, 3).reshape(-1, 2, 2, c * M[0] * M[1], 2 * M[2])
            y = y.transpose(2, 3)  # N, pt, c*T*H, ph, 2W
            y = y.reshape(-1, 2, c * M[0], 4 * M[1] * M[2]).transpose(1, 2)
            y = y.reshape(-1, c, 2 * M[0], 2 * M[1], 2 * M[2])
        return y[:, :, : self.size[0], : self.size[1], : self.size[2]]


def phase_taps(k: int, lo: int):
    """-> lowest and highest offset of dy from m, and for each phase [(tap, kernel index)]."""
    found = []
    for p in range(2):
        r = (p + lo) % 2
        off = (p + lo - r) // 2
        found.append([(off - j, 2 * j + r) for j in range((k - r + 1) // 2)])
    l0 = min(t for f in found for t, _ in f)
    hi = max(t for f in found for t, _ in f)
    return l0, hi, [[(t - l0, i) for t, i in f] for f in found]


def interleave(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    return torch.stack([even, odd], dim=axis + 1).flatten(axis, axis + 1)


class PoolLayer(Layer):
    def __init__(self, size: Size):
        super().__init__(tuple(-(-n // 2) for n in size))
        self.size = size
        self.register_buffer("zero", torch.zeros(()))

    def run(self, x):
        pulls = []
        for axis in (4, 3, 2):
            x, pull = self.along(x, axis)
            pulls.append(pull)

        def pullback(g):
            for p in reversed(pulls):
                g = p(g)
            return g

        return x, pullback

    def along(self, x, axis):
        n = self.size[axis - 2]
        m = -(-n // 2)
        pad = [0] * (2 * (4 - axis)) + [n % 2, 1]
        P = F.pad(x, pad, value=-1.0)
        E = slice_axis(P, axis, 0, 2 * m + 1, 2)
        b = slice_axis(P, axis, 1, 2 * m, 2)
        a, c = slice_axis(E, axis, 0, m), slice_axis(E, axis, 1, m + 1)
        y = torch.maximum(torch.maximum(a, b), c)

        def pullback(g):
            is_a = a >= y
            ga = torch.where(is_a, g, self.zero)
            rest = g - ga
            gb = torch.where(b >= y, rest, self.zero)
            gc = rest - gb
            base = [0] * (2 * (4 - axis))
            if n % 2 == 0:
                ge = ga + F.pad(slice_axis(gc, axis, 0, m - 1), [*base, 1, 0])
                return interleave(ge, gb, axis)
            ge = gc + F.pad(slice_axis(ga, axis, 1, m), [*base, 0, 1])
            return slice_axis(interleave(gb, ge, axis), axis, 0, n)

        return y, pullback


def slice_axis(x, axis, start, stop, step=1):
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


class ResidualLayer(Layer):
    def __init__(self, source: Residual, size: Size):
        body = chain(list(source.body), size)
        super().__init__(body.out_size)
        self.body = body
        self.shortcut = ConvLayer(source.shortcut, size) if isinstance(source.shortcut, SameConv3d) else None

    def run(self, x):
        y, pull = self.body.run(x)
        if self.shortcut is None:
            return y + x, lambda g: pull(g) + g
        z, pull2 = self.shortcut.run(x)
        return y + z, lambda g: pull(g) + pull2(g)


def chain(modules, size):
    layers = []
    i = 0
    modules = list(modules)
    while i < len(modules):
        m = modules[i]
        nxt = modules[i + 1] if i + 1 < len(modules) else None
        if isinstance(m, SameConv3d):
            if isinstance(nxt, BatchNormReLU):
                layers += [ConvLayer(m, size, nxt.norm)]
                size = layers[-1].out_size
                layers += [ReLULayer(size)]
                i += 1
            else:
                layers += [ConvLayer(m, size)]
        elif isinstance(m, BatchNormReLU):
            layers.append(AffineReLULayer(m.norm, size))
        elif isinstance(m, SameMaxPool3d):
            layers.append(PoolLayer(size))
        elif isinstance(m, Residual):
            layers.append(ResidualLayer(m, size))
        elif isinstance(m, Normalise):
            layers.append(NormaliseLayer(m, size))
        size = layers[-1].out_size
        i += 1
    return Chain(layers, size)
