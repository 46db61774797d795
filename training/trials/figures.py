"""The figures of all rows, as plain JSON values; None where a figure is not defined.

conditions    AUROC of twins under each condition, with the interval over patients
controls      what was said of clips in which nothing slides
unchanged     what must not change an answer, and how much it did
whole         calibration error, opposite verdicts and coverage over twins, and over everything whose truth is known
lung_points   found, where, and where there was none
targets       what the project holds itself to, beside what came out
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from service.findings import Verdict
from service.metrics import auroc, bootstrap_interval, calibration_error, reliability, share_interval, wilson_interval
from training.recording import Quality
from training.trials.answers import Kind, Row
from training.trials.conditions import PLAIN, Order

T = TypeVar("T")

DRAWS = 500
TWINS = (Kind.COUNTERFACTUAL, Kind.SWAPPED, Kind.PHANTOM, Kind.PHANTOM_RATE)
POINTS = (Kind.COMPOSITE, Kind.PHANTOM_POINT)
QUALITIES = tuple(Quality)
"""How names of files end."""
NEAR_SHARE = 0.08
"""A lung point is found in the right place within this share of the pleura's width."""


def figures_of(rows: Sequence[Row], seed: int = 0) -> dict[str, Any]:
    tables = {
        "rows": len(rows),
        "conditions": conditions(rows, seed),
        "controls": controls(rows, seed),
        "unchanged": unchanged(rows),
        "whole": [{"of": name, **whole(some, seed)} for name, some in _parts(judged(rows)).items() if some],
        "lung_points": lung_points(rows),
    }
    return {**tables, "targets": targets(tables)}


def judged(rows: Sequence[Row]) -> list[Row]:
    """Rows whose truth is known, but for shuffled frames: nobody records those, and what they show is a matter of words."""
    return [row for row in rows if row.slides is not None and row.kind not in POINTS and row.condition != Order.SHUFFLED]


