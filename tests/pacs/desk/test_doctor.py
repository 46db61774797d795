"""What `seashore doctor` finds: on this machine, and of real and missing ends on loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, JPEGBaseline8Bit, MultiFrameTrueColorSecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification  # type: ignore[attr-defined]

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.pacs.desk.doctor import examine, within
from service.pacs.desk.doctor_here import check_cage, check_data_folder, check_ledger, check_model, check_settings, check_signs
from service.pacs.desk.doctor_network import (
    check_archive,
    check_destination,
    check_listener,
    check_senders,
    check_service,
    doctors_ae_title,
)
from service.pacs.desk.echo import Check
from service.pacs.desk.specimen import PATIENT_ID, write_specimen
from service.pacs.site import Archive, Destination, Receive, ResultKind
from service.readers import process as process_module
from service.readers.process import ReaderProcess
from service.sandbox.landlock import landlock_version
from service.sandbox.syscalls import can_filter
from service.settings import Settings
from service.sign_shelf import SignEntry
from tests.fakes import nodes
from tests.fakes.dcmtk import listening
from tests.fakes.inbox import FolderInbox
from tests.fakes.orthanc import Orthanc, free_port
from tests.fakes.queues import copy_story
from tests.fakes.service import WordReader, shipped_bundle, shipped_reader
from tests.fakes.sources import dciodvfy, errors_of

OURS = "SEASHORE"


# This machine


def test_signs_that_the_site_asks_for_have_a_model_or_it_is_told() -> None:
    there = "There is blines-small 1.0.0 (b_lines), signs-small 1.0.0 (a_lines, effusion, consolidation)."
    assert check_signs("none", WordReader()) == Check("signs", True, f"Asked for are: none. {there}")
    assert check_signs("all", WordReader()).ok

    class NoSigns(WordReader):
        def signs(self) -> tuple[SignEntry, ...]:
            return ()

    assert check_signs("none", NoSigns()) == Check("signs", True, "Asked for are: none. There is no model for any.")
    refused = check_signs("b_lines", NoSigns())
    assert (refused.ok, refused.sentence) == (False, "No model of this service tells b_lines; there is none for any sign.")


def test_a_site_without_jobs_listens_to_nobody(tmp_path: Path) -> None:
    assert check_settings(Settings(jobs=True, site=tmp_path)).ok
    assert check_settings(Settings(jobs=False, site=tmp_path)) == Check(
        "settings",
        False,
        "SEASHORE_SITE is set, but SEASHORE_JOBS is off: nothing listens for DICOM.",
        "Set SEASHORE_JOBS to true, or unset SEASHORE_SITE.",
    )


def test_the_shipped_model_is_read_with() -> None:
    check = check_model(Settings(device="cpu"), shipped_reader())

    assert check.ok
    assert "answers its golden clip as it must, on cpu (OpenVINO); 4.0 s of clip took " in check.sentence


def test_a_model_that_cannot_be_used_is_told_with_its_own_words() -> None:
    check = check_model(Settings(device="cpu"), WordReader(broken_bundle=True))

    assert check == Check("model", False, "The model's golden clip is answered 0.31 here; 0.93 was expected.", "golden.json")


def test_a_bundle_without_its_golden_clip_is_told(tmp_path: Path) -> None:
    assert check_model(Settings(model_store=tmp_path), WordReader()).sentence == "Its golden clip cannot be read."


def test_the_cage_is_put_up_and_looked_at() -> None:
    check = check_cage(Settings())

    if landlock_version() and can_filter():
        assert check == Check(
            "cage", True, "Clips are read without network, other files, or privileges, and with limits on memory and time."
        )
    else:
        assert not check.ok


def test_what_a_cage_leaves_open_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    started = ReaderProcess.started

    def with_a_gap(settings: dict[str, object]) -> ReaderProcess:
        process = started(settings)
        process.gaps = ("Every system call is open to it: libseccomp is not installed.",)
        return process

    monkeypatch.setattr(ReaderProcess, "started", with_a_gap)

    assert check_cage(Settings()) == Check(
        "cage",
        False,
        "The processes that read clips are not caged: Every system call is open to it: libseccomp is not installed.",
        "Linux 5.13 or newer with Landlock, and libseccomp (Debian: libseccomp2), make it whole.",
    )


def test_a_process_that_reads_clips_and_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "CHILD", "service.readers.no_such_module")

    check = check_cage(Settings())

    assert (check.ok, check.sentence) == (False, "A process that reads clips could not be started.")
    assert check.advice.startswith("Please report it: ReaderLost in ")


def test_a_data_folder_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    check = check_data_folder(tmp_path, min_free_bytes=0)

    assert check.ok
    assert check.sentence.startswith("4 MiB are on the disk in ")
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    check = check_data_folder(tmp_path / "a" / "b", min_free_bytes=0)

    assert check.ok
    assert check.sentence.startswith("It does not exist yet, and can be made.")
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_in_the_site_files_words(tmp_path: Path) -> None:
    check = check_data_folder(tmp_path, min_free_bytes=2**60)

    assert not check.ok
    assert "with less than min_free_bytes, 1073741824.0 GiB, nothing is taken (A700)." in check.sentence


def test_a_data_folder_that_cannot_be_written_is_said_to_be_one() -> None:
    check = check_data_folder(Path("/proc/self"), min_free_bytes=0)

    assert not check.ok
    assert check.sentence.startswith("It cannot be written to: ")
    assert check.advice.startswith("Let the user that Seashore runs as write to it")


def test_a_ledger_is_read_or_told_to_be_missing_or_damaged(tmp_path: Path) -> None:
    copy_story(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "ledger.sqlite").write_bytes(b"no database at all" * 100)

    assert check_ledger(None, tmp_path / "one").sentence == "SQLite in the data folder can be read."
    assert check_ledger(None, tmp_path / "none").ok
    assert check_ledger(None, tmp_path / "two").sentence == "SQLite in the data folder: the file is damaged, or is no SQLite database."


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    check = check_ledger(f"postgresql://nobody@127.0.0.1:{free_port()}/none", tmp_path)

    assert (check.ok, check.sentence) == (False, "PostgreSQL cannot be read.")


# Nothing hangs, nothing falls over


def test_what_hangs_is_given_up() -> None:
    start_s = time.monotonic()

    checks = within("disk", 0.2, lambda: [time.sleep(60)])  # type: ignore[list-item]

    assert time.monotonic() - start_s < 5
    assert [(check.ok, check.sentence) for check in checks] == [(False, "This took more than 0.2 s and was given up.")]


def test_a_bug_in_one_check_is_told_without_its_text_and_the_others_go_on() -> None:
    def broken() -> list[Check]:
        raise ValueError("Doe^Jane")

    (check,) = within("disk", 5.0, broken)

    assert check.sentence == "This could not be looked at: a fault of Seashore's own."
    assert check.advice.startswith("Please report it: ValueError in broken")
    assert "Doe" not in check.advice


def test_a_wrong_site_file_is_told_line_by_line_and_nobody_is_called(tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text('[receive]\nport = 70000\n[[destination]]\nname = "x"\n')

    checks = list(examine(Settings(site=tmp_path / "pacs.toml", data_dir=tmp_path, port=free_port()), WordReader()))

    assert [check.name for check in checks] == [
        "settings",
        "model",
        "signs",
        "cage",
        "data folder",
        "ledger",
        "service",
        "site file",
        "site file",
    ]
    assert checks[-2].sentence == "pacs.toml, line 2: receive: port is 70000; it must be between 0 and 65535."


# Our own ends


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_service_is_ready_starting_stopped_or_another() -> None:
    with answering(200, b'{"status": "ready"}') as port:
        assert check_service("0.0.0.0", port).sentence == f"It runs on 127.0.0.1:{port}, and is ready."
    with answering(503, b'{"detail": "The model is being loaded and checked."}') as port:
        assert check_service("127.0.0.1", port).sentence == (
            f"What listens on 127.0.0.1:{port} is not ready. The model is being loaded and checked."
        )
    with answering(200, b"<html>") as port:
        assert check_service("127.0.0.1", port).sentence == f"Something else than Seashore listens on 127.0.0.1:{port}."
    check = check_service("127.0.0.1", port := free_port())
    assert check == Check("service", True, f"It does not run: nothing listens on 127.0.0.1:{port}. `seashore serve` starts it.")


def test_our_own_listener_is_called_as_somebody_who_may(tmp_path: Path) -> None:
    with listening(FolderInbox(tmp_path / "inbox")) as listener:
        receive = Receive(port=listener.port, calling_ae_titles=("MODALITY",))
        check = check_listener(receive)

    assert check == Check("listener", True, f"SEASHORE at 127.0.0.1:{receive.port} answers C-ECHO.")
    assert doctors_ae_title(Receive(calling_ae_titles=("*",))) == "SEASHORE-TEST"


def test_a_listener_over_tls_is_called_with_its_own_certificate(tmp_path: Path) -> None:
    certificate, key = nodes.certificate(tmp_path, "listener")
    tls = {"certificate": certificate, "key": key}
    with listening(FolderInbox(tmp_path / "inbox"), tls=tls) as listener:
        port = listener.port
        check = check_listener(Receive.model_validate({"port": port, "calling_ae_titles": ["MODALITY"], "tls": tls}))

    assert check == Check("listener", True, f"SEASHORE at 127.0.0.1:{port} answers C-ECHO.")


def test_a_listener_whose_certificate_names_the_hospitals_address_is_seen_to_speak_tls(tmp_path: Path) -> None:
    certificate, key = nodes.certificate(tmp_path, "listener", address="10.9.8.7")
    tls = {"certificate": certificate, "key": key}
    with listening(FolderInbox(tmp_path / "inbox"), tls=tls) as listener:
        check = check_listener(Receive.model_validate({"port": listener.port, "calling_ae_titles": ["MODALITY"], "tls": tls}))
    with nodes.port_that(nodes.hang_up) as port:
        other = check_listener(Receive.model_validate({"port": port, "calling_ae_titles": ["MODALITY"], "tls": tls}))

    assert (check.ok, check.sentence.partition(" takes ")[2]) == (True, "TLS connections. C-ECHO was not tried.")
    assert (other.ok, other.sentence) == (False, f"The TLS handshake with SEASHORE at 127.0.0.1:{port} failed.")


def test_a_port_that_is_free_is_ready_for_the_service() -> None:
    port = free_port()

    assert check_listener(Receive(port=port)) == Check(
        "listener", True, f"Nothing listens for DICOM: the service does not run. Port {port} is free for it."
    )


def test_a_port_that_something_else_has_is_told() -> None:
    with nodes.port_that(nodes.hang_up) as port:
        check = check_listener(Receive(port=port))

    assert not check.ok
    assert check.sentence == f"SEASHORE at 127.0.0.1:{port} ended the connection instead of answering."


def test_nobody_anybody_or_some_may_send() -> None:
    assert check_senders(Receive()).sentence == "Nobody may send to it."
    assert not check_senders(Receive()).ok
    assert check_senders(Receive(calling_ae_titles=("*",))).sentence == "Anybody may send to it."
    assert check_senders(Receive(calling_ae_titles=("A", "B", "C"))).sentence == "A, B and C may send to it."


# Everybody else


def test_a_real_archive_passes_as_destination_both_ways_and_to_fetch_from(orthanc: Orthanc) -> None:
    by_dicom = check_destination(orthanc.by_dicom(commit=True), OURS)

    where = f"ORTHANC at 127.0.0.1:{orthanc.dicom_port}"
    assert [check.sentence for check in by_dicom] == [
        f"{where} answers C-ECHO.",
        f"{where} takes all 3 kinds of objects.",
        f"{where} commits to keep what it stores.",
    ]
    assert [check.ok for check in check_destination(orthanc.by_web(), OURS)] == [True]
    assert check_archive(Archive(dicom=orthanc.node), OURS)[0].sentence == f"{where} takes queries (C-FIND) and C-MOVE."
    assert check_archive(Archive(web=orthanc.web), OURS)[0].ok
    assert orthanc.instances() == []


def test_an_archive_that_takes_the_annotated_clip_uncompressed_only_is_found_out() -> None:
    entity = AE("ARCHIVE")
    for sop_class in (Verification, Comprehensive3DSRStorage, MultiFrameTrueColorSecondaryCaptureImageStorage):
        entity.add_supported_context(sop_class)
    kinds = (ResultKind.SR, ResultKind.SC)
    with nodes.archive(entity=entity, is_choosy=True) as port:
        checks = check_destination(Destination(name="archive", dicom=nodes.node(port), results=kinds), OURS)

    assert [check.ok for check in checks] == [True, False]
    assert checks[1].sentence.endswith("does not take Multi-frame True Color Secondary Capture Image Storage in JPEG Baseline (Process 1).")


def test_an_archive_without_c_move_is_found_out() -> None:
    entity = AE("ARCHIVE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    with nodes.archive(entity=entity, is_choosy=True) as port:
        (check,) = check_archive(Archive(dicom=nodes.node(port)), OURS)

    assert (check.ok, check.sentence) == (False, f"ARCHIVE at 127.0.0.1:{port} does not take C-MOVE (study root).")
    assert check.advice == "Allow it there."


def test_a_destination_that_is_not_there_is_called_once(tmp_path: Path) -> None:
    (check,) = check_destination(Destination(name="gone", dicom=nodes.node(free_port()), commit=True), OURS)

    assert check.name == "destination 'gone'"
    assert check.sentence.endswith("refused the connection: nothing listens there.")


# The clip of nobody


@dciodvfy
def test_the_specimen_is_a_valid_object_that_says_it_is_no_patient(tmp_path: Path) -> None:
    clip = open_clip(shipped_bundle() / "golden.mp4", DEFAULT_LIMITS)

    specimen = write_specimen(clip, tmp_path, datetime(2026, 11, 21, 10, 15))

    made = dcmread(specimen.path)
    assert errors_of(specimen.path) == []
    assert (made.PatientID, made.PatientName, made.QualityControlSubject) == (PATIENT_ID, "SEASHORE^TEST", "YES")
    assert made.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert (made.NumberOfFrames, made.StudyDate) == (clip.info.num_frames, "20261121")
    assert open_clip(specimen.path, DEFAULT_LIMITS).info.duration_s == pytest.approx(clip.info.duration_s, abs=0.01)
    assert write_specimen(clip, tmp_path, datetime.now()).instance != specimen.instance
