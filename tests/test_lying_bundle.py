"""Bundles whose manifest fits their files, and which lie all the same: the golden clip and the two graphs tell. With the shipped model."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.bundle import FILES
from service.engine.base import Share
from service.errors import BadBundle
from service.loading import load_model
from tests.engine.graphs import shift
from tests.fakes.service import shipped_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    shipped = shipped_bundle()
    return Path(shutil.copytree(shipped, tmp_path / shipped.parent.name / shipped.name))


def sign(bundle: Path) -> None:
    """The manifest lists the files as they are now."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sha256"] = {file: hashlib.sha256((bundle / file).read_bytes()).hexdigest() for file in FILES}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def refusal(bundle: Path) -> str:
    sign(bundle)
    with pytest.raises(BadBundle) as refused:
        load_model(bundle, "cpu", share=Share.alone())
    return str(refused.value).replace(f"{bundle.parent.name}:{bundle.name}", "BUNDLE")


def other(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda golden: golden | fields


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (other(verdict="indeterminate"), "The bundle BUNDLE answers its golden clip with "),
        (other(probability=0.5), "The bundle BUNDLE gives its golden clip the probability "),
        (other(pleura_y_px=5.0), "The bundle BUNDLE finds the pleura of its golden clip in another place than when it was made."),
        (other(probability="high"), "The golden answer of BUNDLE lacks its verdict or a figure."),
        pytest.param(
            other(wall_control=float("nan")), "The golden answer of BUNDLE lacks its verdict or a figure.", marks=pytest.mark.slow
        ),
        pytest.param(lambda golden: {}, "The golden answer of BUNDLE lacks its verdict or a figure.", marks=pytest.mark.slow),
    ],
)
def test_a_golden_answer_that_does_not_match_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], sentence: str, bundle: Path
) -> None:
    golden = json.loads((bundle / "golden.json").read_text())
    (bundle / "golden.json").write_text(json.dumps(change(golden)))

    assert refusal(bundle).startswith(sentence)


def test_a_saliency_graph_of_another_network_is_refused(bundle: Path) -> None:
    shift(bundle / "saliency.onnx", by=1.0)

    assert refusal(bundle) == "The saliency graph of BUNDLE is not of its model: they give the same patches other logits."
