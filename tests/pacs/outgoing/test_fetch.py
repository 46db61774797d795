"""Clips in from a real Orthanc, by DICOMweb and by C-FIND and C-MOVE, and from services that send something else."""

import json
import queue
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from service.errors import BadOption
from service.pacs.outgoing.fetch import find
from service.pacs.outgoing.fetch_dimse import Moved, find_by_dimse, move
from service.pacs.outgoing.fetch_web import fetch_by_web, find_by_web
from service.pacs.outgoing.multipart import first_part
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.outgoing.remote import RemoteInstance, Wanted
from service.pacs.site import Archive, Web
from tests.fakes import dicom, nodes
from tests.fakes.nodes import IMPATIENCE_S, PATIENCE_S
from tests.fakes.orthanc import Orthanc, free_port

OURS = "SEASHORE"
ULTRASOUND = UltrasoundMultiFrameImageStorage


def stored(last: int, series: int = 100, num_frames: int = 2, sop_class: UID = ULTRASOUND, **elements: Any) -> bytes:
    """One object: instance 1.2.3.<last> of series 1.2.3.<series>."""
    about = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": f"1.2.3.{series}", "PatientID": "p", "SOPInstanceUID": f"1.2.3.{last}"}
    return dicom.native(np.full((num_frames, 64, 64), last, np.uint8), **about, SOPClassUID=sop_class, **elements)


def remote(last: int, series: int = 100, num_frames: int | None = 2, sop_class: UID = ULTRASOUND) -> RemoteInstance:
    return RemoteInstance("1.2.3", f"1.2.3.{series}", f"1.2.3.{last}", sop_class, num_frames)


@pytest.fixture
def filled(orthanc: Orthanc) -> Orthanc:
    """A study with two ultrasound clips, a captured one, a still, a clip of one frame, a report, and a CT beside it."""
    for file in (
        stored(1),
        stored(2),
        stored(3, series=101, sop_class=MultiFrameGrayscaleByteSecondaryCaptureImageStorage, Modality="OT"),
        stored(4, num_frames=1, sop_class=UltrasoundImageStorage),
        stored(5, num_frames=1),
        stored(6, series=102, num_frames=1, sop_class=Comprehensive3DSRStorage, Modality="SR"),
        dicom.native(StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1", PatientID="p", SOPInstanceUID="1.2.4.1.1"),
    ):
        orthanc.upload(file)
    return orthanc


# Finding


@pytest.mark.parametrize("way", ["web", "dicom"])
@pytest.mark.parametrize(
    ("wanted", "lasts"),
    [
        (Wanted("1.2.3"), {1, 2, 3}),
        (Wanted("1.2.3", "1.2.3.100"), {1, 2}),
        (Wanted("1.2.3", "1.2.3.100", "1.2.3.2"), {2}),
        (Wanted("1.2.3", "1.2.3.100", "1.2.3.4"), set()),
        (Wanted("1.2.9"), set()),
    ],
)
def test_the_instances_that_can_be_clips_are_found(filled: Orthanc, way: str, wanted: Wanted, lasts: set[int]) -> None:
    found = find(Archive(**{way: getattr(filled, "node" if way == "dicom" else "web")}), wanted, ae_title=OURS, timeout_s=PATIENCE_S)

    captured = remote(3, series=101, sop_class=MultiFrameGrayscaleByteSecondaryCaptureImageStorage)
    assert set(found) == {captured if last == 3 else remote(last) for last in lasts}
    assert len(found) == len(lasts)


def test_an_instance_of_which_the_archive_does_not_say_the_frames_may_be_a_clip() -> None:
    assert [remote(1, num_frames=frames).can_be_a_clip for frames in (None, 0, 1, 2)] == [True, True, False, True]


@pytest.mark.parametrize("uid", ["", "*", "1.2/../../patients", "1.2?x", "1..2", "1.2\\1.3", "1" * 65, "study", "1.2\n", "١.٢"])
def test_what_is_no_uid_never_gets_into_a_url_or_query(uid: str) -> None:
    for wanted in (("1.2", "1.3", uid), ("1.2", uid), (uid,)):
        with pytest.raises(BadOption, match="is not a DICOM UID: digits and dots, at most 64 characters"):
            Wanted(*wanted)


def test_an_instance_is_asked_for_with_its_series() -> None:
    with pytest.raises(BadOption, match="An instance is asked for without its series; give both."):
        Wanted("1.2", instance="1.3")


# QIDO-RS


def listed(*lasts: int, **replaced: Any) -> list[dict[str, Any]]:
    tags = {"00080016": str(ULTRASOUND), "0020000E": "1.2.3.100", "00280008": 2, **replaced}
    return [{tag: {"vr": "UN", "Value": [value]} for tag, value in {**tags, "00080018": f"1.2.3.{last}"}.items()} for last in lasts]


def json_reply(value: Any) -> Any:
    return lambda request, received: (200, {"Content-Type": "application/dicom+json"}, json.dumps(value).encode())


def found_at(reply: Any) -> tuple[RemoteInstance, ...]:
    with nodes.web_service(reply) as web:
        return find_by_web(web, Wanted("1.2.3"), timeout_s=PATIENCE_S)


def test_a_service_that_knows_no_paging_is_asked_no_more_than_twice() -> None:
    requests: list[str] = []

    def reply(request: BaseHTTPRequestHandler, received: bytes) -> nodes.Reply:
        requests.append(request.path)
        return 200, {}, json.dumps(listed(*range(1, 501))).encode()

    assert len(found_at(reply)) == 500
    assert ["offset=0" in requests[0], "offset=500" in requests[1], len(requests)] == [True, True, 2]


def test_pages_are_put_together() -> None:
    def reply(request: BaseHTTPRequestHandler, received: bytes) -> nodes.Reply:
        page = range(1, 501) if "offset=0" in request.path else range(501, 503)
        return 200, {}, json.dumps(listed(*page)).encode()

    assert len(found_at(reply)) == 502


def test_what_an_archive_calls_an_instance_must_be_a_uid() -> None:
    assert found_at(json_reply([*listed(1), *listed(2, **{"0020000E": "../../secret"})])) == (remote(1),)


@pytest.mark.parametrize("answer", ["text", [1], [{"00080018": 1}], [{"00080018": {"Value": 1}}], [{"00280008": {"Value": ["many"]}}], 7])
def test_json_that_is_not_dicom_ends_in_a_sentence(answer: Any) -> None:
    with pytest.raises(NodeFailed, match="answered with something else than DICOM JSON"):
        found_at(json_reply(answer))


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b"<html>Log in</html>", "answered with something else than DICOM JSON."),
        (401, b"", "did not accept who Seashore says it is \\(401\\)."),
        (503, b"", "could not do it just now \\(503\\)."),
    ],
)
def test_a_service_that_does_not_serve_ends_in_a_sentence(status: int, body: bytes, sentence: str) -> None:
    with pytest.raises(NodeFailed, match=sentence):
        found_at(lambda request, received: (status, {"Retry-After": "9"}, body))


