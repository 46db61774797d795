"""POST /v1/predict over real HTTP, in front of a reader whose answers are written in the clip."""

import base64
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from service.api.schemas import INTENDED_USE
from service.pipeline import Options, Rows
from service.reading import Saliency
from tests.fakes.service import WordReader, serving


@pytest.fixture(scope="module")
def reader() -> WordReader:
    return WordReader()


@pytest.fixture(scope="module")
def client(reader: WordReader) -> Iterator[httpx.Client]:
    with serving(reader) as client:
        yield client


def answer(client: httpx.Client, word: str, **options: str) -> dict[str, Any]:
    response = client.post("/v1/predict", content=word.encode(), params=options)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_the_clip_comes_as_a_form_field_or_as_the_body_at_both_addresses(client: httpx.Client) -> None:
    for path in ("/predict", "/v1/predict"):
        as_form = client.post(path, files={"clip": ("any name", b"absent", "text/plain")})
        as_body = client.post(path, content=b"absent", headers={"content-type": "application/x-www-form-urlencoded"})

        assert as_form.json()["lung_sliding"]["verdict"] == "absent"
        assert as_body.json() == as_form.json()


def test_the_answer_has_the_fields_of_the_contract(client: httpx.Client) -> None:
    body = answer(client, "present")

    assert list(body) == [
        *("id", "model", "intended_use", "warnings", "clip", "quality", "lung_sliding", "lung_point", "sector", "pleura"),
        *("windows", "signs", "timings_ms"),
    ]
    assert body["model"] == {"name": "resnet3d18-w16", "version": "0.1.0", "sha256": "0" * 64, "device": "cpu (OpenVINO)"}
    assert body["intended_use"] == INTENDED_USE
    assert body["clip"] == {
        **{"frames": 60, "fps": 30.0, "duration_s": 2.0, "width": 640, "height": 480, "probe": "convex", "mm_per_px": 0.25},
    }
    assert body["quality"] == {"assessable": True, "score": 0.9, "reasons": []}
    assert body["lung_sliding"] == {"probability": 0.93, "interval": [0.85, 0.97], "verdict": "present", "wall_control": 0.12}
    assert body["lung_point"] == {"suspected": False, "x_px": None}
    assert list(body["pleura"]) == ["confidence", "line", "interspaces", "columns", "slide_over_time", "motion"]
    assert list(body["pleura"]["columns"][0]) == ["x_px", "slide_px", "slide_mm", "wall_px", "tracking", "probability"]
    assert len(body["pleura"]["slide_over_time"]["t_s"]) == len(body["pleura"]["slide_over_time"]["px"])
    assert list(body["windows"][0]) == ["start_s", "end_s", "probability", "patches"]
    assert list(body["windows"][0]["patches"][0]) == ["polygon", "box", "row", "column", "probability", "saliency"]
    assert list(body["timings_ms"]) == ["decode", "pleura", "model", "saliency", "signs", "total"]


