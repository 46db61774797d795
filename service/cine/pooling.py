"""From patches to the clip: patch -> interspace -> window -> clip, calibrated, held against the clip's own chest wall.

Two witnesses speak for every stretch of lung: the model's logit and the measured slide. Each is compared with what it
says of the chest wall of the same clip, because probes and hands differ more than lungs do; a logistic regression
weighs them (`Calibration`, fitted by training on clips, written into the bundle).

    evidence of the lung  (model logit, measured slide of lung past wall)       \\
    evidence of the wall  (model logit on wall patches, wall past wall)          > probability of sliding
    put the wall in the lung's place                                             > wall control
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.cine.motion import Motion, mean_square
from service.cine.tiling import WALL_ROW, Plan
from service.errors import BadBundle
from service.findings import Verdict

Floats = NDArray[np.float64]

SLIDE_FLOOR_PX = 0.15
"""Added before the logarithm: shifts below it are rounding."""
MOVING_SHARE = 0.5
"""Of the windows, those that speak most for sliding: a breath held for half a clip does not make the lung still."""
MIN_PAIRS = 6
"""Tracked pairs of frames below which a column's slide is not stated."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the witnesses are weighed, and where the verdicts begin."""

    intercept: float
    model_logit: float
    model_past_wall: float
    """Weight of the model's logit on the lung minus its logit on the wall."""
    log_slide: float
    log_slide_past_wall: float
    """Weight of log(slide of the lung / slide of wall past wall)."""
    patch_scale: float
    patch_offset: float
    """Patch probability = sigmoid(scale * logit + offset)."""
    absent_below: float
    present_above: float
    wall_control_above: float
    """A wall control above it means the probe moved: no verdict."""
    lung_point_contrast: float
    """Difference in logit between two sides of the pleura that makes a lung point."""

    def __post_init__(self) -> None:
        if not 0 <= self.absent_below <= self.present_above <= 1:
            raise ValueError("absent_below and present_above must be ordered probabilities.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Calibration":
        """The inverse of `to_json`. Raises: BadBundle."""
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise BadBundle("The bundle's calibration is not one this version can read.", log_detail=str(error)) from error


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the windows of one clip say, window by window and column by column; NaN where nothing can be said."""

    lung_logit: Floats
    """Median over the rows, (W, K)."""
    wall_logit: Floats
    """(W, K)"""
    lung_sq: Floats
    """Mean square shift of the lung past the wall, px of the strip, (W, K)."""
    wall_sq: Floats
    """The same of wall past wall, for every column of the plan, those that are wall only last, (W, K or more)."""
    tracking: Floats
    """(W, K)"""
    interspace: NDArray[np.int64]
    """Of each column, (K,)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The four numbers a probability is made of."""

    lung_logit: float
    wall_logit: float
    slide_px: float
    wall_px: float

    @property
    def is_complete(self) -> bool:
        return bool(np.isfinite([self.lung_logit, self.slide_px]).all())

    def features(self) -> Floats:
        """(model_logit, model_past_wall, log_slide, log_slide_past_wall), in the order of Calibration, (4,)."""
        log_slide = np.log(self.slide_px + SLIDE_FLOOR_PX)
        past_wall = self.lung_logit - self.wall_logit if np.isfinite(self.wall_logit) else 0.0
        slide_past_wall = log_slide - np.log(self.wall_px + SLIDE_FLOOR_PX) if np.isfinite(self.wall_px) else 0.0
        return np.array([self.lung_logit, past_wall, log_slide, slide_past_wall])

    def of_wall(self) -> "Summary":
        """The wall in the lung's place."""
        return Summary(self.wall_logit, self.wall_logit, self.wall_px, self.wall_px)


@dataclass(frozen=True, slots=True)
class Pooled:
    """A clip's answer before it is put into words."""

    probability: float
    interval: tuple[float, float]
    wall_control: float | None
    window_probabilities: tuple[float | None, ...]
    column_probabilities: tuple[float | None, ...]
    lung_point_column: float | None
    """Where along the columns sliding begins (k + 0.5 lies between columns k and k + 1); None when nothing suggests one."""


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def logit_of(summary: Summary, calibration: Calibration) -> float:
    weights = (calibration.model_logit, calibration.model_past_wall, calibration.log_slide, calibration.log_slide_past_wall)
    return float(calibration.intercept + np.dot(weights, summary.features()))


def summarise(evidence: Evidence, columns: NDArray[np.int64] | None = None, windows: NDArray[np.int64] | None = None) -> Summary:
    """Pool part of a clip: median over an interspace's columns, mean over interspaces, windows as `_over_windows` says."""
    k = np.arange(len(evidence.interspace)) if columns is None else columns
    w = np.arange(len(evidence.lung_logit)) if windows is None else windows
    cells = np.ix_(w, k)
    groups = evidence.interspace[k]
    return Summary(
        lung_logit=_over_windows(_over_columns(evidence.lung_logit[cells], groups)),
        wall_logit=_over_windows(_over_columns(evidence.wall_logit[cells], groups)),
        slide_px=float(np.sqrt(_nanmean(_over_columns(evidence.lung_sq[cells], groups)))),
        # Walls are compared along the whole clip: a single interspace holds few columns with a neighbour far enough off.
        wall_px=float(np.sqrt(_nanmean(_nanmedian_rows(evidence.wall_sq[w])))),
    )


def _over_columns(values: Floats, groups: NDArray[np.int64]) -> Floats:
    """(W, K) -> (W,)"""
    per_group = [_nanmedian_rows(values[:, groups == group]) for group in np.unique(groups)]
    stacked = np.stack(per_group, axis=1) if per_group else np.full((len(values), 1), np.nan)
    return np.array([_nanmean(row) for row in stacked])


def _over_windows(values: Floats) -> float:
    """Mean of the upper half: in the others the breath may pause."""
    seen = np.sort(values[np.isfinite(values)])[::-1]
    return float(seen[: int(np.ceil(len(seen) * MOVING_SHARE))].mean()) if len(seen) else float("nan")


def _nanmedian_rows(values: Floats) -> Floats:
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def _nanmean(values: Floats) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) else float("nan")


