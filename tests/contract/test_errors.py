"""Every error has one status, one stable code, and a sentence that reaches the caller and holds nothing it must not."""

import logging
import re
from pathlib import Path

import pytest

from service import errors
from service.api.problems import HTTP_KINDS, KINDS, problem_of
from tests.fakes.service import PATIENT, WordReader, all_errors, serving

STATUSES = {
    "empty_upload": 400,
    "upload_too_large": 413,
    "unsupported_format": 415,
    "no_video": 422,
    "unreadable_clip": 422,
    "wrong_modality": 422,
    "frame_too_large": 422,
    "frame_too_small": 422,
    "clip_too_long": 422,
    "bad_option": 422,
    "unknown_model": 404,
    "not_acceptable": 406,
    "unknown_job": 404,
    "job_not_done": 409,
    "no_such_clips": 404,
    "unauthenticated": 401,
    "forbidden": 403,
    "overloaded": 429,
    "stopping": 503,
    "deadline_exceeded": 504,
    "bad_bundle": 503,
    "engine_failed": 503,
    "ledger_unavailable": 503,
    "no_room": 507,
    "bad_keys": 503,
    "sign_on_failed": 503,
    "bad_site": 503,
    "no_archive": 501,
    "archive_failed": 502,
}
"""Public: a client branches on these."""


def test_every_error_has_a_status_and_no_status_is_left_over() -> None:
    assert set(KINDS) == set(all_errors())


def test_codes_and_statuses_are_the_published_ones() -> None:
    assert {kind.code: entry.status for kind, entry in KINDS.items()} == STATUSES


def test_codes_are_unique_and_not_those_of_http_itself() -> None:
    codes = [kind.code for kind in all_errors()]

    assert len(set(codes)) == len(codes)
    assert not set(codes) & set(HTTP_KINDS)


def test_the_tree_printed_in_the_module_is_the_tree() -> None:
    printed = re.findall(r"\+-- (\w+) +([a-z_]+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE)

    assert sorted(printed) == sorted((kind.__name__, kind.code) for kind in all_errors())


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_an_error_of_the_reader_is_answered_with_its_status_code_and_sentence(kind: type[errors.SeashoreError]) -> None:
    with serving(WordReader()) as client:
        response = client.post("/v1/predict", content=kind.code.encode())

    problem = response.json()
    assert response.status_code == STATUSES[kind.code]
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == kind.code
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:seashore:problem:{kind.code}"
    assert problem["detail"].startswith(f"This is the sentence of {kind.code}.")
    assert PATIENT not in response.text


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_an_error_raised_anew_says_the_same_and_keeps_no_trace(kind: type[errors.SeashoreError]) -> None:
    with pytest.raises(kind) as caught:
        raise kind("As it was.", retry_after_s=7, log_detail="why")
    anew, later = caught.value.anew(), caught.value.anew(retry_after_s=30)

    assert (type(anew), str(anew), anew.retry_after_s, anew.log_detail) == (kind, "As it was.", 7, "why")
    assert anew.__traceback__ is None
    assert later.retry_after_s == 30


def test_a_clip_that_is_too_long_is_told_where_long_clips_go() -> None:
    problem = problem_of(errors.ClipTooLong("The clip is longer than 120 s."))

    assert problem.detail == "The clip is longer than 120 s. Longer ones go to /v1/jobs."


def test_a_bug_is_a_bare_500_and_a_log_line_without_what_the_bug_quotes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="service"), serving(WordReader()) as client:
        response = client.post("/v1/predict", files={"clip": (f"{PATIENT}.mp4", b"bug")})
        afterwards = client.post("/v1/predict", content=b"present")

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "ZeroDivisionError" not in response.text
    assert "internal_error: ZeroDivisionError in read (service.py:" in caplog.text
    assert PATIENT not in caplog.text
    assert afterwards.status_code == 200


def test_an_address_that_does_not_take_a_method_names_all_that_it_takes(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        allowed = {path: client.options(path).headers["allow"] for path in ("/v1/jobs/7", "/v1/session", "/v1/jobs", "/healthz")}
        sentence = client.put("/v1/session").json()["detail"]

    assert allowed == {"/v1/jobs/7": "GET, DELETE", "/v1/session": "GET, POST, DELETE", "/v1/jobs": "POST", "/healthz": "GET"}
    assert sentence == "Use GET, POST, DELETE here, not PUT."


@pytest.mark.parametrize("body", [b"\xff\x4f", b"{", b"[1"])
def test_a_body_that_is_no_json_is_an_option_that_is_wrong(tmp_path: Path, body: bytes) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        response = client.post("/v1/session", content=body, headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (422, "bad_option")
    assert response.json()["detail"].startswith(("The body is not JSON.", "These do not have the form they need: "))


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "words"),
    [
        ("GET", "/nothing", 404, "not_found", "Clips go to POST /v1/predict"),
        ("POST", "/v1/jobs", 404, "not_found", "This service takes no jobs (SEASHORE_JOBS is off)."),
        ("GET", "/v1/jobs/7", 404, "not_found", "This service takes no jobs (SEASHORE_JOBS is off)."),
        ("GET", "/v1/predict", 405, "method_not_allowed", "Use POST here, not GET."),
        ("DELETE", "/predict", 405, "method_not_allowed", "Use POST here, not DELETE."),
    ],
)
def test_problems_of_http_itself_are_problems_too(method: str, path: str, status: int, code: str, words: str) -> None:
    with serving(WordReader()) as client:
        response = client.request(method, path)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert words in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"
