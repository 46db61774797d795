"""Optical flow by RAFT (Teed and Deng 2020, arXiv 2003.12039) from torchvision, with weights of one's own: in the place of DIS.

torchvision is not installed with this project (`pip install "seashore[raft]"`), and no weights are fetched: a checkpoint is named.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.cine.flow import Flow, FlowField
from training.weight_file import Refusal, read_weights

_LARGE = "update_block.motion_encoder.convcorr2.0.weight"
"""A weight that the large net has and the small one has not."""


class RaftError(ValueError):
    """RAFT cannot be had here, or not from this file."""


_REFUSAL = Refusal(
    RaftError,
    unreadable="The RAFT checkpoint cannot be read: there is no such file, or it may not be read.",
    foreign="The RAFT checkpoint is not a file of weights that torch has written.",
    nameless="The RAFT checkpoint holds no weights by name.",
)


def raft_flow(checkpoint: Path) -> FlowField:
    """The flow by the large or the small net, whichever the checkpoint is of. Raises: RaftError."""
    state = read_weights(checkpoint, _REFUSAL)
    nets = _library()
    net = nets.raft_large() if _LARGE in state else nets.raft_small()
    try:
        net.load_state_dict(state)
    except RuntimeError:
        raise RaftError("The checkpoint is not one of torchvision's raft_large or raft_small.") from None
    net.eval()

    def field(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Flow:
        with torch.inference_mode():
            moved: Tensor = net(_given(before), _given(after))[-1]
        return moved[0].numpy()

    return field


def _given(grey: NDArray[np.uint8]) -> Tensor:
    """As torchvision's own transform: three channels in -1..1."""
    return (torch.from_numpy(grey).float() / 127.5 - 1).expand(1, 3, *grey.shape)


def _library() -> Any:
    try:
        return import_module("torchvision.models.optical_flow")
    except ImportError:
        raise RaftError('RAFT needs torchvision, which is not installed here: pip install "seashore[raft]".') from None
    except RuntimeError:  # a torchvision for CUDA beside a torch without finds none of its operators
        raise RaftError("The torchvision that is installed is of another build than torch: take both from the same index.") from None
