"""Changes that leave the answer as it is, made to whole batches of patches while training. Each has a clinical reason.

Drawn without a look at the label, and twins are changed alike, so that no change can ever tell the classes apart.
Never a flip upside down: the pleura is up, and what lies below it is lung.
"""

import math

import torch
from torch import Tensor

from training.experiment import AugmentSettings

_EVEN_DEVIATION = math.sqrt((256**2 - 1) / 12)
"""Of 0, 1, ..., 255, all as likely."""


def augment(patches: Tensor, pair: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """uint8 patches (n, C, T, h, w) -> grey levels 0..255, float32, of the same shape.

    `pair` (n,) numbers the pairs: patches of one number are mirrored, reversed, brightened and blurred by noise alike.
    All channels of a patch are treated as one picture. `generator` must be on the device of the patches.
    """
    _, member = torch.unique(pair, return_inverse=True)

    def drawn() -> Tensor:
        """One number in 0..1 for each patch, the same for twins."""
        return torch.rand(len(pair), generator=generator, device=patches.device)[member]

    patches = _where(drawn() < settings.mirror, patches.flip(-1), patches)
    patches = _where(drawn() < settings.reverse, patches.flip(2), patches)
    gamma, gain = _factor(drawn(), settings.gamma), _factor(drawn(), settings.gain)
    noise = settings.noise * drawn()
    grey = patches.float()
    if settings.gamma > 1:
        grey = grey.div_(255).pow_(_of_patch(gamma)).mul_(255)
    if settings.gain > 1:
        grey = grey.mul_(_of_patch(gain))
    if settings.noise > 0:
        grey = grey.add_(_noise_like(grey, generator).mul_(_of_patch(noise)))
    return grey.clamp_(0, 255)


def _factor(drawn: Tensor, largest: float) -> Tensor:
    """0..1 -> 1/largest..largest, as often below 1 as above."""
    return torch.exp((2 * drawn - 1) * math.log(largest))


def _noise_like(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of mean 0 and standard deviation 1, evenly spread over 256 values.

    Normal noise took a tenth of a training step to draw; eight values out of every 64 random bits take a fiftieth.
    """
    words = torch.empty(-(-grey.numel() // 8), dtype=torch.int64, device=grey.device).random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[: grey.numel()].view(grey.shape).float().sub_(127.5).div_(_EVEN_DEVIATION)


def _of_patch(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1, 1)


def _where(chosen: Tensor, changed: Tensor, kept: Tensor) -> Tensor:
    return torch.where(_of_patch(chosen), changed, kept)
