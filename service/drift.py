"""Drift: how far the clips that come in are from those the model was made from, statistic by statistic."""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log

from service.cine.reference import InputReference
from service.findings import InputStatistics

WINDOW_CLIPS = 200
"""The last so many are held against the reference."""
FEWEST_CLIPS = 50
"""With fewer the index says how few they are."""


def stability_index(reference: Sequence[int], seen: Sequence[int]) -> float:
    """Population stability index of two counts over the same bins: sum of (q - p) ln(q / p) over their shares p and q; 0 is alike.

    It is Jeffreys' divergence (Proc. R. Soc. A 186, 1946, doi:10.1098/rspa.1946.0056); the name is from credit scoring. Half a clip
    is added to each bin, so that an empty one counts for what is known of it and not for infinity. Of two samples of one population
    it is not 0 but about chi-square times (1/n + 1/m), with a degree of freedom less than bins (Yurdakul and Naranjo, Statistical
    properties of the population stability index, J. Risk Model Validation): the customary 0.1 and 0.25 are for thousands of cases.
    tests/test_drift.py simulates ours.
    """
    expected, found = _shares(reference), _shares(seen)
    return sum((q - p) * log(q / p) for p, q in zip(expected, found, strict=True))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]


@dataclass(frozen=True, slots=True)
class Tally:
    """One statistic of all clips since the start."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    """In each of the reference's bins."""
    total: float
    """Of the values."""
    drift: float | None
    """Stability index of the last `WINDOW_CLIPS` that have this statistic; None for fewer than `FEWEST_CLIPS`."""


class DriftWatch:
    """Counts the clips that one model reads in the bins of those it was made from. For several threads at once."""

    def __init__(self, reference: InputReference) -> None:
        self._reference = reference
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[int]] = {name: Counter() for name in reference.bins}
        self._totals = dict.fromkeys(reference.bins, 0.0)
        self._last: dict[str, deque[int]] = {name: deque(maxlen=WINDOW_CLIPS) for name in reference.bins}

    def note(self, inputs: InputStatistics) -> None:
        """One clip. A statistic that it does not have says nothing of it."""
        with self._lock:
            for name, bins in self._reference.bins.items():
                value = getattr(inputs, name)
                if value is not None and isfinite(value):
                    number = bins.place(value)
                    self._counts[name][number] += 1
                    self._totals[name] += value
                    self._last[name].append(number)

    def tallies(self) -> dict[str, Tally]:
        """By statistic."""
        with self._lock:
            return {name: self._tally(name) for name in self._reference.bins}

    def _tally(self, name: str) -> Tally:
        bins, last = self._reference.bins[name], self._last[name]
        numbers = range(len(bins.counts))
        seen = tuple(self._counts[name][number] for number in numbers)
        recent = [last.count(number) for number in numbers]
        drift = stability_index(bins.counts, recent) if len(last) >= FEWEST_CLIPS else None
        return Tally(bins.edges, seen, self._totals[name], drift)
