"""Objects that are wrong in one way each, sent to a real process: each is refused with its DICOM status or recorded with its reason,
and the good clip behind them all is delivered."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, JPEGBaseline8Bit, MRImageStorage, UltrasoundImageStorage
from pynetdicom import AE, _config
from pynetdicom.association import Association

from service.pacs.objects.uids import result_uid
from service.pacs.site import ResultKind
from tests.fakes import dicom
from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import AE_TITLE, Seashore, clip_file, to_dicom, uid_of
from tests.fakes.media import Frames
from tests.fakes.orthanc import Orthanc
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_reader

pytestmark = pytest.mark.skipif(not real_archive.is_installed(), reason=real_archive.NOT_HERE)

WITHIN_S = 120.0
FRAME_TIME_MS = 1000 / 30
PRIVATE_CLASS = UID("1.3.12.2.1107.5.9.1")
UNKNOWN_SYNTAX = UID("1.3.12.2.1107.5.9.2")

Elements = dict[str, Any]
Make = Callable[[Elements], bytes]
"""A Part 10 file with these elements in it."""


def lung() -> Frames:
    """(66, 240, 320): the lung slides."""
    return small_phantom("present", 2.2).frames


def in_16_bits() -> Frames:
    return np.asarray(lung().astype(np.uint16) * 257)


def noise() -> Frames:
    return np.random.default_rng(0).integers(0, 256, lung().shape, dtype=np.uint8)


def black() -> Frames:
    return np.zeros_like(lung())


def native(frames: Callable[[], Frames] = lung, **elements: Any) -> Make:
    return lambda identity: dicom.native(frames(), **{"frame_time_ms": FRAME_TIME_MS, **identity, **elements})


def jpeg(frames: Callable[[], Frames] = lung, **elements: Any) -> Make:
    return lambda identity: dicom.jpeg_baseline(frames(), **{"frame_time_ms": FRAME_TIME_MS, **identity, **elements})


def cut_off(identity: Elements) -> bytes:
    """After 33 of 66 frames."""
    return native()(identity)[: -33 * 240 * 320]


def in_palette_colour(identity: Elements) -> bytes:
    grey = np.repeat(np.arange(256, dtype=np.uint16)[:, None] * 257, 3, axis=1)
    return dicom.file_of(dicom.palette(dicom.dataset(lung(), frame_time_ms=FRAME_TIME_MS, **identity), grey))


def with_broken_frames(identity: Elements) -> bytes:
    return dicom.encapsulated(lung(), JPEGBaseline8Bit, lambda frame: b"\xff\xd8 and no more of it", **identity)


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent and taken, and what becomes of it."""

    make: Make
    says: str
    """Its verdict, the code of the problem, or why it was skipped."""
    event: str = "read"
    """Of the audit trail."""


NOT_A_CLIP = "It is a single image, not a clip."
CASES = {
    "pixel data cut off": Case(cut_off, "not_assessable"),
    "more frames stated than are there": Case(jpeg(NumberOfFrames=90), "present"),
    "fewer frames stated than are there": Case(jpeg(NumberOfFrames=30), "present"),
    "no frame time": Case(native(frame_time_ms=None), "present"),
    "palette colour": Case(in_palette_colour, "present"),
    "16 bits": Case(native(in_16_bits), "present"),
    "too short": Case(native(lambda: lung()[:20]), "not_assessable"),
    "no lung: noise": Case(jpeg(noise), "not_assessable"),
    "no lung: black": Case(jpeg(black), "not_assessable"),
    "one frame": Case(native(lambda: lung()[:1]), NOT_A_CLIP, "skipped"),
    "of a class of single images": Case(native(SOPClassUID=UltrasoundImageStorage), NOT_A_CLIP, "skipped"),
    "of another modality": Case(native(Modality="MR"), 'The rule refuses it: Modality is "US" does not hold.', "skipped"),
    "no pixel data": Case(native(PixelData=None), "no_video", "not_read"),
    "frames that are no JPEG": Case(with_broken_frames, "unreadable_clip", "not_read"),
}
OUTCOMES = {case.event for case in CASES.values()}


