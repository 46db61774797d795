"""What is learned: to tell patches that slide from their twins that do not, by one network and one logit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from service.metrics import auroc
from training.augment import augment
from training.batches import Batch, ExampleBatches, Indices, RunningBatches, TwinBatches, load_batches
from training.examples import ExampleSet
from training.experiment import FitSettings
from training.models import build
from training.trainer import FitError

_WARM_UP_SHARE = 0.05
_LAST_RATE = 0.01
"""Of the learning rate, at the end of the cosine."""
_PATCHES_FOR_GREY_LEVELS = 512
_VALIDATION_BATCH = 64


class SlidingTask(pl.LightningModule):
    """One network learning to tell sliding from not sliding; and what it gets right, kind by kind."""

    def __init__(self, settings: FitSettings, examples: ExampleSet, parts: Mapping[str, Indices]) -> None:
        super().__init__()
        self._settings = settings
        self._spec = examples.spec
        self._train = ExampleBatches(examples, parts["train"])
        self._validation = ExampleBatches(examples, parts["validation"])
        held_out = parts["validation"]
        self._judged = Judged(examples.label[held_out], examples.kind[held_out], examples.pair[held_out])
        self._logits: list[Tensor] = []
        mean, scale = grey_levels(examples, parts["train"], settings.seed)
        self.model = build(settings.model, channels=len(examples.spec.bands), width=settings.width, mean=mean, scale=scale)

    def train_dataloader(self) -> Any:
        settings, trainer = self._settings, self.trainer
        twins = TwinBatches(
            self._train.pair, settings.batch_size, settings.seed, device=trainer.global_rank, num_devices=trainer.world_size
        )
        return load_batches(self._train, twins, settings.num_workers)

    def val_dataloader(self) -> Any:
        """The whole part on every device: figures such as an AUROC cannot be put together from those of its pieces."""
        running = RunningBatches(len(self._validation), _VALIDATION_BATCH)
        return load_batches(self._validation, running, self._settings.num_workers)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is logged each epoch."""
        return "train_loss", "val_loss", "val_auroc", "val_twins", *(f"val_auroc/{kind}" for kind in self._judged.kinds)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        settings = self._settings
        # From the seed and the step alone, so that a resumed fit draws what an unbroken one would have.
        drawn_from = (settings.seed << 32) + (self.global_rank << 28) + self.global_step
        generator = torch.Generator(device=self.device).manual_seed(drawn_from)
        logits = self.model(augment(batch.patches, batch.pair, settings.augment, generator)).float()
        target = batch.label * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        loss = F.binary_cross_entropy_with_logits(logits, target)
        if not math.isfinite(loss.item()):
            raise FitError(
                f"The loss is not a number after {self.global_step} steps; a learning_rate below {settings.learning_rate:g} may help."
            )
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, batch_size=len(target), sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self._logits.append(self.model(batch.patches).float().cpu())

    def on_validation_epoch_end(self) -> None:
        logits = torch.cat(self._logits)
        self._logits.clear()
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self._judged.label))
        # Of several devices the mean: batch-norms that are not in step differ a little, and all must keep the same epoch.
        self.log("val_loss", loss, prog_bar=True, sync_dist=True)
        scores = logits.double().numpy()
        self.log("val_auroc", auroc(self._judged.label, scores), prog_bar=True, sync_dist=True)
        self.log("val_twins", self._judged.twins_in_order(scores), sync_dist=True)
        by_kind = {f"val_auroc/{kind}": value for kind, value in self._judged.auroc_by_kind(scores).items()}
        self.log_dict(by_kind, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        settings = self._settings
        # Decay pulls weights to 0; of a bias or a batch-norm factor that is no simpler a function.
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
        optimizer = kind(groups, lr=settings.learning_rate)
        num_steps = int(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": _scheduler(optimizer, settings, num_steps), "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = self._settings.to_json()
        checkpoint["spec"] = self._spec.to_json()


@dataclass(frozen=True, slots=True)
class Judged:
    """The validation part, and the figures of scores given to it."""

    label: NDArray[np.float32]
    kind: NDArray[np.str_]
    pair: NDArray[np.str_]

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(np.unique(self.kind).tolist())

    def auroc_by_kind(self, scores: NDArray[np.float64]) -> dict[str, float]:
        """Within a kind; a kind of one class only is held against all of the other class."""
        return {kind: self._auroc_of(self.kind == kind, scores) for kind in self.kinds}

    def _auroc_of(self, chosen: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
        classes = np.unique(self.label[chosen])
        if len(classes) == 1:
            chosen = chosen | (self.label != classes[0])
        return auroc(self.label[chosen], scores[chosen])

    def twins_in_order(self, scores: NDArray[np.float64]) -> float:
        """Share of the pairs whose sliding twin scores above the other: texture cannot help here. NaN without a pair."""
        sliding = {pair: score for pair, score, label in zip(self.pair, scores, self.label, strict=True) if pair and label == 1}
        still = {pair: score for pair, score, label in zip(self.pair, scores, self.label, strict=True) if pair and label == 0}
        both = sliding.keys() & still.keys()
        return float(np.mean([sliding[pair] > still[pair] for pair in both])) if both else float("nan")


def grey_levels(examples: ExampleSet, indices: Indices, seed: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, over some of the patches: what the graph's first layer normalises by."""
    chosen = np.random.default_rng(seed).permutation(indices)[:_PATCHES_FOR_GREY_LEVELS]
    channels = np.moveaxis(examples.take(chosen), 1, 0).reshape(len(examples.spec.bands), -1)
    return [float(c.mean()) for c in channels], [max(float(c.std()), 1.0) for c in channels]


def _scheduler(optimizer: torch.optim.Optimizer, settings: FitSettings, num_steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if settings.constant_rate:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    if settings.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=max(num_steps, 2))
    warm_up = max(1, round(_WARM_UP_SHARE * num_steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = min(1.0, (step - warm_up) / max(1, num_steps - warm_up))
        return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
