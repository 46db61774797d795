"""The PACS queues as Prometheus sees them: from the ledger, whichever process did the work.

Several nodes that share a ledger all tell the same figures: take the maximum over them, not the sum.
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.errors import LedgerUnavailable
from service.pacs.desk.overview import Overview, Watch


class QueueMetrics(Collector):
    """Blocks while the ledger is asked. Where it cannot be, `seashore_ledger_up` is 0 and the rest is missing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            found = self._watch.overview()
        except LedgerUnavailable:
            yield GaugeMetricFamily("seashore_ledger_up", "Whether the ledger can be read.", value=0)
            return
        yield GaugeMetricFamily("seashore_ledger_up", "Whether the ledger can be read.", value=1)
        yield _instances(found)
        yield from _deliveries(found)

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: else the ledger would be asked when the service starts."""
        return []


def _instances(found: Overview) -> GaugeMetricFamily:
    family = GaugeMetricFamily("seashore_instances", "Instances from the PACS that are still on record, by stage.", labels=["stage"])
    for stage, count in found.by_stage.items():
        family.add_metric([stage.replace(" ", "_")], count)
    return family


def _deliveries(found: Overview) -> Iterator[GaugeMetricFamily]:
    words = "Deliveries that are still on record, by destination and stage; dead ones wait for a person."
    counts = GaugeMetricFamily("seashore_deliveries", words, labels=["destination", "stage"])
    ages = GaugeMetricFamily(
        "seashore_oldest_waiting_seconds", "How long the oldest delivery has waited, 0 where none waits.", labels=["destination"]
    )
    for queue in found.queues:
        for stage, count in (("waiting", queue.waiting), ("delivered", queue.delivered), ("dead", queue.dead)):
            counts.add_metric([queue.destination, stage], count)
        ages.add_metric([queue.destination], queue.oldest_waiting_s)
    yield counts
    yield ages
