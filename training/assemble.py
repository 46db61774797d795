"""The last steps: calibrate a fitted network, export it, evaluate it, write the bundle with its golden clip and card."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle import Bundle, write_bundle
from service.cine.pooling import Calibration
from service.engine.base import Engine
from service.engine.batcher import Batcher
from service.engine.select import open_engine
from service.loading import golden_answer
from service.manifest import LabelledClip
from service.model import LoadedModel
from training.calibrate import calibrate
from training.card import write_card
from training.evaluate import ReadClip, against_controls, for_calibration, lung_point_composites, on_phantoms, read_clips, verdicts
from training.examples import ExampleSet
from training.experiment import Experiment
from training.export import export
from training.fit import Fitted, predict_logits
from training.golden import write_golden_clip
from training.inputs import reference_of

CALIBRATION_SEED, EVALUATION_SEED = 11, 23


def export_graphs(fitted: Fitted, folder: Path) -> None:
    """`model.onnx` and `saliency.onnx` in `folder`, checked against torch in both engines."""
    folder.mkdir(parents=True, exist_ok=True)
    export(fitted.model, patch_shape=fitted.spec.patch_shape, directory=folder)


def open_exported(folder: Path) -> Engine:
    return open_engine(folder / "model.onnx", folder / "saliency.onnx", device="cpu")


def calibrate_on(
    read: list[ReadClip], fitted: Fitted, examples: ExampleSet, validation: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]"
) -> Calibration:
    """Weights from clips and their controls, patch scale from the examples of patients held out of the fit."""
    logits = predict_logits(fitted.model, examples, validation).astype(np.float64)
    return calibrate(for_calibration(read), logits, examples.label[validation].astype(np.float64))


def evaluate_on(read: list[ReadClip], engine: Engine, fitted: Fitted, calibration: Calibration, *, phantom_pairs: int) -> dict[str, Any]:
    """Every figure the card holds, on clips of patients and sources held out of training, and on phantoms."""
    return {
        "clips": len(read),
        "controls": against_controls(read, calibration),
        "verdicts": verdicts(read, calibration),
        "lung_point_composites": lung_point_composites(read, engine, fitted.spec, calibration, EVALUATION_SEED),
        "phantoms": on_phantoms(engine, fitted.spec, calibration, pairs=phantom_pairs, seed=EVALUATION_SEED),
    }


def write(
    store: Path,
    experiment: Experiment,
    graphs: Path,
    calibration: Calibration,
    figures: Mapping[str, Any],
    trained_on: list[LabelledClip],
    command: str,
    summary: Mapping[str, Any],
) -> Bundle:
    """Write the bundle; its golden clip is a phantom, so that it may be given away."""
    with tempfile.TemporaryDirectory() as scratch:
        golden = write_golden_clip(Path(scratch))
        card = write_card(experiment, calibration, figures, trained_on, command)
        return write_exported(store, experiment, graphs, golden, card, calibration, figures, trained_on, summary)


def write_exported(
    store: Path,
    experiment: Experiment,
    graphs: Path,
    golden_clip: Path,
    model_card: str,
    calibration: Calibration,
    figures: Mapping[str, Any],
    trained_on: Sequence[LabelledClip],
    summary: Mapping[str, Any],
) -> Bundle:
    """A bundle of exported graphs: they answer the golden clip, and read the clips they learned from, themselves.

    `summary` is said of the training beside fit and recipe.
    """
    return write_bundle(
        store,
        name=experiment.name,
        version=experiment.version,
        model_onnx=graphs / "model.onnx",
        saliency_onnx=graphs / "saliency.onnx",
        golden_clip=golden_clip,
        golden_answer=lambda bundle: golden_answer(LoadedModel(bundle, Batcher(open_exported(bundle.directory)))),
        model_card=model_card,
        input_spec=experiment.spec,
        calibration=calibration,
        training={
            **summary,
            "fit": asdict(experiment.fit),
            "recipe": dict(experiment.recipe),
            # A figure that is not defined is NaN, which JSON does not have.
            "figures": json.loads(json.dumps(figures), parse_constant=lambda _: None),
        },
        input_statistics=lambda bundle: reference_of(bundle, trained_on),
    )


def read_all(clips: list[LabelledClip], engine: Engine, fitted: Fitted, seed: int) -> list[ReadClip]:
    return list(read_clips(clips, engine, fitted.spec, seed))
