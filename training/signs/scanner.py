"""The same frames as another scanner would show them: another depth and width, grey curve, gain by depth, sharpness and noise.

The simulator has one way to make a picture and real clips have as many as there are scanners and exports; what is learnt from one way
is told by its look. Drawn per run, alike for all its frames but for the noise.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Drawn = Callable[[float, float], Tensor]
"""Uniform numbers between two, one a run, (n,)."""

_SHALLOWEST = 0.6
"""Of the depth and the width that is left in the picture."""
_WIDEST = 1.05
_SHEAR = 0.12
_GAMMA = 0.5
"""Natural logarithm of the greatest exponent of the grey curve."""
_GAIN, _GAIN_BY_DEPTH = 0.5, 0.3
"""Natural logarithms, over all and at the lower edge beside the middle."""
_NOISE = 0.03
"""Of the grey scale."""
_BLURRED = 0.4
"""Share of the runs."""


def zoomed(grey: Tensor, drawn: Drawn) -> Tensor:
    """(n, T, h, w): a part as wide and as deep as drawn, the whole of it mostly from the skin on, a little aslant. Linear."""
    num = len(grey)
    wide, deep = drawn(_SHALLOWEST, _WIDEST), drawn(_SHALLOWEST, _WIDEST)
    rows = torch.zeros(num, 2, 3, device=grey.device)
    rows[:, 0, 0], rows[:, 1, 1], rows[:, 0, 1] = wide, deep, drawn(-_SHEAR, _SHEAR)
    rows[:, 0, 2] = drawn(-1.0, 1.0) * (1 - wide).clamp_min(0)
    rows[:, 1, 2] = -drawn(0.3, 1.0) * (1 - deep).clamp_min(0)
    return F.grid_sample(grey, F.affine_grid(rows, list(grey.shape), align_corners=False), align_corners=False)


def rescanned(grey: Tensor, drawn: Drawn, generator: torch.Generator) -> Tensor:
    """(n, T, h, w); black stays black."""
    level = (grey / 255).clamp(1e-4, 1) ** torch.exp(_wide(drawn(-_GAMMA, _GAMMA)))
    depth = torch.linspace(-1, 1, grey.shape[2], device=grey.device)[:, None]
    level = level * torch.exp(_wide(drawn(-_GAIN, _GAIN)) + _wide(drawn(-_GAIN_BY_DEPTH, _GAIN_BY_DEPTH)) * depth)
    blurred = F.avg_pool2d(F.pad(level, (1, 1, 1, 1), mode="replicate"), 3, 1)
    level = torch.where(_wide(drawn(0.0, 1.0)) < _BLURRED, blurred, level)
    noise = torch.randn(grey.shape, generator=generator, device=grey.device)
    return torch.where(grey > 0, 255 * (level + _wide(drawn(0.0, _NOISE)) * noise).clamp(0, 1), grey)


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
