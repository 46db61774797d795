"""What a hospital's systems are answered: who stores, who fetches from the archive, who runs the node."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from service.api import app
from service.api.dicomweb import dicomweb_routes
from service.jobs.ledger import Ledger
from service.pacs.outgoing import pull
from service.pacs.site import Web
from tests.api.test_pacs import STUDY, TO_ARCHIVE, analyse, clip, pacs
from tests.contract.statuses.asking import Asked, Slowly, answers, expected
from tests.contract.statuses.test_trouble import away, full, no_space
from tests.fakes import nodes
from tests.fakes.queues import LOST, READ, copy_story
from tests.fakes.service import WordReader, is_ready, serving_everything, wait_until
from tests.pacs.incoming.test_stow import RELATED, related

ABSENT, HELD, REFUSED = "1.2.3", "1.2.4", "1.2.5"
"""Studies of which the archive has nothing, says nothing, and gives nothing. That of `clip` it has."""
OTHER = clip(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
"""Of a CT."""


def sent(name: str, status: int, content: object, content_type: str) -> Asked:
    return Asked(name, status, "study", {"content": content, "headers": {"content-type": content_type}})


STORED = tuple(
    asked
    for name in ("store_instances", "store_instances_of_study")
    for asked in (
        sent(name, 200, clip(1), "application/dicom"),
        sent(name, 202, related(clip(1), OTHER), RELATED),
        sent(name, 400, b"", "application/dicom"),
        sent(name, 409, OTHER, "application/dicom"),
        sent(name, 413, related(*[b""] * 1001), RELATED),
        sent(name, 415, b"one", "text/plain"),
        sent(name, 422, related(clip(1))[:-9], RELATED),
    )
)
STORED_TOO_SLOWLY = tuple(sent(name, 504, Slowly(b"--here\r\n"), RELATED) for name in ("store_instances", "store_instances_of_study"))
NOT_KEPT = tuple(sent(name, 503, clip(1), "application/dicom") for name in ("store_instances", "store_instances_of_study"))
FETCHED = (
    Asked("pacs_analyse", 202, changes={"json": {"study": STUDY}}),
    Asked("pacs_analyse", 404, changes={"json": {"study": ABSENT}}),
    Asked("pacs_analyse", 422, changes={"json": {}}),
    Asked("pacs_analyse", 502, changes={"json": {"study": REFUSED}}),
)
TOO_MANY_FETCHED = (Asked("pacs_analyse", 429),)
NO_ARCHIVE = (Asked("pacs_analyse", 501),)
RUN = (Asked("pacs_queue", 200), Asked("pacs_retry", 200, "letter"), Asked("pacs_retry", 404))
NO_ROOM = (Asked("pacs_analyse", 507, changes={"json": {"study": STUDY}}), Asked("pacs_retry", 507, "lost"))
NO_LEDGER = (Asked("pacs_queue", 503), Asked("pacs_retry", 503), *NOT_KEPT)


@contextmanager
def archive(goes_on: threading.Event, asked_for: list[str]) -> Iterator[Web]:
    """`asked_for`: the studies that were, as they are; HELD is answered once it `goes_on`."""

    def reply(request: BaseHTTPRequestHandler, _: bytes) -> nodes.Reply:
        study = request.path.split("/")[3]
        asked_for.append(study)
        if study == HELD:
            goes_on.wait(30)
        if study == REFUSED:
            return 503, {}, b""
        if "/instances/" in request.path:
            return 200, {"Content-Type": "application/dicom"}, clip(1)
        found = {"00080016": "1.2.840.10008.5.1.4.1.1.3.1", "0020000E": f"{STUDY}.1", "00080018": f"{STUDY}.1.1", "00280008": 3}
        one = {tag: {"vr": "UI", "Value": [value]} for tag, value in found.items()}
        return 200, {"Content-Type": "application/dicom+json"}, json.dumps([one] if study == STUDY else []).encode()

    with nodes.web_service(reply) as web:
        yield web


def test_instances_are_stored_or_it_is_said_why_not(tmp_path: Path) -> None:
    with serving_everything(WordReader(), tmp_path) as client:
        assert is_ready(client)
        assert answers(client, STORED, {"study": STUDY}) == expected(STORED)


def test_a_sender_that_falls_silent_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "dicomweb_routes", partial(dicomweb_routes, chunk_deadline_s=0.2))
    with serving_everything(WordReader(), tmp_path) as client:
        assert is_ready(client)
        assert answers(client, STORED_TOO_SLOWLY, {"study": STUDY}) == expected(STORED_TOO_SLOWLY)


def test_clips_are_fetched_or_it_is_said_why_not(tmp_path: Path) -> None:
    with archive(threading.Event(), []) as web, pacs(tmp_path, archive={"web": {"url": web.url}}) as client:
        assert answers(client, FETCHED) == expected(FETCHED)


def test_a_third_study_at_the_same_time_is_put_off(tmp_path: Path) -> None:
    goes_on, asked_for = threading.Event(), list[str]()
    with archive(goes_on, asked_for) as web, pacs(tmp_path, archive={"web": {"url": web.url}}) as client, ThreadPoolExecutor(2) as threads:
        held = [threads.submit(analyse, client, study=HELD) for _ in range(2)]
        assert wait_until(lambda: asked_for == [HELD, HELD], 20)

        assert answers(client, TOO_MANY_FETCHED) == expected(TOO_MANY_FETCHED)
        goes_on.set()
        assert {one.result().status_code for one in held} == {404}


def test_who_runs_the_node_sees_the_queue_and_sends_again(tmp_path: Path) -> None:
    copy_story(tmp_path / "data")
    with pacs(tmp_path, destination=[TO_ARCHIVE]) as client:
        assert answers(client, NO_ARCHIVE) == expected(NO_ARCHIVE)
        assert answers(client, RUN, {"letter": f"{READ}-archive-2"}) == expected(RUN)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_story(tmp_path / "data")
    monkeypatch.setattr(Ledger, "forget", full)
    monkeypatch.setattr(pull, "TemporaryDirectory", no_space)
    with archive(threading.Event(), []) as web, pacs(tmp_path, archive={"web": {"url": web.url}}) as client:
        assert answers(client, NO_ROOM, {"lost": LOST}) == expected(NO_ROOM)


def test_a_ledger_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pacs(tmp_path) as client:
        monkeypatch.setattr(Ledger, "_client", away)
        assert answers(client, NO_LEDGER, {"study": STUDY}) == expected(NO_LEDGER)