def pool(evidence: Evidence, calibration: Calibration) -> Pooled | None:
    """None when no window says anything."""
    whole = summarise(evidence)
    if not whole.is_complete:
        return None
    centre = logit_of(whole, calibration)
    cells = _cell_logits(evidence, calibration)
    spread = 1.96 * float(np.std(cells, ddof=1) / np.sqrt(len(cells))) if len(cells) > 1 else 1.5
    wall = whole.of_wall()
    return Pooled(
        probability=sigmoid(centre),
        interval=(sigmoid(centre - spread), sigmoid(centre + spread)),
        wall_control=sigmoid(logit_of(wall, calibration)) if wall.is_complete else None,
        window_probabilities=tuple(
            _probability(summarise(evidence, windows=np.array([w])), calibration) for w in range(len(evidence.lung_logit))
        ),
        column_probabilities=tuple(
            _probability(summarise(evidence, columns=np.array([k])), calibration) for k in range(len(evidence.interspace))
        ),
        lung_point_column=find_lung_point(evidence, calibration),
    )


def _probability(summary: Summary, calibration: Calibration) -> float | None:
    return sigmoid(logit_of(summary, calibration)) if summary.is_complete else None


def _cell_logits(evidence: Evidence, calibration: Calibration) -> Floats:
    """One logit for every window of every interspace."""
    cells = [
        summarise(evidence, columns=np.flatnonzero(evidence.interspace == group), windows=np.array([w]))
        for group in np.unique(evidence.interspace)
        for w in range(len(evidence.lung_logit))
    ]
    return np.array([logit_of(cell, calibration) for cell in cells if cell.is_complete])


def find_lung_point(evidence: Evidence, calibration: Calibration) -> float | None:
    """Where one side of the pleura slides and the other does not.

    Both sides need two columns; one must speak for sliding and the other against, and the contrast must be larger than
    two unlike stretches of one lung show. The contrast of medians is the same for many borders, so among those the one
    is taken whose two sides are most alike within.
    """
    found = contrasts(evidence, calibration)
    if found.max(initial=0.0) < calibration.lung_point_contrast:
        return None
    logits = _column_logits(evidence, calibration)
    unlike = [_spread(logits[: k + 1]) + _spread(logits[k + 1 :]) for k in range(len(found))]
    return float(np.where(found >= calibration.lung_point_contrast, unlike, np.inf).argmin()) + 0.5


