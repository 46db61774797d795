"""The same network in torch, as its own documentation has it run fast."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from service.bundle import read_bundle
from tests.gpu_visit.visit import Visit
from training.models.fold import fold_batch_norm
from training.restore import restore

COMPILE_MODES = ("default", "reduce-overhead")
"""The second replays CUDA graphs."""


def torch_net(visit: Visit) -> nn.Module:
    """The bundle's network with its weights, float32, on the CPU. Each time another copy."""
    return deepcopy(_restored(visit.bundle.directory))


@cache
def _restored(directory: Path) -> nn.Module:
    return fold_batch_norm(restore(read_bundle(directory))).eval()


def eager(visit: Visit, size: int) -> Callable[[], object]:
    return _forward(visit, torch_net(visit).to(visit.torch_device), size, torch.float32)


def half(visit: Visit, size: int) -> Callable[[], object]:
    """float16, channels-last; autocast leaves the squares of the first layer in float32. In a dry run float32."""
    return _forward(visit, _channels_last(visit), size, torch.float32 if visit.dry else torch.float16)


def compiled(visit: Visit, size: int, mode: str) -> Callable[[], object]:
    """The same, compiled for this batch size alone. In a dry run by a compiler that does nothing."""
    torch.compiler.reset()  # or the next size would be compiled for any size
    how: dict[str, Any] = {"backend": "eager"} if visit.dry else {"mode": mode}
    net = torch.compile(_channels_last(visit), dynamic=False, **how)
    return _forward(visit, net, size, torch.float32 if visit.dry else torch.float16)


def _channels_last(visit: Visit) -> nn.Module:
    net = torch_net(visit).to(visit.torch_device)
    return net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def _forward(visit: Visit, net: Any, size: int, dtype: torch.dtype) -> Callable[[], object]:
    """From patches in page-locked memory to logits on the host, as the engine's work is."""
    patches = torch.from_numpy(visit.patches(size))
    patches = patches if visit.dry else patches.pin_memory()
    kind = visit.torch_device.partition(":")[0]

    def run() -> object:
        with torch.inference_mode(), torch.autocast(kind, dtype, enabled=dtype is not torch.float32):
            return net(patches.to(visit.torch_device, non_blocking=True).float()).float().cpu()

    return run


def autograd_of(visit: Visit, size: int) -> Callable[[], object]:
    """Logit and gradient by torch, float32, from the host and back to it."""
    net = torch_net(visit).to(visit.torch_device)
    patches = visit.patches(size).astype(np.float32)

    def run() -> object:
        pixels = torch.from_numpy(patches).to(visit.torch_device).requires_grad_()
        logits = net(pixels)
        (gradients,) = torch.autograd.grad(logits.sum(), pixels)
        return logits.detach().cpu(), gradients.cpu()

    return run
