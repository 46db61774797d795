"""Fits a network to examples: patients of the validation part apart, the weights of lowest validation loss kept.

    out/
      fit.json           what is fitted to what
      validation.npy     indices of the examples that were judged on
      curve.csv          one row an epoch: losses, AUROC in all and for each kind of counterfactual
      best.ckpt          lowest validation loss
      last.ckpt          after the last whole epoch

A fit that was stopped goes on from its last whole epoch, as if it had not been stopped, and only as it began.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.cine.spec import InputSpec
from training.batches import Indices
from training.examples import ExampleSet
from training.experiment import FitSettings
from training.models import build
from training.splits import check_no_patient_twice, split_by_patient
from training.task import SlidingTask
from training.trainer import BEST, CURVE, RECORD, FitError, begin, defaults_of, settled, train

__all__ = [
    "BEST",
    "CURVE",
    "RECORD",
    "FitError",
    "FitSettings",
    "Fitted",
    "fit",
    "load_fitted",
    "predict_logits",
    "read_validation",
    "split_examples",
]

VALIDATION = "validation.npy"
_PREDICT_BATCH = 64


@dataclass(frozen=True, slots=True)
class Fitted:
    """A network as it was at its lowest validation loss."""

    model: nn.Module
    """In evaluation mode, on the CPU."""
    spec: InputSpec
    settings: FitSettings
    epoch: int
    """Counted from 0."""


def fit(
    examples: ExampleSet,
    settings: FitSettings,
    out: Path,
    *,
    parts: Mapping[str, Indices] | None = None,
    start: Mapping[str, Tensor] | None = None,
    progress: bool = True,
) -> Path:
    """Fit, or go on with the fit in `out`; the path of the best checkpoint. A finished fit is not done again.

    `parts` are the indices of "train" and "validation"; unless given, patients are dealt by the settings' share and seed.
    `start` is the state of the model to begin from (`training.restore`); its batch-norms keep their statistics.
    Raises: FitError, PatientInTwoParts.
    """
    parts = parts if parts is not None else split_examples(examples, settings)
    check_no_patient_twice(examples.patient.tolist(), parts)
    _check_classes(examples, parts)
    record = _record(examples, settings, parts, start)
    if not (out / RECORD).exists():
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / VALIDATION, parts["validation"])
    if begin(out, record, _MAY_CHANGE, defaults_of(FitSettings)):
        return out / BEST
    with settled(settings):
        task = SlidingTask(settings, examples, parts)
        if start is not None:
            _begin_from(task.model, start)
        train(task, settings, out, task.columns, record, progress=progress)
    return out / BEST


def split_examples(examples: ExampleSet, settings: FitSettings) -> dict[str, Indices]:
    """The training and validation part that `fit` uses: by patient, every kind of counterfactual in both where there are enough."""
    fractions = {"train": 1 - settings.validation_share, "validation": settings.validation_share}
    return split_by_patient(examples.patient.tolist(), fractions=fractions, seed=settings.seed, strata=examples.kind.tolist())


def read_validation(out: Path) -> Indices:
    """The examples that a fit was judged on, never fitted to."""
    indices: Indices = np.load(out / VALIDATION)
    return indices


def load_fitted(checkpoint: Path) -> Fitted:
    """The network of a checkpoint that `fit` wrote. Runs nothing that the file brings along."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    spec, settings = InputSpec.from_json(saved["spec"]), FitSettings.from_json(saved["settings"])
    model = build(settings.model, channels=len(spec.bands), width=settings.width)
    model.load_state_dict({name.removeprefix("model."): value for name, value in saved["state_dict"].items()})
    return Fitted(model.eval(), spec, settings, int(saved["epoch"]))


def predict_logits(model: nn.Module, examples: ExampleSet, indices: Indices | None = None) -> NDArray[np.float32]:
    """Logits (n,) of the examples at `indices` (of all, unless given), by torch on the model's own device."""
    indices = np.arange(len(examples)) if indices is None else indices
    device = next(model.parameters()).device
    batches = [indices[k : k + _PREDICT_BATCH] for k in range(0, len(indices), _PREDICT_BATCH)]
    with torch.inference_mode():
        logits = [model(torch.from_numpy(examples.take(batch)).to(device)).float().cpu().numpy() for batch in batches]
    return np.concatenate(logits) if logits else np.empty(0, np.float32)


def _check_classes(examples: ExampleSet, parts: Mapping[str, Indices]) -> None:
    for name in ("train", "validation"):
        num = len(parts[name])
        num_sliding = int(examples.label[parts[name]].sum())
        if num_sliding in (0, num):
            raise FitError(f"The {name} part has {num_sliding} examples that slide and {num - num_sliding} that do not; both are needed.")


def _begin_from(model: nn.Module, start: Mapping[str, Tensor]) -> None:
    """The batch-norms stay in evaluation: a norm restored from a graph is one only with the statistics it was exported with,
    and a few patients' batches are too alike to take new ones from. Lightning leaves the mode of each layer as it finds it."""
    model.load_state_dict(dict(start))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eval()


def _record(
    examples: ExampleSet, settings: FitSettings, parts: Mapping[str, Indices], start: Mapping[str, Tensor] | None
) -> dict[str, Any]:
    drawn = hashlib.sha256(b"".join(parts[name].astype(np.int64).tobytes() for name in ("train", "validation")))
    record = {"settings": settings.to_json(), "examples": examples.fingerprint, "parts": drawn.hexdigest(), "finished": False}
    if start is not None:
        begun = hashlib.sha256(b"".join(value.detach().cpu().numpy().tobytes() for value in start.values()))
        record["weights begun from"] = begun.hexdigest()
    return record


_MAY_CHANGE = ("device", "num_threads", "num_workers")
"""Where and how fast, not what."""
