"""openapi/: the document is the one the code makes, it is valid, answers keep to it, and its examples are what is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from service.api.openapi import written
from tests.fakes.service import WordReader, is_ready, serving, serving_everything, shipped_reader
from tests.openapi_examples import FOLDER, REQUESTS, agrees, replay, shortened

OPENAPI = Path(__file__).resolve().parents[2] / "openapi"


def example(name: str) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return written


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving_everything(shipped_reader(), tmp_path_factory.mktemp("everything")) as client:
        assert is_ready(client)
        yield client


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((OPENAPI / "openapi.json").read_text(encoding="utf-8"))
    return loaded


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


@pytest.mark.parametrize("name", REQUESTS)
def test_an_example_is_what_is_answered(client: httpx.Client, name: str) -> None:
    kept = example(name)

    response = replay(client, REQUESTS[name])

    assert kept["request"] == REQUESTS[name], "run `make openapi`"
    assert response.status_code == kept["response"]["status"]
    assert response.headers["content-type"] == kept["response"]["content_type"]
    assert agrees(kept["response"]["body"], response.json()), f"run `make openapi` and read the diff: {shortened(response.json())}"


def test_every_example_in_the_repository_is_replayed() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.json" for name in REQUESTS}


def test_there_are_examples_of_an_answer_and_of_errors() -> None:
    assert {200, 400, 404, 406, 415, 422} <= {example(name)["response"]["status"] for name in REQUESTS}


def test_the_comparison_of_examples_sees_a_difference() -> None:
    assert agrees({"a": [1, "..."]}, {"a": [1, 2, 3]})
    assert not agrees({"a": [1, "..."]}, {"a": [2, 2, 3]})
    assert not agrees({"a": [1, "..."]}, {"a": [1]})
    assert not agrees({"a": [1]}, {"a": [1, 2]})
    assert agrees("text...", "text and more")
    assert not agrees("text...", "another text")
    assert agrees(0.5, 0.51)
    assert not agrees(0.5, 0.53)
    assert not agrees({"a": 1}, {"a": 1, "b": 2})
    assert agrees({"id": "one", "timings_ms": {"total": 1.0}}, {"id": "another", "timings_ms": {"total": 9.0}})
    assert not agrees({"id": "one"}, {"it": "one"})


def test_an_example_is_short_enough_to_be_read() -> None:
    assert shortened([1.0, 2.0, 3.0, 4.0]) == [1.0, 2.0, 3.0, 4.0]
    assert shortened([1.0, 2.0, 3.0, 4.0, 5.0]) == [1.0, 2.0, "..."]
    assert shortened([[1.0, 2.0]] * 3) == [[1.0, 2.0], [1.0, 2.0], "..."]
    assert shortened({"map": "x" * 501}) == {"map": "x" * 24 + "..."}
