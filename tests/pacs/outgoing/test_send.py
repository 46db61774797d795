"""Results out: to a real Orthanc, and to archives that refuse, stall, lie or are not there. Every status is looked at."""

import json
import ssl
import statistics
import threading
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pydicom.uid import UID, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

from service.pacs.outgoing.outcome import MAX_DELAY_S, Delivered, Outcome, Refused, Unreachable, next_delay_s
from service.pacs.outgoing.send import send
from service.pacs.outgoing.statuses import judge
from service.pacs.outgoing.web_session import retry_after_s
from service.pacs.site import TLS, Destination, Node, Web
from tests.fakes import dicom, nodes
from tests.fakes.nodes import IMPATIENCE_S, PATIENCE_S
from tests.fakes.orthanc import Orthanc, free_port

OURS = "SEASHORE"
SOON_S = 10.0
"""Well before `PATIENCE_S`, and before what an archive here would make one wait for."""


def result(folder: Path, last: int = 1, **elements: Any) -> Path:
    """One object with the UID 1.2.3.<last>."""
    path = folder / f"{last}.dcm"
    about = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.100", "PatientID": "p", "SOPInstanceUID": f"1.2.3.{last}"}
    path.write_bytes(dicom.native(np.zeros((2, 64, 64), np.uint8), **{**about, **elements}))
    return path


