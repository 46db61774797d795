"""A bundle of signs is all there and unharmed, or it is refused with the reason; and what it tells is arithmetic."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle_files import find_bundles
from service.errors import BadBundle
from service.findings import Verdict
from service.sign_bundle import MAX_LOGIT, Outputs, SignBundle, newest_sign_bundles, read_sign_bundle, run_logits, stated_sign_bundle
from tests.fakes.signs import FRAME, SECOND, told, write_bright


@pytest.fixture
def bundle(tmp_path: Path) -> SignBundle:
    return write_bright(tmp_path / "store", ("b_lines", "effusion"))


def refusal(directory: Path) -> str:
    with pytest.raises(BadBundle) as raised:
        read_sign_bundle(directory)
    return f"{raised.value} {raised.value.log_detail}"


def edit(directory: Path, **changed: Any) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_what_was_written_is_what_is_read(bundle: SignBundle) -> None:
    read = read_sign_bundle(bundle.directory)

    assert read == bundle == stated_sign_bundle(bundle.directory)
    assert (str(read), read.signs, read.frames, read.outputs) == ("bright:1.0.0", ("b_lines", "effusion"), SECOND, Outputs(2, attention=15))


def test_it_lies_where_no_model_of_sliding_is_looked_for(bundle: SignBundle) -> None:
    store = bundle.directory.parents[2]

    assert find_bundles(store) == []
    assert newest_sign_bundles(store) == (bundle.directory,)


def test_of_each_name_the_newest_is_offered(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name, version in (("bright", "0.9.0"), ("bright", "0.10.0"), ("frames", "1.0.0")):
        write_bright(store, name=name, version=version)

    assert [folder.relative_to(store).as_posix() for folder in newest_sign_bundles(store)] == ["signs/bright/0.10.0", "signs/frames/1.0.0"]


def test_it_is_never_overwritten(bundle: SignBundle) -> None:
    with pytest.raises(BadBundle, match=r"^There is a bundle bright:1\.0\.0 already"):
        write_bright(bundle.directory.parents[2])


def test_a_changed_graph_is_refused(bundle: SignBundle) -> None:
    bundle.model_onnx.write_bytes(b"another")

    assert refusal(bundle.directory).startswith("The bundle bright:1.0.0 is damaged: its model.onnx is not the one its manifest lists.")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tells": []}, "tells one sign or more"),
        ({"tells": [{"sign": "pneumothorax"}]}, "is not what this version can read"),
        ({"tells": [{"sign": "b_lines", "output": 0}]}, "is not what this version can read"),
        ({"outputs": {"logits": 1, "attention": 15, "map_px": 0}}, "from a logit that there is"),
        ({"outputs": {"logits": 2, "attention": 14, "map_px": 0}}, "Attention to 14 frames does not fit runs of 15."),
        ({"domain": {"probes": ["convex"]}}, "least_fps"),
        ({"frames": {"fps": 15.0}}, "input_spec is not one this version can read"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(bundle: SignBundle, changed: dict[str, Any], words: str) -> None:
    edit(bundle.directory, **changed)

    assert words in refusal(bundle.directory)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sign": "pneumonia"},
        {"scale": 0.0},
        {"present_above": 0.3, "absent_below": 0.4},
        {"outputs": (-1,)},
        {"outputs": ()},
        {"outputs": (1, 1)},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(A sign is one of|A sign is told by|What is absent must end)"):
        told(**{"sign": "b_lines", **wrong})


def test_another_limit_is_another_fingerprint(bundle: SignBundle) -> None:
    (first, second) = json.loads((bundle.directory / "manifest.json").read_text())["tells"]
    edit(bundle.directory, tells=[first | {"present_above": 0.9}, second])

    assert read_sign_bundle(bundle.directory).fingerprint != bundle.fingerprint


def test_a_clip_is_the_mean_of_its_runs_logits_calibrated() -> None:
    logits = np.array([-2, -1, 0, 1, 7], np.float32)

    assert told("b_lines").pooled(logits) == pytest.approx(1 / (1 + np.exp(-1)))
    assert told("b_lines", scale=2.0, offset=-3.0).pooled(logits) == pytest.approx(1 / (1 + np.e))


def test_of_several_outputs_the_greatest_is_told_and_no_run_is_surer_than_one_in_a_million() -> None:
    logits = np.array([[9, -1, -2], [9, -3, 0.5], [9, -40, -40], [9, 40, np.inf]], np.float32)

    assert run_logits(logits, (1, 2)).tolist() == pytest.approx([-1, 0.5, -MAX_LOGIT, MAX_LOGIT])
    assert run_logits(logits, (1,)).tolist() == pytest.approx([-1, -3, -MAX_LOGIT, MAX_LOGIT])
    assert 1 / (1 + np.exp(MAX_LOGIT)) == pytest.approx(1e-6, rel=0.02)


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(0.81, Verdict.PRESENT), (0.8, Verdict.INDETERMINATE), (0.2, Verdict.INDETERMINATE), (0.19, Verdict.ABSENT)],
)
def test_between_the_limits_nothing_is_said(probability: float, verdict: Verdict) -> None:
    assert told("b_lines").verdict(probability) is verdict


def test_figures_are_logits_then_attention_or_maps() -> None:
    figures = np.arange(10, dtype=np.float32).reshape(1, 10)

    logits, attention, maps = Outputs(2, attention=8).unpack(figures)
    assert (logits.tolist(), maps) == ([[0, 1]], None)
    assert attention is not None
    assert attention.tolist() == [[2, 3, 4, 5, 6, 7, 8, 9]]
    logits, attention, maps = Outputs(2, map_px=2).unpack(figures)
    assert (logits.tolist(), attention) == ([[0, 1]], None)
    assert maps is not None
    assert maps.tolist() == [[[[2, 3], [4, 5]], [[6, 7], [8, 9]]]]
    assert (Outputs(2, attention=8).size, Outputs(2, map_px=2).size) == (10, 10)


def test_a_model_of_single_frames_has_its_maps(tmp_path: Path) -> None:
    assert write_bright(tmp_path / "store", frames=FRAME).outputs == Outputs(1, map_px=2)
