"""Torch, ONNX Runtime and OpenVINO say the same of an exported net."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from torch import nn

from service.engine.select import open_engine
from tests.training.test_models import net
from training.export import KINK_TOLERANCE, ExportDisagrees, autograd, check, export, gradient_errors

SHAPE = (2, 60, 30, 30)
CPU_ENGINES = ("onnx-cpu", "openvino")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return net("resnet3d-18", channels=2, width=8)


@pytest.fixture(scope="module")
def exported(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    export(model, patch_shape=SHAPE, directory=directory)
    return directory


def patches(number: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (number, *SHAPE), dtype=np.uint8)


def values(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]


def test_the_graphs_take_and_give_what_the_service_expects(exported: Path) -> None:
    plain, saliency = (onnx.load(exported / name).graph for name in ("model.onnx", "saliency.onnx"))
    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT

    assert [*map(values, plain.input)] == [("patches", uint8, ["N", 2, 60, 30, 30])]
    assert [*map(values, plain.output)] == [("logits", float32, ["N"])]
    assert [*map(values, saliency.input)] == [("pixels", float32, ["N", 2, 60, 30, 30])]
    assert [*map(values, saliency.output)] == [("logits", float32, ["N"]), ("gradients", float32, ["N", 2, 60, 30, 30])]


@pytest.mark.parametrize("device", CPU_ENGINES)
def test_each_engine_agrees_with_torch(model: nn.Module, exported: Path, device: str) -> None:
    engine = open_engine(exported / "model.onnx", exported / "saliency.onnx", device=device)
    logits, gradients = autograd(model, patches(20))
    beside, exact = engine.logits_and_gradients(patches(20).astype(np.float32))
    errors = np.sort(gradient_errors(exact, gradients))

    assert np.abs(engine.logits(patches(20)) - logits).max() < 1e-4
    assert np.abs(beside - logits).max() < 1e-4
    assert errors[-4] < 1e-5  # three in twenty may lie on a kink
    assert errors[-1] < KINK_TOLERANCE


def test_the_gradient_says_how_the_logit_changes_with_a_grey_level(exported: Path) -> None:
    """Without torch: a small step along the gradient raises the logit by the step's length times the gradient's."""
    engine = open_engine(exported / "model.onnx", exported / "saliency.onnx", device="openvino")
    pixels = patches(1).astype(np.float32)
    logits, gradients = engine.logits_and_gradients(pixels)
    length = float(np.linalg.norm(gradients))
    stepped, _ = engine.logits_and_gradients(pixels + gradients / length * 0.5)

    assert float(stepped[0] - logits[0]) == pytest.approx(0.5 * length, rel=0.05)


def test_weights_are_in_a_file_once(exported: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in exported.iterdir()}

    assert set(sizes) == {"model.onnx", "saliency.onnx"}
    assert sizes["saliency.onnx"] < 1.2 * sizes["model.onnx"]


def test_batch_norm_is_folded_and_convolutions_are_all_there_is_to_the_adjoint(exported: Path) -> None:
    plain, saliency = (Counter(node.op_type for node in onnx.load(exported / name).graph.node) for name in ("model.onnx", "saliency.onnx"))

    # the stem, 16 in 8 blocks, 3 shortcuts that change shape; and the same again for the adjoint
    assert (plain["Conv"], saliency["Conv"]) == (20, 40)
    assert saliency["ConvTranspose"] == 0
    assert plain["BatchNormalization"] == 8  # of 17


def test_the_files_name_no_source_and_no_folder_of_this_machine(exported: Path) -> None:
    root = str(Path(__file__).resolve().parents[2]).encode()

    for path in exported.iterdir():
        written = path.read_bytes()
        assert root not in written
        assert b"saliency_graph.py" not in written
        assert b"resnet3d.py" not in written


def test_another_nets_graphs_are_refused(exported: Path) -> None:
    with pytest.raises(ExportDisagrees, match=r"^cpu \(ONNX Runtime\) and torch differ by [0-9.e+]+ in a logit of model.onnx\.$"):
        check(net("resnet3d-18", channels=2, width=8, seed=1), patch_shape=SHAPE, directory=exported)


def test_a_gradient_that_is_off_is_refused(model: nn.Module, exported: Path, tmp_path: Path) -> None:
    """The graph of the same logits, whose gradient is scaled by 1.001."""
    (tmp_path / "model.onnx").write_bytes((exported / "model.onnx").read_bytes())
    proto = onnx.load(exported / "saliency.onnx")
    last = next(node for node in proto.graph.node if "gradients" in node.output)
    last.output[:] = ["unscaled"]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1.001), "off"))
    proto.graph.node.append(onnx.helper.make_node("Mul", ["unscaled", "off"], ["gradients"]))
    onnx.save(proto, tmp_path / "saliency.onnx")

    with pytest.raises(ExportDisagrees, match=r"^cpu \(ONNX Runtime\) and torch differ by 0\.001 of a gradient's length\.$"):
        check(model, patch_shape=SHAPE, directory=tmp_path)


def test_autograd_leaves_a_net_in_training_as_it_was() -> None:
    model = net("resnet3d-18", channels=2, width=1).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    autograd(model, patches(1))

    assert model.training
    assert all((value == before[key]).all() for key, value in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "px"), [("resnet3d-34", 30), ("resnet3d-50", 30), ("resnet3d-18", 60), ("resnet3d-18", 90)])
def test_every_net_and_patch_size_exports(name: str, px: int, tmp_path: Path) -> None:
    export(net(name, width=8), patch_shape=(1, 60, px, px), directory=tmp_path)
