"""What the OpenAPI document promises of each operation, and requests that are held against it."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from service.access.principal import Scope
from service.api.problems import MEDIA_TYPE
from service.api.rules import scopes_for
from tests.contract.test_openapi import OPENAPI
from tests.fakes.service import wait_until

UNKNOWN = "0" * 32
Answers = list[tuple[str, int]]
"""Operation and status, in the order in which they were asked."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    responses: Mapping[int, str]
    """What each status is said to mean; the codes of its problems stand there in backticks."""

    @property
    def scopes(self) -> frozenset[Scope]:
        return scopes_for(self.method, self.path)


def _read() -> Iterator[tuple[str, Operation]]:
    document = json.loads((OPENAPI / "openapi.json").read_text(encoding="utf-8"))
    for path, operations in document["paths"].items():
        for method, said in operations.items():
            responses = {int(status): response["description"] for status, response in said["responses"].items()}
            yield said["operationId"], Operation(method.upper(), path, responses)


OPERATIONS = dict(_read())
GUARDED = sorted(name for name, operation in OPERATIONS.items() if operation.scopes)


class Slowly:
    """A body that begins, and whose rest is long in coming."""

    def __init__(self, begin: bytes) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[bytes]:
        yield self._begin
        time.sleep(0.6)
        yield b"the rest"


@dataclass(frozen=True)
class Asked:
    """A request, and the status that answers it."""

    operation: str
    status: int
    of: str = ""
    """What the braces of its address stand for, by its name in the test; nothing that there is where that is empty."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the request, as httpx takes them."""


def answers(client: httpx.Client, asked: Iterable[Asked], subjects: Mapping[str, str] | None = None, key: str = "") -> Answers:
    """What is answered to each, the status of every one documented, and its code too. `subjects`: by name what is asked about."""
    return [(one.operation, _ask(client, one, (subjects or {}).get(one.of, UNKNOWN), key)) for one in asked]


def expected(asked: Iterable[Asked]) -> Answers:
    return [(one.operation, one.status) for one in asked]


def _ask(client: httpx.Client, asked: Asked, subject: str, key: str) -> int:
    operation = OPERATIONS[asked.operation]
    address = re.sub(r"\{\w+\}", subject, operation.path)
    request = {"headers": {"authorization": f"Bearer {key}"} if key else {}} | _usual(asked.operation) | asked.changes
    response = client.request(operation.method, address, **request)
    described = operation.responses.get(response.status_code)
    assert described is not None, f"{asked.operation} answered {response.status_code}, which its document does not say: {response.text}"
    if response.headers.get("content-type") == MEDIA_TYPE:
        code = response.json()["code"]
        assert f"`{code}`" in described, f"{asked.operation} answered {code}, which its document does not say of {response.status_code}"
    return response.status_code


def _usual(name: str) -> dict[str, Any]:
    """What a request is made of where nothing else is said."""
    if name == "job_feedback":
        return {"json": {"opinion": "unsure"}}
    if name == "job_mmode":
        return {"params": {"from": "1,1", "to": "9,9"}}
    if name == "pacs_analyse":
        return {"json": {"study": "1.2"}}
    return {"content": b"present"} if name in ("predict", "predict_unversioned", "create_job") else {}


def jobs_of(client: httpx.Client, words: Mapping[str, str]) -> dict[str, str]:
    """The jobs of clips by the names that `words` gives them, once they have ended."""
    jobs = {name: begun(client, word) for name, word in words.items()}
    for job in jobs.values():
        assert wait_until(lambda job=job: client.get(f"/v1/jobs/{job}").json()["state"] not in ("queued", "running"), 20)
    return jobs


def begun(client: httpx.Client, word: str) -> str:
    """The job of a clip. Awaited, for those are begun at once."""
    return str(client.post("/v1/jobs?awaited=true", content=word.encode()).json()["id"])
