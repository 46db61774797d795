"""What serving would answer to made-up windows, one row each; and whether it would read the clip they are made of at all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle import read_bundle
from service.cine.clip import Clip
from service.cine.locate import locate
from service.cine.pooling import Calibration, Evidence, decide, pool
from service.cine.quality import judge_clip, judge_location
from service.cine.spec import InputSpec
from service.engine.base import Engine, Share
from service.engine.openvino import OpenVinoEngine
from service.findings import Verdict
from training.controls import Seen, see
from training.recipe import Source, read_source
from training.regions import pleura_finder


class Kind(StrEnum):
    """What a row was read of."""

    AS_IS = "as_is"
    """A real clip; whether it slides is mostly not known, but what must not change its answer is."""
    COUNTERFACTUAL = "counterfactual"
    SWAPPED = "swapped"
    """A counterfactual with the lung of another patient's clip."""
    CONTROL = "control"
    PHANTOM = "phantom"
    PHANTOM_RATE = "phantom_rate"
    COMPOSITE = "composite"
    """A lung point of two real clips."""
    PHANTOM_POINT = "phantom_point"


@dataclass(frozen=True, slots=True)
class Row:
    """One made-up clip and its answer. Nothing in it tells a patient or a file."""

    kind: Kind
    base: str
    """What the lung was made of; "" where nothing was made."""
    condition: str
    subject: str
    """Whose clip: rows of one patient, or of one pair of phantoms, share it."""
    pair: str
    """Rows made of the same windows share it; twins share condition and base as well."""
    slides: bool | None
    """None: not known, or neither (a lung point)."""
    probability: float | None
    verdict: str
    is_plain: bool
    """The service is sure that the line is the pleura; where it is not it gives no verdict, whatever moves."""
    found_point: float | None = None
    """Of a suspected lung point, as a share of the pleura's width from the left; whether or not the line is plain."""
    true_point: float | None = None

    @property
    def is_opposite(self) -> bool:
        wrong = Verdict.ABSENT if self.slides else Verdict.PRESENT
        return self.slides is not None and self.verdict == wrong

    @property
    def is_answered(self) -> bool:
        return self.verdict in (Verdict.PRESENT, Verdict.ABSENT)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Row":
        return cls(**{**fields, "kind": Kind(fields["kind"])})


@dataclass(frozen=True, slots=True)
class Judge:
    """An opened bundle, as far as reading windows needs it."""

    engine: Engine
    spec: InputSpec
    calibration: Calibration


def open_judge(bundle: Path) -> Judge:
    """On one thread: several of them run side by side. Raises: BadBundle, EngineFailed."""
    opened = read_bundle(bundle)
    engine = OpenVinoEngine(opened.model_onnx, opened.saliency_onnx, share=Share(1, 1))
    return Judge(engine, opened.input_spec, opened.calibration)


def source_of(clip: Clip, spec: InputSpec, max_windows: int, region: str = "") -> Source | None:
    """The windows of a clip that serving would read; None where it would say "not assessable" of the picture."""
    located = locate(clip, spec, find=pleura_finder(region))
    if judge_clip(clip, located.overview, spec) or judge_location(located):
        return None
    return read_source(clip, spec, max_windows, region)


def answered(row: Row, source: Source, judge: Judge, duration_s: float) -> Row:
    """The row with its answer."""
    return _with_answer(row, see(source, judge.engine, judge.spec), source, judge, duration_s)


def answered_of_wall(row: Row, source: Source, judge: Judge, duration_s: float) -> Row:
    """The same with the clip's chest wall read as if it were its lung: what `wall_control` is made of."""
    seen = see(source, judge.engine, judge.spec)
    return _with_answer(row, replace(seen, evidence=_of_wall(seen.evidence)), source, judge, duration_s)


def _of_wall(evidence: Evidence) -> Evidence:
    return replace(evidence, lung_logit=evidence.wall_logit, lung_sq=evidence.wall_sq[:, : len(evidence.interspace)])


def _with_answer(row: Row, seen: Seen, source: Source, judge: Judge, duration_s: float) -> Row:
    pooled = pool(seen.evidence, judge.calibration)
    if pooled is None:
        return replace(row, verdict=str(Verdict.NOT_ASSESSABLE))
    verdict = decide(pooled, judge.calibration, duration_s, is_doubted=seen.is_doubted)
    column = pooled.lung_point_column
    point = None if column is None else _share_of_width(source, column)
    return replace(row, probability=pooled.probability, verdict=str(verdict), found_point=point)


def _share_of_width(source: Source, column: float) -> float:
    centres = source.plan.centres[: len(source.plan.lung_columns)]
    return float(np.interp(column, np.arange(len(centres)), centres)) / source.grid.num_columns
