"""What the clips that are read are like, and how far from those their model was made from, as Prometheus sees it."""

import threading
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.bundle import resolve, stated_bundle
from service.drift import DriftWatch, Tally
from service.errors import SeashoreError
from service.findings import Analysis, ModelRef

LABELS = ("model", "version", "statistic")


class InputMetrics(Collector):
    """Only bundles of the store are counted for, and only those that say what they were made from."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._watches: dict[tuple[str, str], DriftWatch | None] = {}
        """By name and version; None for one that does not say what it was made from."""

    def observe(self, analysis: Analysis) -> None:
        """Of a request or of a job, assessable or not."""
        watch = self._watch(analysis.model)
        if watch is not None and analysis.inputs is not None:
            watch.note(analysis.inputs)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        seen = HistogramMetricFamily(
            "seashore_input_statistic", "What the clips read were like, in bins of those the model was made from.", labels=LABELS
        )
        drift = GaugeMetricFamily(
            "seashore_input_drift", "Population stability index of the last clips against those the model was made from.", labels=LABELS
        )
        with self._lock:
            watches = [(model, watch) for model, watch in self._watches.items() if watch is not None]
        for model, watch in watches:
            for name, tally in watch.tallies().items():
                seen.add_metric((*model, name), _cumulative(tally), tally.total)
                if tally.drift is not None:
                    drift.add_metric((*model, name), tally.drift)
        yield from (seen, drift)

    def _watch(self, model: ModelRef) -> DriftWatch | None:
        known = (model.name, model.version)
        if known not in self._watches:
            try:
                bundle = stated_bundle(resolve(self._store, ":".join(known)))
            except SeashoreError:  # it has left the store, or its disk is away for a moment: it is looked for again
                return None
            if bundle.sha256 != model.sha256:
                return None
            reference = bundle.input_statistics
            with self._lock:
                self._watches.setdefault(known, None if reference is None else DriftWatch(reference))
        return self._watches[known]


def _cumulative(tally: Tally) -> list[tuple[str, float]]:
    """As a histogram is told."""
    return list(zip([*map(str, tally.edges), "+Inf"], map(float, accumulate(tally.counts)), strict=True))
