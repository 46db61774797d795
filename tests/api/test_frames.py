"""A job's frames and M-modes over HTTP: drawn once, there while the job is, and frame by frame the clip."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from service.api.frames import is_within
from service.jobs.rendition import FRAMES, FRAMES_INDEX
from tests.fakes.service import WordReader, is_ready, problem, serving, wait_until

LINE = {"from": "10,4", "to": "10,40"}
FORM = "Write both as 'x,y', in pixels of the clip's frame."


def hand_in(client: httpx.Client, word: str) -> str:
    """The clip's job, by its address."""
    response = client.post("/v1/jobs", content=word.encode())
    assert response.status_code in (200, 202), response.text
    return response.headers["location"]


def ended(client: httpx.Client, job: str) -> str:
    assert wait_until(lambda: client.get(job).json()["state"] not in ("queued", "running"), 10)
    return job


def folder_of(job: str, tmp_path: Path) -> Path:
    return tmp_path / "data" / "jobs" / job.rpartition("/")[2]


def grey(jpeg: bytes) -> int:
    """Of a frame that is all of one grey."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    return round(float(picture.mean()))


def test_every_frame_lies_where_the_index_says(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    index = client.get(f"{job}/frames").json()
    data = client.get(f"{job}/frames/data")
    begin, middle, end = index["offsets"]

    assert {name: index[name] for name in ("width", "height", "duration_s", "times_s")} == {
        **{"width": 64, "height": 48, "duration_s": 1.0, "times_s": [0.0, 0.5]}
    }
    assert data.headers["content-type"] == "application/octet-stream"
    assert (begin, end) == (0, len(data.content))
    assert (grey(data.content[begin:middle]), grey(data.content[middle:end])) == (0, 255)


def test_one_frame_can_be_fetched_alone(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    _, middle, end = client.get(f"{job}/frames").json()["offsets"]
    part = client.get(f"{job}/frames/data", headers={"range": f"bytes={middle}-{end - 1}"})
    rest = client.get(f"{job}/frames/data", headers={"range": f"bytes={middle}-"})

    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {middle}-{end - 1}/{end}")
    assert part.headers["accept-ranges"] == "bytes"
    assert grey(part.content) == grey(rest.content) == 255


def test_bytes_that_are_not_there_are_a_problem(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    size = client.get(f"{job}/frames").json()["offsets"][-1]
    beyond = client.get(f"{job}/frames/data", headers={"range": f"bytes={size}-"})

    assert problem(beyond) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{size}"
    assert beyond.json()["detail"] == f"The frames have {size} bytes; Range asks for one run of them, 'bytes=FIRST-LAST'."


@pytest.mark.parametrize(
    ("asked", "is_there"),
    [
        (None, True),
        *[(text, True) for text in ("bytes=0-0", "bytes=0-9", "bytes=9-", "bytes=0-99", "bytes=-1", "bytes=-99", "bytes= 0 - 9")],
        *[(text, False) for text in ("bytes=10-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "0-1", "bytes=a-b")],
        (f"bytes={'9' * 5000}-", False),
    ],
)
def test_which_ranges_of_ten_bytes_are_there(asked: str | None, is_there: bool) -> None:
    assert is_within(asked, 10) is is_there


def test_the_frames_are_there_before_the_answer_is(tmp_path: Path) -> None:
    """Of a service whose model cannot be loaded, too."""
    with serving(WordReader(broken_bundle=True), data_dir=tmp_path) as client:
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "bad_bundle")
        job = hand_in(client, "present")

        assert client.get(f"{job}/frames").status_code == 200


def test_the_frames_are_drawn_once_and_kept_with_the_job(client: httpx.Client, reader: WordReader, tmp_path: Path) -> None:
    job = hand_in(client, "present")
    assert reader.num_rendered == 0
    indexes = [client.get(f"{job}/frames").json() for _ in range(2)]
    client.get(f"{job}/frames/data")
    kept = {path.name for path in folder_of(job, tmp_path).iterdir()}

    assert reader.num_rendered == 1
    assert indexes[0] == indexes[1] == json.loads((folder_of(job, tmp_path) / FRAMES_INDEX).read_text())
    assert kept >= {FRAMES, FRAMES_INDEX}
    assert not [name for name in kept if name.endswith(".part")]
    ended(client, job)
    client.delete(job)
    assert not folder_of(job, tmp_path).exists()


def test_many_who_ask_at_once_have_them_drawn_once(client: httpx.Client, reader: WordReader) -> None:
    job = hand_in(client, "slow")
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(client.get, f"{job}/frames") for _ in range(6)]
        assert wait_until(lambda: reader.num_rendered > 0)
        assert client.get("/readyz").status_code == 200
        reader.release()
        answers = [ask.result() for ask in asked]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert reader.num_rendered == 1


def test_who_waits_for_a_clips_frames_keeps_nobody_else_out(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path, max_concurrent=2, max_queued=0) as client, ThreadPoolExecutor(6) as threads:
        assert is_ready(client)
        job = hand_in(client, "slow")
        asked = [threads.submit(client.get, f"{job}/frames") for _ in range(6)]
        assert wait_until(lambda: reader.num_rendered > 0)
        beside = client.post("/v1/predict", content=b"present")
        reader.release()

        assert {ask.result().status_code for ask in asked} == {200}
        assert beside.status_code == 200


def test_frames_that_take_longer_than_a_request_may_are_there_later(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path, deadline_s=0.3) as client:
        assert is_ready(client)
        job = hand_in(client, "slow")
        first, second = client.get(f"{job}/frames"), client.get(f"{job}/frames/data")
        reader.release()

        assert (first.status_code, first.json()["share"] < 1, first.headers["retry-after"]) == (202, True, "1")
        assert problem(second) == (504, "deadline_exceeded")
        assert second.headers["retry-after"] == "5"
        assert second.json()["detail"] == "The frames were not drawn within 0.3 s. It goes on: ask again in 5 s."
        assert wait_until(lambda: client.get(f"{job}/frames").status_code == 200)
    assert reader.num_rendered == 1


def test_it_is_said_how_far_the_drawing_is(client: httpx.Client, reader: WordReader) -> None:
    job = hand_in(client, "slow")
    first = client.get(f"{job}/frames")
    reader.release()

    assert (first.status_code, first.headers["retry-after"]) == (202, "1")
    assert 0 <= first.json()["share"] < 1
    assert wait_until(lambda: client.get(f"{job}/frames").status_code == 200)
    assert reader.num_rendered == 1


def test_frames_looked_at_longest_ago_are_forgotten_above_the_limit_and_drawn_again(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path / "data", max_frames_bytes=1) as client:
        assert is_ready(client)
        old, lately, new = (hand_in(client, word) for word in ("present", "absent", "still"))
        for job in (old, lately):
            assert client.get(f"{job}/frames").status_code == 200
        os.utime(folder_of(old, tmp_path) / FRAMES_INDEX, (0, 0))
        size = client.get(f"{new}/frames").json()["offsets"][-1]

        kept = [job for job in (old, lately, new) if (folder_of(job, tmp_path) / FRAMES).exists()]
        assert kept == [lately, new]  # whatever they take: somebody looks at them
        assert client.get(f"{old}/frames").status_code == 200
        assert len(client.get(f"{new}/frames/data").content) == size


def test_a_decoder_that_stands_still_is_given_up(reader: WordReader, tmp_path: Path) -> None:
    with serving(reader, data_dir=tmp_path, deadline_s=0.3, max_seconds=0.5, max_job_seconds=0.5) as client:
        assert is_ready(client)
        job = hand_in(client, "slow")
        client.get(f"{job}/frames")

        assert wait_until(lambda: client.get(f"{job}/frames").status_code == 504 and reader.num_rendered == 2)
        reader.release()


def test_a_job_that_is_deleted_while_its_frames_are_drawn_leaves_nothing(client: httpx.Client, reader: WordReader, tmp_path: Path) -> None:
    job = hand_in(client, "slow")
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.get, f"{job}/frames")
        assert wait_until(lambda: reader.num_rendered > 0)
        client.delete(job)
        answer = asked.result()

    assert problem(answer) == (404, "unknown_job")
    assert answer.json()["detail"] == "The clip of this job is not here any more: it was deleted, or its time is over."
    assert wait_until(lambda: not folder_of(job, tmp_path).exists())


@pytest.mark.parametrize("picture", ["frames", "frames/data", "mmode?from=10,4&to=10,40"])
def test_a_job_that_is_none_is_told_as_everywhere(client: httpx.Client, picture: str) -> None:
    for id in ("0" * 32, "..%2F..%2Fsecret"):
        response = client.get(f"/v1/jobs/{id}/{picture}")

        assert response.status_code == 404
    assert problem(client.get(f"/v1/jobs/{'0' * 32}/{picture}")) == (404, "unknown_job")


@pytest.mark.parametrize("picture", ["frames", "frames/data", "mmode?from=10,4&to=10,40"])
def test_a_clip_that_cannot_be_decoded_is_the_problem_of_its_result(client: httpx.Client, picture: str, tmp_path: Path) -> None:
    job = ended(client, hand_in(client, "unreadable_clip"))
    response = client.get(f"{job}/{picture}")

    assert problem(response) == (422, "unreadable_clip")
    assert response.json() == client.get(f"{job}/result").json()
    assert [path.name for path in folder_of(job, tmp_path).iterdir() if "frames" in path.name] == []


def test_an_m_mode_is_a_column_a_frame_and_a_row_a_pixel(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    response = client.get(f"{job}/mmode", params=LINE)
    picture = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)

    assert response.headers["content-type"] == "image/png"
    assert picture is not None
    assert (picture.dtype, picture.shape) == (np.uint8, (37, 2))
    assert [set(picture[:, frame].tolist()) for frame in (0, 1)] == [{0}, {255}]


def test_a_line_may_end_a_frame_outside_where_it_is_black(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    response = client.get(f"{job}/mmode", params={"from": "10,-48", "to": "10,96"})
    picture = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)

    assert picture is not None
    assert picture[:, 1].tolist() == [0] * 48 + [255] * 48 + [0] * 49


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, f"from is missing: an M-mode needs both ends of its line, from and to. {FORM}"),
        ({"from": "10,4"}, f"to is missing: an M-mode needs both ends of its line, from and to. {FORM}"),
        ({"from": "10", "to": "10,40"}, f"from is '10', which is not a point. {FORM}"),
        ({"from": "10,4", "to": "10,4,7"}, f"to is '10,4,7', which is not a point. {FORM}"),
        ({"from": "10,4", "to": "10,nan"}, f"to is '10,nan'; a coordinate may be 16384 px at most. {FORM}"),
        ({"from": "10,4", "to": "1e9,4"}, f"to is '1e9,4'; a coordinate may be 16384 px at most. {FORM}"),
        ({"from": "10,4", "to": "10,11.5"}, "The line is 7.5 px long; an M-mode needs at least 8 px."),
        ({"from": "10,4", "to": "129,4"}, f"The line ends at 129,4, far outside the clip's frame of 64 x 48 px. {FORM}"),
        ({"from": "10,-49", "to": "10,40"}, f"The line ends at 10,-49, far outside the clip's frame of 64 x 48 px. {FORM}"),
        ({"from": "10,4", "to": "10,40", "until": "1"}, "There is no option 'until'; the options are from, to."),
    ],
)
def test_a_line_that_is_none_is_refused_in_a_sentence(client: httpx.Client, query: dict[str, Any], sentence: str) -> None:
    response = client.get(f"{hand_in(client, 'present')}/mmode", params=query)

    assert problem(response) == (422, "bad_option")
    assert response.json()["detail"] == sentence


def test_an_m_mode_that_nobody_waits_for_any_more_is_let_go_of(client: httpx.Client, reader: WordReader) -> None:
    job = hand_in(client, "slow")
    with pytest.raises(httpx.ReadTimeout):
        client.get(f"{job}/mmode", params=LINE, timeout=0.5)

    assert wait_until(lambda: "seashore_readings_pending 0.0" in client.get("/metrics").text)


def test_what_pictures_cost_is_counted(client: httpx.Client) -> None:
    job = hand_in(client, "present")
    client.get(f"{job}/frames")
    client.get(f"{job}/mmode", params=LINE)
    metrics = client.get("/metrics").text

    assert 'seashore_stage_seconds_count{stage="frames"} 1.0' in metrics
    assert 'seashore_stage_seconds_count{stage="mmode"} 1.0' in metrics
