"""`model.onnx` with float16 weights, made on the day: would it pay to ship one? Nothing of the service uses it."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FIRST_OF_THE_NET = "Conv"


def write_half(source: Path, target: Path) -> Path:
    """Everything from the first convolution on in float16; what comes before squares grey levels, which float16 cannot hold."""
    model = onnx.load(source)
    graph = model.graph
    first = next(number for number, node in enumerate(graph.node) if node.op_type == FIRST_OF_THE_NET)
    before, net = list(graph.node)[:first], list(graph.node)[first:]
    made_before = {name for node in before for name in node.output} | {value.name for value in graph.input}
    into = sorted({name for node in net for name in node.input} & made_before)
    _halve_weights(graph, {name for node in net for name in node.input})
    out = [value.name for value in graph.output]
    _rename(net, {name: f"{name}_half" for name in [*into, *out]})
    casts_in = [helper.make_node("Cast", [name], [f"{name}_half"], to=TensorProto.FLOAT16) for name in into]
    casts_out = [helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT) for name in out]
    del graph.node[:], graph.value_info[:]
    graph.node.extend([*before, *casts_in, *net, *casts_out])
    onnx.save(model, target)
    return target


def _halve_weights(graph: onnx.GraphProto, of_net: set[str]) -> None:
    for weight in graph.initializer:
        if weight.name in of_net and weight.data_type == TensorProto.FLOAT:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))


def _rename(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
