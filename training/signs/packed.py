"""A fitted network as the service runs it: runs of frames in, all that is told of them in one row."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from service.sign_bundle import Outputs
from training.models.frame_resnet import FrameResNet
from training.signs.export import CHECKED, drawn, export_checked
from training.signs.preset import ABSENT, Preset


class Packed(nn.Module):
    """Runs of frames (N, 1, T, h, w), uint8, or of flow (N, 2, steps, h, w) -> (N, F) as `Outputs.unpack` takes them apart.

    Each logit is of a sign by itself, and positive for what is there.
    """

    def __init__(self, network: nn.Module, *, is_one_of_several: bool = False, is_of_absence: bool = False) -> None:
        """`is_one_of_several`: the network was fitted by softmax; `is_of_absence`: its logit is positive where sliding is absent."""
        super().__init__()
        self.network = network
        self.is_one_of_several = is_one_of_several
        self.is_of_absence = is_of_absence

    def forward(self, runs: Tensor) -> Tensor:
        logits, *rest = self._told(runs[:, 0] if runs.shape[1] == 1 else runs)
        if self.is_one_of_several:
            logits = _against_the_others(logits)
        if self.is_of_absence:
            logits = -logits
            rest = [-told for told in rest] if isinstance(self.network, FrameResNet) else rest  # maps are of the logit
        return torch.cat([logits, *(told.flatten(1) for told in rest)], dim=1)

    def _told(self, given: Tensor) -> Sequence[Tensor]:
        if isinstance(self.network, FrameResNet):
            return self.network.with_maps(given)
        told = self.network(given)
        return told if isinstance(told, tuple) else (told,)


def packed(network: nn.Module, preset: Preset) -> Packed:
    return Packed(network, is_one_of_several=preset.loss.kind == "softmax", is_of_absence=preset.signs == (ABSENT,))


def _against_the_others(logits: Tensor) -> Tensor:
    """(N, K) of a softmax -> the log-odds of each: its logit less that of all others together."""
    others = [torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1).logsumexp(dim=1) for k in range(logits.shape[1])]
    return logits - torch.stack(others, dim=1)


def outputs_of(network: nn.Module, preset: Preset) -> Outputs:
    """What a row of `Packed` is made of."""
    num_signs = len(preset.signs)
    with torch.inference_mode():
        row = packed(network.cpu().eval(), preset)(_runs(preset, 1))
    rest = row.shape[1] - num_signs
    if isinstance(network, FrameResNet):
        return Outputs(num_signs, map_px=round((rest / num_signs) ** 0.5))
    return Outputs(num_signs, attention=rest)


def export_packed(network: nn.Module, preset: Preset, path: Path) -> Path:
    """Write the graph and hold it against torch. Raises: ExportDisagrees, TooLarge."""
    return export_checked(packed(network, preset), path, _runs(preset, 2), _runs(preset, CHECKED), "runs", ["figures"])


def _runs(preset: Preset, num: int) -> Tensor:
    return drawn(preset, num).reshape(num, *preset.frames.run_shape)
