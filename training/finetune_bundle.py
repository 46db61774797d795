"""The new bundle: its parent's name, spec and golden clip, its own graphs, calibration, card and version."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from service.bundle import Bundle
from service.cine.pooling import Calibration
from training.assemble import write_exported
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
    summary = {
        "parent": {"name": tuning.parent.name, "version": tuning.parent.version, "sha256": tuning.parent.sha256},
        "examples": num_examples,
        "clips": len(tuning.parts["train"]),
        "labels": {part: dict(counted(clips)) for part, clips in tuning.parts.items()},
        "validation_loss": {"before": chosen.loss_before, "after": chosen.loss_after, "kept_parent": chosen.is_parent},
        "labelled": asdict(tuning.settings.labelled),
    }
    card = write_site_card(tuning, calibration, figures, chosen, command)
    learned_from = tuning.parts["train"]
    return write_exported(store, tuning.experiment, graphs, tuning.parent.golden_clip, card, calibration, figures, learned_from, summary)