def _parts(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Twins first: as many slide as do not. Controls, of which none does, would move the calibration by their number."""
    twins = [row for row in rows if row.kind in TWINS]
    kinds = {str(kind): [row for row in rows if row.kind is kind] for kind in Kind}
    return {"all": twins, "plain pleura": [row for row in twins if row.is_plain], "with controls": list(rows), **kinds}


def conditions(rows: Sequence[Row], seed: int) -> list[dict[str, Any]]:
    """A table row for every kind of twins and condition, and one for each base of the plain ones."""
    here = [row for row in rows if row.kind in TWINS and row.slides is not None]
    groups = {(row.kind, row.condition, ""): [r for r in here if (r.kind, r.condition) == (row.kind, row.condition)] for row in here}
    plain = [row for row in here if row.kind is Kind.COUNTERFACTUAL and row.condition == str(PLAIN)]
    groups |= {(row.kind, row.condition, row.base): [r for r in plain if r.base == row.base] for row in plain}
    return [
        {"kind": str(kind), "condition": condition, "base": base, **ranking(group, seed)}
        for (kind, condition, base), group in sorted(groups.items(), key=lambda item: _place(*item[0]))
    ]


def _place(kind: Kind, condition: str, base: str) -> tuple[int, str, int, float, str]:
    """In the table: kind by kind; whole before by base; what is done to frames, then frame rates as they rise, then files by name."""
    fps = float(condition.removesuffix(" fps")) if condition.endswith(" fps") else 0.0
    group = 1 if fps else 2 if condition.endswith(QUALITIES) else 0
    return TWINS.index(kind), base, group, fps, condition


def ranking(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """AUROC of sliding against still, how many twins are in order, and what each class was called."""
    read = [row for row in rows if row.probability is not None]
    labels, probabilities = _labels(read), _probabilities(read)
    interval = (
        bootstrap_interval(auroc, labels, probabilities, [row.subject for row in read], seed=seed, num=DRAWS) if read else (math.nan,) * 2
    )
    return {
        "clips": len(rows),
        "read": len(read),
        "patients": len({row.subject for row in read}),
        "auroc": _number(auroc(labels, probabilities)) if read else None,
        "interval": [_number(edge) for edge in interval],
        "twins_in_order": _share(_twins(read), lambda pair: (pair[0].probability or 0.0) < (pair[1].probability or 0.0)),
        "opposite": _share(rows, lambda row: row.is_opposite),
        "answered": _share(rows, lambda row: row.is_answered),
    }


def _twins(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """(still, sliding) of one clip, base and condition."""
    still = {(row.pair, row.condition): row for row in rows if row.slides is False}
    return [(still[row.pair, row.condition], row) for row in rows if row.slides and (row.pair, row.condition) in still]


def controls(rows: Sequence[Row], seed: int) -> list[dict[str, Any]]:
    """Each control against the sliding twins of the same clips."""
    sliding = [row for row in rows if row.kind is Kind.COUNTERFACTUAL and row.slides and row.condition == str(PLAIN)]
    names = dict.fromkeys(row.condition for row in rows if row.kind is Kind.CONTROL)
    table = []
    for name in names:
        here = [row for row in rows if row.kind is Kind.CONTROL and row.condition == name]
        table.append({"control": name, **ranking([*here, *sliding], seed), **_called(here), "clips": len(here)})
    return table


def _called(rows: Sequence[Row]) -> dict[str, Any]:
    return {f"called_{verdict}": _share(rows, lambda row, verdict=verdict: row.verdict == verdict) for verdict in Verdict}  # type: ignore[misc]


def unchanged(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Clips with their frames in another order or at another speed, against the same clips without."""
    before = {(row.pair, row.slides): row for row in rows if row.condition == str(PLAIN)}
    table = []
    for kind, slides, condition in _reordered(rows):
        pairs = [
            (before[row.pair, slides], row)
            for row in rows
            if (row.kind, row.slides, row.condition) == (kind, slides, condition) and (row.pair, slides) in before
        ]
        table.append({"kind": str(kind), "slides": slides, "condition": condition, **_change(pairs)})
    return table


def _reordered(rows: Sequence[Row]) -> list[tuple[Kind, bool | None, str]]:
    return list(dict.fromkeys((row.kind, row.slides, row.condition) for row in rows if _is_reordered(row)))


def _is_reordered(row: Row) -> bool:
    return (row.kind is Kind.AS_IS and row.condition != str(PLAIN)) or (row.kind is Kind.COUNTERFACTUAL and row.condition in list(Order))


def _change(pairs: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    both = [(a.probability, b.probability) for a, b in pairs if a.probability is not None and b.probability is not None]
    changes = np.array([b - a for a, b in both])
    return {
        "clips": len(pairs),
        "mean_change": _number(changes.mean()) if len(both) else None,
        "median_absolute_change": _number(np.median(np.abs(changes))) if len(both) else None,
        "same_verdict": _share(pairs, lambda pair: pair[0].verdict == pair[1].verdict),
        "opposite_verdict": _share(pairs, lambda pair: {pair[0].verdict, pair[1].verdict} == {Verdict.PRESENT, Verdict.ABSENT}),
        "called_present": _share(pairs, lambda pair: pair[1].verdict == Verdict.PRESENT),
        "called_absent": _share(pairs, lambda pair: pair[1].verdict == Verdict.ABSENT),
    }


def whole(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Calibration over all that got a probability; opposite verdicts and coverage over all."""
    read = [row for row in rows if row.probability is not None]
    bins = reliability(_labels(read), _probabilities(read)) if read else ()
    opposite = [row.is_opposite for row in rows]
    interval = share_interval(opposite, [row.subject for row in rows], seed=seed, num=DRAWS)
    answered = [row for row in rows if row.is_answered]
    return {
        "clips": len(rows),
        "patients": len({row.subject for row in rows}),
        "read": len(read),
        "auroc": _number(auroc(_labels(read), _probabilities(read))) if read else None,
        "ece": _number(calibration_error(bins)) if read else None,
        "opposite": _share(rows, lambda row: row.is_opposite),
        "opposite_interval": [_number(edge) for edge in interval],
        "opposite_of_answered": _share(answered, lambda row: row.is_opposite),
        "false_present": _share([row for row in rows if not row.slides], lambda row: row.is_opposite),
        "false_absent": _share([row for row in rows if row.slides], lambda row: row.is_opposite),
        "coverage": _share(rows, lambda row: row.is_answered),
        "reliability": [{name: _number(value) for name, value in asdict(b).items()} for b in bins],
    }


def lung_points(rows: Sequence[Row]) -> dict[str, Any]:
    known = [row for row in judged(rows) if row.kind in (*TWINS, Kind.CONTROL)]
    without = {"all": known} | {str(kind): [row for row in known if row.kind is kind] for kind in (*TWINS, Kind.CONTROL)}
    without["as_is"] = [row for row in rows if row.kind is Kind.AS_IS and row.condition == str(PLAIN)]
    composites = [row for row in rows if row.kind is Kind.COMPOSITE and row.is_plain]
    return {
        "composite_plain": _points(composites),
        **{str(kind): _points([row for row in rows if row.kind is kind and row.true_point is not None]) for kind in POINTS},
        "false_alarms": {name: _alarms(some) for name, some in without.items() if some},
    }


def _points(rows: Sequence[Row]) -> dict[str, Any]:
    errors = np.array([abs(row.found_point - row.true_point) for row in rows if row.found_point is not None and row.true_point is not None])
    found = len(errors)
    return {
        "clips": len(rows),
        "found": found / len(rows) if rows else None,
        "found_interval": [_number(edge) for edge in wilson_interval(found, len(rows))],
        "median_error": _number(np.median(errors)) if found else None,
        "p90_error": _number(np.quantile(errors, 0.9)) if found else None,
        "near": _number((errors <= NEAR_SHARE).mean()) if found else None,
        "called_present": _share(rows, lambda row: row.verdict == Verdict.PRESENT),
        "called_absent": _share(rows, lambda row: row.verdict == Verdict.ABSENT),
    }


def _alarms(rows: Sequence[Row]) -> dict[str, Any]:
    return {"clips": len(rows), "suspected": _share(rows, lambda row: row.found_point is not None)}


def targets(tables: dict[str, Any]) -> list[dict[str, Any]]:
    """What issue 3 asks for, and what came out. The least favourable of several figures counts."""
    twins = [row for row in tables["conditions"] if row["auroc"] is not None and not row["base"]]
    rates = [row["auroc"] for row in twins if row["condition"].endswith("fps")]
    codings = [row["auroc"] for row in twins if row["condition"].endswith(QUALITIES)]
    everything: dict[str, Any] = next((row for row in tables["whole"] if row["of"] == "all"), {})
    points = tables["lung_points"]
    alarms = points["false_alarms"].get("all", {})
    found = [
        _target("AUROC of twins at every frame rate, the least", rates, least=0.97),
        _target("AUROC of twins through every codec and quality, the least", codings, least=0.97),
        _target("twins", [everything.get("clips")], least=1000),
        _target("expected calibration error", [everything.get("ece")], most=0.03),
        _target("opposite verdicts, of all", [everything.get("opposite")], most=0.02),
        _target("opposite verdicts, of the answered", [everything.get("opposite_of_answered")], most=0.02),
        _target("coverage", [everything.get("coverage")], least=0.80),
        _target(
            "lung points called present, of composites and phantoms, the more", [points[k]["called_present"] for k in POINTS], most=0.02
        ),
    ]
    for kind, words in zip(POINTS, ("of two real clips", "of phantoms"), strict=True):
        found.append(_target(f"lung points {words} found", [points[kind]["found"]], least=0.90))
        found.append(_target(f"lung points {words}: median error, share of the width", [points[kind]["median_error"]], most=NEAR_SHARE))
    return [*found, _target("lung points suspected where there is none", [alarms.get("suspected")], most=0.05)]


def _target(words: str, values: Sequence[float | None], *, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    value = None if not known else min(known) if least is not None else max(known)
    is_met = None if value is None else value >= least if least is not None else most is not None and value <= most
    return {"what": words, "at_least": least, "at_most": most, "found": value, "is_met": is_met}


def _labels(rows: Sequence[Row]) -> list[int]:
    return [int(bool(row.slides)) for row in rows]


def _probabilities(rows: Sequence[Row]) -> list[float]:
    return [row.probability for row in rows if row.probability is not None]


def _share(items: Sequence[T], holds: Callable[[T], bool]) -> float | None:
    return sum(map(holds, items)) / len(items) if items else None


def _number(value: float | np.floating | int) -> float | None:
    return float(value) if math.isfinite(value) else None
