"""Every request has an id and one line in the log, in which nothing is the caller's own words."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.logs import JsonLines
from tests.fakes.service import PATIENT, WordReader, is_ready, serving, serving_everything, wait_until

UUID = "0190d3c4-7e1a-7c3b-9a50-1f2e3d4c5b6a"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Lines(logging.Handler):
    """What a service wrote, as JSON, while this listened."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonLines())
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"

    def of(self, logger: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, self.text.splitlines()) if line["logger"] == logger]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_request_is_one_line_that_says_what_became_of_it(lines: Lines) -> None:
    with serving(WordReader()) as client:
        client.post("/v1/predict?saliency=none", content=b"unreadable_clip", headers={"X-Request-Id": UUID})

    (line,) = [line for line in lines.of("service.api.request_log") if line["route"] == "/v1/predict"]

    assert line.pop("milliseconds") > 0  # type: ignore[operator]
    assert line.pop("sent_bytes") > 100  # type: ignore[operator]
    assert {name: line[name] for name in ("method", "status", "outcome", "received_bytes", "request", "owner")} == {
        **{"method": "POST", "status": 422, "outcome": "unreadable_clip", "received_bytes": 15},
        **{"request": UUID, "owner": "local"},
    }


@pytest.mark.parametrize(
    ("headers", "id"),
    [
        ({"X-Request-Id": UUID}, UUID),
        ({"X-Request-Id": "01JDQ8Z4X5Y6T7R8M9N0P1Q2S3"}, "01JDQ8Z4X5Y6T7R8M9N0P1Q2S3"),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"X-Request-Id": UUID, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, UUID),
    ],
    ids=["a UUID", "a ULID", "a trace", "both"],
)
def test_a_callers_id_is_taken_and_answered(headers: dict[str, str], id: str) -> None:
    with serving(WordReader()) as client:
        assert client.get("/v1/models", headers=headers).headers["x-request-id"] == id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Request-Id": PATIENT},
        {"X-Request-Id": "20260102001"},
        {"X-Request-Id": UUID + "\t x"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
    ],
    ids=["none", "a name", "an accession number", "more than an id", "no trace"],
)
def test_what_has_not_the_form_of_an_id_is_not_repeated(headers: dict[str, str]) -> None:
    with serving(WordReader()) as client:
        answered = client.get("/v1/models", headers=headers).headers["x-request-id"]

    assert re.fullmatch("[0-9a-f]{32}", answered)
    assert answered not in str(headers)


def test_the_lines_of_the_thread_that_reads_say_whose_request_it_is(lines: Lines) -> None:
    class Telling(WordReader):
        def open(self, path: Path, *, unhurried: bool = False):  # type: ignore[no-untyped-def]
            logging.getLogger("reading").warning("a reader process was lost")
            return super().open(path, unhurried=unhurried)

    with serving(Telling()) as client:
        client.post("/v1/predict", content=b"present", headers={"X-Request-Id": UUID})

    (line,) = lines.of("reading")
    assert (line["request"], line["owner"]) == (UUID, "local")


def test_the_lines_of_a_job_say_which_and_whose_it_is(lines: Lines, tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        job = client.post("/v1/jobs", content=b"bug", headers={"X-Request-Id": UUID}).json()["id"]
        assert wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "failed", 60)

    (taken,) = lines.of("service.api.jobs")
    (failed,) = lines.of("service.jobs.reading")
    assert (taken["request"], taken["owner"]) == (UUID, "local")
    assert (failed["job"], failed["owner"]) == (job, "local")
    assert "ZeroDivisionError" in str(failed["message"])


def test_a_failure_that_the_administrator_sees_has_the_id_of_its_line_in_the_log() -> None:
    with serving(WordReader()) as client:
        client.post("/v1/predict", content=b"engine_failed", headers={"X-Request-Id": UUID})
        client.post("/v1/predict", content=b"bug", headers={"X-Request-Id": TRACE})
        failures = client.get("/v1/node").json()["failures"]

    assert [(failure["code"], failure["request"]) for failure in failures] == [("internal_error", TRACE), ("engine_failed", UUID)]


def test_what_is_asked_every_few_seconds_is_told_only_to_whoever_debugs(lines: Lines) -> None:
    with serving(WordReader(broken_bundle=True)) as client:
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "bad_bundle")
        client.get("/healthz")

    told = lines.of("service.api.request_log")
    assert {line["level"] for line in told if line["route"] == "/healthz"} == {"debug"}
    assert [line["level"] for line in told if line["outcome"] == "bad_bundle"][-1] == "info"


def test_nothing_that_a_caller_writes_reaches_log_metrics_or_problems(lines: Lines, tmp_path: Path) -> None:
    """A name in every place that a caller can write in: address, query, headers, method, form, body, job."""
    with serving_everything(WordReader(), tmp_path) as client:
        assert is_ready(client)
        quoted = [*_told_in_addresses(client, PATIENT)]
        answers = [answer.text for answer in _told_in_bodies_and_headers(client, PATIENT)]
        metrics = client.get("/metrics").text
        node = client.get("/v1/node").text

    assert len(lines.of("service.api.request_log")) >= len(quoted) + len(answers)
    assert any(PATIENT in answer.text for answer in quoted)  # to whoever misspelt an option it is quoted, and to nobody else
    for text in (metrics, node, *answers, *_without_details(lines)):
        assert "Doe" not in text
        assert "Jane" not in text


def _told_in_addresses(client: httpx.Client, name: str) -> Iterator[httpx.Response]:
    yield client.get(f"/{name}")
    yield client.post("/v1/predict", content=b"present", headers={"Accept": name})
    yield client.get(f"/v1/jobs/{name}")
    yield client.get(f"/v1/jobs/{name}/frames?from={name}")
    yield client.get(f"/web/{name}.js")
    yield client.request(name.upper().replace("^", "-"), "/v1/predict")
    yield client.post(f"/v1/predict?{name}={name}", content=b"present")
    yield client.post(f"/v1/predict?model={name}&region={name}", content=b"present")
    yield client.post("/v1/predict", files={name: (f"{name}.dcm", b"present")})
    yield client.post("/v1/jobs/0/feedback", json={"opinion": name, "note": name})


def _told_in_bodies_and_headers(client: httpx.Client, name: str) -> Iterator[httpx.Response]:
    yield client.post("/v1/predict", content=name.encode())
    yield client.post("/v1/predict", content=b"bug")
    yield client.post("/v1/predict", files={"clip": (f"{name}.dcm", b"unreadable_clip")})
    yield client.post("/v1/predict", content=b"x", headers={"content-type": f"multipart/form-data; boundary={name}"})
    yield client.post("/v1/jobs", content=b"bug")
    yield client.post("/v1/session", json={"key": name})
    yield client.post("/dicom-web/studies", content=name.encode(), headers={"content-type": f"multipart/related; boundary={name}"})
    headers = ("X-Request-Id", "traceparent", "User-Agent", "Referer", "Authorization", "Cookie", "tracestate", "X-Forwarded-For")
    for header in headers:
        yield client.post("/v1/predict", content=b"present", headers={header: name})


def _without_details(lines: Lines) -> list[str]:
    """httpx, which is the test's own client, repeats its addresses."""
    return [line for line in lines.text.splitlines() if not json.loads(line)["logger"].startswith(("httpx", "httpcore"))]
