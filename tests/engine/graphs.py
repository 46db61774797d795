"""Graphs whose answers are computed in the head, written as a bundle's are."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

SHAPE = (1, 2, 3, 4)
"""C, T, h, w: 24 pixels."""


def write_sum(directory: Path, shape: tuple[int, ...] = SHAPE) -> tuple[Path, Path]:
    """model.onnx: logit = sum of the pixels. saliency.onnx: logit = sum of squares / 2, so its gradient is the pixels themselves."""
    cast = helper.make_node("Cast", ["patches"], ["pixels"], to=TensorProto.FLOAT)
    model = _save(directory / "model.onnx", [cast, _sum("pixels", "logits")], "patches", TensorProto.UINT8, {"logits": ["N"]}, shape)
    squares = [
        helper.make_node("Mul", ["pixels", "pixels"], ["squares"]),
        helper.make_node("Mul", ["squares", "half"], ["halves"]),
        _sum("halves", "logits"),
        helper.make_node("Identity", ["pixels"], ["gradients"]),
    ]
    outputs = {"logits": ["N"], "gradients": ["N", *shape]}
    return model, _save(directory / "saliency.onnx", squares, "pixels", TensorProto.FLOAT, outputs, shape)


def write_sum_of_flow(directory: Path) -> Path:
    """As model.onnx of `write_sum`, of float32."""
    return _save(directory / "flow.onnx", [_sum("patches", "logits")], "patches", TensorProto.FLOAT, {"logits": ["N"]}, SHAPE)


def write_log(directory: Path) -> Path:
    """logit = log of the sum: minus infinity for a black patch."""
    cast = helper.make_node("Cast", ["patches"], ["pixels"], to=TensorProto.FLOAT)
    nodes = [cast, _sum("pixels", "sum"), helper.make_node("Log", ["sum"], ["logits"])]
    return _save(directory / "log.onnx", nodes, "patches", TensorProto.UINT8, {"logits": ["N"]}, SHAPE)


def write_failing(directory: Path) -> Path:
    """Opens, and fails with two patches: their sums are added to seven numbers."""
    cast = helper.make_node("Cast", ["patches"], ["pixels"], to=TensorProto.FLOAT)
    nodes = [cast, _sum("pixels", "sum"), helper.make_node("Add", ["sum", "seven"], ["logits"])]
    return _save(directory / "failing.onnx", nodes, "patches", TensorProto.UINT8, {"logits": ["M"]}, SHAPE)


def shift(path: Path, by: float) -> None:
    """Add so much to the logits of a graph, in its file."""
    model = onnx.load(path)
    (made,) = (node for node in model.graph.node if "logits" in node.output)
    made.output[list(made.output).index("logits")] = "unshifted"
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "logits":
                node.input[place] = "unshifted"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(by), "by"))
    model.graph.node.append(helper.make_node("Add", ["unshifted", "by"], ["logits"]))
    onnx.save(model, path)


def _sum(given: str, name: str) -> onnx.NodeProto:
    return helper.make_node("ReduceSum", [given, "axes"], [name], keepdims=0)


def _save(
    path: Path, nodes: list[onnx.NodeProto], taken: str, dtype: int, outputs: dict[str, list[str | int]], shape: tuple[int, ...]
) -> Path:
    constants = {"axes": np.array([1, 2, 3, 4]), "half": np.float32(0.5), "seven": np.zeros(7, np.float32)}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(taken, dtype, ["N", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path
