"""The exported graph gives what torch gives, for any number of runs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from service.engine.onnx import load_library, open_session
from training.export import ExportDisagrees
from training.signs import export as module
from training.signs.export import TooLarge, export_sign
from training.signs.networks import build_network
from training.signs.preset import preset_names, read_preset


def trained_a_little(net: nn.Module) -> nn.Module:
    """Norms that have seen something, so that one left out would be seen."""
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.1, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
    return net


def check(name: str, path: Path) -> None:
    preset = read_preset(name, quick=True)
    torch.manual_seed(0)
    net = trained_a_little(build_network(preset, mean=0.0 if preset.frames.is_flow else 60.0, scale=40.0))

    export_sign(net, preset, path)

    graph = onnx.load(path).graph
    assert [out.name for out in graph.output] == list(net.outputs)  # type: ignore[arg-type]
    session = open_session(load_library(), path, ["CPUExecutionProvider"], threads=1)
    shape = [7, *session.get_inputs()[0].shape[1:]]
    kind = np.float32 if preset.frames.is_flow else np.uint8
    given = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    with torch.inference_mode():
        told = net.eval()(torch.from_numpy(given))
    for ours, theirs in zip(told if isinstance(told, tuple) else (told,), session.run(None, {graph.input[0].name: given}), strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_comes_out_of_the_graph_as_of_torch(name: str, tmp_path: Path) -> None:
    check(name, tmp_path / "model.onnx")


def test_a_network_that_one_file_cannot_hold_is_refused_before_it_is_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    preset = read_preset("cmwra", quick=True)

    with pytest.raises(TooLarge, match=r"^The network's weights take 0\.\d GB; a graph in one file holds 0\.0 GB at most\.$"):
        export_sign(build_network(preset), preset, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_graph_that_gives_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = build_network(read_preset("blines-c2d-a", quick=True))
    given: list[Tensor] = []
    monkeypatch.setattr(module, "write_graph", lambda graph, example, *_: given.append(example))

    class Session:
        def get_inputs(self) -> list[object]:
            return [type("Input", (), {"name": "frames"})]

        def run(self, outputs: list[str], fed: object) -> list[object]:
            return [np.ones((3, 1), np.float32), np.ones((3, 30), np.float32)]

    monkeypatch.setattr(module, "open_session", lambda *_, **__: Session())

    with pytest.raises(ExportDisagrees, match=r"^ONNX Runtime and torch differ by .* in the logits\.$"):
        export_sign(net, read_preset("blines-c2d-a", quick=True), tmp_path / "model.onnx")
