"""STOW-RS bodies: every way they are cut into chunks gives the same files, and the answer names each instance once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from service.errors import EmptyUpload, SeashoreError, UnreadableClip, UnsupportedFormat, UploadTooLarge
from service.pacs.incoming import stow_body
from service.pacs.incoming.inbox import Limits
from service.pacs.incoming.stow import StowAnswer, store
from tests.fakes import dicom
from tests.fakes.inbox import FULL, UNWANTED, FolderInbox
from tests.fakes.media import texture

RELATED = 'multipart/related; type="application/dicom"; boundary=here'
MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
ROOMY = Limits(max_instance_bytes=10**9, min_free_bytes=0)


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path / "inbox")


def instance(uid: str, **elements: Any) -> bytes:
    return dicom.native(texture(1), **{"SOPInstanceUID": uid, "StudyInstanceUID": "1.2", **elements})


def related(*parts: bytes, media_type: str = "application/dicom") -> bytes:
    head = f"\r\n--here\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + part for part in parts) + b"\r\n--here--\r\n"


async def _cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def stow(
    inbox: FolderInbox, body: bytes, content_type: str = RELATED, *, size: int = 8192, limits: Limits = ROOMY, study: str | None = None
) -> StowAnswer:
    return asyncio.run(store(_cut(body, size), content_type, inbox, limits, study))


def failed(answer: StowAnswer) -> list[tuple[str, int]]:
    return [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in answer.dataset.get("FailedSOPSequence", [])]


@pytest.mark.parametrize("size", [1, 7, 4096, 10**6])
def test_every_part_is_a_file_however_the_body_is_cut(inbox: FolderInbox, size: int) -> None:
    parts = [instance("1.1", PixelData=b"\r\n--her", Rows=None), instance("1.2", PixelData=b"\r\n--", Rows=None)]

    answer = stow(inbox, related(*parts), size=size)

    assert answer.http_status == 200
    assert [(inbox.kept / uid).read_bytes() for uid in ("1.1", "1.2")] == parts
    assert inbox.parts == []
    assert [r.calling_ae_title for r in inbox.received] == ["", ""]


def test_one_instance_may_come_bare(inbox: FolderInbox) -> None:
    answer = stow(inbox, instance("1.1"), "application/dicom")

    assert json.loads(answer.json) == {
        "00081199": {
            "vr": "SQ",
            "Value": [{"00081150": {"vr": "UI", "Value": [MULTIFRAME]}, "00081155": {"vr": "UI", "Value": ["1.1"]}}],
        }
    }
    assert (inbox.kept / "1.1").read_bytes() == instance("1.1")


def test_some_stored_is_202_and_each_failure_has_its_reason(inbox: FolderInbox) -> None:
    body = related(
        instance("1.1"),
        instance("1.2", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        instance("1.3", StudyInstanceUID="1.9"),
        b"this is no DICOM file, whatever it says",
    )

    answer = stow(inbox, body, study="1.2")

    assert answer.http_status == 202
    assert [item.ReferencedSOPInstanceUID for item in answer.dataset.ReferencedSOPSequence] == ["1.1"]
    assert failed(answer) == [("1.2", 0x0122), ("1.3", 0xA900)]
    assert [item.FailureReason for item in answer.dataset.OtherFailuresSequence] == [0xC000]
    assert inbox.parts == []


def test_none_stored_is_409_and_an_empty_part_is_a_failure(inbox: FolderInbox) -> None:
    inbox.refusal = UNWANTED

    answer = stow(inbox, related(instance("1.1"), b""))

    assert (answer.http_status, failed(answer)) == (409, [("1.1", 0xC001)])
    assert [item.FailureReason for item in answer.dataset.OtherFailuresSequence] == [0x0110]


def test_no_room_is_503_so_that_the_sender_comes_again(inbox: FolderInbox) -> None:
    inbox.refusal = FULL

    answer = stow(inbox, related(instance("1.1"), instance("1.2")))

    assert (answer.http_status, failed(answer)) == (503, [("1.1", 0xA700), ("1.2", 0xA700)])
    assert inbox.parts == []


def test_too_large_is_a_failure_of_that_instance_alone(inbox: FolderInbox) -> None:
    limits = Limits(max_instance_bytes=30_000, min_free_bytes=0)

    answer = stow(inbox, related(instance("1.1", PixelData=bytes(40_000)), instance("1.2")), limits=limits)

    assert answer.http_status == 202
    assert [item.FailureReason for item in answer.dataset.OtherFailuresSequence] == [0xA700]
    assert [r.sop_instance_uid for r in inbox.received] == ["1.2"]


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "sentence"),
    [
        (b"x", "image/jpeg", UnsupportedFormat, "This is not a STOW-RS request of DICOM instances."),
        (related(), 'multipart/related; type="application/dicom+json"; boundary=here', UnsupportedFormat, "This is not a STOW-RS request"),
        (
            related(b"{}", media_type="application/dicom+json"),
            RELATED,
            UnsupportedFormat,
            "A part of the request is not application/dicom;",
        ),
        (related(), "multipart/related", UnreadableClip, "The request has no boundary in its Content-Type."),
        (related(b"x")[:-10], RELATED, UnreadableClip, "The request is cut off: its closing boundary is missing."),
        (b"rubbish", RELATED, UnreadableClip, "The request's parts are damaged: a boundary or a header is not where it must be."),
        (b"", "application/dicom", EmptyUpload, "The request holds no instance. Send multipart/related;"),
    ],
    ids=["media type", "type", "part", "boundary", "cut off", "rubbish", "empty"],
)
def test_a_body_that_is_wrong_as_a_whole_is_told_so(
    inbox: FolderInbox, body: bytes, content_type: str, kind: type[SeashoreError], sentence: str
) -> None:
    with pytest.raises(kind) as error:
        stow(inbox, body, content_type)

    assert str(error.value).startswith(sentence)
    assert inbox.parts == []


def test_what_came_whole_stays_when_the_rest_is_cut_off(inbox: FolderInbox) -> None:
    body = related(instance("1.1"), instance("1.2"))

    with pytest.raises(UnreadableClip):
        stow(inbox, body[: len(body) - 500])

    assert [r.sop_instance_uid for r in inbox.received] == ["1.1"]
    assert inbox.parts == []


def test_a_request_has_a_thousand_instances_at_most(inbox: FolderInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stow_body.MAX_PARTS == 1000
    monkeypatch.setattr(stow_body, "MAX_PARTS", 2)

    with pytest.raises(UploadTooLarge, match="The request holds more than 2 instances; send them in several."):
        stow(inbox, related(b"x", b"x", b"x"))