def contrasts(evidence: Evidence, calibration: Calibration) -> Floats:
    """Difference in logit between what lies left and right of each border between columns k and k + 1, (K - 1,).

    0 where a side has fewer than two columns, or where both sides speak for the same.
    """
    logits = _column_logits(evidence, calibration)
    found = np.zeros(max(len(logits) - 1, 0))
    for k in range(len(found)):
        left, right = logits[: k + 1], logits[k + 1 :]
        left, right = left[np.isfinite(left)], right[np.isfinite(right)]
        if min(len(left), len(right)) >= 2:
            opposed = (_mostly(left > 0) and _mostly(right < 0)) or (_mostly(left < 0) and _mostly(right > 0))
            found[k] = abs(np.median(left) - np.median(right)) if opposed else 0.0
    return found


def _mostly(flags: NDArray[np.bool_]) -> bool:
    """More than half: of two columns both, so that one odd column at the edge is not a side."""
    return 2 * int(flags.sum()) > len(flags)


def _column_logits(evidence: Evidence, calibration: Calibration) -> Floats:
    """NaN where a column says nothing, (K,)."""
    return np.array([_or_nan(summarise(evidence, columns=np.array([k])), calibration) for k in range(len(evidence.interspace))])


def _spread(logits: Floats) -> float:
    """Sum of the distances from the median."""
    seen = logits[np.isfinite(logits)]
    return float(np.abs(seen - np.median(seen)).sum()) if len(seen) else 0.0


def _or_nan(summary: Summary, calibration: Calibration) -> float:
    return logit_of(summary, calibration) if summary.is_complete else float("nan")


MIN_ABSENCE_S = 3.5
"""A breath. A shorter clip may have caught the pause between two: then nobody can tell a lung that does not slide."""


def decide(pooled: Pooled, calibration: Calibration, duration_s: float, *, is_doubted: bool = False) -> Verdict:
    """The verdict, with an abstention band. It stays open with a suspected lung point, with a wall that seems to slide, while
    the windows and interspaces disagree (the interval reaches across a half), and for absence in a clip too short for a breath.
    Of a clip that `is_doubted` (the picture was read, but what it says cannot be relied on) it says nothing.

    The interval: two of eight shaken stills of one phantom, with two columns to judge by, scored 0.94 and 0.88, from 0.4 and 0.3 on.
    """
    if is_doubted or pooled.lung_point_column is not None:
        return Verdict.INDETERMINATE
    if pooled.wall_control is not None and pooled.wall_control > calibration.wall_control_above:
        return Verdict.INDETERMINATE
    low, high = pooled.interval
    if pooled.probability > calibration.present_above and low > 0.5:
        return Verdict.PRESENT
    still = pooled.probability < calibration.absent_below and high < 0.5
    return Verdict.ABSENT if still and duration_s >= MIN_ABSENCE_S else Verdict.INDETERMINATE


def gather(plan: Plan, motions: list[Motion], logits: list[NDArray[np.float32]]) -> Evidence:
    """Sort what was measured and what the model said, window by window, into columns."""
    num_columns = len(plan.lung_columns)
    lung = np.full((len(motions), num_columns), np.nan)
    wall = np.full_like(lung, np.nan)
    for w, said in enumerate(logits):
        for k in range(num_columns):
            of_lung = [float(said[n]) for n, patch in enumerate(plan.patches) if patch.column == k and patch.row >= 0]
            of_wall = [float(said[n]) for n, patch in enumerate(plan.patches) if patch.column == k and patch.row == WALL_ROW]
            lung[w, k] = np.median(of_lung) if of_lung else np.nan
            wall[w, k] = of_wall[0] if of_wall else np.nan
    nothing = np.empty((0, num_columns))
    here = np.s_[:num_columns]
    return Evidence(
        lung_logit=lung,
        wall_logit=wall,
        lung_sq=np.stack([mean_square(m.relative_px, MIN_PAIRS)[here] for m in motions]) if motions else nothing,
        wall_sq=np.stack([mean_square(m.wall_reference_px, MIN_PAIRS) for m in motions]) if motions else nothing,
        tracking=np.stack([np.minimum(m.wall.tracking, m.lung.tracking).mean(axis=0)[here] for m in motions]) if motions else nothing,
        interspace=np.array([column.interspace for column in plan.lung_columns], dtype=np.int64),
    )
