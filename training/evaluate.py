"""What a model is worth: healthy clips against hard controls made of them, lung-point composites, and phantoms.

Everything is read as serving reads it; scores are those the answer's probability is made of.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.pooling import Calibration, Summary, decide, find_lung_point, logit_of, pool, summarise
from service.cine.spec import InputSpec
from service.cine.tiling import Plan, plan_patches
from service.engine.base import Engine
from service.errors import RequestError
from service.manifest import Label, LabelledClip
from service.metrics import auroc, bootstrap_interval
from training.calibrate import CalibrationClip
from training.controls import Control, Seen, each_control, make_control, make_lung_point, read_evidence, see
from training.phantom.simulate import recorded
from training.recipe import Source, random_phantom, read_source, true_slides
from training.slide import MIN_SLIDE_RMS_PX

AS_IS, OWN_WALL = "as_is", "own_wall"
MAX_WINDOWS = 4
PHANTOM_S = 4.0


@dataclass(frozen=True, slots=True)
class ReadClip:
    """A labelled clip and everything made of it, as the model sees them."""

    index: int
    patient: str
    label: Label
    duration_s: float
    source: Source
    as_is: Seen
    controls: dict[Control, Seen]


def read_clips(clips: Iterable[LabelledClip], engine: Engine, spec: InputSpec, seed: int) -> Iterator[ReadClip]:
    """Every clip with a pleura and a window's worth of time, with its controls."""
    for index, labelled in enumerate(clips):
        try:
            clip = open_clip(Path(labelled.file), DEFAULT_LIMITS)
            source = read_source(clip, spec, MAX_WINDOWS, labelled.region)
        except RequestError:
            continue
        if source is None:
            continue
        controls = {control: see(made, engine, spec) for control, made in each_control(source, spec.fps, seed + index)}
        yield ReadClip(index, labelled.patient, labelled.label, clip.info.duration_s, source, see(source, engine, spec), controls)


def for_calibration(read: Sequence[ReadClip]) -> list[CalibrationClip]:
    """Clips whose lung slides (or most likely does), those in which somebody saw that it does not, and the controls of all."""
    sliding = [clip for clip in read if clip.label in (Label.PRESENT, Label.HEALTHY)]
    clips = [CalibrationClip(clip.as_is, True, clip.patient, AS_IS, clip.duration_s) for clip in sliding]
    clips += [CalibrationClip(clip.as_is, False, clip.patient, clip.label, clip.duration_s) for clip in read if clip.label is Label.ABSENT]
    return clips + [
        CalibrationClip(seen, False, clip.patient, control, clip.duration_s) for clip in read for control, seen in clip.controls.items()
    ]


def against_controls(read: Sequence[ReadClip], calibration: Calibration, seed: int = 0) -> dict[str, dict[str, Any]]:
    """AUROC of clips as they are against each control, for the answer and for each witness alone."""
    sliding = [clip for clip in read if clip.label in (Label.PRESENT, Label.HEALTHY)]
    table = {}
    for name in (OWN_WALL, *Control):
        positives = [(summarise(clip.as_is.evidence), clip.patient) for clip in sliding]
        negatives = [
            (
                summarise(clip.as_is.evidence).of_wall() if name == OWN_WALL else summarise(clip.controls[Control(name)].evidence),
                clip.patient,
            )
            for clip in sliding
        ]
        table[str(name)] = _compare(positives, negatives, calibration, seed)
    return table


def _compare(
    positives: list[tuple[Summary, str]], negatives: list[tuple[Summary, str]], calibration: Calibration, seed: int
) -> dict[str, Any]:
    pairs = [(a, b) for a, b in zip(positives, negatives, strict=True) if a[0].is_complete and b[0].is_complete]
    if not pairs:
        undefined = float("nan")
        names = ("auroc", "model_alone", "slide_alone", "called_present", "as_is_called_absent")
        return {"clips": 0, "interval": [undefined, undefined], **dict.fromkeys(names, undefined)}
    summaries = [a[0] for a, _ in pairs] + [b[0] for _, b in pairs]
    patients = [a[1] for a, _ in pairs] + [b[1] for _, b in pairs]
    labels = np.array([1] * len(pairs) + [0] * len(pairs))
    scores = np.array([logit_of(summary, calibration) for summary in summaries])
    low, high = bootstrap_interval(auroc, labels, scores, patients, seed=seed, num=500)
    past_wall = np.array([summary.features()[3] for summary in summaries])
    return {
        "clips": len(pairs),
        "auroc": auroc(labels, scores),
        "interval": [low, high],
        "model_alone": auroc(labels, np.array([summary.lung_logit for summary in summaries])),
        "slide_alone": auroc(labels, past_wall),
        "called_present": float(np.mean([_said(b[0], calibration) == "present" for _, b in pairs])),
        "as_is_called_absent": float(np.mean([_said(a[0], calibration) == "absent" for a, _ in pairs])),
    }


def _said(summary: Summary, calibration: Calibration) -> str:
    probability = 1 / (1 + np.exp(-logit_of(summary, calibration)))
    return "present" if probability > calibration.present_above else "absent" if probability < calibration.absent_below else "indeterminate"


