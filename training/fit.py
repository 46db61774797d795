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
import json
import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray
from torch import Tensor, nn

from service.cine.spec import InputSpec
from training.batches import Indices
from training.curve import Curve
from training.examples import ExampleSet
from training.experiment import FitSettings
from training.models import build
from training.splits import check_no_patient_twice, split_by_patient
from training.task import FitError, SlidingTask

__all__ = ["FitError", "FitSettings", "Fitted", "fit", "load_fitted", "predict_logits", "read_validation", "split_examples"]

BEST, LAST, RECORD, VALIDATION, CURVE = "best.ckpt", "last.ckpt", "fit.json", "validation.npy", "curve.csv"
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
    if _open_folder(out, record, parts["validation"]):
        return out / BEST
    with _quiet(), _threads(settings.num_threads), isolate_rng():
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        task = SlidingTask(settings, examples, parts)
        if start is not None:
            _begin_from(task.model, start)
        trainer = _trainer(settings, task, out, progress)
        resumed = out / LAST if (out / LAST).exists() else None
        with _interruptible(trainer):
            trainer.fit(task, ckpt_path=resumed, weights_only=True)
        if trainer.is_global_zero:
            _write_json(out / RECORD, record | {"finished": True})
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


def _trainer(settings: FitSettings, task: SlidingTask, out: Path, progress: bool) -> pl.Trainer:
    best = ModelCheckpoint(
        dirpath=out,
        filename=BEST.removesuffix(".ckpt"),
        monitor="val_loss",
        mode="min",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        dirpath=out,
        filename=LAST.removesuffix(".ckpt"),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [best, last]
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]  # of several devices, one writes
        callbacks.insert(0, Curve(out / CURVE, task.columns))
    if settings.patience_epochs:
        callbacks.append(EarlyStopping("val_loss", patience=settings.patience_epochs))
    if progress:
        callbacks.append(RichProgressBar())
    return pl.Trainer(
        accelerator=settings.device,
        devices=settings.num_devices,
        strategy="ddp" if settings.num_devices > 1 else "auto",
        sync_batchnorm=settings.num_devices > 1 and settings.device == "auto" and torch.cuda.is_available(),
        use_distributed_sampler=False,  # TwinBatches deals the batches to the devices itself, twins side by side
        precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip or None,
        # CUDA has no deterministic backward pass of 3-D max-pooling: there, seeds have to do.
        deterministic=settings.device == "cpu",
        callbacks=callbacks,
        enable_progress_bar=progress,
        enable_model_summary=False,
        logger=False,
        num_sanity_val_steps=0,
        default_root_dir=out,
    )


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


def _open_folder(out: Path, record: Mapping[str, Any], validation: Indices) -> bool:
    """Begin or go on in `out`; True when the fit in it is finished. Raises: FitError when it is of something else."""
    if not (out / RECORD).exists():
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / VALIDATION, validation)
        _write_json(out / RECORD, record)
        return False
    begun = json.loads((out / RECORD).read_text(encoding="utf-8"))
    differ = [*_differences(begun["settings"], record["settings"])]
    compared = ("examples", "parts", "weights begun from")
    differ += [f"the {name} are not the same" for name in compared if begun.get(name) != record.get(name)]
    if differ:
        raise FitError(f"This folder holds another fit: {'; '.join(differ)}. Remove it or name another folder.")
    return bool(begun["finished"])


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    # A fit begun before a setting existed was fitted with what is its default now.
    begun = {column.name: column.default for column in fields(FitSettings) if column.default is not MISSING} | dict(begun)
    for name in asked:
        if begun.get(name) != asked[name] and name not in _MAY_CHANGE:
            yield f"{name} was {begun.get(name)} and is {asked[name]} now"


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Whole or not at all: a fit may be killed at any moment."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


@contextmanager
def _interruptible(trainer: pl.Trainer) -> Iterator[None]:
    """Lightning answers Ctrl-C by leaving the process, and by ignoring the next one for good. Here it is an error to catch."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        signal.signal(signal.SIGINT, handler)
        raise FitError(f"The fit was stopped in epoch {trainer.current_epoch}; the same call goes on from there.") from None


@contextmanager
def _threads(num: int) -> Iterator[None]:
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic)


_NOT_FOR_US: Sequence[str] = (
    "does not have many workers",  # one gather from a memory map costs less than handing it over from another process
    "isinstance\\(treespec, LeafSpec\\)",  # between Lightning and torch
    "Checkpoint directory .* exists and is not empty",  # it does: that is how a fit goes on
    "Found .* module\\(s\\) in eval mode",  # the norms of weights that were begun from: they are meant to stay so
)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on the machine, and advice that does not hold here."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _NOT_FOR_US:
                warnings.filterwarnings("ignore", message=f".*{message}")
            yield
    finally:
        logger.setLevel(level)
