"""Fits a preset's network to runs of frames, and asks it: patients apart, the weights of lowest validation loss kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.batches import Indices
from training.experiment import from_table
from training.signs.networks import attention_of, build_network, logits_of, probabilities
from training.signs.preset import Preset
from training.signs.runs import RunSet
from training.signs.task import COLUMNS, SignTask
from training.splits import check_no_patient_twice
from training.trainer import BEST, RECORD, FitError, begin, settled, train

_MAY_CHANGE = ("device", "num_threads")
_ASK_BATCH = 16


@dataclass(frozen=True, slots=True)
class FittedSign:
    """A network as it was at its lowest validation loss."""

    model: nn.Module
    """In evaluation mode, on the CPU."""
    preset: Preset
    epoch: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a network says of runs."""

    probability: NDArray[np.float64]
    """(n, K)"""
    attention: NDArray[np.float64] | None
    """(n, T)"""


def fit_sign(preset: Preset, runs: RunSet, parts: Mapping[str, Indices], out: Path, *, progress: bool = True) -> Path:
    """Fit, or go on with the fit in `out`; the path of the best checkpoint. A finished fit is not done again.

    `parts`: indices of "train" and "validation". Raises: FitError, PatientInTwoParts.
    """
    check_no_patient_twice(runs.patient.tolist(), parts)
    _check_classes(runs, parts)
    record = _record(preset, runs, parts)
    if begin(out, record, _MAY_CHANGE, {}):
        return out / BEST
    with settled(preset.fit):
        train(SignTask(preset, runs, parts), preset.fit, out, COLUMNS, record, progress=progress)
    return out / BEST


def is_finished(out: Path) -> bool:
    return (out / RECORD).exists() and '"finished": true' in (out / RECORD).read_text(encoding="utf-8")


def load_sign(checkpoint: Path) -> FittedSign:
    """The network of a checkpoint that `fit_sign` wrote. Runs nothing that the file brings along."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    preset = from_table(Preset, _plain(saved["preset"]), "")
    model = build_network(preset)
    model.load_state_dict({name.removeprefix("model."): value for name, value in saved["state_dict"].items()})
    return FittedSign(model.eval(), preset, int(saved["epoch"]))


def ask(model: nn.Module, runs: RunSet, indices: Indices) -> Told:
    """On the model's own device."""
    device = next(model.parameters()).device
    given, attended = [], []
    with torch.inference_mode():
        for k in range(0, len(indices), _ASK_BATCH):
            frames = torch.from_numpy(runs.given.take(indices[k : k + _ASK_BATCH])).to(device)
            told = model(frames.float())
            given.append(probabilities(logits_of(told).float()).double().cpu().numpy())
            attention = attention_of(told)
            if attention is not None:
                attended.append(attention.double().cpu().numpy())
    return Told(np.concatenate(given), np.concatenate(attended) if attended else None)


def _check_classes(runs: RunSet, parts: Mapping[str, Indices]) -> None:
    for name in ("train", "validation"):
        kinds = np.unique(runs.kinds[parts[name]])
        if len(kinds) < 2:
            raise FitError(
                f"The {name} part has runs of {len(kinds)} class{'' if len(kinds) == 1 else 'es'} only; two are needed to tell apart."
            )


def _record(preset: Preset, runs: RunSet, parts: Mapping[str, Indices]) -> dict[str, Any]:
    told = preset.to_json()
    settings = {name: told[name] for name in ("learns", "inputs", "flow_step", "frames", "network", "loss")} | told["fit"]
    dealt = hashlib.sha256("".join(f"{name} {np.unique(runs.clip[parts[name]]).tolist()}" for name in ("train", "validation")).encode())
    return {"settings": settings, "clips": dealt.hexdigest(), "finished": False}


def _plain(value: Any) -> Any:
    """Tuples as TOML has them."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value
