"""Traces, by OpenTelemetry's API: nothing at all until an SDK is switched on by the standard OTEL_* environment.

    request -> queue -> reading -> decode, pleura, model          a clip of /v1/predict
    read_clip, read_instance, deliver, ... -> reading -> ...      work out of the ledger, by its name

Nothing of a patient is in a span: no exception's message, no address as it was written.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.findings import Timings

NAME = "seashore"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = logging.getLogger(__name__)

Attribute = str | int | float


def _tracer() -> Tracer:
    """Asked for anew each time: the API looks into the environment for it, which importing must not."""
    return trace.get_tracer(NAME)


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[None]:
    with _tracer().start_as_current_span(name, attributes=attributes, record_exception=False, set_status_on_exception=False):
        yield


@contextmanager
def request_span(headers: Mapping[str, str]) -> Iterator[None]:
    """A request, as a part of the caller's trace where `traceparent` names one."""
    parent = TraceContextTextMapPropagator().extract({"traceparent": headers.get("traceparent", "")})
    with _tracer().start_as_current_span("request", parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False):
        yield


def tell(**attributes: Attribute) -> None:
    """More of the present span."""
    trace.get_current_span().set_attributes(attributes)


def waited(name: str, seconds: float) -> None:
    """A span that ends now."""
    end_ns = time.time_ns()
    _tracer().start_span(name, start_time=end_ns - round(seconds * 1e9)).end(end_ns)


@contextmanager
def reading_span() -> Iterator[list[Timings]]:
    """A clip being read. Its stages are told when it is done, for another process did them: put its timings into the list.

    "model" lasts from when the pleura is found to the end; the device's own time for the clip is its attribute `device_ms`.
    """
    told: list[Timings] = []
    start_ns = time.time_ns()
    with span("reading"):
        yield told
        for timings in told if trace.get_current_span().is_recording() else ():
            _tell_stages(timings, start_ns)


def _tell_stages(timings: Timings, start_ns: int) -> None:
    end_ns = time.time_ns()
    pleura_ns = min(start_ns + round(timings.decode_ms * 1e6), end_ns)
    model_ns = min(pleura_ns + round(timings.pleura_ms * 1e6), end_ns)
    device = {"device_ms": timings.model_ms + timings.saliency_ms}
    for name, begun_ns, ended_ns in (("decode", start_ns, pleura_ns), ("pleura", pleura_ns, model_ns), ("model", model_ns, end_ns)):
        attributes = device if name == "model" else {}
        _tracer().start_span(name, start_time=begun_ns, attributes=attributes).end(ended_ns)


def set_up_tracing(environment: Mapping[str, str] = os.environ) -> None:
    """Send traces where the environment says an OTLP collector is; nowhere where it says nothing."""
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    if is_off or not any(environment.get(name) for name in ENDPOINTS):
        return
    try:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.error('Traces are asked for, and what sends them is not installed: pip install "seashore[otel]"')
        return
    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": NAME}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # what has not been sent when the process ends is sent then
    log.info("traces are sent by OTLP")
