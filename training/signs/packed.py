"""A fitted network as the service runs it: runs of frames in, all that is told of them in one row."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from service.sign_bundle import Outputs
from training.models.frame_resnet import FrameResNet
from training.signs.export import CHECKED, drawn, export_checked
from training.signs.preset import Preset


class Packed(nn.Module):
    """Runs (N, 1, T, h, w), uint8 -> (N, F) as `Outputs.unpack` takes them apart. Each logit is of a sign by itself."""

    def __init__(self, network: nn.Module, *, is_one_of_several: bool = False) -> None:
        """`is_one_of_several`: the network was fitted by softmax."""
        super().__init__()
        self.network = network
        self.is_one_of_several = is_one_of_several

    def forward(self, runs: Tensor) -> Tensor:
        logits, *rest = self._told(runs[:, 0])
        if self.is_one_of_several:
            logits = _against_the_others(logits)
        return torch.cat([logits, *(told.flatten(1) for told in rest)], dim=1)

    def _told(self, frames: Tensor) -> Sequence[Tensor]:
        if isinstance(self.network, FrameResNet):
            return self.network.with_maps(frames)
        told = self.network(frames)
        return told if isinstance(told, tuple) else (told,)


def packed(network: nn.Module, preset: Preset) -> Packed:
    return Packed(network, is_one_of_several=preset.loss.kind == "softmax")


def _against_the_others(logits: Tensor) -> Tensor:
    """(N, K) of a softmax -> the log-odds of each: its logit less that of all others together."""
    others = [torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1).logsumexp(dim=1) for k in range(logits.shape[1])]
    return logits - torch.stack(others, dim=1)


def outputs_of(network: nn.Module, preset: Preset) -> Outputs:
    """What a row of `Packed` is made of."""
    frames, num_signs = preset.frames, len(preset.signs)
    with torch.inference_mode():
        row = packed(network.cpu().eval(), preset)(torch.zeros((1, 1, *frames.run_shape), dtype=torch.uint8))
    rest = row.shape[1] - num_signs
    if isinstance(network, FrameResNet):
        return Outputs(num_signs, map_px=round((rest / num_signs) ** 0.5))
    return Outputs(num_signs, attention=rest)


def export_packed(network: nn.Module, preset: Preset, path: Path) -> Path:
    """Write the graph and hold it against torch. Raises: ExportDisagrees."""
    two, more = (drawn(preset, num)[:, None] for num in (2, CHECKED))
    return export_checked(packed(network, preset), path, two, more, "runs", ["figures"])
