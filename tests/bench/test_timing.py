"""Figures of a list of times."""

import math

import pytest

from tests.bench.timing import fit_line, median, percentile, timed_s


def test_percentiles_are_values_that_were_taken() -> None:
    hundred = [float(n) for n in range(100, 0, -1)]

    assert percentile(hundred, 0.5) == 50
    assert percentile(hundred, 0.99) == 99
    assert percentile(hundred, 1.0) == 100


def test_p99_of_a_few_answers_is_the_slowest() -> None:
    assert percentile([0.2, 0.9, 0.3], 0.99) == 0.9


def test_nothing_was_answered_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.99))
    assert math.isnan(median([]))
    assert median([math.nan, 2.0]) == 2.0


def test_a_line_through_its_own_points_is_found() -> None:
    line = fit_line([(2.0, 1.5), (10.0, 5.5), (60.0, 30.5)])

    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((0.5, 0.5, 1.0))


def test_a_line_through_a_parabola_fits_worse() -> None:
    assert fit_line([(n, n * n) for n in (0.0, 1.0, 2.0, 3.0)]).r_squared == pytest.approx(0.918, abs=0.001)


def test_the_warm_up_is_not_among_the_times() -> None:
    calls: list[int] = []

    assert len(timed_s(lambda: calls.append(1), times=3, warm_up=2)) == 3
    assert len(calls) == 5
