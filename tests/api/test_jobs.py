"""Jobs over HTTP, with the real ledger (SQLite) and a reader whose answers can be told from the clip."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.engine.turn import Lane
from service.errors import EngineFailed
from service.jobs.feedback import FEEDBACK, KEPT_CLIPS
from service.jobs.office import JobOffice
from service.settings import Settings
from tests.fakes.service import PATIENT, WordReader, is_ready, serving, wait_until


def hand_in(client: httpx.Client, word: str, query: str = "") -> dict[str, Any]:
    response = client.post(f"/v1/jobs{query}", content=word.encode())
    assert response.status_code in (200, 202), response.text
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
    return dict(response.json())


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    assert wait_until(lambda: client.get(f"/v1/jobs/{id}").json()["state"] not in ("queued", "running"), 10)
    return dict(client.get(f"/v1/jobs/{id}").json())


def test_a_clip_handed_in_is_read_and_its_answer_is_the_one_of_predict(client: httpx.Client) -> None:
    job = hand_in(client, "absent")
    done = ended(client, job["id"])
    answer = client.get(done["result"]).json()
    direct = client.post("/v1/predict", content=b"absent").json()

    assert (done["state"], done["verdict"], done["problem"]) == ("done", "absent", None)
    assert answer["id"] == job["id"]
    assert answer["lung_sliding"] == direct["lung_sliding"]
    assert answer["windows"] == direct["windows"]


def test_a_job_that_is_awaited_goes_before_those_that_are_not(client: httpx.Client, reader: WordReader) -> None:
    slow = hand_in(client, "slow")  # max_background is 1: whatever comes after it waits
    assert reader.started.wait(10)
    unattended, awaited = hand_in(client, "absent"), hand_in(client, "present", "?awaited=true")

    assert ended(client, awaited["id"])["verdict"] == "present"
    assert client.get(f"/v1/jobs/{unattended['id']}").json()["state"] == "queued"
    reader.release()
    assert ended(client, slow["id"])["state"] == "done"
    assert reader.lanes == [Lane.BACKGROUND, Lane.INTERACTIVE]


def test_awaited_is_true_or_false(client: httpx.Client) -> None:
    refused = client.post("/v1/jobs?awaited=soon", content=b"present")

    assert (refused.status_code, refused.json()["detail"]) == (422, "awaited is 'soon'; it can be true or false.")


def test_the_same_clip_is_the_same_job_and_is_read_once(client: httpx.Client, reader: WordReader) -> None:
    first = hand_in(client, "present")
    ended(client, first["id"])
    again = client.post("/v1/jobs", content=b"present")

    assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, first["id"], "done")
    assert len(reader.read_options) == 1


def test_other_options_are_another_job(client: httpx.Client) -> None:
    assert hand_in(client, "present")["id"] != hand_in(client, "present", "?saliency=none")["id"]


def test_every_form_of_the_answer_can_be_fetched(client: httpx.Client) -> None:
    id = ended(client, hand_in(client, "present")["id"])["id"]
    annotated = client.get(f"/v1/jobs/{id}/result", headers={"accept": "video/mp4"})
    arrays = client.get(f"/v1/jobs/{id}/result", headers={"accept": "application/x-npz"})
    dicom = client.get(f"/v1/jobs/{id}/result", headers={"accept": "application/dicom"})

    assert annotated.content == b"annotated present"
    assert arrays.content[:2] == b"PK"
    assert (dicom.status_code, dicom.json()["code"]) == (406, "not_acceptable")
    assert dicom.json()["detail"].startswith("The structured report (application/dicom) is made of DICOM objects alone")


def test_a_clip_that_cannot_be_read_is_the_problem_that_predict_answers(client: httpx.Client) -> None:
    job = ended(client, hand_in(client, "unreadable_clip")["id"])
    result = client.get(f"/v1/jobs/{job['id']}/result")

    assert (job["state"], job["problem"]["code"], job["result"]) == ("failed", "unreadable_clip", None)
    assert (result.status_code, result.json()) == (422, job["problem"])
    assert result.headers["content-type"] == "application/problem+json"


def test_a_job_that_failed_because_of_us_starts_again_when_it_is_handed_in_again(client: httpx.Client, reader: WordReader) -> None:
    job = ended(client, hand_in(client, EngineFailed.code)["id"])
    again = ended(client, hand_in(client, EngineFailed.code)["id"])

    assert job["problem"]["status"] == 503
    assert again["id"] == job["id"]
    assert len(reader.read_options) == 2


def test_a_bug_is_told_without_what_it_says(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    job = ended(client, hand_in(client, "bug")["id"])

    assert (job["state"], job["problem"]["code"]) == ("failed", "internal_error")
    assert PATIENT not in json.dumps(job) + caplog.text
    assert "internal_error: ZeroDivisionError" in caplog.text


def test_a_job_is_followed_to_its_end(client: httpx.Client, reader: WordReader) -> None:
    id = hand_in(client, "slow")["id"]
    assert reader.started.wait(5)
    assert wait_until(lambda: client.get(f"/v1/jobs/{id}").json()["progress"]["share"] == 0.5)
    events: list[tuple[str, dict[str, Any]]] = []
    with client.stream("GET", f"/v1/jobs/{id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
                reader.release()

    assert stream.headers["content-type"].startswith("text/event-stream")
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["done"]
    assert events[0][1]["progress"] == {"share": 0.5, "stage": "model"}
    assert events[-1][1]["verdict"] == "present"


def test_a_result_is_not_there_before_its_time(client: httpx.Client, reader: WordReader) -> None:
    id = hand_in(client, "slow")["id"]
    assert reader.started.wait(5)
    response = client.get(f"/v1/jobs/{id}/result")

    assert (response.status_code, response.json()["code"]) == (409, "job_not_done")
    assert response.json()["detail"] == f"The job is running; GET /v1/jobs/{id} tells when it is done."


def test_a_deleted_job_is_stopped_and_nothing_of_it_is_left(client: httpx.Client, reader: WordReader, tmp_path: Path) -> None:
    id = hand_in(client, "slow")["id"]
    assert reader.started.wait(5)
    folder = tmp_path / "data" / "jobs" / id
    assert folder.is_dir()
    assert client.delete(f"/v1/jobs/{id}").status_code == 204

    assert reader.stopped.wait(5)
    assert not folder.exists()
    assert client.get(f"/v1/jobs/{id}").status_code == 404
    assert client.delete(f"/v1/jobs/{id}").json()["detail"] == f"There is no job '{id}'. It may have been deleted, or its time is over."


def test_an_address_that_is_no_job_is_not_looked_for(client: httpx.Client, tmp_path: Path) -> None:
    response = client.get("/v1/jobs/..%2F..%2Fsecret/result")

    assert response.status_code == 404
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_what_a_clinician_says_of_an_answer_is_kept_when_the_job_is_gone(client: httpx.Client, tmp_path: Path) -> None:
    id = ended(client, hand_in(client, "absent")["id"])["id"]
    said = client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "disagree", "note": "A lung point, I think."})
    client.delete(f"/v1/jobs/{id}")
    kept = json.loads((tmp_path / "data" / FEEDBACK).read_text())

    assert said.status_code == 204
    assert (kept["opinion"], kept["note"], kept["verdict"]) == ("disagree", "A lung point, I think.", "absent")
    assert client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "agree"}).status_code == 404


def test_an_opinion_that_is_none_is_refused(client: httpx.Client) -> None:
    id = ended(client, hand_in(client, "absent")["id"])["id"]
    response = client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "maybe"})

    assert (response.status_code, response.json()["code"]) == (422, "bad_option")


def test_what_was_seen_is_kept_with_the_region_that_was_asked_about(client: httpx.Client, tmp_path: Path) -> None:
    id = ended(client, hand_in(client, "absent", "?region=10,20+90,20+90,60")["id"])["id"]
    said = client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "disagree", "sign": "lung_point"})
    kept = json.loads((tmp_path / "data" / FEEDBACK).read_text())

    assert said.status_code == 204
    assert (kept["sign"], kept["label"]) == ("lung_point", "lung_point")
    assert kept["region"] == "10.0,20.0 90.0,20.0 90.0,60.0"


def test_an_opinion_that_contradicts_itself_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    id = ended(client, hand_in(client, "absent")["id"])["id"]
    response = client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "agree", "sign": "present"})

    sentence = "The verdict is absent; the opinion agree and the sign present contradict each other."
    assert (response.status_code, response.json()["detail"]) == (422, sentence)
    assert not (tmp_path / "data" / FEEDBACK).exists()


def test_the_clip_of_an_opinion_goes_with_its_job_unless_the_site_keeps_it(client: httpx.Client, tmp_path: Path) -> None:
    id = ended(client, hand_in(client, "absent")["id"])["id"]
    client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "agree"})

    assert not (tmp_path / "data" / KEPT_CLIPS).exists()


def test_a_clip_kept_for_its_opinion_outlives_its_job_and_goes_when_that_is_deleted(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path, keep_feedback_clips=True) as client:
        assert is_ready(client)
        id = ended(client, hand_in(client, "absent")["id"])["id"]
        for _ in range(2):
            assert client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "agree"}).status_code == 204
        office = JobOffice.furnish(Settings(data_dir=tmp_path), reader)
        assert office.sweep(datetime.now(UTC) + timedelta(hours=25)) == 1
        office.ledger.close()

        assert client.get(f"/v1/jobs/{id}").status_code == 404
        assert (tmp_path / KEPT_CLIPS / id).read_bytes() == b"absent"
        assert client.delete(f"/v1/jobs/{id}").status_code == 204
        assert not (tmp_path / KEPT_CLIPS / id).exists()
        assert client.delete(f"/v1/jobs/{id}").status_code == 404


def test_a_kept_clip_goes_with_a_job_that_is_deleted_in_its_time(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path, keep_feedback_clips=True) as client:
        assert is_ready(client)
        id = ended(client, hand_in(client, "absent")["id"])["id"]
        client.post(f"/v1/jobs/{id}/feedback", json={"opinion": "agree"})
        assert (tmp_path / KEPT_CLIPS / id).exists()
        client.delete(f"/v1/jobs/{id}")

        assert not (tmp_path / KEPT_CLIPS / id).exists()
        assert client.get(f"/v1/jobs/{id}").status_code == 404


def test_a_job_is_done_by_the_next_process_when_one_stops(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path) as client:
        assert is_ready(client)
        id = hand_in(client, "slow")["id"]
        assert reader.started.wait(5)
    assert reader.stopped.wait(5)
    reader.release()
    with serving(reader, data_dir=tmp_path) as client:
        assert is_ready(client)
        assert ended(client, id)["verdict"] == "present"


def test_a_service_without_jobs_says_so(reader: WordReader) -> None:
    with serving(reader) as client:
        response = client.post("/v1/jobs", content=b"present")

    assert response.status_code == 404
    assert response.json()["detail"].startswith("This service takes no jobs (SEASHORE_JOBS is off).")
