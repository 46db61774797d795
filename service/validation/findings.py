"""All that a validation found: what the report, the terminal and `figures.json` are made of."""

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from service import __version__
from service.validation.cases import Case
from service.validation.comparison import Comparison, Pair
from service.validation.figures import Figures


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """One model on all the clips."""

    name: str
    """NAME:VERSION"""
    cases: tuple[Case, ...]
    figures: Figures

    @property
    def sha256(self) -> str:
        """Of `model.onnx`; "" when no clip could be read."""
        return next((case.answer.model_sha256 for case in self.cases if case.answer.model_sha256), "")

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the patches were really classified."""
        return tuple(sorted({case.answer.device for case in self.cases if case.answer.device}))


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A clip as a picture; None where it could not be drawn."""

    case: Case
    model: str
    png: bytes | None


@dataclass(frozen=True, slots=True)
class Findings:
    made: date
    first: ModelFindings
    second: ModelFindings | None = None
    comparison: Comparison | None = None
    healthy_is_present: bool = False
    jobs: int = 1
    """Clips read at the same time."""
    worst: tuple[Shown, ...] = field(default=(), repr=False)
    differing: tuple[Shown, ...] = field(default=(), repr=False)

    @property
    def pairs(self) -> list[Pair]:
        return list(zip(self.first.cases, self.second.cases, strict=True)) if self.second else []

    @property
    def labels(self) -> Counter[str]:
        return Counter(case.label_words for case in self.first.cases)

    def to_json(self) -> dict[str, Any]:
        """For machines: no patient, no file. What is not a number is null."""
        found = {
            "made": self.made.isoformat(),
            "seashore": __version__,
            "healthy_is_present": self.healthy_is_present,
            "labels": dict(self.labels),
            "model": _model_json(self.first),
            "against": _model_json(self.second) if self.second else None,
            "comparison": asdict(self.comparison) | {"auroc_difference": self.comparison.auroc_difference} if self.comparison else None,
        }
        return {name: _plain(value) for name, value in found.items()}


def _model_json(model: ModelFindings) -> dict[str, Any]:
    clips = [_case_json(case) for case in model.cases]
    return {"name": model.name, "sha256": model.sha256, "devices": model.devices, "figures": asdict(model.figures), "clips": clips}


def _case_json(case: Case) -> dict[str, Any]:
    answer = case.answer.to_json()
    kept = ("verdict", "probability", "interval", "wall_control", "lung_point", "reasons", "error", "total_ms")
    return {"row": case.clip.row, "label": str(case.clip.label), "outcome": case.outcome, "opposite": case.is_opposite} | {
        name: answer[name] for name in kept
    }


def _plain(value: Any) -> Any:
    """As JSON has it: NaN is null, a tuple is a list."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
