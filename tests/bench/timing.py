"""Figures of a list of times, and a bare loop that is timed."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of all are not above: nearest rank, no interpolation. NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def median(values: Sequence[float]) -> float:
    """NaN of none, and of none but NaN."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def timed_s(work: Callable[[], object], *, times: int, warm_up: int = 1) -> list[float]:
    """Seconds of each of `times` calls, after `warm_up` that do not count."""
    for _ in range(warm_up):
        work()
    return [_once_s(work) for _ in range(times)]


def _once_s(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


@dataclass(frozen=True, slots=True)
class Line:
    """y = slope x + intercept, by least squares."""

    slope: float
    intercept: float
    r_squared: float


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """Of at least two points of different x."""
    xs, ys = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(ys)
    around = sum((y - mean) ** 2 for y in ys)
    left = sum((y - slope * x - intercept) ** 2 for x, y in points)
    return Line(slope, intercept, 1 - left / around if around else 1.0)
