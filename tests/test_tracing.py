"""Traces: what a clip's spans are, that none quotes a patient, and that nothing is there until it is switched on."""

import http.server
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import tracing
from tests.fakes.service import PATIENT, WordReader, is_ready, serving, wait_until

ROOT = Path(__file__).resolve().parents[1]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LONG_S = 60.0
SEND_ONE = """
from service.tracing import set_up_tracing, span
set_up_tracing()
with span("reading"):
    pass
"""


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def parents(found: tuple[ReadableSpan, ...]) -> dict[str, str | None]:
    """Name of each span -> name of the one it is a part of."""
    names = {span.context.span_id: span.name for span in found if span.context is not None}
    return {span.name: None if span.parent is None else names.get(span.parent.span_id) for span in found}


def test_a_clip_is_one_trace_from_the_callers_to_the_device(spans: InMemorySpanExporter) -> None:
    with serving(WordReader()) as client:
        client.post("/v1/predict", content=b"present", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    found = spans.get_finished_spans()
    assert parents(found) == {
        **{"request": None, "queue": "request", "reading": "request"},
        **{"decode": "reading", "pleura": "reading", "model": "reading"},
    }
    assert {f"{span.context.trace_id:032x}" for span in found if span.context is not None} == {TRACE}
    (request,) = (span for span in found if span.name == "request")
    assert dict(request.attributes or {}) == {
        **{"http.request.method": "POST", "http.route": "/v1/predict"},
        **{"http.response.status_code": 200, "outcome": "ok"},
    }


def test_a_job_is_a_trace_by_the_name_of_its_work(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        job = client.post("/v1/jobs", content=b"present").json()["id"]
        assert wait_until(lambda: "read_clip" in parents(spans.get_finished_spans()), LONG_S)

    found = {span.name: span for span in spans.get_finished_spans()}
    assert dict(found["read_clip"].attributes or {}) == {"job": job, "owner": "local"}
    assert parents(spans.get_finished_spans())["reading"] == "read_clip"


def test_no_span_quotes_a_patient(spans: InMemorySpanExporter) -> None:
    with serving(WordReader()) as client:
        for word in (b"bug", b"engine_failed", PATIENT.encode()):
            client.post(f"/v1/predict?{PATIENT}={PATIENT}", content=word)
            client.post("/v1/predict", files={"clip": (f"{PATIENT}.dcm", word)}, headers={"traceparent": PATIENT, "X-Request-Id": PATIENT})

    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "internal_error" in told
    assert "Doe" not in told


def test_without_the_environment_no_sdk_is_loaded_and_no_span_recorded() -> None:
    program = SEND_ONE + "import sys; print(sorted(name for name in sys.modules if name.startswith('opentelemetry.sdk')))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)

    assert (run.returncode, run.stdout) == (0, "[]\n")


def test_traces_that_cannot_be_sent_are_told_and_stop_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.INFO):
        tracing.set_up_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})

    assert caplog.messages == ['Traces are asked for, and what sends them is not installed: pip install "seashore[otel]"']


@pytest.mark.skipif(find_spec("opentelemetry.exporter.otlp") is None, reason="the OTLP exporter (extra otel) is not installed")
def test_a_collector_gets_the_spans_under_our_name() -> None:
    bodies: list[bytes] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            bodies.append(self.path.encode() + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        run = subprocess.run([sys.executable, "-c", SEND_ONE], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        server.shutdown()

    assert run.returncode == 0, run.stderr
    (body,) = bodies
    assert body.startswith(b"/v1/traces")
    assert b"seashore" in body
    assert b"reading" in body
