"""openapi/: the document is the one the code makes, it is valid, answers keep to it, and its examples are what is answered."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from service.api.openapi import written
from tests.fakes import media
from tests.fakes.service import DecodingReader, WordReader, serving

OPENAPI = Path(__file__).resolve().parents[2] / "openapi"
EXAMPLES = sorted((OPENAPI / "examples").glob("*.json"))

CLIPS = {
    "lung.mp4": media.mp4,
    "nothing.mp4": lambda: b"",
    "letter.mp4": lambda: b"Dear colleague, please find the clip attached.",
    "voice.mp4": media.sound_only,
    "lecture.mp4": media.ten_minutes,
}
"""The clips the examples speak of."""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(DecodingReader()) as client:
        yield client


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((OPENAPI / "openapi.json").read_text(encoding="utf-8"))
    return loaded


def replay(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    files = {"clip": (request["clip"], CLIPS[request["clip"]]())} if "clip" in request else None
    return client.request(request["method"], request["path"], headers=request.get("headers"), files=files)


def agrees(expected: Any, actual: Any) -> bool:
    """Equal, but that a list or a text that ends in "..." says nothing of the rest, and numbers may differ in the third digit."""
    if isinstance(expected, str) and expected.endswith("...") and isinstance(actual, str):
        return actual.startswith(expected[:-3])
    if isinstance(expected, float) and isinstance(actual, float):
        return math.isclose(expected, actual, abs_tol=2e-3)
    if isinstance(expected, list) and expected[-1:] == ["..."]:
        return len(actual) >= len(expected) - 1 and agrees(expected[:-1], actual[: len(expected) - 1])
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(agrees, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(agrees(value, actual[key]) for key, value in expected.items())
    return bool(expected == actual)


def test_the_document_in_the_repository_is_the_one_the_code_makes() -> None:
    assert (OPENAPI / "openapi.json").read_text(encoding="utf-8") == written(), "run `make openapi`"


def test_the_document_served_is_the_one_in_the_repository(client: httpx.Client, document: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json() == document


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


@pytest.mark.parametrize("word", ["present", "absent", "indeterminate", "lung point", "not assessable", "unreadable_clip"])
def test_answers_keep_to_the_document(document: dict[str, Any], word: str) -> None:
    with serving(WordReader()) as client:
        response = client.post("/v1/predict", content=word.encode())

    described = document["paths"]["/v1/predict"]["post"]["responses"][str(response.status_code)]
    schema = described["content"][response.headers["content-type"]]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(response.json())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_what_is_answered(client: httpx.Client, path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))

    response = replay(client, example["request"])

    assert response.status_code == example["response"]["status"]
    assert response.headers["content-type"] == example["response"]["content_type"]
    assert agrees(example["response"]["body"], response.json()), response.text


def test_there_are_examples_of_an_answer_and_of_errors() -> None:
    statuses = [json.loads(path.read_text(encoding="utf-8"))["response"]["status"] for path in EXAMPLES]

    assert {200, 400, 404, 406, 415, 422} <= set(statuses)


def test_the_comparison_of_examples_sees_a_difference() -> None:
    assert agrees({"a": [1, "..."]}, {"a": [1, 2, 3]})
    assert not agrees({"a": [1, "..."]}, {"a": [2, 2, 3]})
    assert not agrees({"a": [1]}, {"a": [1, 2]})
    assert agrees("text...", "text and more")
    assert not agrees("text...", "another text")
    assert agrees(0.5, 0.501)
    assert not agrees(0.5, 0.51)
    assert not agrees({"a": 1}, {"a": 1, "b": 2})
