"""The last steps with a net of width 4 that was never fitted: exported, calibrated, written, opened by serving, refused when changed."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.bundle import Bundle
from service.bundle_files import GOLDEN_ANSWER, MANIFEST, MODEL_CARD
from service.cine.pooling import Calibration
from service.errors import BadBundle
from service.loading import load_model
from service.manifest import LabelledClip
from tests.fakes import media
from tests.fakes.inputs import MODEL_ALONE
from tests.fakes.phantoms import small_phantom
from tests.training.test_card import CLIPS, COMMAND, FIGURES
from tests.training.test_evaluate import CLIPS as READ_CLIPS
from training.assemble import calibrate_on, export_graphs, open_exported, write
from training.evaluate import ReadClip
from training.examples import ExampleWriter, Origin, read_examples
from training.experiment import Experiment, read_experiment
from training.fit import Fitted
from training.models import build

pytestmark = pytest.mark.slow
"""Two graphs are exported: 10 s."""

QUICK = read_experiment(Path(__file__).parents[2] / "training" / "experiments" / "quick.toml")
EXPERIMENT: Experiment = replace(QUICK, name="untrained", fit=replace(QUICK.fit, width=4))
CALIBRATION: Calibration = replace(MODEL_ALONE, log_slide_past_wall=2.0)
"""The slide has a say, so that the answer does not depend on an untrained net alone."""


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    torch.manual_seed(0)
    model = build(EXPERIMENT.fit.model, channels=2, width=4).eval()
    return Fitted(model, EXPERIMENT.spec, EXPERIMENT.fit, 0)


@pytest.fixture(scope="module")
def graphs(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    export_graphs(fitted, folder)
    return folder


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledClip]:
    """As many as it takes to say what they were like, all of them one phantom."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(media.mp4(small_phantom("present", 2.2).frames))
    return [replace(clip, file=path) for clip in CLIPS] * 7


@pytest.fixture(scope="module")
def bundle(graphs: Path, trained_on: list[LabelledClip], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    figures = FIGURES | {"not_defined": float("nan")}
    return write(tmp_path_factory.mktemp("store"), EXPERIMENT, graphs, CALIBRATION, figures, trained_on, COMMAND, {"examples": 7})


def copied(bundle: Bundle, store: Path) -> Path:
    return Path(shutil.copytree(bundle.directory, store / bundle.name / bundle.version))


def change_golden(directory: Path, **changes: object) -> None:
    """The golden answer as another model would have written it, its checksum in the manifest brought up to date."""
    answer = json.loads((directory / GOLDEN_ANSWER).read_text()) | changes
    (directory / GOLDEN_ANSWER).write_text(json.dumps(answer))
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["sha256"][GOLDEN_ANSWER] = hashlib.sha256((directory / GOLDEN_ANSWER).read_bytes()).hexdigest()
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_serving_opens_the_bundle_and_it_answers_its_golden_clip_as_it_did(bundle: Bundle) -> None:
    model = load_model(bundle.directory, "cpu")

    assert str(model.bundle) == "untrained:1.0.0"
    assert model.bundle.input_spec == EXPERIMENT.spec
    assert model.bundle.calibration == CALIBRATION
    assert model.bundle.input_statistics is not None  # what training measured, serving counts by
    assert sum(model.bundle.input_statistics.bins["frame_rate_fps"].counts) == 21


def test_the_golden_answer_is_a_reading_of_a_pleura(bundle: Bundle) -> None:
    answer = bundle.golden_answer()

    assert answer["verdict"] in ("present", "absent", "indeterminate")
    assert 0 <= answer["probability"] <= 1
    assert answer["windows"] == 2  # 4 s
    assert 50 < answer["pleura_y_px"] < 300


def test_the_bundle_says_how_it_was_made_and_what_is_not_defined_is_null(bundle: Bundle) -> None:
    training = json.loads((bundle.directory / MANIFEST).read_text())["training"]

    assert training["examples"] == 7
    assert training["fit"]["width"] == 4
    assert training["recipe"] == dict(EXPERIMENT.recipe)
    assert training["figures"]["controls"]["mirror"]["auroc"] == 0.876
    assert training["figures"]["not_defined"] is None
    assert (bundle.directory / MODEL_CARD).read_text().startswith("# untrained 1.0.0\n")


def test_a_bundle_that_would_call_its_golden_clip_otherwise_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    directory = copied(bundle, tmp_path)
    said = bundle.golden_answer()["verdict"]
    other = "absent" if said == "present" else "present"
    change_golden(directory, verdict=other)

    with pytest.raises(BadBundle) as caught:
        load_model(directory, "cpu")
    assert str(caught.value) == f"The bundle untrained:1.0.0 answers its golden clip with {said}; it must be {other}."


def test_a_bundle_whose_probability_moved_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    directory = copied(bundle, tmp_path)
    probability = bundle.golden_answer()["probability"]
    change_golden(directory, probability=round(abs(probability - 0.1), 4))

    with pytest.raises(BadBundle, match=r"^The bundle untrained:1.0.0 gives its golden clip the probability 0\.\d+; it must be 0\.\d+\.$"):
        load_model(directory, "cpu")


def test_a_bundle_that_finds_its_pleura_elsewhere_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    directory = copied(bundle, tmp_path)
    change_golden(directory, pleura_y_px=bundle.golden_answer()["pleura_y_px"] + 2)

    with pytest.raises(BadBundle, match="The bundle untrained:1.0.0 finds the pleura of its golden clip in another place than when it was"):
        load_model(directory, "cpu")


def test_a_version_is_written_once(bundle: Bundle, graphs: Path) -> None:
    with pytest.raises(BadBundle, match="There is a bundle untrained:1.0.0 already; a bundle is never overwritten."):
        write(bundle.directory.parents[1], EXPERIMENT, graphs, CALIBRATION, FIGURES, CLIPS, COMMAND, {})


def test_the_exported_net_gives_torchs_logits(fitted: Fitted, graphs: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (3, *EXPERIMENT.spec.patch_shape), dtype=np.uint8)
    with torch.no_grad():
        expected = fitted.model(torch.from_numpy(patches).float()).numpy()

    assert open_exported(graphs).logits(patches) == pytest.approx(expected, abs=1e-4)


def test_calibration_takes_weights_from_clips_and_scale_from_held_out_patches(fitted: Fitted, tmp_path: Path) -> None:
    """The clips of test_evaluate.py: what slides is told by its slide alone, the model says 0 of everything."""
    rng = np.random.default_rng(0)
    with ExampleWriter(tmp_path / "examples", EXPERIMENT.spec) as writer:
        for k in range(12):
            writer.add(rng.integers(0, 256, EXPERIMENT.spec.patch_shape, dtype=np.uint8), Origin(k % 2, f"P{k}", "clip", "wall", "", 0))
    read: list[ReadClip] = READ_CLIPS
    calibration = calibrate_on(read, fitted, read_examples(tmp_path / "examples"), np.arange(4, 12))

    assert calibration.log_slide_past_wall > 0.3
    assert 0 <= calibration.absent_below < calibration.present_above <= 1
    assert np.isfinite([calibration.patch_scale, calibration.patch_offset]).all()
