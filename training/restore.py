"""A bundle's network as a torch module again, so that training can go on from it.

A bundle holds graphs only, and batch-norm behind a convolution was folded into it at export. The layers with weights
are read in the order in which the graph runs them, which is that of the folded net; a folded norm comes back as one
that changes nothing. Nothing is taken on trust: the restored net is held against both engines, logits and gradients.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from service.bundle import Bundle
from training.export import ExportDisagrees, check
from training.models import NAMES, build
from training.models.fold import fold_batch_norm
from training.models.resnet3d import Normalise, SameConv3d

__all__ = ["RestoreError", "net_of", "restore"]

Array = NDArray[np.generic]
_KINDS: Mapping[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "Conv": (SameConv3d, ("weight", "bias")),
    "BatchNormalization": (nn.BatchNorm3d, ("weight", "bias", "running_mean", "running_var")),
    "Gemm": (nn.Linear, ("weight", "bias")),
}
"""Operators that carry weights, the layer each was, and what its inputs behind the first are."""


class RestoreError(ValueError):
    """This bundle's network cannot be trained on."""


def restore(bundle: Bundle) -> nn.Module:
    """The net whose graph `bundle` holds, in evaluation mode: logits and gradients equal the engines' (`training.export.check`).

    Raises: RestoreError.
    """
    name, width = net_of(bundle)
    shape = bundle.input_spec.patch_shape
    model = build(name, channels=shape[0], width=width).eval()
    graph = onnx.load(bundle.model_onnx).graph
    weights = _weights(graph, fold_batch_norm(model), f"{bundle}", f"{name} of width {width}")
    _fill(model, weights | _grey_levels(graph, model))
    try:
        check(model, patch_shape=shape, directory=bundle.directory)
    except ExportDisagrees as error:
        raise RestoreError(f"The network of {bundle} was restored and does not answer as the bundle does: {error}") from None
    return model


def net_of(bundle: Bundle) -> tuple[str, int]:
    """Name and width of its network, as its manifest says. Raises: RestoreError."""
    fit = bundle.training.get("fit")
    said: Mapping[str, Any] = fit if isinstance(fit, dict) else {}
    name, width = said.get("model"), said.get("width")
    if name not in NAMES or type(width) is not int or width < 1:
        raise RestoreError(
            f"The manifest of {bundle} does not say which network it holds (training, fit: model and width); "
            f"needed is one of {', '.join(NAMES)} and its width, as `seashore train` writes them."
        )
    return str(name), width


def _weights(graph: onnx.GraphProto, folded: nn.Module, bundle: str, net: str) -> dict[str, Tensor]:
    """The state of the folded net, read off the graph layer by layer. Raises: RestoreError."""
    # By the order and not by the names: the exporter stores equal arrays once, under the name of one of them.
    nodes = [node for node in graph.node if node.op_type in _KINDS]
    carrying = tuple(kind for kind, _ in _KINDS.values())
    layers: list[tuple[str, nn.Module]] = [(name, layer) for name, layer in folded.named_modules() if isinstance(layer, carrying)]
    if [_KINDS[node.op_type][0] for node in nodes] != [type(layer) for _, layer in layers]:
        raise RestoreError(f"The graph of {bundle} has {len(nodes)} layers with weights; {net} has {len(layers)}, in its own order.")
    constants = _constants(graph)
    state: dict[str, Tensor] = {}
    for node, (name, layer) in zip(nodes, layers, strict=True):
        state |= {f"{name}.{key}": value for key, value in _layer(node, layer, constants, bundle, net).items()}
    return state


def _layer(node: onnx.NodeProto, layer: nn.Module, constants: Mapping[str, Array], bundle: str, net: str) -> dict[str, Tensor]:
    names = _KINDS[node.op_type][1]
    given = [constants.get(value) for value in node.input[1:]]
    found = {name: torch.tensor(array) for name, array in zip(names, given, strict=False) if array is not None}
    if len(given) == 1:  # a bias of nothing but zeros is left out by the exporter
        found["bias"] = torch.zeros(found["weight"].shape[:1])
    needed = {name: tuple(value.shape) for name, value in layer.state_dict().items() if name in names}
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if shapes != needed:
        raise RestoreError(f"A layer of the graph of {bundle} has weights {_words(shapes)}; the same layer of {net} has {_words(needed)}.")
    return found


def _words(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()) or "none"


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    return {value.name: numpy_helper.to_array(value) for value in graph.initializer}


def _grey_levels(graph: onnx.GraphProto, model: nn.Module) -> dict[str, Tensor]:
    """(grey - mean) / scale, where the net begins with that: the first difference and the first quotient of the graph."""
    normalise = getattr(model, "normalise", None)
    if not isinstance(normalise, Normalise):
        return {}
    constants = _constants(graph)
    names = {"Sub": "normalise.mean", "Div": "normalise.scale"}
    nodes = [node for node in graph.node if node.op_type in names and node.input[1] in constants]
    first = {node.op_type: torch.tensor(constants[node.input[1]]) for node in reversed(nodes)}
    return {names[kind]: value.expand(normalise.mean.shape) for kind, value in first.items()}


def _fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load what was read; the norms that are not in it were folded, and come back as ones that change nothing."""
    folded_away = set(model.load_state_dict(dict(state), strict=False).missing_keys)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm3d) and f"{name}.weight" in folded_away:
            assert layer.running_var is not None
            layer.running_var.fill_(1 - layer.eps)  # weight 1, bias 0 and mean 0 are a new norm's
