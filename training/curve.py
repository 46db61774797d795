"""The learning curve: a CSV row an epoch, also over a stop and a resume."""

import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class Curve(Callback):
    """Writes what was logged in each epoch, with its learning rate at the end and the seconds it took."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = ("epoch", *columns, "learning_rate", "seconds")
        self._began_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        """Rows of epochs that are run again are dropped."""
        rows = [row for row in read_curve(self._path) if int(row["epoch"]) < trainer.current_epoch] if self._path.exists() else []
        with self._path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self._columns)
            table.writeheader()
            table.writerows(rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self._began_s = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        logged: dict[str, Any] = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        known = {"epoch": trainer.current_epoch, "learning_rate": rate, "seconds": time.monotonic() - self._began_s}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow({name: _written((logged | known)[name]) for name in self._columns})


def read_curve(path: Path) -> list[dict[str, str]]:
    """The rows as text; "" is a figure that was not defined."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _written(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
