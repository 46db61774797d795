"""A fitted network of a preset -> an ONNX graph that takes uint8 runs of frames, held against torch."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.engine.onnx import load_library, open_session
from training.export import ExportDisagrees, write_graph
from training.records import partial_of
from training.signs.preset import Preset

TOLERANCE = 1e-5
"""Greatest difference between torch and the graph; relative above 1."""
CHECKED = 3
"""Other than the 2 that the graph is traced with: its batch is any number."""
MAX_BYTES = 2**31 - 2**24
"""Of weights: protobuf writes 2 GiB at most, and the graph needs a little of it. Weights in a second file are not what a bundle holds."""


class TooLarge(ValueError):
    """The network does not fit into one ONNX file."""


def export_sign(model: nn.Module, preset: Preset, path: Path) -> Path:
    """Write the graph and check it in ONNX Runtime. Frames are uint8 (N, T, h, w), flow float32 (N, 2, steps, h, w).

    Nothing of that name is left of a graph that disagrees. Raises: ExportDisagrees, TooLarge.
    """
    taken = "flow" if preset.frames.is_flow else "frames"
    return export_checked(model, path, drawn(preset, 2), drawn(preset, CHECKED), taken, list(model.outputs))  # type: ignore[arg-type]


def export_checked(model: nn.Module, path: Path, example: Tensor, given: Tensor, taken: str, outputs: list[str]) -> Path:
    """Traced with `example`, checked with `given`, of another batch. One file, weights and all. Raises: ExportDisagrees, TooLarge."""
    _check_size(model)
    partial = partial_of(path)
    model = model.cpu().eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_graph(model, example, partial, taken, outputs)
    with torch.inference_mode():
        told = model(given)
    session = open_session(load_library(), partial, ["CPUExecutionProvider"], threads=1)
    found: list[NDArray[np.float32]] = session.run(outputs, {session.get_inputs()[0].name: given.numpy()})
    for name, ours, theirs in zip(outputs, told if isinstance(told, tuple) else (told,), found, strict=True):
        _compare(name, ours.numpy(), theirs)
    partial.replace(path)
    return path


def drawn(preset: Preset, num: int) -> Tensor:
    """So many inputs of no meaning, the same each time."""
    generator, shape = torch.Generator().manual_seed(num), preset.frames.run_shape
    if preset.frames.is_flow:
        return torch.randn((num, *shape), generator=generator)
    return torch.randint(0, 256, (num, *shape[1:]), dtype=torch.uint8, generator=generator)


def _check_size(model: nn.Module) -> None:
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if num_bytes > MAX_BYTES:
        raise TooLarge(f"The network's weights take {num_bytes / 1e9:.1f} GB; a graph in one file holds {MAX_BYTES / 1e9:.1f} GB at most.")


def _compare(name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    difference = np.abs(theirs - ours) / np.maximum(1, np.abs(ours))
    if ours.shape != theirs.shape or not np.all(difference <= TOLERANCE):
        raise ExportDisagrees(f"ONNX Runtime and torch differ by {difference.max():.2g} in the {name}.")