def data_set(file: bytes) -> bytes:
    """All but the file meta information, which names its writer (PS3.10 7.1)."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def to(node: Node, **fields: Any) -> Destination:
    return Destination(name="there", dicom=node, **{"timeout_s": PATIENCE_S, **fields})


def to_web(web: Web, **fields: Any) -> Destination:
    return Destination(name="there", web=web, **{"timeout_s": PATIENCE_S, **fields})


def refused(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


def unreachable(outcome: Outcome) -> Unreachable:
    assert isinstance(outcome, Unreachable), outcome
    return outcome


# A real archive


@pytest.mark.parametrize("way", ["by_dicom", "by_web"])
def test_a_set_is_in_the_archive_once_however_often_it_is_sent(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    paths = [result(tmp_path, 1), result(tmp_path, 2), result(tmp_path, 3)]
    destination = getattr(orthanc, way)()

    outcomes = [send(paths, destination, ae_title=OURS), send(paths, destination, ae_title=OURS)]

    assert outcomes == [Delivered(("1.2.3.1", "1.2.3.2", "1.2.3.3"))] * 2
    assert sorted(orthanc.instances()) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert orthanc.studies() == ["1.2.3"]
    assert data_set(orthanc.download("1.2.3.2")) == data_set(paths[1].read_bytes())


def test_compressed_pixels_arrive_as_they_were(orthanc: Orthanc, tmp_path: Path) -> None:
    about = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.100", "PatientID": "p", "SOPInstanceUID": "1.2.3.9"}
    (tmp_path / "jpeg.dcm").write_bytes(dicom.jpeg_baseline(**about))

    assert send([tmp_path / "jpeg.dcm"], orthanc.by_dicom(), ae_title=OURS) == Delivered(("1.2.3.9",))
    assert data_set(orthanc.download("1.2.3.9")) == data_set((tmp_path / "jpeg.dcm").read_bytes())


@pytest.mark.parametrize(
    ("way", "sentence", "is_permanent"),
    [
        ("by_dicom", "refused 1 of 2 objects: it is out of resources (A700). Its disk may be full, or it failed in another way", False),
        ("by_web", "refused 1 of 2 objects: it did not say that it stored it. Look whether it is there", True),
    ],
)
def test_one_object_that_the_archive_refuses_does_not_hold_back_another(
    orthanc: Orthanc, tmp_path: Path, way: str, sentence: str, is_permanent: bool
) -> None:
    """Orthanc takes no object without a study; by STOW it answers 200 to the whole request, names none as stored, and stores none."""
    paths = [result(tmp_path, 1, StudyInstanceUID="", SeriesInstanceUID=""), result(tmp_path, 2)]

    outcome = refused(send(paths, getattr(orthanc, way)(), ae_title=OURS))

    assert sentence in outcome.sentence
    assert (outcome.accepted, outcome.is_permanent) == (("1.2.3.2",), is_permanent)
    assert orthanc.instances() == ["1.2.3.2"]


@pytest.mark.parametrize("way", ["by_dicom", "by_web"])
def test_an_archive_that_is_stopped_and_started_takes_what_waited(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    first, second = result(tmp_path, 1), result(tmp_path, 2)
    send([first], getattr(orthanc, way)(), ae_title=OURS)
    orthanc.kill()
    while_away = send([second], getattr(orthanc, way)(), ae_title=OURS)
    orthanc.start()

    assert "refused the connection: nothing listens there." in unreachable(while_away).sentence
    assert send([second], getattr(orthanc, way)(), ae_title=OURS) == Delivered(("1.2.3.2",))
    assert sorted(orthanc.instances()) == ["1.2.3.1", "1.2.3.2"]


def test_an_archive_may_ask_for_a_password(tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc, tmp_path: Path) -> None:
    del orthanc  # skipped without one
    options = {"AuthenticationEnabled": True, "RegisteredUsers": {"seashore": "right"}, "RemoteAccessAllowed": False}
    archive = Orthanc(tmp_path_factory.mktemp("password"), options, user=("seashore", "right"))
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("right\n")
    wrong.write_text("wrong")
    archive.start()
    try:
        web = archive.web.model_copy(update={"user": "seashore"})
        outcomes = [
            send([result(tmp_path)], to_web(web.model_copy(update={"password_file": file})), ae_title=OURS) for file in (right, wrong)
        ]
    finally:
        archive.kill()

    assert outcomes[0] == Delivered(("1.2.3.1",))
    assert "did not accept who Seashore says it is (401). Check user and password_file in the site file." in refused(outcomes[1]).sentence
    assert not refused(outcomes[1]).is_permanent


def test_nothing_to_send_is_delivered_and_nobody_is_called() -> None:
    assert send([], to(nodes.node(free_port())), ae_title=OURS) == Delivered(())


# C-STORE: what an archive answers


@pytest.mark.parametrize(("status", "words"), [(0xB000, "changed values of some elements"), (0xB006, "left out some elements")])
def test_a_warning_is_an_acceptance_and_is_told(tmp_path: Path, status: int, words: str) -> None:
    with nodes.archive(lambda event: status) as port:
        outcome = send([result(tmp_path, 1), result(tmp_path, 2)], to(nodes.node(port)), ae_title=OURS)

    assert outcome == Delivered(("1.2.3.1", "1.2.3.2"), (f"ARCHIVE at 127.0.0.1:{port} took 2 objects and {words}.",))


@pytest.mark.parametrize(
    ("status", "is_permanent", "words"),
    [
        (0xA700, False, "it is out of resources (A700)"),
        (0x0110, False, "it failed while storing it (0110)"),
        (0x0124, False, "Seashore may not store there (0124)"),
        (0x0122, True, "it does not take this kind of object (0122)"),
        (0xA900, True, "the object does not match its SOP class (A900)"),
        (0xC000, True, "it cannot understand the object (C000)"),
        (0x1234, True, "it gave no reason that the standard knows (1234)"),
    ],
)
def test_any_other_status_is_a_refusal_and_the_others_of_the_set_are_sent(
    tmp_path: Path, status: int, is_permanent: bool, words: str
) -> None:
    def answer(event: evt.Event) -> int:
        return status if event.request.AffectedSOPInstanceUID == "1.2.3.1" else 0

    with nodes.archive(answer) as port:
        outcome = refused(send([result(tmp_path, 1), result(tmp_path, 2)], to(nodes.node(port)), ae_title=OURS))

    assert outcome.sentence.startswith(f"ARCHIVE at 127.0.0.1:{port} refused 1 of 2 objects: {words}. ")
    assert (outcome.status, outcome.is_permanent, outcome.accepted) == (status, is_permanent, ("1.2.3.2",))


def test_only_success_warnings_and_what_is_there_already_are_acceptances() -> None:
    accepted = [status for status in range(0x10000) if judge(status).is_accepted]

    assert accepted == [0x0000, 0x0111, *range(0xB000, 0xC000)]


def test_an_archive_that_only_takes_the_default_transfer_syntax_gets_it(tmp_path: Path) -> None:
    """PS3.5 10.1: it may be the only one. The file is in Explicit VR."""
    entity = AE("ARCHIVE")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.3.1", ImplicitVRLittleEndian)
    arrived: list[tuple[UID, bytes]] = []

    def keep(event: evt.Event) -> int:
        arrived.append((event.context.transfer_syntax, event.dataset.PixelData))
        return 0

    with nodes.archive(keep, entity=entity, is_choosy=True) as port:
        outcome = send([result(tmp_path)], to(nodes.node(port)), ae_title=OURS)

    assert outcome == Delivered(("1.2.3.1",))
    assert arrived == [(ImplicitVRLittleEndian, bytes(2 * 64 * 64))]


def test_an_archive_without_one_kind_of_object_takes_the_others(tmp_path: Path) -> None:
    entity = AE("ARCHIVE")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.3.1")
    paths = [result(tmp_path, 1, SOPClassUID=SecondaryCaptureImageStorage), result(tmp_path, 2)]

    with nodes.archive(entity=entity, is_choosy=True) as port:
        outcome = refused(send(paths, to(nodes.node(port)), ae_title=OURS))

    assert "it does not take Secondary Capture Image Storage in Explicit VR Little Endian. Allow it there" in outcome.sentence
    assert (outcome.is_permanent, outcome.accepted) == (True, ("1.2.3.2",))


# C-STORE: associations that come to nothing


def rejecting(**requirements: Any) -> AE:
    entity = AE("ARCHIVE")
    for name, value in requirements.items():
        setattr(entity, name, value)
    return entity


@pytest.mark.parametrize(
    ("requirements", "sentence"),
    [
        (
            {"require_calling_aet": ["CT1"]},
            "ARCHIVE at 127.0.0.1:{port} rejected the AE title SEASHORE. "
            "Add SEASHORE there, or change ae_title under [receive] in the site file.",
        ),
        (
            {"require_called_aet": True, "ae_title": "PACS1"},
            "The node at 127.0.0.1:{port} says it is not called ARCHIVE. Write its own AE title into the site file; capital letters count.",
        ),
    ],
)
def test_a_wrong_ae_title_is_told_apart(tmp_path: Path, requirements: dict[str, Any], sentence: str) -> None:
    with nodes.archive(entity=rejecting(**requirements)) as port:
        outcome = refused(send([result(tmp_path)], to(nodes.node(port)), ae_title=OURS))

    assert outcome.sentence == sentence.format(port=port)
    assert not outcome.is_permanent


def test_an_archive_that_takes_none_of_it_says_so_at_once(tmp_path: Path) -> None:
    with nodes.archive(entity=AE("ARCHIVE"), is_choosy=True) as port:
        outcome = refused(send([result(tmp_path)], to(nodes.node(port)), ae_title=OURS))

    assert "does not take anything that was offered. Allow this kind of object and its transfer syntax there" in outcome.sentence
    assert outcome.is_permanent


@pytest.mark.parametrize(
    ("behave", "timeout_s", "sentence"),
    [
        (
            nodes.say_nothing,
            IMPATIENCE_S,
            "took the connection and did not answer within 1 s. Something else than DICOM may listen on that port",
        ),
        (
            nodes.abort,
            PATIENCE_S,
            "ended the connection instead of answering. Something else than DICOM may listen on that port, or it expects TLS",
        ),
        (nodes.hang_up, PATIENCE_S, "ended the connection instead of answering."),
    ],
)
def test_a_port_that_speaks_no_dicom_ends_in_a_sentence(tmp_path: Path, behave: nodes.Behaviour, timeout_s: float, sentence: str) -> None:
    with nodes.port_that(behave) as port:
        start_s = time.monotonic()
        outcome = unreachable(send([result(tmp_path)], to(nodes.node(port), timeout_s=timeout_s), ae_title=OURS))

    assert sentence in outcome.sentence
    assert time.monotonic() - start_s < SOON_S


def test_nobody_there_and_no_such_host_are_told_apart(tmp_path: Path) -> None:
    nobody, nowhere = nodes.node(free_port()), Node(ae_title="A", address="archive.invalid", port=104)
    outcomes = [unreachable(send([result(tmp_path)], to(node), ae_title=OURS)).sentence for node in (nobody, nowhere)]

    assert "refused the connection: nothing listens there. Check address and port in the site file" in outcomes[0]
    assert outcomes[1] == "The address archive.invalid could not be found. Check its spelling in the site file, and the name server."


def test_an_archive_that_aborts_at_the_second_object_has_taken_the_first(tmp_path: Path) -> None:
    def abort_at_second(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == "1.2.3.2":
            event.assoc.abort()
        return 0

    with nodes.archive(abort_at_second) as port:
        paths = [result(tmp_path, number) for number in (1, 2, 3)]
        outcome = unreachable(send(paths, to(nodes.node(port)), ae_title=OURS))

    assert outcome.accepted == ("1.2.3.1",)
    assert "aborted the association. Its log should say why." in outcome.sentence


def test_an_archive_that_never_answers_a_store_is_left_after_the_time_limit(tmp_path: Path) -> None:
    may_go = threading.Event()
    with nodes.archive(lambda event: 0 if may_go.wait(20.0) else 0) as port:
        start_s = time.monotonic()
        outcome = unreachable(send([result(tmp_path)], to(nodes.node(port), timeout_s=IMPATIENCE_S), ae_title=OURS))
        took_s = time.monotonic() - start_s
        may_go.set()

    assert "did not answer within 1 s." in outcome.sentence
    assert took_s < SOON_S


def large(folder: Path, num_bytes: int) -> Path:
    path = folder / "large.dcm"
    frames = np.zeros((num_bytes // 250_000, 500, 500), np.uint8)
    about = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.100", "PatientID": "p", "SOPInstanceUID": "1.2.3.1"}
    path.write_bytes(dicom.native(frames, **about))
    return path


@pytest.mark.parametrize(
    "behaviour", [nodes.stop_reading(after_pdus=20, for_s=4.0), nodes.close_connection(after_pdus=20)], ids=["stalls", "closes"]
)
def test_an_archive_that_is_lost_in_the_middle_of_an_object_leaves_no_thread_behind(tmp_path: Path, behaviour: dict[str, Any]) -> None:
    """pynetdicom 3.0.4 by itself holds a thread for ever, which cannot be ended and keeps the process alive."""
    path, before = large(tmp_path, 20_000_000), threading.active_count()
    with nodes.archive(**behaviour) as port:
        start_s = time.monotonic()
        outcome = unreachable(send([path], to(nodes.node(port), timeout_s=IMPATIENCE_S), ae_title=OURS))
        took_s = time.monotonic() - start_s

    assert "broke off the connection, or read nothing for 1 s." in outcome.sentence
    assert took_s < SOON_S
    assert threads_within(5.0, before)


def threads_within(seconds: float, count: int) -> bool:
    """Whether there are no more threads than before, soon."""
    end_s = time.monotonic() + seconds
    while threading.active_count() > count and time.monotonic() < end_s:
        time.sleep(0.05)
    return threading.active_count() <= count


@pytest.mark.parametrize("way", ["by_dicom", "by_web"])
def test_a_large_object_is_never_in_memory_as_a_whole(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    path = large(tmp_path, 25_000_000)
    tracemalloc.start()
    try:
        outcome = send([path], getattr(orthanc, way)(), ae_title=OURS)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert outcome == Delivered(("1.2.3.1",))
    assert peak_bytes < 3_000_000


# TLS


@pytest.fixture
def server_side(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """An archive's certificate, and the context it serves with; it asks callers for the certificate "client"."""
    made, key = nodes.certificate(tmp_path, "archive")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=nodes.certificate(tmp_path, "client")[0])
    context.load_cert_chain(made, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return made, context


def test_both_sides_may_show_certificates(server_side: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    made, context = server_side
    tls = TLS(certificate=tmp_path / "client.pem", key=tmp_path / "client.key", ca=made)
    with nodes.archive(tls=context) as port:
        assert send([result(tmp_path)], to(nodes.node(port, tls=tls)), ae_title=OURS) == Delivered(("1.2.3.1",))


def test_an_archive_with_an_unknown_certificate_gets_nothing(server_side: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    _, context = server_side
    stranger = TLS(certificate=tmp_path / "client.pem", key=tmp_path / "client.key", ca=tmp_path / "client.pem")
    with nodes.archive(tls=context) as port:
        outcome = unreachable(send([result(tmp_path)], to(nodes.node(port, tls=stranger)), ae_title=OURS))

    assert f"The TLS certificate of ARCHIVE at 127.0.0.1:{port} was not accepted: " in outcome.sentence
    assert "Give the authority that signed it as ca in the site file" in outcome.sentence


def test_tls_to_a_port_without_it_says_so(tmp_path: Path) -> None:
    made, _ = nodes.certificate(tmp_path, "archive")
    with nodes.port_that(nodes.abort) as port:
        outcome = unreachable(send([result(tmp_path)], to(nodes.node(port, tls=TLS(ca=made))), ae_title=OURS))

    assert f"The TLS handshake with ARCHIVE at 127.0.0.1:{port} failed. Check that this port is its TLS port" in outcome.sentence


def test_tls_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    outcome = unreachable(send([result(tmp_path)], to(nodes.node(free_port(), tls=TLS(ca=tmp_path / "ca.pem"))), ae_title=OURS))

    assert "could not be read. Check certificate, key and ca in the site file: PEM files" in outcome.sentence


# STOW-RS: what a service answers


def stored(*uids: str, **failed: int) -> bytes:
    """DICOM JSON of PS3.18 10.5.3. `failed`: u3=0xA700 is 1.2.3.3 refused with A700."""
    answer: dict[str, Any] = {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]}}
    items = [
        {"00081155": {"vr": "UI", "Value": [f"1.2.3.{name[1:]}"]}, "00081197": {"vr": "US", "Value": [reason]}}
        for name, reason in failed.items()
    ]
    return json.dumps(answer | ({"00081198": {"vr": "SQ", "Value": items}} if items else {})).encode()


def answering(status: int, body: bytes = b"", **headers: str) -> Any:
    def reply(request: BaseHTTPRequestHandler, received: bytes) -> nodes.Reply:
        return status, {name.replace("_", "-"): value for name, value in headers.items()}, body

    return reply


def sent_to(reply: Any, tmp_path: Path, **fields: Any) -> Outcome:
    with nodes.web_service(reply) as web:
        paths = [result(tmp_path, 1), result(tmp_path, 2)]
        return send(paths, to_web(web.model_copy(update=fields)), ae_title=OURS)


def test_stow_sends_whole_files_of_a_told_length_under_our_token(tmp_path: Path) -> None:
    seen: list[tuple[str, str, bytes]] = []

    def reply(request: BaseHTTPRequestHandler, received: bytes) -> nodes.Reply:
        seen.append((request.path, request.headers["Authorization"], received))
        return 200, {"Content-Type": "application/dicom+json"}, stored("1.2.3.1", "1.2.3.2")

    (tmp_path / "token").write_text("abc.def\n")
    outcome = sent_to(reply, tmp_path, password_file=tmp_path / "token")

    assert outcome == Delivered(("1.2.3.1", "1.2.3.2"))
    ((path, authorization, body),) = seen
    assert (path, authorization) == ("/dicom-web/studies", "Bearer abc.def")
    assert body.count((tmp_path / "1.dcm").read_bytes()) == body.count((tmp_path / "2.dcm").read_bytes()) == 1


@pytest.mark.parametrize("status", [200, 202, 409])
def test_the_body_says_what_was_stored_whatever_the_status_says(tmp_path: Path, status: int) -> None:
    outcome = refused(sent_to(answering(status, stored("1.2.3.1", u2=0xA900)), tmp_path))

    assert "refused 1 of 2 objects: the object does not match its SOP class (A900)." in outcome.sentence
    assert (outcome.status, outcome.is_permanent, outcome.accepted) == (0xA900, True, ("1.2.3.1",))


def test_an_object_that_the_service_does_not_mention_was_not_delivered(tmp_path: Path) -> None:
    outcome = refused(sent_to(answering(200, stored("1.2.3.1")), tmp_path))

    assert "refused 1 of 2 objects: it did not say that it stored it. Look whether it is there" in outcome.sentence
    assert outcome.accepted == ("1.2.3.1",)


def test_an_object_both_stored_and_failed_failed(tmp_path: Path) -> None:
    assert refused(sent_to(answering(200, stored("1.2.3.1", "1.2.3.2", u2=0xA700)), tmp_path)).accepted == ("1.2.3.1",)


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b"\xff", b"{"])
def test_a_page_in_the_place_of_dicom_json_is_no_delivery(tmp_path: Path, body: bytes) -> None:
    outcome = refused(sent_to(answering(200, body, Content_Type="text/html"), tmp_path))

    assert "answered with something else than DICOM JSON. Check the url in the site file; a login page or a proxy" in outcome.sentence
    assert not outcome.is_permanent


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'"stored"', b'{"00081199": 3}', b'{"00081199": {"Value": [1, {}]}}'])
def test_json_that_is_not_dicom_is_no_delivery(tmp_path: Path, body: bytes) -> None:
    assert refused(sent_to(answering(200, body), tmp_path)).accepted == ()


