"""A trained net -> `model.onnx` (uint8 patches -> logits) and `saliency.onnx` (float32 pixels -> logits and exact gradients)."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.engine.base import Engine
from service.engine.select import open_engine
from training.models.fold import fold_batch_norm, fold_grey
from training.saliency_graph import SaliencyGraph

__all__ = [
    "GRADIENT_TOLERANCE",
    "LOGIT_TOLERANCE",
    "ExportDisagrees",
    "autograd",
    "check",
    "export",
    "fold_grey",
    "gradient_errors",
    "write_graph",
]

LOGIT_TOLERANCE = 1e-4
"""Greatest difference of a logit between torch and an engine; relative above 1."""
GRADIENT_TOLERANCE = 1e-4
"""Greatest length of the difference of a patch's gradients, in lengths of torch's gradient."""
KINK_TOLERANCE = 0.05
"""The same for the few patches that may miss the first one. Where a ReLU's input is zero to float32's last digit, or two cells of a
pooling window are equal to it, there are two gradients and rounding picks one: in 4 of 100 random patches of 60x30x30, 15 of 100 of
60x90x90, by up to 0.01 (measured). An adjoint that is wrong is wrong in every patch."""
_CHECKED_PATCHES = 8
_KINKS_ALLOWED = 4

_ENGINES = ("onnx-cpu", "openvino")

PatchShape = tuple[int, int, int, int]
"""C, T, h, w."""


class ExportDisagrees(RuntimeError):
    """A runtime gives other figures for the exported graphs than torch gives for the net."""


def export(model: nn.Module, *, patch_shape: PatchShape, directory: Path) -> None:
    """Write `model.onnx` and `saliency.onnx` for patches of (C, T, h, w) and check them in ONNX Runtime and OpenVINO.

    The graphs take any number of patches; batch-norm is as in evaluation, folded into convolutions where it can be. `model` is left
    as it was. Raises: ExportDisagrees, after writing; ValueError for a net without a saliency graph.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plain = fold_batch_norm(model).cpu()
    saliency = SaliencyGraph(model, patch_shape).cpu().eval()
    # Two patches to trace with: torch takes a batch of 1 for a constant.
    patches = torch.zeros(2, *patch_shape, dtype=torch.uint8)
    write_graph(plain, patches, directory / "model.onnx", "patches", ["logits"])
    write_graph(saliency, patches.float(), directory / "saliency.onnx", "pixels", ["logits", "gradients"])
    check(model, patch_shape=patch_shape, directory=directory)


def check(model: nn.Module, *, patch_shape: PatchShape, directory: Path) -> None:
    """Torch's own logits and autograd's gradients against each engine, on random patches. Raises: ExportDisagrees."""
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (_CHECKED_PATCHES, *patch_shape), dtype=np.uint8)
    logits, gradients = autograd(model, patches)
    for device in _ENGINES:
        engine = open_engine(directory / "model.onnx", directory / "saliency.onnx", device=device)
        _compare(engine, patches, logits, gradients)


def autograd(model: nn.Module, patches: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N,) and d logit / d grey level (N, C, T, h, w) by torch, in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        pixels = torch.from_numpy(patches).float().requires_grad_()
        logits: Tensor = model(pixels)
        (gradients,) = torch.autograd.grad(logits.sum(), pixels)
    finally:
        model.train(was_training)
    return logits.detach().numpy(), gradients.numpy()


def _compare(engine: Engine, patches: NDArray[np.uint8], logits: NDArray[np.float32], gradients: NDArray[np.float32]) -> None:
    plain = engine.logits(patches)
    beside, exact = engine.logits_and_gradients(patches.astype(np.float32))
    tolerated = LOGIT_TOLERANCE * np.maximum(1, np.abs(logits))
    for name, given in (("model.onnx", plain), ("saliency.onnx", beside)):
        if not np.all(np.abs(given - logits) <= tolerated):
            raise ExportDisagrees(f"{engine.device} and torch differ by {np.abs(given - logits).max():.2g} in a logit of {name}.")
    errors = np.sort(gradient_errors(exact, gradients))
    away_from_kinks, worst = errors[-1 - _KINKS_ALLOWED], errors[-1]
    if not (away_from_kinks <= GRADIENT_TOLERANCE and worst <= KINK_TOLERANCE):
        error = worst if away_from_kinks <= GRADIENT_TOLERANCE else away_from_kinks
        raise ExportDisagrees(f"{engine.device} and torch differ by {error:.2g} of a gradient's length.")


def gradient_errors(given: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length of the difference of each patch's gradients, in lengths of the expected one, (N,)."""
    lengths = np.linalg.norm(expected.reshape(len(expected), -1), axis=1)
    errors: NDArray[np.float32] = np.linalg.norm((given - expected).reshape(len(expected), -1), axis=1) / np.maximum(lengths, 1e-30)
    return errors


def write_graph(graph: nn.Module, example: Tensor, path: Path, taken: str, given: list[str]) -> None:
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[taken],
            output_names=given,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    onnx.save(_bare(program.model_proto), path)


def _bare(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without what torch writes beside it: source paths and stack traces of this machine, shapes of inner values."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.checker.check_model(proto)
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporter tells of torchvision operators it does not have, and of its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