def identity_of(name: str) -> Elements:
    number = [*CASES].index(name)
    uids = {f"{level}InstanceUID": f"1.2.3.{number}.{last}" for last, level in enumerate(("SOP", "Study", "Series"))}
    return {**uids, "PatientID": f"B{number}"}


@dataclass(slots=True)
class Ward:
    """A process to which all of it has been sent, and a good clip last."""

    seashore: Seashore
    archive: Orthanc
    good: Path
    statuses: dict[str, int | None] = field(default_factory=dict)

    def associate(self, *contexts: tuple[UID, UID], ae_title: str = AE_TITLE) -> Association:
        entity = AE("MODALITY")
        entity.add_requested_context("1.2.840.10008.1.1")
        for sop_class, syntax in contexts:
            entity.add_requested_context(sop_class, syntax)
        return entity.associate("127.0.0.1", self.seashore.dicom_port, ae_title=ae_title)

    def store(self, path: Path) -> int | None:
        """The status of a C-STORE of a file as it is, broken or not; None where its kind is not accepted."""
        _config.STORE_SEND_CHUNKED_DATASET = True  # as `service.pacs.outgoing.dimse` has it
        meta = read_file_meta_info(path)
        kind = (meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        association = self.associate(kind)
        assert association.is_established
        try:
            accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
            return int(association.send_c_store(path).Status) if kind in accepted else None
        finally:
            association.release()

    def outcome_of(self, sop_instance_uid: str) -> dict[str, Any]:
        """What the audit trail says became of an instance."""
        (job,) = [event["job"] for event in self.seashore.events("received") if event["sop_instance_uid"] == sop_instance_uid]
        end_s = time.monotonic() + WITHIN_S
        while not (said := [event for event in self.seashore.audit if event["job"] == job and event["event"] in OUTCOMES]):
            assert time.monotonic() < end_s, self.seashore.log.read_text()[-4000:]
            time.sleep(0.2)
        assert len(said) == 1
        return said[0]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("ward")
    (folder / "orthanc").mkdir()
    archive = Orthanc(folder / "orthanc")
    seashore = Seashore(folder / "seashore", {"destination": [to_dicom(archive, results=["sr"])]})
    made = Ward(seashore, archive, clip_file(folder, 99))
    try:
        archive.start()
        seashore.start()
        for name, case in CASES.items():
            made.statuses[name] = made.store(written(folder, case.make(identity_of(name))))
        made.statuses["good"] = made.store(made.good)
        yield made
    finally:
        seashore.kill()
        archive.kill()


def written(folder: Path, file: bytes) -> Path:
    path = folder / "sent.dcm"
    path.write_bytes(file)
    return path


# Taken, and recorded


def test_what_is_odd_is_taken_for_what_is_refused_is_lost(ward: Ward) -> None:
    assert ward.statuses == dict.fromkeys([*CASES, "good"], 0x0000)


@pytest.mark.parametrize("name", CASES)
def test_what_became_of_it_is_recorded(ward: Ward, name: str) -> None:
    said = ward.outcome_of(identity_of(name)["SOPInstanceUID"])

    assert said["event"] == CASES[name].event
    assert CASES[name].says in (said.get("verdict"), said.get("code"), said.get("because"))


def test_the_good_clip_behind_them_is_read_and_delivered(ward: Ward) -> None:
    assert ward.outcome_of(uid_of(ward.good))["verdict"] == "present"

    end_s = time.monotonic() + WITHIN_S
    while ward.archive.count(report_uid(uid_of(ward.good))) == 0:
        assert time.monotonic() < end_s
        time.sleep(0.2)


def test_whatever_was_read_has_a_report_in_the_archive_and_nothing_else_has(ward: Ward) -> None:
    test_the_good_clip_behind_them_is_read_and_delivered(ward)
    read = {identity_of(name)["SOPInstanceUID"] for name, case in CASES.items() if case.event == "read"} | {uid_of(ward.good)}

    reported = {source_of(ward.archive.download(uid)) for uid in ward.archive.instances()}

    assert reported == read


def report_uid(sop_instance_uid: str) -> str:
    reader = shipped_reader()
    return result_uid(sop_instance_uid, reader.digest(reader.find(None)), ResultKind.SR)


def source_of(report: bytes) -> str:
    """The SOP Instance UID of the clip that a report is about."""
    evidence = dcmread(BytesIO(report)).CurrentRequestedProcedureEvidenceSequence[0]
    return str(evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


# Refused


@pytest.mark.parametrize(
    "kind",
    [(PRIVATE_CLASS, JPEGBaseline8Bit), (MRImageStorage, JPEGBaseline8Bit), (UID("1.2.840.10008.5.1.4.1.1.3.1"), UNKNOWN_SYNTAX)],
    ids=["private SOP class", "MR", "unknown transfer syntax"],
)
def test_a_kind_that_is_not_taken_is_refused_in_the_negotiation(ward: Ward, kind: tuple[UID, UID]) -> None:
    association = ward.associate(kind)
    (refused,) = association.rejected_contexts
    association.release()

    assert refused.abstract_syntax == kind[0]
    assert refused.result == (4 if kind[1] == UNKNOWN_SYNTAX else 3)  # PS3.8 table 9-18


def test_another_called_ae_title_is_rejected_for_good(ward: Ward) -> None:
    association = ward.associate(ae_title="ELSEWHERE")

    assert association.is_rejected
    answer: Any = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 7)  # PS3.8 9.3.4: called AE title not recognized


@pytest.mark.parametrize("data_set", [b"", b"no DICOM at all, but some text"], ids=["empty", "text"])
def test_what_is_no_data_set_is_not_understood(ward: Ward, tmp_path: Path, data_set: bytes) -> None:
    assert ward.store(written(tmp_path, meta_alone() + data_set)) == 0xC000


def meta_alone() -> bytes:
    """Preamble and file meta information of an instance."""
    file = dicom.native(np.zeros((2, 8, 8), np.uint8), SOPInstanceUID="1.2.3.4.5")
    return file[: 132 + 12 + int.from_bytes(file[140:144], "little")]


def test_another_instance_than_the_request_names_does_not_match(ward: Ward, tmp_path: Path) -> None:
    other = dicom.native(np.zeros((2, 8, 8), np.uint8), SOPInstanceUID="1.2.3.4.6")
    body = other[132 + 12 + int.from_bytes(other[140:144], "little") :]

    assert ward.store(written(tmp_path, meta_alone() + body)) == 0xA900


@pytest.mark.parametrize(
    ("file", "status", "says"),
    [
        (b"", 400, "empty_upload"),
        (b"no DICOM at all", 409, "OtherFailuresSequence"),
        (dicom.native(np.zeros((2, 8, 8), np.uint8), SOPClassUID=MRImageStorage), 409, "FailedSOPSequence"),
    ],
    ids=["nothing", "text", "MR"],
)
def test_stow_rs_says_which_was_not_stored(ward: Ward, tmp_path: Path, file: bytes, status: int, says: str) -> None:
    answer = ward.seashore.stow(written(tmp_path, file))

    assert answer.status_code == status
    assert says in answer.text or DICOM_JSON[says] in answer.json()


DICOM_JSON = {"OtherFailuresSequence": "0008119A", "FailedSOPSequence": "00081198", "empty_upload": ""}


def test_nothing_of_what_was_refused_is_left_on_the_disk(ward: Ward) -> None:
    assert [*(ward.seashore.data / "incoming").iterdir()] == []
