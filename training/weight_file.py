"""A file of weights that somebody else has written, by torch: read without running anything that it brings along."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said of a file that is no such thing."""

    kind: type[ValueError]
    unreadable: str
    foreign: str
    """Not one of torch's."""
    nameless: str
    """One of torch's, and no weights by name."""


def read_weights(path: Path, refusal: Refusal) -> Mapping[str, Tensor]:
    """Raises: `refusal.kind`."""
    try:
        state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise refusal.kind(refusal.unreadable) from None
    except Exception:  # torch raises whatever its unpickler meets
        raise refusal.kind(refusal.foreign) from None
    if not isinstance(state, Mapping):
        raise refusal.kind(refusal.nameless)
    return state