@pytest.mark.parametrize(
    ("status", "is_permanent", "sentence"),
    [
        (301, False, "has moved elsewhere (301). Write its new address into the site file."),
        (401, False, "did not accept who Seashore says it is (401). Check user and password_file in the site file."),
        (403, False, "does not allow this to Seashore (403). Give its user the right to it there."),
        (404, False, "knows nothing at this address (404). Check the url in the site file: its root, below which /studies lies."),
        (405, False, "does not offer this at this address (405)."),
        (408, False, "waited too long for Seashore (408)."),
        (415, False, "does not take DICOM objects at this address (415)."),
        (429, False, "asks to be called less often (429)."),
        (500, False, "could not do it just now (500). Its log should say why."),
        (503, False, "could not do it just now (503)."),
        (400, True, "refused 2 of 2 objects: it refused it with status 400. Its log should say why"),
        (413, True, "refused 2 of 2 objects: it refused it with status 413. Raise its limit, or leave the largest kind out"),
    ],
)
def test_each_status_of_http_has_its_words(tmp_path: Path, status: int, is_permanent: bool, sentence: str) -> None:
    outcome = refused(sent_to(answering(status, b"<html>", Location="/elsewhere"), tmp_path))

    assert sentence in outcome.sentence
    assert outcome.is_permanent == is_permanent


