"""What stands around /v1/predict: health, metrics, models, the page, headers, and what the log does not say."""

import logging
import threading

import httpx
import pytest

from service.shelf import ModelEntry
from tests.fakes.service import PATIENT, WordReader, serving, wait_until


class LateReader(WordReader):
    """Loads its model when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_load = threading.Event()

    def load(self, entry: ModelEntry) -> None:
        self.may_load.wait(10)


def metric(client: httpx.Client, name: str) -> float:
    return next((float(line.split()[-1]) for line in client.get("/metrics").text.splitlines() if line.startswith(name)), 0.0)


def test_the_service_is_alive_before_it_is_ready() -> None:
    reader = LateReader()
    with serving(reader) as client:
        starting = client.get("/readyz")
        assert client.get("/healthz").json() == {"status": "ok"}
        assert (starting.status_code, starting.json()["code"]) == (503, "starting")
        assert starting.json()["detail"] == "The model is being loaded and checked."
        assert starting.headers["retry-after"] == "2"

        reader.may_load.set()
        assert wait_until(lambda: client.get("/readyz").json() == {"status": "ready"})


def test_a_broken_bundle_is_never_ready_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with serving(WordReader(broken_bundle=True)) as client:
        assert wait_until(lambda: client.get("/readyz").json()["code"] == "bad_bundle")
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["detail"] == "The model's golden clip is answered 0.31 here; 0.93 was expected."
    assert "golden.json" in caplog.text


def test_the_models_are_listed_with_the_default() -> None:
    with serving(WordReader()) as client:
        assert client.get("/v1/models").json()["models"] == [
            {"name": "resnet3d18-w16", "version": "0.1.0", "default": True, "loaded": True},
            {"name": "resnet3d18-w16", "version": "0.0.9", "default": False, "loaded": False},
        ]


def test_what_has_not_happened_yet_is_counted_as_0_so_that_its_first_time_is_a_rise() -> None:
    with serving(WordReader()) as client:
        text = client.get("/metrics").text

    assert 'seashore_requests_total{outcome="engine_failed"} 0.0' in text
    assert 'seashore_requests_total{outcome="internal_error"} 0.0' in text
    assert 'seashore_verdicts_total{verdict="not_assessable"} 0.0' in text
    assert 'seashore_quality_reasons_total{reason="probe_moving"} 0.0' in text


def test_metrics_count_outcomes_verdicts_and_stages() -> None:
    with serving(WordReader()) as client:
        for word in (b"present", b"absent", b"absent", b"unreadable_clip", b"bug"):
            client.post("/v1/predict", content=word)

        assert metric(client, 'seashore_requests_total{outcome="ok"}') == 3
        assert metric(client, 'seashore_requests_total{outcome="unreadable_clip"}') == 1
        assert metric(client, 'seashore_requests_total{outcome="internal_error"}') == 1
        assert metric(client, 'seashore_verdicts_total{verdict="absent"}') == 2
        assert metric(client, 'seashore_stage_seconds_count{stage="model"}') == 3
        assert metric(client, 'seashore_stage_seconds_sum{stage="model"}') == pytest.approx(3 * 0.310)
        assert metric(client, "seashore_upload_bytes_count") == 5


def test_no_name_of_a_file_reaches_the_log_or_the_metrics(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serving(WordReader()) as client:
        for word in (b"present", b"unreadable_clip", b"engine_failed"):
            client.post("/v1/predict", files={"clip": ("Roe^Richard.dcm", word)})
        metrics = client.get("/metrics").text

    assert "POST /v1/predict: 422 unreadable_clip in" in caplog.text
    assert "Roe" not in caplog.text + metrics
    assert f"engine_failed: This is the sentence of engine_failed. {PATIENT}" in caplog.text  # log_detail is for the log


def test_the_page_is_whole_and_asks_nobody_else() -> None:
    with serving(WordReader()) as client:
        page = client.get("/")
        files = [client.get(f"/web/{name}") for name in ("app.js", "charts.js", "words.js", "style.css", "icon.svg")]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [response.status_code for response in files] == [200] * 5
    for text in [page.text, *(response.text.replace("http://www.w3.org/2000/svg", "") for response in files)]:
        assert "http://" not in text
        assert "https://" not in text
    assert "<script>" not in page.text
    assert "style=" not in page.text


@pytest.mark.parametrize("path", ["/", "/web/app.js", "/v1/models", "/nothing", "/openapi.json"])
def test_every_answer_carries_the_headers_that_keep_it_safe(path: str) -> None:
    with serving(WordReader()) as client:
        headers = client.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