def verdicts(read: Sequence[ReadClip], calibration: Calibration) -> dict[str, dict[str, int]]:
    """How often each kind of clip got each verdict."""
    counts: dict[str, dict[str, int]] = {}
    for clip in read:
        for kind, seen in ((AS_IS + "_" + clip.label, clip.as_is), *clip.controls.items()):
            pooled = pool(seen.evidence, calibration)
            doubted = seen.is_doubted
            said = "not_assessable" if pooled is None else str(decide(pooled, calibration, clip.duration_s, is_doubted=doubted))
            counts.setdefault(str(kind), {}).setdefault(said, 0)
            counts[str(kind)][said] += 1
    return counts


def lung_point_composites(read: Sequence[ReadClip], engine: Engine, spec: InputSpec, calibration: Calibration, seed: int) -> dict[str, Any]:
    """Halves of two clips of different patients, one as it is and one locked to its wall: is the seam found?"""
    rng = np.random.default_rng(seed)
    sliding = [clip for clip in read if clip.label in (Label.PRESENT, Label.HEALTHY) and clip.source.grid.num_columns >= 200]
    errors, found, total = [], 0, 0
    for clip in sliding:
        others = [other for other in sliding if other.patient != clip.patient]
        if not others:
            continue
        other = others[int(rng.integers(len(others)))]
        still = make_control(other.source, Control.LOCKED, spec.fps, rng)
        composite, seam = make_lung_point(clip.source, still, float(rng.uniform(0.35, 0.65)))
        if not composite.windows:
            continue
        plan = plan_patches(composite.grid, spec, num_rows=2)
        where = find_lung_point(read_evidence(composite, engine, spec, plan), calibration)
        total += 1
        if where is not None:
            found += 1
            errors.append(abs(_strip_column(plan, where) - seam) / composite.grid.num_columns)
    return {"composites": total, "found": found, "median_error_share_of_width": float(np.median(errors)) if errors else None}


def _strip_column(plan: Plan, where: float) -> float:
    return float(np.interp(where, np.arange(len(plan.lung_columns)), plan.centres[: len(plan.lung_columns)]))


def on_phantoms(engine: Engine, spec: InputSpec, calibration: Calibration, *, pairs: int, seed: int) -> dict[str, Any]:
    """Pleura error in px of the frame, AUROC of sliding by clip, and the lung point, where the truth is exact."""
    pleura: list[float] = []
    labels: list[int] = []
    scores: list[float] = []
    for index, slides in product(range(pairs), (True, False)):
        phantom = random_phantom(seed, index, slides=slides, duration_s=PHANTOM_S)
        source = read_source(recorded(phantom), spec)
        truth = phantom.truth.pleura_middle_px
        if source is None or truth is None:
            continue
        line = source.grid.zero_row
        pleura.append(pleura_error_px(source.grid.x[line], source.grid.y[line], truth))
        summary = summarise(read_evidence(source, engine, spec))
        if summary.is_complete and (not slides or np.nanmax(true_slides(phantom, source, spec)) >= MIN_SLIDE_RMS_PX):
            labels.append(int(slides))
            scores.append(logit_of(summary, calibration))
    return {
        "phantoms": len(pleura),
        "pleura_median_error_px": float(np.median(pleura)) if pleura else None,
        "sliding_auroc": auroc(np.array(labels), np.array(scores)),
        "sliding_clips": len(labels),
        **on_lung_points(engine, spec, calibration, count=pairs, seed=seed),
    }


def on_lung_points(engine: Engine, spec: InputSpec, calibration: Calibration, *, count: int, seed: int) -> dict[str, Any]:
    """Phantoms whose lung slides on one side of a place up to 12 mm off the middle: is it found, and where?"""
    errors = []
    total = 0
    for index in range(count):
        place_mm = float(np.random.default_rng([seed, index]).uniform(-12, 12))
        phantom = random_phantom(seed + 1, index, slides=True, duration_s=PHANTOM_S, lung_point_mm=place_mm, lung_point_travel_mm=1.0)
        source = read_source(recorded(phantom), spec)
        truth = phantom.truth.lung_point_x_px
        if source is None or truth is None:
            continue
        total += 1
        where = find_lung_point(read_evidence(source, engine, spec), calibration)
        if where is not None:
            x = source.grid.x[source.grid.zero_row]
            errors.append(abs(source.grid.to_frame(_strip_column(source.plan, where), 0.0)[0] - truth) / float(np.ptp(x)))
    return {
        "lung_points": total,
        "lung_points_found": len(errors),
        "lung_point_median_error_share_of_width": float(np.median(errors)) if errors else None,
    }


def pleura_error_px(x: NDArray[np.float32], y: NDArray[np.float32], truth: NDArray[np.float64]) -> float:
    """Median vertical distance of a found line (x, y) from the true one (K, 2), where both are, px."""
    inside = (x >= truth[0, 0]) & (x <= truth[-1, 0])
    return float(np.median(np.abs(y[inside] - np.interp(x[inside], truth[:, 0], truth[:, 1])))) if inside.any() else float("inf")
