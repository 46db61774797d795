"""Clips in from an archive by QIDO-RS and WADO-RS (PS3.18 10.6, 10.4)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from service.pacs.outgoing.multipart import first_part
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.remote import RemoteInstance, Wanted, clips_among
from service.pacs.outgoing.web_session import body_of, checked, name_of, not_dicomweb, open_session
from service.pacs.site import Web

PAGE = 500
FIELDS = ["SOPClassUID", "SeriesInstanceUID", "SOPInstanceUID", "NumberOfFrames"]
TAGS = {"SOPClassUID": "00080016", "SeriesInstanceUID": "0020000E", "SOPInstanceUID": "00080018", "NumberOfFrames": "00280008"}
ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As it is stored. Without it PS3.18 8.7.3.3.2 asks the archive for Explicit VR Little Endian: every clip unpacked."""


def find_by_web(web: Web, wanted: Wanted, *, timeout_s: float) -> tuple[RemoteInstance, ...]:
    """Raises: NodeFailed."""
    with open_session(web) as session:
        session.hooks["response"] = [lambda answer, **_: _read_within(web, answer, timeout_s)]
        try:
            client = DICOMwebClient(web.url.rstrip("/"), session=session, permissive_uid=True, timeout=timeout_s)
            client.set_http_retry_params(retry=False)  # its own waits would hold the queue; the queue has its own
            return clips_among(_read(wanted, one) for one in _pages(client, wanted))
        except (AttributeError, TypeError, ValueError) as error:  # what it makes of an answer that is JSON and not DICOM
            if isinstance(error, requests.RequestException):
                raise
            raise not_dicomweb(web) from None


def _read_within(web: Web, answer: requests.Response, timeout_s: float) -> None:
    """The client would read an answer of any size and slowness; it finds this one read."""
    answer._content = body_of(web, answer, timeout_s)


def _pages(client: DICOMwebClient, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Until a page brings nothing new: some services know no `offset` and send the first page for ever."""
    seen: set[str] = set()
    filters = {} if wanted.instance is None else {"SOPInstanceUID": wanted.instance}
    while True:
        page = client.search_for_instances(wanted.study, wanted.series, fields=FIELDS, search_filters=filters, limit=PAGE, offset=len(seen))
        new = [one for one in page if str(_value(one, "SOPInstanceUID")) not in seen]
        yield from new
        seen.update(str(_value(one, "SOPInstanceUID")) for one in new)
        if not new or len(page) < PAGE:
            return


def _read(wanted: Wanted, one: dict[str, Any]) -> RemoteInstance:
    frames = _value(one, "NumberOfFrames")
    series = wanted.series or str(_value(one, "SeriesInstanceUID"))
    return RemoteInstance(
        wanted.study, series, str(_value(one, "SOPInstanceUID")), str(_value(one, "SOPClassUID")), None if frames is None else int(frames)
    )


def _value(one: dict[str, Any], keyword: str) -> Any:
    """First value of an element in DICOM JSON, None where it has none."""
    return next(iter(one.get(TAGS[keyword], {}).get("Value", [])), None)


def fetch_by_web(web: Web, instance: RemoteInstance, folder: Path, *, timeout_s: float, max_bytes: int) -> Path:
    """Write one object into `folder`, as it is in the archive, in chunks; its name there is its SOP Instance UID.

    Raises: NodeFailed, also for an object that is cut off, another one than was asked for, or larger than `max_bytes`; then no file
    is left.
    """
    path = folder / f"{instance.instance}.dcm"
    try:
        with open_session(web) as session, path.open("wb") as file:
            for chunk in _chunks(session, web, instance, timeout_s):
                file.write(chunk)
                if file.tell() > max_bytes:
                    raise _too_large(web, max_bytes)
        _check(web, path, instance)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _chunks(session: requests.Session, web: Web, instance: RemoteInstance, timeout_s: float) -> Iterator[bytes]:
    url = f"{web.url.rstrip('/')}/studies/{instance.study}/series/{instance.series}/instances/{instance.instance}"
    with session.get(url, headers={"Accept": ANY_SYNTAX}, timeout=timeout_s, stream=True) as answer:
        checked(web, answer)
        try:
            yield from first_part(answer.headers.get("Content-Type", ""), answer.iter_content(2**16))
        except ValueError:
            raise _not_whole(web) from None


def _check(web: Web, path: Path, instance: RemoteInstance) -> None:
    try:
        uid = read_file_meta_info(path).MediaStorageSOPInstanceUID
    except (InvalidDicomError, AttributeError, EOFError):
        raise _not_whole(web) from None
    if uid != instance.instance:
        raise NodeFailed(f"{name_of(web)} sent another object than was asked for.", "Its log should say why.", is_permanent=True)


def _not_whole(web: Web) -> NodeFailed:
    return NodeFailed(f"{name_of(web)} did not send the whole object.", "Its log should say why.")


def _too_large(web: Web, max_bytes: int) -> NodeFailed:
    found = f"{name_of(web)} sent an object of more than {max_bytes} bytes, the limit here."
    return NodeFailed(found, "Raise max_instance_bytes in the site file if such clips are wanted.", is_permanent=True)
