"""Counted work of a graph, and what this machine does at most."""

import math
from pathlib import Path

import numpy as np
import onnx

from tests.bench.timing import timed_s

SIDES = (512, 1024, 2048)


def flop_of(model: onnx.ModelProto) -> int:
    """Multiplications and additions of its convolutions and matrix products, for one patch (an axis that is free counts as 1)."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    _fix_batch(fixed)
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    shapes = {value.name: _dims(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return sum(_flop_of_node(node, shapes) for node in graph.node)


def flop_a_patch(model_onnx: Path) -> int:
    return flop_of(onnx.load(str(model_onnx)))


def peak_gflops() -> float:
    """Best single-precision matrix product of NumPy and torch on the threads they take by themselves."""
    return max(max(_numpy_gflops(side), _torch_gflops(side)) for side in SIDES)


def _fix_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1


def _dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)


def _flop_of_node(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type == "Conv":  # weight: (out, in / groups, *kernel)
        return 2 * math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":  # weight: (in, out / groups, *kernel)
        return 2 * math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("Gemm", "MatMul"):
        inner = shapes[node.input[0]][0 if _is_transposed(node) else -1]
        return 2 * math.prod(shapes[node.output[0]]) * inner
    return 0


def _is_transposed(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transA" and attribute.i for attribute in node.attribute)


def _numpy_gflops(side: int) -> float:
    a = np.random.default_rng(0).random((side, side), np.float32)
    return 2 * side**3 / min(timed_s(lambda: a @ a, times=_times(side), warm_up=2)) / 1e9


def _torch_gflops(side: int) -> float:
    import torch

    a = torch.rand(side, side)
    return 2 * side**3 / min(timed_s(lambda: a @ a, times=_times(side), warm_up=2)) / 1e9


def _times(side: int) -> int:
    return max(5, 20 * 512 // side)
