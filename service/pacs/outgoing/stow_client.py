"""Results out by STOW-RS (PS3.18 10.5), all files of a set in one request.

Not by dicomweb-client 0.61: it holds the whole body in memory, encodes the objects anew, and drops the answer of a 409, in which the
reasons are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydicom.filereader import read_file_meta_info

from service.pacs.outgoing.outcome import NodeFailed, Outcome
from service.pacs.outgoing.statuses import PROCESSING_FAILURE, SUCCESS, Verdict
from service.pacs.outgoing.tally import Tally
from service.pacs.outgoing.web_session import checked, json_of, name_of, open_session
from service.pacs.site import Web

REFERENCED, FAILED = "00081199", "00081198"
WARNING_REASON, FAILURE_REASON = "00081196", "00081197"
SOP_INSTANCE_UID = "00081155"
CHUNK_BYTES = 2**16
ANSWERED = (200, 202, 409)
"""All, some, none stored; each with a body that says which. Some services say 200 whatever happened, so the body alone counts."""
UNMENTIONED = Verdict(False, True, "it did not say that it stored it", "Look whether it is there; its log should say why.")


class _Multipart:
    """multipart/related of files, read while it is sent. Its length is told beforehand: not every service takes chunked requests."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.boundary = uuid4().hex
        self._paths = paths
        self._head = f"\r\n--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        return f'multipart/related; type="application/dicom"; boundary={self.boundary}'

    def __len__(self) -> int:
        return sum(len(self._head) + path.stat().st_size for path in self._paths) + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        for path in self._paths:
            yield self._head
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        yield self._tail


def stow(paths: Sequence[Path], web: Web, *, timeout_s: float) -> Outcome:
    """Send Part 10 files. "Accepted" is what the service names as stored; what it does not mention is refused."""
    tally = Tally(name_of(web))
    try:
        _stow(paths, web, timeout_s, tally)
    except NodeFailed as failure:
        return failure.outcome(tuple(tally.accepted))
    return tally.outcome()


def _stow(paths: Sequence[Path], web: Web, timeout_s: float, tally: Tally) -> None:
    """What a set's answer leaves open is offered again, one by one: for the sake of one bad object Orthanc 1.10 answers 400 to all, or
    200 naming none, and stores none."""
    try:
        left = _note(paths, _answer(paths, web, timeout_s), tally)
        untaken = UNMENTIONED
    except NodeFailed as failure:
        if not failure.is_permanent:
            raise
        left, untaken = list(paths), Verdict(False, True, f"it refused it with status {failure.status}", failure.advice)
    for path in left:
        if len(paths) == 1:
            tally.note_untaken(untaken)
        else:
            _stow([path], web, timeout_s, tally)


def _note(paths: Sequence[Path], answer: dict[str, Any], tally: Tally) -> list[Path]:
    """Gives the files of which it says nothing."""
    failed = {uid: reason or PROCESSING_FAILURE for uid, reason in _items(answer, FAILED, FAILURE_REASON)}
    said = dict(_items(answer, REFERENCED, WARNING_REASON)) | failed
    left = []
    for path in paths:
        uid = str(read_file_meta_info(path).MediaStorageSOPInstanceUID)
        if uid in said:
            tally.note(uid, said[uid])
        else:
            left.append(path)
    return left


def _answer(paths: Sequence[Path], web: Web, timeout_s: float) -> dict[str, Any]:
    """DICOM JSON. No redirect is followed: it would turn the POST into a GET, which answers 200 and stores nothing."""
    body = _Multipart(paths)
    headers = {"Content-Type": body.content_type, "Accept": "application/dicom+json"}
    with open_session(web) as session:
        url = f"{web.url.rstrip('/')}/studies"
        answer = session.post(url, data=body, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True)
        if answer.status_code not in ANSWERED:
            checked(web, answer)
        return _first(json_of(web, answer, timeout_s))


def _first(answer: Any) -> dict[str, Any]:
    """Some services send the one data set as an array of one."""
    one = answer[0] if isinstance(answer, list) and answer else answer
    return one if isinstance(one, dict) else {}


def _items(answer: dict[str, Any], sequence: str, reason: str) -> Iterator[tuple[str, int]]:
    """UID and reason, 0 where none is given, of each item of a sequence (PS3.18 F.2)."""
    for item in _values(answer, sequence):
        uid, status = _values(item, SOP_INSTANCE_UID), _values(item, reason)
        if uid:
            yield str(uid[0]), int(status[0]) if status and isinstance(status[0], int) else SUCCESS


def _values(data: Any, tag: str) -> list[Any]:
    element = data.get(tag) if isinstance(data, dict) else None
    value = element.get("Value") if isinstance(element, dict) else None
    return value if isinstance(value, list) else []
