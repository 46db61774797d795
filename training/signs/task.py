"""What is learned of a preset: the label of a run of frames, by one network."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from service.metrics import auroc
from training.batches import Indices, RunningBatches
from training.signs.answers import NOT_KNOWN
from training.signs.augment import augment_frames
from training.signs.batches import BalancedBatches, BesideBatches, RunBatch, RunBatches, load_run_batches
from training.signs.networks import build_network, logits_of, probabilities
from training.signs.preset import Loss, Preset, SignFit
from training.signs.runs import BESIDE, RunSet
from training.signs.teachers import Teachers
from training.signs.weights import load_resnet
from training.trainer import FitError

COLUMNS = ("train_loss", "val_loss", "val_accuracy", "val_auroc")
_VALIDATION_BATCH = 16
_RUNS_FOR_GREY_LEVELS = 64
_LAST_RATE = 0.01
"""Of the learning rate, at the end of the cosine."""


class SignTask(pl.LightningModule):
    def __init__(self, preset: Preset, runs: RunSet, parts: Mapping[str, Indices], teachers: Teachers | None = None) -> None:
        super().__init__()
        self._preset = preset
        self._teachers = teachers
        self._batches = _batches(preset, runs, parts["train"])
        self._train = RunBatches(runs, parts["train"])
        self._validation = RunBatches(runs, parts["validation"])
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        mean, scale = levels(runs, parts["train"], preset)
        self.model = build_network(preset, mean=mean, scale=scale)
        if preset.network.weights:
            load_resnet(self.model, Path(preset.network.weights))

    def train_dataloader(self) -> Any:
        return load_run_batches(self._train, self._batches)

    def val_dataloader(self) -> Any:
        return load_run_batches(self._validation, RunningBatches(len(self._validation), _VALIDATION_BATCH))

    def training_step(self, batch: RunBatch, batch_index: int) -> Tensor:
        fit = self._preset.fit
        # From the seed and the step alone, so that a resumed fit draws what an unbroken one would have; dropout draws from torch's own.
        drawn_from = (fit.seed << 32) + self.global_step
        torch.manual_seed(drawn_from)
        generator = torch.Generator(device=self.device).manual_seed(drawn_from)
        given = augment_frames(batch.given, fit.augment, generator) if not self._preset.frames.is_flow else batch.given
        logits = logits_of(self.model(given)).float()
        loss = loss_of(logits, batch.label, self._preset.loss)
        if self._teachers is not None:
            share = self._preset.distil.share
            loss = (1 - share) * loss + share * self._teachers.loss_of(logits, given)
        if not math.isfinite(loss.item()):
            raise FitError(
                f"The loss is not a number after {self.global_step} steps; a learning_rate below {fit.learning_rate:g} may help."
            )
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch.label))
        return loss

    def validation_step(self, batch: RunBatch, batch_index: int) -> None:
        self._logits.append(logits_of(self.model(batch.given)).float().cpu())
        self._labels.append(batch.label.cpu())

    def on_validation_epoch_end(self) -> None:
        logits, labels = torch.cat(self._logits), torch.cat(self._labels)
        self._logits.clear()
        self._labels.clear()
        self.log("val_loss", loss_of(logits, labels, self._preset.loss), prog_bar=True)
        self.log("val_accuracy", _accuracy(logits, labels, self._preset.loss), prog_bar=True)
        given = probabilities(logits, self._preset.loss).double().numpy()
        self.log("val_auroc", _mean_auroc(labels.numpy(), given))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        fit = self._preset.fit
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[fit.optimizer]
        optimizer = kind(self.model.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": _scheduler(optimizer, fit), "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["preset"] = self._preset.to_json()


def loss_of(logits: Tensor, label: Tensor, loss: Loss) -> Tensor:
    """Mean over the runs, and over the signs of which it is known whether they are there. logits and label (n, K).

    Focal (Lin et al. 2017, arXiv 1708.02002): -alpha (1 - p)^gamma log p of the positives, p being the probability of what is
    true, and 1 - alpha in alpha's place for the negatives.
    """
    if loss.kind == "softmax":
        return F.cross_entropy(logits, label)
    known = label != NOT_KNOWN
    logits, label = logits[known], label[known]
    each = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    if loss.kind == "binary":
        return each.mean()
    weight = label * loss.alpha + (1 - label) * (1 - loss.alpha)
    # What is right to the last digit has no slope left: below a gamma of 1 its power's would be infinite.
    missing = (-torch.expm1(-each)).clamp_min(1e-6)
    return (weight * missing**loss.gamma * each).mean()


def levels(runs: RunSet, indices: Indices, preset: Preset) -> tuple[float, float]:
    """Mean and deviation of some of the training runs: what the first layer normalises by. A flow keeps its zero."""
    chosen = np.random.default_rng(preset.fit.seed).permutation(indices)[:_RUNS_FOR_GREY_LEVELS]
    sums = np.zeros(3)
    for index in chosen:  # one by one: those of CMWRA together would take gigabytes
        given = runs.given.take(np.array([index])).astype(np.float64)
        sums += given.size, given.sum(), (given**2).sum()
    mean = sums[1] / sums[0]
    deviation = math.sqrt(max(sums[2] / sums[0] - mean**2, 0.0))
    return (0.0, max(deviation, 1e-3)) if preset.frames.is_flow else (mean, max(deviation, 1.0))


def _batches(preset: Preset, runs: RunSet, train: Indices) -> BalancedBatches | BesideBatches:
    fit, is_real = preset.fit, runs.part[train] != BESIDE
    if preset.real_share and is_real.any() and not is_real.all():
        return BesideBatches(runs.patient[train], is_real, fit.batch_size, fit.seed, preset.real_share)
    return BalancedBatches(runs.kinds[train], fit.batch_size, fit.seed, fit.balance)


def _accuracy(logits: Tensor, label: Tensor, loss: Loss) -> float:
    if loss.kind == "softmax":
        return float((logits.argmax(1) == label.argmax(1)).float().mean())
    known = label != NOT_KNOWN
    return float(((logits >= 0) == (label == 1))[known].float().mean())


def _mean_auroc(label: NDArray[np.float32], given: NDArray[np.float64]) -> float:
    """Over the signs of which some runs show it and some do not; NaN where there is none."""
    known = [(label[rows, k], given[rows, k]) for k, rows in enumerate((label != NOT_KNOWN).T)]
    by_sign = [auroc(there, said) for there, said in known if 0 < there.sum() < len(there)]
    return float(np.mean(by_sign)) if by_sign else float("nan")


def _scheduler(optimizer: torch.optim.Optimizer, fit: SignFit) -> torch.optim.lr_scheduler.LRScheduler:
    """By epoch."""
    if fit.schedule == "step":
        return torch.optim.lr_scheduler.StepLR(optimizer, fit.step_epochs, fit.step_factor)
    if fit.schedule == "cosine":
        last = max(1, fit.epochs - 1)
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda epoch: _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * min(1.0, epoch / last))) / 2
        )
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)
