"""What the clips were like that a model was made from: written into the bundle by training, held against what comes in by serving."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from service.errors import BadBundle
from service.findings import InputStatistics

STATISTICS = tuple(field.name for field in fields(InputStatistics))
NUM_BINS = 5
"""Quintiles: of 44 clips nine lie in each, and a tenth would be four."""
FEWEST_CLIPS = 20
"""Of fewer no shares are told: four in a bin."""


@dataclass(frozen=True, slots=True)
class Bins:
    """How many of the clips lay where, by one statistic."""

    edges: tuple[float, ...]
    """Increasing. A value lies in the first bin whose edge it does not exceed, else in the last."""
    counts: tuple[int, ...]
    """Clips in each bin; one more than edges."""

    def __post_init__(self) -> None:
        if not self.edges or not all(isfinite(edge) for edge in self.edges) or any(a >= b for a, b in pairwise(self.edges)):
            raise ValueError("The edges of bins are increasing numbers, one at least.")
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or sum(self.counts) == 0:
            raise ValueError("Bins have one count more than edges, none below 0, and count something.")

    @classmethod
    def of(cls, values: Sequence[float]) -> "Bins":
        """As many values in each bin as there can be: equal ones are not parted, and then there are fewer bins.

        Edges have four digits, which is what people read of them in a manifest and on a dashboard.
        """
        shares = np.arange(1, NUM_BINS) / NUM_BINS
        edges = tuple(sorted({float(f"{edge:.4g}") for edge in np.quantile(values, shares, method="inverted_cdf")}))
        placed = [bisect_left(edges, value) for value in values]
        return cls(edges, tuple(placed.count(number) for number in range(len(edges) + 1)))

    def place(self, value: float) -> int:
        """Number of the bin it lies in."""
        return bisect_left(self.edges, value)


@dataclass(frozen=True, slots=True)
class InputReference:
    """The bins of every statistic that there is, by the name of its field in `InputStatistics`."""

    bins: Mapping[str, Bins]

    def __post_init__(self) -> None:
        unknown = set(self.bins) - set(STATISTICS)
        if unknown or not self.bins:
            raise ValueError(f"There must be statistics, and none but {', '.join(STATISTICS)}.")

    @classmethod
    def of(cls, clips: Sequence[InputStatistics]) -> "InputReference | None":
        """None where no statistic could be taken of `FEWEST_CLIPS` clips."""
        taken = {name: [value for clip in clips if (value := getattr(clip, name)) is not None] for name in STATISTICS}
        bins = {name: Bins.of(values) for name, values in taken.items() if len(values) >= FEWEST_CLIPS}
        return cls(bins) if bins else None

    def to_json(self) -> dict[str, Any]:
        """Of each statistic the edges and how many clips lay in each bin."""
        return {name: {"edges": list(bins.edges), "counts": list(bins.counts)} for name, bins in self.bins.items()}

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> "InputReference":
        """The inverse of `to_json`. Raises: BadBundle."""
        try:
            return cls({name: _bins_from_json(bins) for name, bins in stated.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise BadBundle("The bundle's input_statistics are not ones this version can read.", log_detail=str(error)) from error


def _bins_from_json(stated: Any) -> Bins:
    edges, counts = stated["edges"], stated["counts"]
    if any(type(edge) not in (int, float) for edge in edges) or any(type(count) is not int for count in counts):
        raise TypeError("Edges are numbers, counts whole ones.")
    return Bins(tuple(map(float, edges)), tuple(counts))
