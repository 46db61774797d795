"""The DICOM listener against dcmtk and pynetdicom: nothing is acknowledged that the inbox does not have, nothing half is kept."""

import io
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from service.errors import BadSite
from service.pacs.incoming import connections, scp
from service.pacs.incoming.scp import Listener
from service.pacs.incoming.syntaxes import STORED, TRANSFER_SYNTAXES
from service.pacs.site import Receive
from tests.fakes import dcmtk, dicom
from tests.fakes.dcmtk import call, listening, needs_dcmtk
from tests.fakes.inbox import FULL, UNWANTED, FolderInbox, ReportsAtOnce
from tests.fakes.media import texture

MULTIFRAME = STORED[0]

STORESCU = [dcmtk.program("storescu") or "storescu", "-R", "-aet", "MODALITY", "-aec", "SEASHORE"]


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    return FolderInbox(tmp_path / "inbox")


def written(folder: Path, content: bytes, name: str = "clip.dcm") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@contextmanager
def associated(port: int, *syntaxes: UID, sop_class: str = MULTIFRAME, aet: str = "MODALITY") -> Iterator[Association]:
    entity = AE(aet)
    entity.add_requested_context(sop_class, list(syntaxes or [ExplicitVRLittleEndian]))
    association = entity.associate("127.0.0.1", port, ae_title="SEASHORE")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        else:
            association.abort()


