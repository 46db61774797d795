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

from service.cine.frame_spec import FrameSpec
from training.batches import Indices
from training.experiment import from_table
from training.signs.networks import attention_of, build_network, logits_of, probabilities
from training.signs.preset import Distil, FrameAugment, Loss, Network, Preset, SignFit
from training.signs.runs import RunSet
from training.signs.sources import digest_of
from training.signs.task import COLUMNS, SignTask
from training.signs.teachers import Teachers
from training.splits import check_no_patient_twice
from training.trainer import BEST, FitError, begin, defaults_of, settled, train

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
class SaidOfRuns:
    """What a network says of runs."""

    probability: NDArray[np.float64]
    """(n, K)"""
    attention: NDArray[np.float64] | None
    """(n, T)"""


def fit_sign(preset: Preset, runs: RunSet, parts: Mapping[str, Indices], out: Path, *, progress: bool = True) -> Path:
    """Fit, or go on with the fit in `out`; the path of the best checkpoint. A finished fit is not done again.

    A preset's teachers are fitted first, in `out/teacher-1` and so on, to the same runs: they know no patient that the network does not.
    `parts`: indices of "train" and "validation". Raises: FitError, PatientInTwoParts.
    """
    check_no_patient_twice(runs.patient.tolist(), parts)
    check_classes(runs, parts)
    record = _record(preset, runs, parts)
    if begin(out, record, _MAY_CHANGE, _BEFORE):
        return out / BEST
    numbers = range(1, preset.distil.teachers + 1)
    taught_by = [fit_sign(preset.teacher(k), runs, parts, out / f"teacher-{k}", progress=progress) for k in numbers]
    teachers = Teachers([load_sign(checkpoint).model for checkpoint in taught_by], preset.loss) if taught_by else None
    with settled(preset.fit):
        train(SignTask(preset, runs, parts, teachers), preset.fit, out, COLUMNS, record, progress=progress)
    return out / BEST


def load_sign(checkpoint: Path) -> FittedSign:
    """The network of a checkpoint that `fit_sign` wrote. Runs nothing that the file brings along. Raises: FitError."""
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        preset = from_table(Preset, _with_flow(_plain(saved["preset"])), "")
        model = build_network(preset)
        model.load_state_dict({name.removeprefix("model."): value for name, value in saved["state_dict"].items()})
    except Exception:  # torch raises whatever its unpickler meets, and another version's preset may say what nobody reads any more
        raise FitError("This file is no network that `seashore train signs` has fitted, or another version has.") from None
    return FittedSign(model.eval(), preset, int(saved["epoch"]))


def ask(fitted: FittedSign, runs: RunSet, indices: Indices) -> SaidOfRuns:
    """On the model's own device."""
    model, device = fitted.model, next(fitted.model.parameters()).device
    given, attended = [], []
    with torch.inference_mode():
        for k in range(0, len(indices), _ASK_BATCH):
            frames = torch.from_numpy(runs.given.take(indices[k : k + _ASK_BATCH])).to(device)
            told = model(frames.float())
            given.append(probabilities(logits_of(told).float(), fitted.preset.loss).double().cpu().numpy())
            attention = attention_of(told)
            if attention is not None:
                attended.append(attention.double().cpu().numpy())
    return SaidOfRuns(np.concatenate(given), np.concatenate(attended) if attended else None)


def check_classes(runs: RunSet, parts: Mapping[str, Indices]) -> None:
    """Raises: FitError."""
    for name in ("train", "validation"):
        num = len(np.unique(runs.kinds[parts[name]]))
        if num < 2:
            raise FitError(f"The {name} part has runs of {num} class{'' if num == 1 else 'es'} only; two are needed to tell apart.")


def _record(preset: Preset, runs: RunSet, parts: Mapping[str, Indices]) -> dict[str, Any]:
    told = preset.to_json()
    weights = told["network"].pop("weights")
    named = ("learns", "real_share", "frames", "network", "loss", "distil")
    settings = _flat({name: told[name] for name in named}) | _flat(told["fit"])
    dealt = hashlib.sha256("".join(f"{name} {np.unique(runs.clip[parts[name]]).tolist()}" for name in ("train", "validation")).encode())
    record = {"settings": settings, "clips": dealt.hexdigest(), "finished": False}
    return record | ({"weights begun from": digest_of(Path(weights))} if weights else {})


def _flat(table: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Tables within tables as "augment.mirror"."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{under}{name}.") if isinstance(value, Mapping) else {f"{under}{name}": value}
    return flat


_BEFORE = (
    defaults_of(FrameSpec, "frames.")
    | defaults_of(Network, "network.")
    | defaults_of(Loss, "loss.")
    | defaults_of(Distil, "distil.")
    | defaults_of(FrameAugment, "augment.")
    | defaults_of(SignFit)
    | {"real_share": 0.0}
)


def _with_flow(preset: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of before the runs' own spec said what they are of has it beside them."""
    inputs, step = preset.pop("inputs", None), preset.pop("flow_step", None)
    return preset | {"frames": preset["frames"] | {"flow_step": step}} if inputs == "flow" else preset


def _plain(value: Any) -> Any:
    """Tuples as TOML has them."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value
