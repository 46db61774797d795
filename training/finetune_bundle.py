"""The new bundle: its parent's name, spec and golden clip, its own graphs, calibration, card and version."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.bundle import Bundle, write_bundle
from service.cine.pooling import Calibration
from service.loading import golden_answer
from service.model import LoadedModel
from training.assemble import open_exported
from training.finetune import Chosen, FineTuning
from training.finetune_card import write_site_card
from training.labelled import counted


def write_site_bundle(
    store: Path,
    tuning: FineTuning,
    graphs: Path,
    calibration: Calibration,
    figures: Mapping[str, Any],
    chosen: Chosen,
    command: str,
    num_examples: int,
) -> Bundle:
    """Write it and read it back. The golden clip is the parent's, a phantom, with the new bundle's own answer. Raises: BadBundle."""
    experiment = tuning.experiment
    return write_bundle(
        store,
        name=experiment.name,
        version=experiment.version,
        model_onnx=graphs / "model.onnx",
        saliency_onnx=graphs / "saliency.onnx",
        golden_clip=tuning.parent.golden_clip,
        golden_answer=lambda bundle: golden_answer(LoadedModel(bundle, open_exported(bundle.directory))),
        model_card=write_site_card(tuning, calibration, figures, chosen, command),
        input_spec=experiment.spec,
        calibration=calibration,
        training={
            "parent": {"name": tuning.parent.name, "version": tuning.parent.version, "sha256": tuning.parent.sha256},
            "examples": num_examples,
            "clips": len(tuning.parts["train"]),
            "labels": {part: dict(counted(clips)) for part, clips in tuning.parts.items()},
            "validation_loss": {"before": chosen.loss_before, "after": chosen.loss_after, "kept_parent": chosen.is_parent},
            "fit": asdict(experiment.fit),
            "recipe": dict(experiment.recipe),
            "labelled": asdict(tuning.settings.labelled),
            # A figure that is not defined is NaN, which JSON does not have.
            "figures": json.loads(json.dumps(figures), parse_constant=lambda _: None),
        },
    )
