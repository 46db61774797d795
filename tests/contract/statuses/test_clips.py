"""What is said of a clip that is sent, and of a job on its way, by a service that has time and room."""

from pathlib import Path

import pytest

from service.api import frames
from tests.contract.statuses.asking import Asked, answers, begun, expected, jobs_of
from tests.fakes.service import WordReader, is_ready, serving

PREDICTED = tuple(
    asked
    for name in ("predict", "predict_unversioned")
    for asked in (
        Asked(name, 200),
        Asked(name, 400, changes={"content": b""}),
        Asked(name, 404, changes={"params": {"model": "other"}}),
        Asked(name, 406, changes={"headers": {"accept": "text/csv"}}),
        Asked(name, 415, changes={"content": b"unsupported_format"}),
        Asked(name, 422, changes={"content": b"clip_too_long"}),
        Asked(name, 422, changes={"params": {"saliency": "pretty"}}),
        Asked(name, 503, changes={"content": b"engine_failed"}),
    )
)
TOO_LARGE = tuple(Asked(name, 413, changes={"content": b"presents"}) for name in ("predict", "predict_unversioned", "create_job"))
HANDED_IN = (
    Asked("create_job", 200),
    Asked("create_job", 202, changes={"content": b"absent"}),
    Asked("create_job", 400, changes={"content": b""}),
    Asked("create_job", 404, changes={"params": {"model": "other"}}),
    Asked("create_job", 422, changes={"params": {"saliency": "pretty"}}),
    Asked("job", 200, "read"),
    Asked("job_events", 200, "read"),
    Asked("job_result", 200, "read"),
    Asked("job_result", 406, "read", {"headers": {"accept": "text/csv"}}),
    Asked("job_result", 409, "slow"),
    Asked("job_result", 415, "foreign"),
    Asked("job_result", 422, "damaged"),
    Asked("job_result", 422, "outside"),
    Asked("job_result", 500, "broken"),
    Asked("job_result", 503, "unread"),
    Asked("job_feedback", 204, "read"),
    Asked("job_feedback", 409, "damaged"),
    Asked("job_feedback", 422, "read", {"json": {"opinion": "?"}}),
    Asked("job_frames", 200, "read"),
    Asked("job_frames", 202, "slow"),
    Asked("job_frames", 415, "foreign"),
    Asked("job_frames", 422, "damaged"),
    Asked("job_frames_data", 200, "read"),
    Asked("job_frames_data", 206, "read", {"headers": {"range": "bytes=0-9"}}),
    Asked("job_frames_data", 415, "foreign"),
    Asked("job_frames_data", 416, "read", {"headers": {"range": "bytes=999999999-"}}),
    Asked("job_frames_data", 422, "damaged"),
    Asked("job_mmode", 200, "read"),
    Asked("job_mmode", 415, "foreign"),
    Asked("job_mmode", 422, "damaged"),
    Asked("job_mmode", 422, "read", {"params": {"from": "1,1"}}),
    Asked("delete_job", 204, "read"),
)
WORDS = {
    "read": "present",
    "damaged": "unreadable_clip",
    "foreign": "unsupported_format",
    "outside": "bad_option",
    "broken": "bug",
    "unread": "engine_failed",
}
OF_A_JOB = ("job", "delete_job", "job_events", "job_result", "job_feedback", "job_frames", "job_frames_data", "job_mmode")
OF_NO_JOB = tuple(Asked(name, 404) for name in OF_A_JOB)


def test_a_clip_is_answered_at_once() -> None:
    with serving(WordReader()) as client:
        assert is_ready(client)
        assert answers(client, PREDICTED) == expected(PREDICTED)


def test_a_clip_that_is_too_large_is_not_taken(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path, max_upload_bytes=7) as client:
        assert is_ready(client)
        assert answers(client, TOO_LARGE) == expected(TOO_LARGE)


def test_a_job_is_followed_from_its_clip_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "WAIT_S", 0.2)
    reader = WordReader()
    with serving(reader, data_dir=tmp_path) as client:
        assert is_ready(client)
        jobs = jobs_of(client, WORDS) | {"slow": begun(client, "slow")}

        assert answers(client, HANDED_IN, jobs) == expected(HANDED_IN)
        reader.release()


def test_a_job_that_there_is_not_is_unknown(tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path) as client:
        assert is_ready(client)
        assert answers(client, OF_NO_JOB) == expected(OF_NO_JOB)