def test_saliency_is_a_grey_picture_of_the_patch_and_one_number_a_frame(client: httpx.Client) -> None:
    patch = answer(client, "present")["windows"][0]["patches"][0]

    picture = cv2.imdecode(np.frombuffer(base64.b64decode(patch["saliency"]["map"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (30, 30)
    assert len(patch["saliency"]["time"]) == 60


def test_a_box_is_the_bounds_of_its_polygon(client: httpx.Client) -> None:
    for patch in answer(client, "present")["windows"][0]["patches"]:
        xs, ys = zip(*patch["polygon"], strict=True)

        assert patch["box"] == [min(xs), min(ys), max(xs), max(ys)]


def test_without_saliency_there_is_none(client: httpx.Client) -> None:
    patches = answer(client, "present", saliency="none")["windows"][0]["patches"]

    assert {patch["saliency"] for patch in patches} == {None}


def test_a_clip_that_cannot_be_assessed_is_an_answer_not_an_error(client: httpx.Client) -> None:
    body = answer(client, "not assessable")

    assert body["lung_sliding"] == {"probability": None, "interval": None, "verdict": "not_assessable", "wall_control": None}
    assert body["quality"]["assessable"] is False
    assert [reason["code"] for reason in body["quality"]["reasons"]] == ["no_pleura"]
    assert body["pleura"] is None
    assert body["windows"] == []


def test_a_suspected_lung_point_says_where_and_is_never_present(client: httpx.Client) -> None:
    body = answer(client, "lung point")

    assert body["lung_point"]["suspected"] is True
    assert 0 < body["lung_point"]["x_px"] < 640
    assert body["lung_sliding"]["verdict"] == "indeterminate"


def test_options_reach_the_reader(client: httpx.Client, reader: WordReader) -> None:
    answer(client, "present", saliency="smoothgrad", rows="all", region="0,0 20,0 20,10", mm_per_px="0.08", model="resnet3d18-w16:0.1.0")

    assert reader.read_options[-1] == Options(Saliency.SMOOTHGRAD, Rows.ALL, ((0.0, 0.0), (20.0, 0.0), (20.0, 10.0)), 0.08)


@pytest.mark.parametrize(
    ("query", "status", "code", "detail"),
    [
        ("saliency=pretty", 422, "bad_option", "saliency is 'pretty'; it can be none, vanilla or smoothgrad."),
        ("rows=ribs", 422, "bad_option", "rows is 'ribs'; it can be pleura or all."),
        ("mm_per_px=wide", 422, "bad_option", "mm_per_px is 'wide'; it needs a number of millimetres, such as 0.08."),
        (
            "region=1,2 3,4",
            422,
            "bad_option",
            "region has 2 corners; it needs between 3 and 200. "
            "Write it as three or more corners, 'x,y x,y x,y', in pixels of the clip's frame.",
        ),
        (
            "salency=none",
            422,
            "bad_option",
            "There is no option 'salency'; the options are saliency, model, rows, region, mm_per_px, signs.",
        ),
        ("rows=all&rows=pleura", 422, "bad_option", "rows is given 2 times; give it once."),
        ("model=other", 404, "unknown_model", "There is no such model; there is resnet3d18-w16:0.1.0."),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(client: httpx.Client, query: str, status: int, code: str, detail: str) -> None:
    response = client.post(f"/v1/predict?{query}", content=b"present")

    assert (response.status_code, response.json()["code"], response.json()["detail"]) == (status, code, detail)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("video/mp4", "video/mp4"),
        ("VIDEO/*", "video/mp4"),
        ("application/json;q=0.5, video/mp4", "video/mp4"),
        ("application/json, video/mp4", "application/json"),
        ("application/pdf", "application/pdf"),
        ("video/mp4;q=0, */*", "application/json"),
        ("application/json;q=0, */*;q=0.1", "video/mp4"),
        ("application/dicom, application/x-npz;q=0.2", "application/x-npz"),
    ],
)
def test_the_form_the_caller_likes_best_is_sent(client: httpx.Client, accept: str, media_type: str) -> None:
    response = client.post("/v1/predict", content=b"present", headers={"accept": accept})

    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "words"),
    [
        ("text/html", "Accept is 'text/html'."),
        ("nonsense", "Accept is 'nonsense'."),
        ("application/json;q=often", "Accept is 'application/json;q=often'."),
    ],
)
def test_a_form_that_is_not_made_is_a_406_that_says_what_is(client: httpx.Client, accept: str, words: str) -> None:
    response = client.post("/v1/predict", content=b"present", headers={"accept": accept})

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")
    assert response.json()["detail"] == (
        f"{words} The answer comes as application/json, video/mp4 (the annotated clip), application/pdf (the one-page report) "
        "or application/x-npz (the arrays); of a DICOM object as application/dicom (the structured report) too."
    )


def test_a_structured_report_is_made_of_dicom_alone(client: httpx.Client) -> None:
    response = client.post("/v1/predict", content=b"present", headers={"accept": "application/dicom"})

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")
    assert response.json()["detail"] == "The structured report (application/dicom) is made of DICOM objects alone; this clip is none."


def test_the_annotated_clip_of_a_clip_just_read_is_drawn_without_reading_it_again() -> None:
    reader = WordReader()
    with serving(reader) as client:
        client.post("/v1/predict", content=b"absent")
        first = client.post("/v1/predict", content=b"absent", headers={"accept": "video/mp4"})
        other_options = client.post("/v1/predict?rows=all", content=b"absent", headers={"accept": "video/mp4"})
        client.post("/v1/predict", content=b"absent")

    assert first.content == other_options.content == b"annotated absent"
    assert [options.rows for options in reader.read_options] == [Rows.PLEURA, Rows.ALL, Rows.PLEURA]
    assert reader.num_annotated == 2


def test_the_report_of_a_clip_just_read_is_written_without_reading_it_again_and_bears_the_date_of_the_reading() -> None:
    reader = WordReader()
    with serving(reader) as client:
        before = datetime.now().astimezone()
        client.post("/v1/predict", content=b"absent")
        after = datetime.now().astimezone()
        reports = [client.post("/v1/predict", content=b"absent", headers={"accept": "application/pdf"}) for _ in range(2)]
        metrics = client.get("/metrics").text

    assert [report.content for report in reports] == [b"report of absent"] * 2
    assert (len(reader.read_options), reader.num_annotated) == (1, 0)
    assert before <= reader.reported_at[0] == reader.reported_at[1] <= after
    assert 'seashore_stage_seconds_count{stage="report"} 2.0' in metrics


def test_a_report_may_be_all_that_is_asked_for() -> None:
    reader = WordReader()
    with serving(reader) as client:
        report = client.post("/v1/predict", content=b"not assessable", headers={"accept": "application/pdf"})

    assert (report.status_code, report.content) == (200, b"report of not assessable")
    assert len(reader.read_options) == 1


def test_the_arrays_are_what_the_model_saw_and_said(client: httpx.Client) -> None:
    response = client.post("/v1/predict", content=b"present", headers={"accept": "application/x-npz"})

    with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
        num_patches = len(arrays["logits"])
        assert arrays["patches"].shape == (num_patches, 1, 60, 30, 30)
        assert arrays["gradients"].shape == (num_patches, 1, 60, 30, 30)
        assert [arrays[name].shape for name in ("window", "row", "column")] == [(num_patches,)] * 3
        assert json.loads(str(arrays["answer"]))["lung_sliding"]["verdict"] == "present"


def test_without_saliency_the_arrays_hold_no_gradients(client: httpx.Client) -> None:
    response = client.post("/v1/predict?saliency=none", content=b"present", headers={"accept": "application/x-npz"})

    with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["answer", "column", "logits", "patches", "row", "window"]
