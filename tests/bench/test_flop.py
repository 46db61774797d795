"""Counted work of graphs small enough to count by hand."""

import onnx
from onnx import TensorProto, helper

from tests.bench.flop import flop_of


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def weights(name: str, *shape: int) -> onnx.TensorProto:
    count = 1
    for side in shape:
        count *= side
    return helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * count)


def graph(nodes: list[onnx.NodeProto], given: onnx.ValueInfoProto, out: onnx.ValueInfoProto, *tensors: onnx.TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph(nodes, "small", [given], [out], initializer=list(tensors)))


def test_a_convolution_multiplies_and_adds_its_kernel_for_every_cell_it_gives() -> None:
    """2 channels to 4, kernel 3x3x3, padded: 10x6x6 cells x 4 channels x (2 x 27 products and sums)."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 6)

    assert flop_of(graph([node], value("x", "N", 2, 10, 6, 6), value("y", "N", 4, 10, 6, 6), weights("w", 4, 2, 3, 3, 3))) == (
        2 * (10 * 6 * 6 * 4) * (2 * 27)
    )


def test_a_stride_and_groups_are_taken_into_account() -> None:
    """4 channels in 2 groups, stride 2: 5x3x3 cells x 4 channels x (2 x 27)."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 6, strides=[2] * 3, group=2)

    assert flop_of(graph([node], value("x", 1, 4, 10, 6, 6), value("y", 1, 4, 5, 3, 3), weights("w", 4, 2, 3, 3, 3))) == (
        2 * (5 * 3 * 3 * 4) * (2 * 27)
    )


def test_shapes_between_the_layers_are_found() -> None:
    """Two layers: the middle one's shape stands nowhere in the file."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["m"], pads=[1] * 6),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["y"], transB=1),
    ]
    model = graph(nodes, value("x", "N", 1, 4, 4, 4), value("y", "N", 1), weights("w", 2, 1, 3, 3, 3), weights("g", 1, 128))

    assert flop_of(model) == 2 * 128 * 27 + 2 * 128


def test_what_is_neither_is_not_counted() -> None:
    assert flop_of(graph([helper.make_node("Relu", ["x"], ["y"])], value("x", 1, 8), value("y", 1, 8))) == 0
