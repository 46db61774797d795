"""A bundle's graph as a torch net again: it answers as the bundle does, or it is refused in a sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from service.bundle import Bundle
from service.engine.select import open_engine
from tests.fakes.inputs import MODEL_ALONE, SPEC
from tests.training.test_models import net
from training.export import export
from training.models import build
from training.restore import RestoreError, net_of, restore

pytestmark = pytest.mark.slow

# Patches of a quarter of the length and a third of the side: the same net, exported and checked in a second.
SMALL = replace(SPEC, window_frames=16, patch_px=12)


def exported(model: nn.Module, name: str, folder: Path, width: int = 2) -> Bundle:
    export(model, patch_shape=SMALL.patch_shape, directory=folder)
    return Bundle("ours", "1.0.0", folder, "", SMALL, MODEL_ALONE, "", {"fit": {"model": name, "width": width}})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of a net in which every bias and norm has a say, and two layers have the same bias."""
    name = "resnet3d-18-changes"
    model = net(name, channels=2, width=2)
    for layer in model.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.normal_(layer.bias, 0, 0.3)
    model.blocks[2].shortcut.bias = nn.Parameter(model.blocks[2].body[3].bias.detach().clone())
    return exported(model, name, tmp_path_factory.mktemp("graphs"))


def with_graph(bundle: Bundle, folder: Path, change: str) -> Bundle:
    """A copy of the bundle with 1 added to the array called so in its model.onnx alone."""
    for name in ("model.onnx", "saliency.onnx"):
        (folder / name).write_bytes((bundle.directory / name).read_bytes())
    graph = onnx.load(folder / "model.onnx")
    (array,) = (value for value in graph.graph.initializer if value.name == change)
    array.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(array) + np.float32(1), change))
    onnx.save(graph, folder / "model.onnx")
    return replace(bundle, directory=folder)


def saying(bundle: Bundle, **fit: object) -> Bundle:
    return replace(bundle, training={"fit": fit})


def assert_answers_alike(bundle: Bundle, model: nn.Module) -> None:
    patches = np.random.default_rng(5).integers(0, 256, (12, *SMALL.patch_shape), dtype=np.uint8)
    engine = open_engine(bundle.model_onnx, bundle.saliency_onnx, device="onnx-cpu")
    with torch.no_grad():
        logits = model(torch.from_numpy(patches)).numpy()
    assert np.ptp(logits) > 0.001
    np.testing.assert_allclose(logits, engine.logits(patches), rtol=0, atol=1e-4)


def test_the_restored_net_gives_the_logits_of_the_graph(bundle: Bundle) -> None:
    assert_answers_alike(bundle, restore(bundle))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet3d-18", "resnet3d-50")])
def test_a_net_of_grey_levels_gets_back_its_mean_and_scale_and_biases_that_are_zero(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    restored = restore(exported(build(name, channels=2, width=2, mean=[40, 70], scale=[30, 50]), name, tmp_path))

    assert restored.normalise.mean.flatten().tolist() == [40, 70]
    assert restored.normalise.scale.flatten().tolist() == [30, 50]


def test_arrays_that_the_exporter_stored_once_for_two_layers_are_given_to_both(bundle: Bundle) -> None:
    model = restore(bundle)

    assert "blocks.2.shortcut.bias" not in {value.name for value in onnx.load(bundle.model_onnx).graph.initializer}
    assert torch.equal(model.blocks[2].shortcut.bias, model.blocks[2].body[3].bias)


def test_a_norm_that_was_folded_comes_back_as_one_that_changes_nothing(bundle: Bundle) -> None:
    norm = restore(bundle).stem[1].norm
    x = torch.linspace(-3, 3, 2 * 8).view(1, 2, 2, 2, 2)

    torch.testing.assert_close(norm(x), x)


@pytest.mark.slow
def test_a_restored_net_can_be_exported_and_restored_again(bundle: Bundle, tmp_path: Path) -> None:
    again = exported(restore(bundle), "resnet3d-18-changes", tmp_path)

    assert_answers_alike(bundle, restore(again))


@pytest.mark.parametrize(
    "fit", [{}, {"model": "resnet3d-18-changes"}, {"model": "alexnet", "width": 2}, {"model": "resnet3d-18", "width": "2"}]
)
def test_a_bundle_that_does_not_say_its_network_is_refused(bundle: Bundle, fit: dict[str, object]) -> None:
    with pytest.raises(RestoreError, match=r"The manifest of ours:1\.0\.0 does not say which network it holds .* `seashore train` writes"):
        net_of(saying(bundle, **fit))


def test_a_graph_of_another_network_is_refused(bundle: Bundle) -> None:
    with pytest.raises(RestoreError) as error:
        restore(saying(bundle, model="resnet3d-34", width=2))

    sentence = "The graph of ours:1.0.0 has 29 layers with weights; resnet3d-34 of width 2 has 53, in its own order."
    assert str(error.value) == sentence


def test_a_graph_of_another_width_is_refused(bundle: Bundle) -> None:
    with pytest.raises(RestoreError) as error:
        restore(saying(bundle, model="resnet3d-18-changes", width=4))

    assert str(error.value) == (
        "A layer of the graph of ours:1.0.0 has weights weight 2x2x7x7x7, bias 2; "
        "the same layer of resnet3d-18-changes of width 4 has weight 4x2x7x7x7, bias 4."
    )


def test_a_net_that_does_not_answer_as_the_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(RestoreError) as error:
        restore(with_graph(bundle, tmp_path, "head.linear.bias"))

    assert str(error.value) == (
        "The network of ours:1.0.0 was restored and does not answer as the bundle does: "
        "cpu (ONNX Runtime) and torch differ by 1 in a logit of saliency.onnx."
    )
