"""A fit as Lightning runs it: quiet, repeatable, stopped and gone on with at will, in a folder that says what it is of.

out/  fit.json    what is fitted, to what, and whether it is finished
      best.ckpt   the weights of lowest validation loss
      last.ckpt   all that is needed to go on
      curve.csv   a row an epoch
"""

import json
import logging
import signal
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.seed import isolate_rng

from training.curve import Curve
from training.records import write_json

BEST, LAST, RECORD, CURVE = "best.ckpt", "last.ckpt", "fit.json", "curve.csv"


class FitError(ValueError):
    """This fit cannot be done, or not be gone on with, as asked."""


class Runs(Protocol):
    """What of a fit's settings says how it is run; `training.experiment.FitSettings` says what each means."""

    @property
    def epochs(self) -> int: ...
    @property
    def gradient_clip(self) -> float: ...
    @property
    def patience_epochs(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def num_threads(self) -> int: ...
    @property
    def num_devices(self) -> int: ...


@contextmanager
def settled(settings: Runs) -> Iterator[None]:
    """Threads and seeds as the settings say, and all as it was afterwards: what is built inside is built alike each time."""
    with _quiet(), _threads(settings.num_threads), isolate_rng():
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        yield


def train(
    task: pl.LightningModule, settings: Runs, out: Path, columns: Sequence[str], record: Mapping[str, Any], *, progress: bool
) -> None:
    """Fit the task, or go on from its last whole epoch, and mark the folder's fit as finished. Inside `settled`. Raises: FitError."""
    trainer = _trainer(settings, out, columns, progress)
    resumed = out / LAST if (out / LAST).exists() else None
    with _interruptible(trainer):
        trainer.fit(task, ckpt_path=resumed, weights_only=True)
    if trainer.is_global_zero:
        write_json(out / RECORD, dict(record) | {"finished": True})


def begin(out: Path, record: Mapping[str, Any], may_change: Iterable[str], as_before: Mapping[str, Any]) -> bool:
    """Begin or go on in the folder; whether the fit in it is finished.

    `record` has the fit's "settings" and, beside them, fingerprints by name. `may_change` are settings that say where and how
    fast, not what; `as_before` what settings were worth before they existed. Raises: FitError when the folder is of another fit.
    """
    if not (out / RECORD).exists():
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / RECORD, record)
        return False
    begun = json.loads((out / RECORD).read_text(encoding="utf-8"))
    was, asked = dict(as_before) | begun["settings"], record["settings"]
    may = set(may_change)
    differ = [f"{name} was {was.get(name)} and is {asked[name]} now" for name in asked if was.get(name) != asked[name] and name not in may]
    others = (record.keys() | begun.keys()) - {"settings", "finished"}
    differ += [f"the {name} are not the same" for name in sorted(others) if begun.get(name) != record.get(name)]
    if differ:
        raise FitError(f"This folder holds another fit: {'; '.join(differ)}. Remove it or name another folder.")
    return bool(begun["finished"])


def defaults_of(kind: type, under: str = "") -> dict[str, Any]:
    """What the fields of a dataclass are worth where nothing is said: a fit begun before one existed was fitted with that."""
    return {f"{under}{column.name}": column.default for column in fields(kind) if column.default is not MISSING}


def _trainer(settings: Runs, out: Path, columns: Sequence[str], progress: bool) -> pl.Trainer:
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
        callbacks.insert(0, Curve(out / CURVE, columns))
    if settings.patience_epochs:
        callbacks.append(EarlyStopping("val_loss", patience=settings.patience_epochs))
    if progress:
        callbacks.append(RichProgressBar())
    return pl.Trainer(
        accelerator=settings.device,
        devices=settings.num_devices,
        strategy="ddp" if settings.num_devices > 1 else "auto",
        sync_batchnorm=settings.num_devices > 1 and settings.device == "auto" and torch.cuda.is_available(),
        use_distributed_sampler=False,  # the task deals its batches to the devices itself
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