def instance(uid: str = "1.2.3.4", syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    made = dicom.dataset(texture(2), **{"SOPInstanceUID": uid, "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", **elements})
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    return made


def status_of(port: int, dataset: Dataset, sop_class: str = MULTIFRAME) -> tuple[int, str]:
    with associated(port, sop_class=sop_class) as association:
        answer = association.send_c_store(dataset)
    return int(answer.Status), str(answer.get("ErrorComment", ""))


def test_a_port_is_listened_on_once(inbox: FolderInbox) -> None:
    with listening(inbox) as first:
        port = first.port
        with pytest.raises(BadSite) as error:
            Listener(Receive(port=port), inbox, ReportsAtOnce(inbox)).start()

    assert str(error.value) == (
        f"receive: address '127.0.0.1' with port {port} cannot be listened on: "
        "another program listens there, or the address is not this machine's."
    )


# Who may come in


@needs_dcmtk
def test_an_echo_is_answered_to_whoever_may_send(inbox: FolderInbox) -> None:
    with listening(inbox) as listener:
        assert call("echoscu", listener.port).returncode == 0


@needs_dcmtk
@pytest.mark.parametrize(
    ("aet", "aec", "told", "logged"),
    [
        (
            "STRANGER",
            "SEASHORE",
            "Calling AE Title Not Recognized",
            "The AE title 'STRANGER' may not send here: add 'STRANGER' to calling_ae_titles under [receive] if it may send; "
            "upper and lower case differ.",
        ),
        (
            "MODALITY",
            "ARCHIVE",
            "Called AE Title Not Recognized",
            "'MODALITY' called for 'ARCHIVE', which is not the name of this listener: its destination must be called 'SEASHORE'.",
        ),
    ],
)
def test_a_wrong_ae_title_is_rejected_and_the_log_says_what_to_change(
    inbox: FolderInbox, caplog: pytest.LogCaptureFixture, aet: str, aec: str, told: str, logged: str
) -> None:
    with listening(inbox) as listener:
        answer = call("echoscu", listener.port, aet=aet, aec=aec)

    assert answer.returncode == 1
    assert told in answer.stderr
    assert logged in caplog.text


def test_an_empty_list_lets_nobody_in_and_a_star_anybody(inbox: FolderInbox) -> None:
    with listening(inbox, calling_ae_titles=()) as listener, associated(listener.port) as association:
        assert association.is_rejected
    with listening(inbox, calling_ae_titles=("*",)) as listener, associated(listener.port, aet="WHOEVER") as association:
        assert association.is_established


def test_one_association_too_many_is_put_off(inbox: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    with listening(inbox, max_associations=1) as listener, associated(listener.port) as first, associated(listener.port) as second:
        assert first.is_established
        assert second.is_rejected
        answer: Any = second.acceptor.primitive

    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    assert "'MODALITY' was put off: 1 associations are open already; max_associations under [receive] sets the limit." in caplog.text


def test_whoever_cannot_be_told_from_a_stranger_stays_out(inbox: FolderInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scp, "rejection", broken)

    with listening(inbox) as listener, associated(listener.port) as association:
        assert association.is_rejected
        assert not association.is_established


def test_connections_that_ask_for_nothing_take_no_places(inbox: FolderInbox) -> None:
    """Monitors and port scans."""
    with listening(inbox, max_associations=1) as listener:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", listener.port)), associated(listener.port) as association:
                assert association.is_established
        start_s = time.monotonic()
        listener.stop(grace_s=5.0)
        assert time.monotonic() - start_s < 3


def test_rubbish_on_the_port_stops_nothing(inbox: FolderInbox) -> None:
    random = Random(1)
    with listening(inbox) as listener:
        for size in (1, 5, 6, 7, 80, 3000):
            for kind in range(8):
                with socket.create_connection(("127.0.0.1", listener.port)) as sender:
                    sender.sendall(bytes([kind, 0]) + random.randbytes(size))
        assert status_of(listener.port, instance())[0] == 0x0000


# What is offered


def test_every_class_is_taken_in_every_syntax(inbox: FolderInbox) -> None:
    """The data sets are not decoded here, so that the same frames do for all; big endian and deflated ones have their own test."""
    native = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}
    odd = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
    expected = {}
    with listening(inbox) as listener:
        for i, syntax in enumerate(s for s in TRANSFER_SYNTAXES if s not in odd):
            uid, sop_class = f"1.2.{i}", STORED[i % len(STORED)]
            made = dicom.dataset(texture(1), SOPInstanceUID=uid, SOPClassUID=sop_class)
            if syntax not in native:
                made.PixelData = dicom.encapsulate([b"\xff\xd8\xff\xd9"])
            file = dcmread(written(inbox.folder.parent, dicom.file_of(made, syntax)))
            with associated(listener.port, syntax, sop_class=sop_class) as association:
                assert association.send_c_store(file).Status == 0x0000
            expected[uid] = (sop_class, syntax)

    assert {r.sop_instance_uid: (r.sop_class_uid, r.transfer_syntax_uid) for r in inbox.received} == expected
    assert len(expected) == len(TRANSFER_SYNTAXES) - 2 == 30
    assert inbox.parts == []


SYNTAX_OPTIONS = {
    "implicit little endian": "-xi",
    "explicit little endian": "-xe",
    "explicit big endian": "-xb",
    "RLE": "-xr",
    "JPEG lossless SV1": "-xs",
    "JPEG-LS": "-xt",
    "JPEG 2000 lossless": "-xv",
}


@needs_dcmtk
@pytest.mark.parametrize("syntax", SYNTAX_OPTIONS)
def test_what_storescu_sends_is_kept_as_it_was_written(inbox: FolderInbox, tmp_path: Path, syntax: str) -> None:
    path = written(tmp_path, dicom.every_syntax()[syntax](texture(2)))
    with listening(inbox) as listener:
        answer = call("storescu", listener.port, SYNTAX_OPTIONS[syntax], "-R", path)

    sent, kept = dcmread(path), dcmread(inbox.kept / "1.2.3.4")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert kept.PixelData == sent.PixelData
    assert kept.PatientName == dicom.PATIENT


@needs_dcmtk
@pytest.mark.parametrize(
    ("content", "option"),
    [
        (dicom.jpeg_baseline, "-xy"),
        (dicom.deflated, "-xd"),
        (lambda: dicom.film("MPEG-2, program stream"), "-xm"),
        (lambda: dicom.film("H.264, MP4"), "-xn"),
        (lambda: dicom.film("HEVC, bare"), "-x4"),
    ],
    ids=["JPEG baseline", "deflated", "MPEG-2", "H.264", "HEVC"],
)
def test_films_and_lossy_frames_come_through(inbox: FolderInbox, tmp_path: Path, content: Any, option: str) -> None:
    path = written(tmp_path, content())
    with listening(inbox) as listener:
        answer = call("storescu", listener.port, option, path)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert dcmread(inbox.kept / "1.2.3.4").PixelData == dcmread(path).PixelData


def test_the_senders_first_syntax_is_taken_not_ours(inbox: FolderInbox) -> None:
    for order in ([JPEGBaseline8Bit, ExplicitVRLittleEndian], [ExplicitVRLittleEndian, JPEGBaseline8Bit]):
        with listening(inbox) as listener, associated(listener.port, *order) as association:
            assert association.accepted_contexts[0].transfer_syntax == [order[0]]


def test_a_private_class_is_rejected_in_the_negotiation(inbox: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    with listening(inbox) as listener, associated(listener.port, sop_class="1.2.276.0.1") as association:
        assert [context.result for context in association.rejected_contexts] == [3]

    assert "'MODALITY' proposed what is not taken here: '1.2.276.0.1'" in caplog.text


def test_an_ultrasound_class_in_an_unknown_syntax_is_missed_aloud(inbox: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    with listening(inbox) as listener, associated(listener.port, UID("1.2.840.113619.5.2")) as association:
        assert association.rejected_contexts[0].result == 4

    assert "'Ultrasound Multi-frame Image Storage' in '1.2.840.113619.5.2'" in caplog.text


# What is answered


def test_success_is_not_answered_before_the_inbox_has_it(inbox: FolderInbox) -> None:
    inbox.hold = True
    answers: list[int] = []
    with listening(inbox) as listener:
        sending = threading.Thread(target=lambda: answers.append(status_of(listener.port, instance())[0]))
        sending.start()
        assert inbox.entered.wait(10)
        time.sleep(0.2)
        assert answers == []
        inbox.released.set()
        sending.join(10)

    assert answers == [0x0000]
    assert inbox.parts == []


@pytest.mark.parametrize(
    ("refusal", "status", "comment"),
    [
        (FULL, 0xA700, "The job could not be recorded."),
        (UNWANTED, 0xC001, "This instance is not wanted."),
        (ZeroDivisionError(dicom.PATIENT), 0xA700, "The instance could not be recorded here; send it again."),
    ],
    ids=["full", "unwanted", "bug"],
)
def test_what_the_inbox_refuses_is_refused_and_leaves_nothing(
    inbox: FolderInbox, caplog: pytest.LogCaptureFixture, refusal: Exception, status: int, comment: str
) -> None:
    inbox.refusal = refusal
    with listening(inbox) as listener:
        assert status_of(listener.port, instance()) == (status, comment)

    assert inbox.parts == []
    assert "from 'MODALITY'" in caplog.text
    assert dicom.PATIENT not in caplog.text


@pytest.mark.parametrize(
    ("limits", "comment"),
    [
        ({"max_instance_bytes": 10_000}, "An instance may have 10000 bytes; this one has more."),
        ({"min_free_bytes": 2**60}, "There is too little space on the disk."),
    ],
    ids=["instance", "disk"],
)
def test_too_much_is_out_of_resources_and_the_association_goes_on(inbox: FolderInbox, limits: dict[str, int], comment: str) -> None:
    with listening(inbox, **limits) as listener, associated(listener.port) as association:
        answers = [association.send_c_store(instance(uid)) for uid in ("1.1", "1.2")]

    assert [(answer.Status, answer.ErrorComment) for answer in answers] == [(0xA700, comment)] * 2
    assert (inbox.parts, inbox.received) == ([], [])


def test_a_disk_that_cannot_be_written_to_is_out_of_resources(inbox: FolderInbox) -> None:
    with listening(inbox) as listener:
        inbox.folder.rmdir()
        assert status_of(listener.port, instance()) == (0xA700, "The disk could not be written to.")


def send_raw(association: Association, sop_class: str, sop_instance: str, data: bytes) -> tuple[int, str]:
    """A C-STORE whose request says one thing and whose data set may say another."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class), UID(sop_instance)
    request.DataSet = io.BytesIO(data)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 1)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert isinstance(answer, C_STORE)
    return int(answer.Status or 0), str(answer.ErrorComment or "")


OTHER_CLASS = "The data set is of another SOP Class than the request."
OTHER_INSTANCE = "The data set is another SOP Instance than the request."
NO_UIDS = "The data set has no valid SOP Class UID, SOP Instance UID or transfer syntax."
CANNOT_BE_NAMED = "The request has no valid SOP Class UID and SOP Instance UID."


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("sop_class", "sop_instance", "data", "expected"),
    [
        (STORED[2], "1.2.3.4", dicom.bare(instance(), implicit=False), (0xA900, OTHER_CLASS)),
        (MULTIFRAME, "1.2.3.5", dicom.bare(instance(), implicit=False), (0xA900, OTHER_INSTANCE)),
        (MULTIFRAME, "1.2.3.4", dicom.bare(instance(SOPClassUID=None), implicit=False), (0xC000, NO_UIDS[:64])),
        (MULTIFRAME, "1.2.3.4", b"\x08\x00\x05", (0xC000, NO_UIDS[:64])),
        (MULTIFRAME, "1.2.3.4", b"nothing of DICOM is in here", (0xC000, NO_UIDS[:64])),
        (MULTIFRAME, "../../etc/passwd", dicom.bare(instance(), implicit=False), (0xC000, CANNOT_BE_NAMED)),
    ],
    ids=["other class", "other instance", "no class", "cut off", "rubbish", "no UID"],
)
def test_a_data_set_that_is_not_what_the_request_says_is_refused(
    inbox: FolderInbox, sop_class: str, sop_instance: str, data: bytes, expected: tuple[int, str]
) -> None:
    with listening(inbox) as listener, associated(listener.port) as association:
        assert send_raw(association, sop_class, sop_instance, data) == expected
        assert association.send_c_store(instance()).Status == 0x0000

    assert inbox.parts == []


def test_what_is_odd_but_named_is_kept_for_its_job_to_tell(inbox: FolderInbox) -> None:
    whole = dicom.bare(instance("1.1", StudyInstanceUID="1.9"), implicit=False)
    with listening(inbox) as listener, associated(listener.port) as association:
        cut_off = send_raw(association, MULTIFRAME, "1.1", whole[: len(whole) // 2])
        pixelless = association.send_c_store(instance("1.2", PixelData=None)).Status
        wrong_count = association.send_c_store(instance("1.3", NumberOfFrames=77)).Status
        studyless = association.send_c_store(dicom_without_study("1.4")).Status

    assert (cut_off, pixelless, wrong_count, studyless) == ((0, ""), 0, 0, 0)
    assert [received.study_instance_uid for received in inbox.received] == ["1.9", "1.2.3", "1.2.3", ""]


def dicom_without_study(uid: str) -> Dataset:
    made = instance(uid)
    del made.StudyInstanceUID
    return made


# Senders as they are


@needs_dcmtk
def test_many_senders_at_once_lose_nothing(inbox: FolderInbox, tmp_path: Path) -> None:
    with listening(inbox) as listener:
        senders = []
        for i in range(6):
            folder = tmp_path / str(i)
            folder.mkdir()
            for j in range(5):
                written(folder, dicom.native(texture(2), SOPInstanceUID=f"1.{i}.{j}"), f"{j}.dcm")
            command = [
                dcmtk.program("storescu") or "storescu",
                "-R",
                "-aet",
                "MODALITY",
                "-aec",
                "SEASHORE",
                "+sd",
                "127.0.0.1",
                str(listener.port),
                str(folder),
            ]
            senders.append(subprocess.Popen(command))
        assert [sender.wait(60) for sender in senders] == [0] * 6

    assert sorted(r.sop_instance_uid for r in inbox.received) == [f"1.{i}.{j}" for i in range(6) for j in range(5)]
    assert inbox.parts == []


@needs_dcmtk
def test_dcmsend_and_the_smallest_pdus_come_through(inbox: FolderInbox, tmp_path: Path) -> None:
    path = written(tmp_path, dicom.native(texture(2)))
    with listening(inbox, max_pdu_bytes=4096) as listener:
        assert call("dcmsend", listener.port, path).returncode == 0
        assert call("storescu", listener.port, "-R", "-pdu", "4096", path).returncode == 0

    assert len(inbox.received) == 2
    assert dcmread(inbox.kept / "1.2.3.4").PixelData == dcmread(path).PixelData


@needs_dcmtk
def test_a_sender_killed_in_the_middle_leaves_nothing(inbox: FolderInbox, tmp_path: Path) -> None:
    made = dicom.dataset(texture(2))
    made.PixelData = bytes(60 * 2**20)
    path = written(tmp_path, dicom.file_of(made))
    with listening(inbox) as listener:
        command = [
            dcmtk.program("storescu") or "storescu",
            "-R",
            "-aet",
            "MODALITY",
            "-aec",
            "SEASHORE",
            "127.0.0.1",
            str(listener.port),
            str(path),
        ]
        sender = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: bool(inbox.parts))
        sender.kill()
        sender.wait()
        wait_until(lambda: not inbox.parts)
        assert status_of(listener.port, instance("1.9"))[0] == 0x0000

    assert [received.sop_instance_uid for received in inbox.received] == ["1.9"]


def wait_until(is_so: Any, within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_sender_that_falls_silent_in_a_pdu_loses_its_place(inbox: FolderInbox) -> None:
    with listening(inbox, idle_s=0.3, max_associations=1) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as silent:
            silent.sendall(b"\x01\x00\x00\x00\x01\x00half")
            silent.settimeout(5)
            assert silent.recv(1) == b""
        assert status_of(listener.port, instance())[0] == 0x0000


def test_a_pdu_that_says_it_has_a_gigabyte_ends_the_connection(inbox: FolderInbox) -> None:
    with listening(inbox) as listener, socket.create_connection(("127.0.0.1", listener.port)) as sender:
        sender.sendall(b"\x04\x00\x40\x00\x00\x00")
        sender.settimeout(5)
        assert sender.recv(1) == b""


def test_no_value_of_an_instance_is_logged(inbox: FolderInbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), listening(inbox) as listener:
        status_of(listener.port, instance("1.2.3.99", PatientID="4711", Rows=None))

    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("service"))
    assert "instance from 'MODALITY' accepted" in ours
    assert not [secret for secret in (dicom.PATIENT, "4711", "1.2.3.99") if secret in ours]
    assert not logging.getLogger("pynetdicom").propagate
    assert not logging.getLogger("pydicom").propagate


# Start and stop


def test_parts_of_a_killed_process_are_swept_away_once_they_are_old(inbox: FolderInbox) -> None:
    for name, age_s in {"incoming-old.part": 7200, "incoming-new.part": 60, "else": 7200}.items():
        path = written(inbox.folder, b"half", name)
        os.utime(path, (time.time() - age_s,) * 2)

    with listening(inbox):
        assert inbox.parts == ["else", "incoming-new.part"]


def test_stopping_lets_an_instance_finish(inbox: FolderInbox) -> None:
    inbox.hold = True
    answers: list[int] = []
    listener = Listener(Receive(port=0, calling_ae_titles=("MODALITY",), min_free_bytes=0), inbox, ReportsAtOnce(inbox))
    listener.start()
    sending = threading.Thread(target=lambda: answers.append(status_of(listener.port, instance())[0]))
    sending.start()
    assert inbox.entered.wait(10)
    stopping = threading.Thread(target=listener.stop)
    stopping.start()
    time.sleep(0.1)
    inbox.released.set()
    stopping.join(10)
    sending.join(10)

    assert answers == [0x0000]


def test_stopping_does_not_wait_for_ever(inbox: FolderInbox) -> None:
    listener = Listener(Receive(port=0, calling_ae_titles=("*",), min_free_bytes=0), inbox, ReportsAtOnce(inbox))
    listener.start()
    with associated(listener.port) as association:
        start_s = time.monotonic()
        listener.stop(grace_s=0.2)
        wait_until(lambda: not association.is_established)
        assert time.monotonic() - start_s < 3


# TLS


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of the listener's and one of a sender's, each its own authority."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("listener", "sender", "stranger"):
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        extension = ["-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *extension, *files]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def tls(keys: Path) -> dict[str, Path]:
    return {"certificate": keys / "listener.pem", "key": keys / "listener.key", "ca": keys / "sender.pem"}


def echo_over_tls(port: int, keys: Path, name: str) -> int:
    shown = [str(keys / f"{name}.key"), str(keys / f"{name}.pem")]
    return call("echoscu", port, "+tls", *shown, "+cf", keys / "listener.pem").returncode


@needs_dcmtk
def test_over_tls_only_a_sender_whose_certificate_is_known_comes_in(
    inbox: FolderInbox, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(inbox, tls=tls(keys)) as listener:
        assert echo_over_tls(listener.port, keys, "sender") == 0
        assert echo_over_tls(listener.port, keys, "stranger") != 0
        assert call("echoscu", listener.port).returncode != 0

    assert "a connection from 127.0.0.1 came to nothing: it spoke no TLS we accept" in caplog.text


@needs_dcmtk
def test_a_silent_client_does_not_keep_others_from_their_handshake(inbox: FolderInbox, keys: Path) -> None:
    start_s = time.monotonic()
    with socket.socket() as silent:
        with listening(inbox, tls=tls(keys), idle_s=20.0) as listener:
            silent.connect(("127.0.0.1", listener.port))
            assert echo_over_tls(listener.port, keys, "sender") == 0
        assert time.monotonic() - start_s < 10


def test_a_key_that_is_not_the_certificates_is_told(inbox: FolderInbox, keys: Path) -> None:
    wrong = {**tls(keys), "key": keys / "sender.key"}
    with pytest.raises(BadSite) as error, listening(inbox, tls=wrong):
        pass

    assert str(error.value) == (
        "receive: tls.certificate and tls.key cannot be used. They must be PEM files of one pair, the key without a passphrase."
    )


def test_an_authority_that_is_no_certificate_is_told(inbox: FolderInbox, keys: Path) -> None:
    with pytest.raises(BadSite) as error, listening(inbox, tls={**tls(keys), "ca": keys / "sender.key"}):
        pass

    assert str(error.value) == "receive: tls.ca cannot be used. It must be a PEM file of certificates."


def test_nobody_is_kept_waiting_for_a_collection_of_all_objects_where_no_association_came(
    inbox: FolderInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pynetdicom has one made every 60 looks at the socket, 6 s here; in a serving process it stops everything for 0.2 s and more."""
    collected: list[float] = []
    monkeypatch.setattr("service.pacs.incoming.connections.gc.collect", lambda: collected.append(time.monotonic()))
    monkeypatch.setattr(connections, "COLLECT_EVERY_S", 0.5)
    with Listener(Receive(port=0, calling_ae_titles=("*",)), inbox, ReportsAtOnce(inbox)) as listener:
        time.sleep(1.0)
        before = len(collected)
        for _ in range(3):
            with associated(listener.port):
                pass
        time.sleep(1.0)

    assert before == 0
    assert len(collected) in (1, 2), "once it has come to rest, and not for each association"
