"""STOW-RS over real HTTP: as dicomweb-client sends, and as senders do that break off."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI, Request, Response
from pydicom import dcmread

from service.api.dicomweb import dicomweb_routes
from service.api.problems import problem_of, problem_response
from service.errors import SeashoreError
from service.pacs.incoming.inbox import Limits
from tests.fakes import dicom
from tests.fakes.inbox import FULL, FolderInbox
from tests.fakes.media import texture

RELATED = {"content-type": 'multipart/related; type="application/dicom"; boundary=here'}


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path / "inbox")


@contextmanager
def served(inbox: FolderInbox, chunk_deadline_s: float = 10.0) -> Iterator[str]:
    app = FastAPI()
    app.include_router(dicomweb_routes(inbox, Limits(10**9, 0), chunk_deadline_s=chunk_deadline_s))

    @app.exception_handler(SeashoreError)
    async def answer(_: Request, error: SeashoreError) -> Response:
        return problem_response(problem_of(error))

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/dicom-web"
    finally:
        server.should_exit = True
        thread.join(10)


def instance(folder: Path, uid: str) -> Path:
    path = folder / f"{uid}.dcm"
    path.write_bytes(dicom.native(texture(2), SOPInstanceUID=uid, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1"))
    return path


def test_dicomweb_client_stores_several_instances_of_a_study(inbox: FolderInbox, tmp_path: Path) -> None:
    files = [dcmread(instance(tmp_path, uid)) for uid in ("1.1", "1.2")]
    with served(inbox) as url:
        answer = DICOMwebClient(url).store_instances(files, study_instance_uid="1.2")

    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == ["1.1", "1.2"]
    assert dcmread(inbox.kept / "1.2").PixelData == files[1].PixelData
    assert [r.study_instance_uid for r in inbox.received] == ["1.2", "1.2"]


def test_the_answer_is_dicom_json_and_another_study_is_a_conflict(inbox: FolderInbox, tmp_path: Path) -> None:
    content = instance(tmp_path, "1.1").read_bytes()
    with served(inbox) as url:
        stored = httpx.post(f"{url}/studies", content=content, headers={"content-type": "application/dicom"})
        refused = httpx.post(f"{url}/studies/1.9", content=content, headers={"content-type": "application/dicom"})

    assert (stored.status_code, stored.headers["content-type"]) == (200, "application/dicom+json")
    assert stored.json()["00081199"]["Value"][0]["00081155"]["Value"] == ["1.1"]
    assert (refused.status_code, refused.json()["00081198"]["Value"][0]["00081197"]["Value"]) == (409, [0xA900])


def test_no_room_says_when_to_come_again(inbox: FolderInbox, tmp_path: Path) -> None:
    inbox.refusal = FULL
    with served(inbox) as url:
        answer = httpx.post(f"{url}/studies", content=instance(tmp_path, "1.1").read_bytes(), headers={"content-type": "application/dicom"})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


@pytest.mark.parametrize(
    ("path", "content_type", "status", "code", "sentence"),
    [
        ("studies/me", "application/dicom", 422, "bad_option", "The address names no study: a Study Instance UID has digits and dots"),
        ("studies", "text/plain", 415, "unsupported_format", "This is not a STOW-RS request of DICOM instances."),
        ("studies", "", 415, "unsupported_format", "This is not a STOW-RS request of DICOM instances."),
    ],
)
def test_a_wrong_request_is_a_problem(inbox: FolderInbox, path: str, content_type: str, status: int, code: str, sentence: str) -> None:
    with served(inbox) as url:
        answer = httpx.post(f"{url}/{path}", content=b"x", headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"].startswith(sentence)


def test_a_sender_that_falls_silent_is_let_go_and_leaves_nothing(inbox: FolderInbox) -> None:
    def slowly() -> Iterator[bytes]:
        yield b"--here\r\nContent-Type: application/dicom\r\n\r\nhalf an instance"
        time.sleep(1.0)
        yield b"the rest"

    with served(inbox, chunk_deadline_s=0.2) as url:
        answer = httpx.post(f"{url}/studies", content=slowly(), headers=RELATED)

    assert (answer.status_code, answer.json()["detail"]) == (504, "Nothing came for 0.2 s in the middle of the request.")
    assert inbox.parts == []


def test_a_sender_that_hangs_up_leaves_nothing(inbox: FolderInbox) -> None:
    def broken() -> Iterator[bytes]:
        yield b"--here\r\nContent-Type: application/dicom\r\n\r\n" + bytes(10**6)
        raise ConnectionAbortedError

    with served(inbox) as url, pytest.raises(ConnectionAbortedError):
        httpx.post(f"{url}/studies", content=broken(), headers=RELATED)

    assert inbox.parts == []
