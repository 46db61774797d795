"""Changes of a run of frames that leave its signs as they are, alike for all frames of one."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.signs.preset import FrameAugment
from training.signs.scanner import rescanned, zoomed


def augment_frames(frames: Tensor, settings: FrameAugment, generator: torch.Generator) -> Tensor:
    """(n, T, h, w) grey levels 0..255, uint8 or float -> the same, float. All draws come from the generator, on its device."""
    grey = frames.float()
    if settings.is_off:
        return grey
    num, device = len(grey), grey.device

    def chosen(share: float) -> Tensor:
        return torch.rand(num, generator=generator, device=device) < share

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(num, generator=generator, device=device)

    is_mirrored, is_turned, is_cropped, is_lit = (
        chosen(share) for share in (settings.mirror, settings.turn, settings.crop, settings.light)
    )
    angle = torch.deg2rad(drawn(-settings.turn_deg, settings.turn_deg)) * is_turned
    least = settings.crop_least
    scale = torch.where(is_cropped, drawn(least, 1.0), torch.ones(num, device=device))
    across, down = drawn(-1.0, 1.0) * (1 - scale), drawn(-1.0, 1.0) * (1 - scale)
    grey = _moved(grey, angle, scale, across, down) if bool((is_turned | is_cropped).any()) else grey
    grey = torch.where(_wide(is_mirrored), grey.flip(-1), grey)
    factor = torch.where(is_lit, settings.contrast ** drawn(-1.0, 1.0), torch.ones(num, device=device))
    added = 255 * torch.where(is_lit, drawn(-settings.brightness, settings.brightness), torch.zeros(num, device=device))
    lit = ((grey - 127.5) * _wide(factor) + 127.5 + _wide(added)).clamp(0, 255)
    grey = torch.where(grey > 0, lit, grey)  # black stays black: beside the sector nothing is ever lit
    # Drawn only where asked for, or a fit without would draw other numbers than it did before there were these.
    if settings.zoom:
        grey = torch.where(_wide(chosen(settings.zoom)), zoomed(grey, drawn), grey)
    return torch.where(_wide(chosen(settings.scanner)), rescanned(grey, drawn, generator), grey) if settings.scanner else grey


def _moved(grey: Tensor, angle: Tensor, scale: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Turned about its middle, and a part of it enlarged to the whole; what comes from outside is black. Linear."""
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = torch.stack([torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, down], 1)], 1)
    return F.grid_sample(grey, F.affine_grid(rows, list(grey.shape), align_corners=False), align_corners=False)


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
