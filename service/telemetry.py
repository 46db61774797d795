"""What the service counts about itself. Durations, outcomes, verdicts; never anything of a patient."""

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from service.findings import Analysis, ReasonCode, Timings, Verdict

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST
PROBABILITY_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
STAGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """One service's counters, in a registry of their own, so that two services in one process do not share them."""

    def __init__(self, num_pending: Callable[[], int], outcomes: Iterable[str] = ()) -> None:
        """`outcomes` are counted from 0 on, as verdicts and reasons are.

        Prometheus sees no rise in a series that begins at 10, and no alert rings.
        """
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "seashore_requests", "Clips asked about, by outcome: ok or a problem's code.", ["outcome"], registry=self.registry
        )
        self._verdicts = Counter("seashore_verdicts", "Clips answered, by verdict on lung sliding.", ["verdict"], registry=self.registry)
        self._reasons = Counter(
            "seashore_quality_reasons",
            "Reasons given for a clip's poor quality or for not assessing it; a clip may have several.",
            ["reason"],
            registry=self.registry,
        )
        self._probabilities = Histogram(
            "seashore_probability",
            "Probability that sliding is present, of the clips that were assessed.",
            buckets=PROBABILITY_BUCKETS,
            registry=self.registry,
        )
        self._qualities = Histogram(
            "seashore_quality_score", "How far the picture can be trusted, 0 to 1.", buckets=PROBABILITY_BUCKETS, registry=self.registry
        )
        self._stages = Histogram(
            "seashore_stage_seconds", "Time a clip spends in each stage.", ["stage"], buckets=STAGE_BUCKETS_S, registry=self.registry
        )
        self._upload_bytes = Histogram(
            "seashore_upload_bytes", "Size of the clips received.", buckets=[4.0**k * 1024 for k in range(11)], registry=self.registry
        )
        self._http = Counter(
            "seashore_http_requests",
            "Requests answered, by the scope their address wants and what became of them: ok or a problem's code.",
            ["scope", "outcome"],
            registry=self.registry,
        )
        self._http_seconds = Histogram(
            "seashore_http_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["scope"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        Gauge("seashore_readings_pending", "Clips being read or waiting.", registry=self.registry).set_function(
            lambda: float(num_pending())
        )

        for outcome in outcomes:
            self._requests.labels(outcome)
        for verdict in Verdict:
            self._verdicts.labels(verdict.value)
        for reason in ReasonCode:
            self._reasons.labels(reason.value)

    def count_request(self, outcome: str) -> None:
        self._requests.labels(outcome).inc()

    def observe_request(self, scope: str, outcome: str, seconds: float) -> None:
        """`scope` and `outcome` from short, closed lists: each pair is a series for ever."""
        self._http.labels(scope, outcome).inc()
        self._http_seconds.labels(scope).observe(seconds)

    def observe_upload(self, num_bytes: int) -> None:
        self._upload_bytes.observe(num_bytes)

    def observe_stage(self, stage: str, seconds: float) -> None:
        self._stages.labels(stage).observe(seconds)

    def observe_analysis(self, analysis: Analysis) -> None:
        """Of a request or of a job."""
        self._verdicts.labels(analysis.lung_sliding.verdict.value).inc()
        self._qualities.observe(analysis.quality.probability)
        for reason in analysis.quality.reasons:
            self._reasons.labels(reason.code.value).inc()
        if analysis.lung_sliding.probability is not None:
            self._probabilities.observe(analysis.lung_sliding.probability)
        for stage, milliseconds in stages_ms(analysis.timings).items():
            if stage != "signs" or analysis.signs:  # who does not ask for them would bring their median to nothing
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
        "signs": timings.signs_ms,
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