def test_a_service_that_trickles_its_list_is_left(tmp_path: Path) -> None:
    def trickle(connection: Any) -> None:
        connection.recv(2**16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    with nodes.port_that(trickle) as port, pytest.raises(NodeFailed, match="did not answer in time"):
        find_by_web(Web(url=f"http://127.0.0.1:{port}"), Wanted("1.2.3"), timeout_s=IMPATIENCE_S)


def test_an_archive_that_is_not_there_ends_in_a_sentence() -> None:
    with pytest.raises(NodeFailed, match="refused the connection: nothing listens there"):
        find_by_web(Web(url=f"http://127.0.0.1:{free_port()}"), Wanted("1.2.3"), timeout_s=PATIENCE_S)
    with pytest.raises(NodeFailed, match="refused the connection: nothing listens there"):
        find_by_dimse(nodes.node(free_port()), Wanted("1.2.3"), ae_title=OURS, timeout_s=PATIENCE_S)


# WADO-RS


def fetched(web: Web, folder: Path, max_bytes: int = 10**9) -> bytes:
    return fetch_by_web(web, remote(1), folder, timeout_s=PATIENCE_S, max_bytes=max_bytes).read_bytes()


def test_an_object_comes_as_the_archive_holds_it(filled: Orthanc, tmp_path: Path) -> None:
    assert fetched(filled.web, tmp_path) == stored(1)


def test_compressed_pixels_come_compressed(orthanc: Orthanc, tmp_path: Path) -> None:
    about = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.100", "PatientID": "p", "SOPInstanceUID": "1.2.3.1"}
    file = dicom.jpeg_baseline(**about)
    orthanc.upload(file)

    assert fetched(orthanc.web, tmp_path) == file


def test_an_object_that_is_gone_is_not_found(orthanc: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(NodeFailed, match="knows nothing at this address \\(404\\)"):
        fetched(orthanc.web, tmp_path)

    assert list(tmp_path.iterdir()) == []


def part(file: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    return b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + file + end


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        ("multipart/related; boundary=b", part(stored(1)[:5000], b""), "did not send the whole object"),
        ("multipart/related; boundary=b", part(b"no dicom"), "did not send the whole object"),
        ("multipart/related", part(stored(1)), "did not send the whole object"),
        ("text/html", b"<html>Log in</html>", "did not send the whole object"),
        ("multipart/related; boundary=b", part(stored(2)), "sent another object than was asked for"),
        ("multipart/related; boundary=b", part(bytes(200_000)), "sent an object of more than 100000 bytes, the limit here"),
    ],
)
def test_an_object_that_is_not_whole_or_not_the_right_one_leaves_no_file(
    tmp_path: Path, content_type: str, body: bytes, sentence: str
) -> None:
    with (
        nodes.web_service(lambda request, received: (200, {"Content-Type": content_type}, body)) as web,
        pytest.raises(NodeFailed, match=sentence),
    ):
        fetched(web, tmp_path, max_bytes=100_000)

    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    def half(connection: Any) -> None:
        connection.recv(2**16)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/related; boundary=b\r\nContent-Length: 99999\r\n\r\n"
        connection.sendall(head + part(stored(1), b""))

    with nodes.port_that(half) as port, pytest.raises(NodeFailed, match="broke off the connection"):
        fetched(Web(url=f"http://127.0.0.1:{port}"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_one_object_without_multipart_around_it_is_taken(tmp_path: Path) -> None:
    with nodes.web_service(lambda request, received: (200, {"Content-Type": "application/dicom"}, stored(1))) as web:
        assert fetched(web, tmp_path) == stored(1)


@pytest.mark.parametrize("size", range(1, 30))
def test_a_part_is_the_same_however_it_is_cut_into_chunks(size: int) -> None:
    file = b"a\r\n--c\r\n-" + bytes(range(40)) + b"\r\n"
    body = part(file)

    chunks = [body[start : start + size] for start in range(0, len(body), size)]

    assert b"".join(first_part('multipart/related; type="application/dicom"; boundary="b"', chunks)) == file


# C-MOVE


def test_what_is_moved_arrives_at_our_listener_and_what_is_not_there_is_told(filled: Orthanc) -> None:
    arrived: queue.Queue[str] = queue.Queue()

    def take(event: evt.Event) -> int:
        arrived.put(str(event.request.AffectedSOPInstanceUID))
        return 0

    heard: list[Moved] = []
    with nodes.archive(take, entity=AE(OURS)) as port:
        filled.introduce(OURS, port)
        moved = move(filled.node, [remote(1), remote(2), remote(9)], ae_title=OURS, timeout_s=PATIENCE_S, on_progress=heard.append)

    assert [one.is_sent for one in moved] == [True, True, False]
    assert (arrived.get_nowait(), arrived.get_nowait(), arrived.empty()) == ("1.2.3.1", "1.2.3.2", True)
    assert heard == list(moved)
    assert "could not send it to SEASHORE (C-MOVE, " in moved[2].sentence


def test_a_caller_stops_a_move_by_raising(filled: Orthanc) -> None:
    def stop(one: Moved) -> None:
        raise KeyboardInterrupt

    with nodes.archive(entity=AE(OURS)) as port:
        filled.introduce(OURS, port)
        with pytest.raises(KeyboardInterrupt):
            move(filled.node, [remote(1), remote(2)], ae_title=OURS, timeout_s=PATIENCE_S, on_progress=stop)


def test_a_listener_that_is_off_is_told(filled: Orthanc) -> None:
    filled.introduce(OURS, free_port())

    (moved,) = move(filled.node, [remote(1)], ae_title=OURS, timeout_s=PATIENCE_S)

    assert not moved.is_sent
    assert "could not send it to SEASHORE" in moved.sentence


def moving(*statuses: Any) -> dict[str, Any]:
    """For `nodes.archive`: one that answers C-MOVE with what is given."""
    entity = AE("ARCHIVE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
    return {"entity": entity, "is_choosy": True, "EVT_C_MOVE": lambda event: iter(statuses)}


def test_an_archive_that_does_not_know_where_to_move_to_says_what_to_do() -> None:
    with nodes.archive(**moving((None, None))) as port, pytest.raises(NodeFailed) as caught:
        move(nodes.node(port), [remote(1)], ae_title=OURS, timeout_s=PATIENCE_S)

    assert str(caught.value) == f"ARCHIVE at 127.0.0.1:{port} does not know SEASHORE as a place to send to."
    assert caught.value.advice == (
        "Add SEASHORE there, with the address and port that Seashore listens on, and allow it to query and to move."
    )


def test_success_with_nothing_sent_is_no_success() -> None:
    with nodes.archive(**moving(("127.0.0.1", free_port()), 0)) as port:
        (moved,) = move(nodes.node(port), [remote(1)], ae_title=OURS, timeout_s=PATIENCE_S)

    assert moved == Moved("1.2.3.1", False, f"ARCHIVE at 127.0.0.1:{port} found nothing to send.")


def test_a_query_that_fails_is_told() -> None:
    entity = AE("ARCHIVE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    handlers: dict[str, Any] = {"EVT_C_FIND": lambda event: iter([(0xA700, None)])}
    with nodes.archive(entity=entity, is_choosy=True, **handlers) as port, pytest.raises(NodeFailed) as caught:
        find_by_dimse(nodes.node(port), Wanted("1.2.3"), ae_title=OURS, timeout_s=PATIENCE_S)

    assert str(caught.value) == f"ARCHIVE at 127.0.0.1:{port} did not answer the query (C-FIND, A700)."
