"""`signs=` over real HTTP, in front of a reader whose answers are written in the clip."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from service.sign_shelf import SignEntry
from tests.fakes.service import WordReader, is_ready, serving


class FewSigns(WordReader):
    """Has a model for B-lines alone."""

    def signs(self) -> tuple[SignEntry, ...]:
        return super().signs()[:1]


class OneModel(WordReader):
    """Of signs, which is replaced now and then."""

    model = SignEntry("blines-small", "1.0.0", ("b_lines",), is_loaded=False)

    def signs(self) -> tuple[SignEntry, ...]:
        return (self.model,)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(WordReader()) as client:
        yield client


def predict(client: httpx.Client, **options: str) -> httpx.Response:
    return client.post("/v1/predict", content=b"present", params=options)


def signs(response: httpx.Response) -> dict[str, dict[str, Any]]:
    return {found["sign"]: found for found in response.json()["signs"]}


def test_none_are_told_unless_they_are_asked_for(client: httpx.Client) -> None:
    assert signs(predict(client)) == signs(predict(client, signs="none")) == {}


def test_those_that_are_named_are_told_in_their_order(client: httpx.Client) -> None:
    assert list(signs(predict(client, signs="effusion,b_lines"))) == ["b_lines", "effusion"]
    assert list(signs(predict(client, signs="all"))) == ["a_lines", "b_lines", "effusion", "consolidation"]


def test_a_sign_has_its_own_model_moments_and_frame(client: httpx.Client) -> None:
    found = signs(predict(client, signs="all"))

    b_lines, effusion = found["b_lines"], found["effusion"]
    assert b_lines["model"]["name"] == "blines-small"
    assert (b_lines["probability"], b_lines["verdict"], b_lines["reason"]) == (0.91, "present", None)
    assert [(m["start_s"], m["end_s"], m["probability"]) for m in b_lines["moments"]][:2] == [(0.0, 1.0, 0.55), (0.8, 1.8, 0.93)]
    assert sum(b_lines["moments"][0]["attention"]) == pytest.approx(1.0, abs=0.001)
    assert (b_lines["representative"]["index"], b_lines["representative"]["t_s"], b_lines["representative"]["map"]) == (42, 1.4, None)
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(effusion["representative"]["map"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert seen is not None
    assert (seen.shape, seen.max()) == ((7, 7), 255)
    assert effusion["moments"][0]["attention"] is None
    assert effusion["measured"] == "47 public clips of 30 patients: AUROC 0.85 (0.70-0.95)."


def test_what_cannot_be_assessed_says_why(client: httpx.Client) -> None:
    found = signs(predict(client, signs="consolidation"))["consolidation"]

    assert (found["probability"], found["verdict"], found["moments"], found["representative"]) == (None, "not_assessable", [], None)
    assert found["reason"]["code"] == "outside_domain"


@pytest.mark.parametrize("text", ["pneumothorax", "b_lines,", "All", "b_lines all"])
def test_a_sign_that_is_none_is_refused(client: httpx.Client, text: str) -> None:
    answer = predict(client, signs=text)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
    assert "a_lines, b_lines, effusion, consolidation" in answer.json()["detail"]


def test_a_sign_without_a_model_is_refused_before_the_clip_is_sent_for_nothing(tmp_path: Path) -> None:
    with serving(FewSigns(), data_dir=tmp_path) as client:
        for path in ("/v1/predict", "/v1/jobs"):
            answer = client.post(path, content=b"present", params={"signs": "effusion"})
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_option")
            assert answer.json()["detail"] == "No model of this service tells effusion; there is one for b_lines."
        assert predict(client, signs="all").status_code == 200


def test_a_clip_is_read_again_by_another_model_of_signs_also_where_it_is_loaded_elsewhere(tmp_path: Path) -> None:
    """On a cluster the front never loads one."""
    reader, jobs = OneModel(), []
    with serving(reader, data_dir=tmp_path) as client:
        assert is_ready(client)
        for version, is_loaded in (("1.0.0", False), ("1.1.0", False), ("1.1.0", True), ("1.1.0", True)):
            reader.model = replace(reader.model, version=version, is_loaded=is_loaded)
            jobs.append(client.post("/v1/jobs", content=b"present", params={"signs": "b_lines"}).json()["id"])

    assert len({*jobs[:3]}) == 3
    assert jobs[3] == jobs[2]


def test_the_models_are_listed_apart(client: httpx.Client) -> None:
    assert client.get("/v1/models").json()["signs"] == [
        {"name": "blines-small", "version": "1.0.0", "signs": ["b_lines"], "loaded": True},
        {"name": "signs-small", "version": "1.0.0", "signs": ["a_lines", "effusion", "consolidation"], "loaded": True},
    ]
