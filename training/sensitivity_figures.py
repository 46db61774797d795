"""From observations to figures: how each setting changed the answers, the smallest slide seen, and how far the measured slide is off."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metrics import auroc
from training.psychometric import fit_psychometric
from training.sensitivity import Axis, ColumnReading, Observation, Setting

Floats = NDArray[np.float64]

SHARES = (0.5, 0.9)
TRUE_EDGES_PX = (0.0, 0.05, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 100.0)
TRACKING_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01)
MOVES_PX = 0.25
"""True slides below it are left out where bias is said in per cent."""


def figures_of(observations: Sequence[Observation]) -> dict[str, Any]:
    """All tables, as plain JSON values; None where a figure is not defined."""
    return {
        "axes": {str(axis): _axis(axis, observations) for axis in Axis if axis is not Axis.SLIDE and _of(axis, observations)},
        "psychometric": psychometric(_of(Axis.SLIDE, observations)),
        "measured_slide": measured_slide(observations),
    }


def _of(axis: Axis, observations: Sequence[Observation]) -> list[Observation]:
    return [o for o in observations if o.setting.axis is axis]


def _axis(axis: Axis, observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """A row a setting, in the order they were read."""
    here = _of(axis, observations)
    settings = dict.fromkeys(o.setting for o in here)
    return [{"setting": str(setting), **_row([o for o in here if o.setting == setting])} for setting in settings]


def _row(here: Sequence[Observation]) -> dict[str, Any]:
    sliding, still = ([o for o in here if o.slides is slides] for slides in (True, False))
    columns = [column for o in sliding for column in o.columns if column.true_px > MOVES_PX]
    at_rest = [column for o in still for column in o.columns]
    return {
        "clips": len(here),
        "answered_share": _share(here, lambda o: o.probability is not None),
        "auroc": _auroc(here),
        "probability_sliding": _mean([o.probability for o in sliding]),
        "probability_still": _mean([o.probability for o in still]),
        "sliding_called_present": _share(sliding, lambda o: o.verdict == "present"),
        "sliding_called_absent": _share(sliding, lambda o: o.verdict == "absent"),
        "still_called_absent": _share(still, lambda o: o.verdict == "absent"),
        "still_called_present": _share(still, lambda o: o.verdict == "present"),
        "slide": bias_and_spread(columns),
        "measured_at_rest_px": _number(np.median([c.measured_px for c in at_rest])) if at_rest else None,
        "wall_at_rest_px": _number(np.median([c.wall_px for c in at_rest])) if at_rest else None,
        "tracking": _mean([c.tracking for o in here for c in o.columns]),
    }


def _auroc(here: Sequence[Observation]) -> float | None:
    answered = [(int(o.slides), o.probability) for o in here if o.probability is not None]
    return _number(auroc([slides for slides, _ in answered], [probability for _, probability in answered])) if answered else None


def bias_and_spread(columns: Sequence[ColumnReading]) -> dict[str, Any]:
    """Median of measured - true, and half of what holds the middle 68 %, in px and in per cent of the true slide."""
    if not columns:
        return {"columns": 0, "true_px": None, "bias_px": None, "spread_px": None, "bias_percent": None, "spread_percent": None}
    true, measured = (np.array([getattr(c, name) for c in columns]) for name in ("true_px", "measured_px"))
    bias_px, spread_px = _centre(measured - true)
    relative = _centre(100 * (measured - true) / true) if true.min() > MOVES_PX else (None, None)
    return {
        "columns": len(columns),
        "true_px": _number(np.median(true)),
        "bias_px": bias_px,
        "spread_px": spread_px,
        "bias_percent": relative[0],
        "spread_percent": relative[1],
    }


def _centre(values: Floats) -> tuple[float | None, float | None]:
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return _number(middle), _number((high - low) / 2)


def psychometric(observations: Sequence[Observation]) -> dict[str, Any]:
    """Share called present against the slide's size and speed, with the sizes seen one time in two and nine in ten."""
    amplitudes = sorted({float(o.setting.value) for o in observations if isinstance(o.setting.value, float)})
    measures: dict[str, Callable[[Observation], float]] = {
        "slide_mm": lambda o: o.slide_mm,
        "peak_mm_per_s": lambda o: o.peak_mm_per_s,
        "peak_px_per_s": lambda o: o.peak_px_per_s,
    }
    return {
        "rows": [_amplitude_row(amplitude, [o for o in observations if o.setting.value == amplitude]) for amplitude in amplitudes],
        "thresholds": {
            name: _thresholds([(measure(o), o.verdict == "present") for o in observations]) for name, measure in measures.items()
        },
    }


def _amplitude_row(amplitude_mm: float, here: Sequence[Observation]) -> dict[str, Any]:
    return {
        "slide_mm": amplitude_mm,
        "clips": len(here),
        "peak_mm_per_s": _mean([o.peak_mm_per_s for o in here]),
        "peak_px_per_s": _mean([o.peak_px_per_s for o in here]),
        "probability": _mean([o.probability for o in here]),
        "called_present": _share(here, lambda o: o.verdict == "present"),
        "called_absent": _share(here, lambda o: o.verdict == "absent"),
    }


def _thresholds(seen: Sequence[tuple[float, bool]]) -> dict[str, float | None]:
    """Size at each share; None where it lies more than a doubling outside of what was shown, or nothing could be fitted."""
    sizes, found = [size for size, _ in seen], [is_seen for _, is_seen in seen]
    fitted = fit_psychometric(sizes, found)
    points = {f"at_{round(100 * share)}_percent": None if fitted is None else fitted.size_at(share) for share in SHARES}
    return {name: _number(at) if at is not None and min(sizes) / 2 <= at <= 2 * max(sizes) else None for name, at in points.items()}


def measured_slide(observations: Sequence[Observation]) -> dict[str, Any]:
    """Bias and spread by the size of the true slide and by how well it was tracked, over all settings of the slide and of noise."""
    plain = [o for o in observations if o.setting.axis in (Axis.SLIDE, Axis.FRAME_RATE, Axis.TREMOR)]
    plain = [o for o in plain if o.setting.axis is not Axis.FRAME_RATE or _is_at_least_20(o.setting)]
    noisy = [o for o in observations if o.setting.axis is Axis.NOISE]
    return {
        "by_true_slide": _binned([c for o in plain for c in o.columns], "true_px", TRUE_EDGES_PX),
        "by_tracking": _binned([c for o in (*plain, *noisy) for c in o.columns if c.true_px > MOVES_PX], "tracking", TRACKING_EDGES),
    }


def _is_at_least_20(setting: Setting) -> bool:
    return isinstance(setting.value, float) and setting.value >= 20


def _binned(columns: Sequence[ColumnReading], by: str, edges: Sequence[float]) -> list[dict[str, Any]]:
    bins = [(low, high, [c for c in columns if low <= getattr(c, by) < high]) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return [{"from": low, "below": high, **bias_and_spread(held)} for low, high, held in bins if held]


def _share(here: Sequence[Observation], holds: Callable[[Observation], bool]) -> float | None:
    return _mean([float(holds(o)) for o in here])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _number(np.mean(known)) if known else None


def _number(value: float | np.floating[Any]) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