def test_a_service_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    assert refused(sent_to(answering(503, Retry_After="120"), tmp_path)).retry_after_s == 120.0


def test_retry_after_is_seconds_or_a_date_and_an_hour_at_most() -> None:
    values = [None, "7", "999999", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2099 07:28:00 GMT"]

    assert [retry_after_s(value) for value in values] == [0.0, 7.0, 3600.0, 0.0, 0.0, 3600.0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_service_that_never_answers_is_left_after_the_time_limit(tmp_path: Path, scheme: str) -> None:
    with nodes.port_that(nodes.say_nothing) as port:
        there = to_web(Web(url=f"{scheme}://127.0.0.1:{port}"), timeout_s=IMPATIENCE_S)
        outcome = unreachable(send([result(tmp_path)], there, ae_title=OURS))

    assert "did not answer in time. Check the url in the site file" in outcome.sentence


def test_a_service_that_trickles_its_answer_is_left_too(tmp_path: Path) -> None:
    def trickle(connection: Any) -> None:
        connection.recv(2**16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    with nodes.port_that(trickle) as port:
        start_s = time.monotonic()
        there = to_web(Web(url=f"http://127.0.0.1:{port}"), timeout_s=IMPATIENCE_S)
        outcome = unreachable(send([result(tmp_path)], there, ae_title=OURS))

    assert "did not answer in time" in outcome.sentence
    assert time.monotonic() - start_s < SOON_S


@pytest.mark.parametrize(
    ("seconds", "timeout_s", "sentence"),
    [(3.0, IMPATIENCE_S, "did not answer in time."), (0.0, PATIENCE_S, "broke off the connection.")],
    ids=["stalls", "closes"],
)
def test_a_service_that_is_lost_in_the_middle_of_its_answer_ends_in_a_sentence(
    tmp_path: Path, seconds: float, timeout_s: float, sentence: str
) -> None:
    def half(connection: Any) -> None:
        connection.recv(2**16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(seconds)

    with nodes.port_that(half) as port:
        there = to_web(Web(url=f"http://127.0.0.1:{port}"), timeout_s=timeout_s)
        outcome = unreachable(send([result(tmp_path)], there, ae_title=OURS))

    assert sentence in outcome.sentence


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:{free}", "refused the connection: nothing listens there."),
        ("http://pacs.invalid/dicom-web", "The DICOMweb service at pacs.invalid could not be found."),
        ("https://127.0.0.1:{aborting}", "and Seashore could not agree on TLS. Check that it is https there"),
    ],
)
def test_a_service_that_is_not_there_ends_in_a_sentence(tmp_path: Path, url: str, sentence: str) -> None:
    with nodes.port_that(nodes.abort) as aborting:
        web = Web(url=url.format(free=free_port(), aborting=aborting))
        outcome = unreachable(send([result(tmp_path)], to_web(web), ae_title=OURS))

    assert sentence in outcome.sentence


def test_a_password_file_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    web = Web(url="http://127.0.0.1:1", user="us", password_file=tmp_path / "password")
    (tmp_path / "password").unlink()

    outcome = unreachable(send([result(tmp_path)], to_web(web), ae_title=OURS))

    assert outcome.sentence == (
        "The password file for the DICOMweb service at 127.0.0.1:1 could not be read. "
        "Check password_file in the site file, and that Seashore may read it."
    )


def test_neither_patients_nor_passwords_nor_uids_are_in_any_sentence_or_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "password").write_text("hush-hush")
    with caplog.at_level(0), nodes.archive(lambda event: 0xC000) as port:
        outcomes = [
            sent_to(answering(409, stored(u1=0xA900)), tmp_path, user="us", password_file=tmp_path / "password"),
            send([result(tmp_path)], to(nodes.node(port)), ae_title=OURS),
        ]

    told = " ".join(refused(outcome).sentence for outcome in outcomes) + caplog.text
    assert [secret for secret in (dicom.PATIENT, "hush-hush", "1.2.3", str(tmp_path)) if secret in told] == []


# When to try again, and that a dead destination delays no other


def test_waits_grow_to_a_quarter_of_an_hour_and_are_spread() -> None:
    rng = Random(0)
    longest = [max(next_delay_s(attempt, rng) for _ in range(2000)) for attempt in (0, 1, 2, 8, 9, 10**6)]
    shortest = min(next_delay_s(9, rng) for _ in range(2000))

    assert longest == pytest.approx([2.0, 4.0, 8.0, 512.0, MAX_DELAY_S, MAX_DELAY_S], rel=0.01)
    assert shortest < 9.0


def test_what_a_destination_asks_for_is_waited_at_least() -> None:
    assert min(next_delay_s(0, Random(seed), 60.0) for seed in range(500)) >= 60.0


def median_s(destination: Destination, path: Path, count: int) -> float:
    def once() -> float:
        start_s = time.perf_counter()
        assert isinstance(send([path], destination, ae_title=OURS), Delivered)
        return time.perf_counter() - start_s

    return statistics.median(once() for _ in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["by_dicom", "by_web"])
def test_a_dead_destination_delays_no_other(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    path, living = result(tmp_path), getattr(orthanc, way)()
    alone_s = median_s(living, path, 15)
    over = threading.Event()

    def send_for_nothing(dead: Destination) -> None:
        while not over.is_set():
            assert isinstance(send([path], dead, ae_title=OURS), Unreachable)

    with nodes.port_that(nodes.say_nothing) as port:
        dead = [
            to(nodes.node(port), timeout_s=IMPATIENCE_S),
            to_web(Web(url=f"http://127.0.0.1:{port}"), timeout_s=IMPATIENCE_S),
        ]
        threads = [threading.Thread(target=send_for_nothing, args=(one,)) for one in dead]
        for thread in threads:
            thread.start()
        beside_s = median_s(living, path, 15)
        over.set()
        for thread in threads:
            thread.join()

    print(f"\n{way}: {1000 * alone_s:.0f} ms alone, {1000 * beside_s:.0f} ms beside two dead ones, ratio {beside_s / alone_s:.2f}")
    assert beside_s < 1.5 * alone_s + 0.02
