"""What the service counts about itself. Durations, outcomes, verdicts; never anything of a patient."""

import traceback
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from service.findings import Analysis, Timings

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST
STAGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """One service's counters, in a registry of their own, so that two services in one process do not share them."""

    def __init__(self, num_pending: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "seashore_requests", "Clips asked about, by outcome: ok or a problem's code.", ["outcome"], registry=self.registry
        )
        self._verdicts = Counter("seashore_verdicts", "Clips answered, by verdict on lung sliding.", ["verdict"], registry=self.registry)
        self._stages = Histogram(
            "seashore_stage_seconds", "Time a clip spends in each stage.", ["stage"], buckets=STAGE_BUCKETS_S, registry=self.registry
        )
        self._upload_bytes = Histogram(
            "seashore_upload_bytes", "Size of the clips received.", buckets=[4.0**k * 1024 for k in range(11)], registry=self.registry
        )
        Gauge("seashore_readings_pending", "Clips being read or waiting.", registry=self.registry).set_function(
            lambda: float(num_pending())
        )

    def count_request(self, outcome: str) -> None:
        self._requests.labels(outcome).inc()

    def observe_upload(self, num_bytes: int) -> None:
        self._upload_bytes.observe(num_bytes)

    def observe_stage(self, stage: str, seconds: float) -> None:
        self._stages.labels(stage).observe(seconds)

    def observe_analysis(self, analysis: Analysis) -> None:
        self._verdicts.labels(analysis.lung_sliding.verdict.value).inc()
        for stage, milliseconds in stages_ms(analysis.timings).items():
            self.observe_stage(stage, milliseconds / 1000)

    def exposition(self) -> bytes:
        """The text Prometheus scrapes."""
        return generate_latest(self.registry)


def stages_ms(timings: Timings) -> dict[str, float]:
    """The timings by the names the API and the metrics give them."""
    return {
        "decode": timings.decode_ms,
        "pleura": timings.pleura_ms,
        "model": timings.model_ms,
        "saliency": timings.saliency_ms,
        "total": timings.total_ms,
    }


def describe_bug(bug: BaseException) -> str:
    """Class and stack of an exception and its causes, without their messages."""
    parts = []
    cause: BaseException | None = bug
    while cause is not None:
        frames = " < ".join(f"{f.name} ({Path(f.filename).name}:{f.lineno})" for f in reversed(traceback.extract_tb(cause.__traceback__)))
        parts.append(f"{type(cause).__name__} in {frames}")
        cause = cause.__cause__ or cause.__context__
    return ", from ".join(parts)
