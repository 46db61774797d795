"""Drift: an index worked out by hand, what it reads where nothing drifts, and the window that it looks at."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest

from service.cine.reference import Bins, InputReference
from service.drift import FEWEST_CLIPS, WINDOW_CLIPS, DriftWatch, stability_index
from service.findings import InputStatistics
from tests.fakes.analysis import INPUTS

REFERENCE = InputReference({"lung_grey": Bins((100.0,), (22, 22))})
CLIPS_OF_PATIENTS = (8, 6, 6, 6, 5, 5, 2, 1, 1, 1, 1, 1, 1)
"""Of the shipped model's 44 training clips."""
WORRY_ABOVE = 1.0
"""As docs/operations-metrics.md and docs/hospital/alerts.yml have it."""


def grey(level: float | None) -> InputStatistics:
    return replace(INPUTS, lung_grey=level)


def fed(*levels: float | None) -> DriftWatch:
    watch = DriftWatch(REFERENCE)
    for level in levels:
        watch.note(grey(level))
    return watch


def drift(watch: DriftWatch) -> float | None:
    return watch.tallies()["lung_grey"].drift


def test_the_index_of_shares_known() -> None:
    # Half a clip added to each bin: shares 1/4 and 3/4 against 3/4 and 1/4, (1/2) ln 3 twice.
    assert stability_index([1, 4], [4, 1]) == pytest.approx((4.5 - 1.5) / 6 * log(3) * 2)


def test_alike_is_nothing_and_the_order_of_the_two_does_not_matter() -> None:
    assert stability_index([9, 9, 9, 9, 8], [9, 9, 9, 9, 8]) == 0.0
    assert stability_index([5, 1, 3], [1, 1, 9]) == pytest.approx(stability_index([1, 1, 9], [5, 1, 3]))


def test_a_bin_in_which_nothing_lies_is_no_infinity() -> None:
    assert 4 < stability_index([9, 9, 9, 9, 8], [200, 0, 0, 0, 0]) < 6


def test_fewer_than_fifty_clips_tell_no_drift() -> None:
    assert drift(fed(*[50.0] * (FEWEST_CLIPS - 1))) is None
    assert drift(fed(*[50.0] * FEWEST_CLIPS)) == pytest.approx(stability_index([22, 22], [50, 0]))


def test_only_the_last_two_hundred_clips_tell_the_drift_and_all_of_them_are_counted() -> None:
    watch = fed(*[50.0] * WINDOW_CLIPS, *[150.0] * WINDOW_CLIPS)

    assert drift(watch) == pytest.approx(stability_index([22, 22], [0, WINDOW_CLIPS]))
    assert watch.tallies()["lung_grey"].counts == (WINDOW_CLIPS, WINDOW_CLIPS)
    assert watch.tallies()["lung_grey"].total == WINDOW_CLIPS * 200.0


def test_a_clip_without_the_statistic_or_with_none_that_is_a_number_says_nothing() -> None:
    tally = fed(50.0, None, float("nan"), float("inf"), 150.0).tallies()["lung_grey"]

    assert (tally.counts, tally.total) == ((1, 1), 200.0)


def test_only_what_the_bundle_knows_is_counted() -> None:
    assert list(fed(50.0).tallies()) == ["lung_grey"]


def _drawn(sizes: Sequence[int], alike: float, rng: np.random.Generator) -> list[float]:
    """One figure a clip, normal, of patients with so many clips each; `alike` is the share of variance between patients."""
    patients = np.repeat(rng.normal(size=len(sizes)), sizes)
    return list(np.sqrt(alike) * patients + np.sqrt(1 - alike) * rng.normal(size=len(patients)))


def _index_of_no_drift(sizes: Sequence[int], num: int, a_patient: int, alike: float, rng: np.random.Generator) -> float:
    """`num` clips of the same population, `a_patient` each, against the reference that is drawn anew as well."""
    bins = Bins.of(_drawn(sizes, alike, rng))
    placed = [bins.place(value) for value in _drawn((a_patient,) * (num // a_patient), alike, rng)]
    return stability_index(bins.counts, [placed.count(number) for number in range(len(bins.counts))])


def test_where_nothing_drifts_the_index_is_as_large_as_the_samples_are_small() -> None:
    """44 independent clips against 200: 4 degrees of freedom times (1/44 + 1/200) are 0.11, not 0; one in twenty reads above 0.25."""
    rng = np.random.default_rng(0)
    read = np.array([_index_of_no_drift((1,) * 44, WINDOW_CLIPS, 1, 0.0, rng) for _ in range(1000)])

    assert read.mean() == pytest.approx(4 * (1 / 44 + 1 / WINDOW_CLIPS), rel=0.1)
    assert 0.02 < (read > 0.25).mean() < 0.1


@pytest.mark.parametrize("num", [FEWEST_CLIPS, WINDOW_CLIPS])
def test_with_clips_of_thirteen_patients_the_customary_limit_would_ring_for_nothing_and_ours_does_not(num: int) -> None:
    """Of the training clips' statistics a quarter to three quarters of the variance lies between patients; here 0.55."""
    rng = np.random.default_rng(0)
    read = np.array([_index_of_no_drift(CLIPS_OF_PATIENTS, num - num % 4, 4, 0.55, rng) for _ in range(1000)])

    assert (read > 0.25).mean() > 0.2
    assert (read > WORRY_ABOVE).mean() < 0.025
