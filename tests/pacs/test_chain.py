"""The whole way of a clip: storescu -> `seashore serve` -> Orthanc, real processes all; as a hospital would see it."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from highdicom.sr import Comprehensive3DSR, srread
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.pacs.objects.uids import result_uid
from service.pacs.site import ResultKind
from tests.fakes import dcmtk
from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import Seashore, clip_file, store, to_dicom, to_web, uid_of, wait_until
from tests.fakes.orthanc import Orthanc
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import shipped_reader
from tests.fakes.sources import errors_of

pytestmark = [
    pytest.mark.skipif(dcmtk.program("storescu") is None, reason="no dcmtk (apt-get install dcmtk)"),
    pytest.mark.skipif(not real_archive.is_installed(), reason=real_archive.NOT_HERE),
]

WITHIN_S = 60.0
MODALITIES = {"SR": ResultKind.SR, "OT": ResultKind.SC, "DOC": ResultKind.PDF}


@dataclass(frozen=True, slots=True)
class Hospital:
    """Results go to both archives: to one by C-STORE, with Storage Commitment, to the other by STOW-RS."""

    seashore: Seashore
    by_dicom: Orthanc
    by_web: Orthanc
    clip: Path
    """Sent by storescu, and read by now."""

    def results(self, archive: Orthanc, clip: Path) -> dict[ResultKind, Dataset]:
        return {kind: dcmread(BytesIO(archive.download(uid))) for kind, uid in result_uids(clip).items()}

    def wait_for_results(self, clip: Path) -> None:
        for archive in (self.by_dicom, self.by_web):
            wait_until(partial(self._has_results, archive, clip), WITHIN_S)

    @staticmethod
    def _has_results(archive: Orthanc, clip: Path) -> bool:
        return set(result_uids(clip).values()) <= set(archive.instances())


def result_uids(clip: Path) -> dict[ResultKind, str]:
    reader = shipped_reader()
    digest = reader.digest(reader.find(None))
    return {kind: result_uid(uid_of(clip), digest, kind) for kind in ResultKind}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    by_dicom, by_web = (Orthanc(folder / name) for name in ("by-dicom", "by-web"))
    seashore = Seashore(folder / "seashore", {"destination": [to_dicom(by_dicom, commit=True), to_web(by_web)]})
    clip = clip_file(folder)
    try:
        for archive in (by_dicom, by_web):
            archive.folder.mkdir()
            archive.start()
            archive.upload(clip.read_bytes())
        by_dicom.introduce("SEASHORE", seashore.dicom_port)
        seashore.start()
        assert store([clip], seashore.dicom_port).returncode == 0
        made = Hospital(seashore, by_dicom, by_web, clip)
        made.wait_for_results(clip)
        yield made
    finally:
        seashore.kill()
        by_dicom.kill()
        by_web.kill()


def both(hospital: Hospital) -> tuple[Orthanc, Orthanc]:
    return hospital.by_dicom, hospital.by_web


def test_the_results_are_three_new_series_of_the_clips_own_study(hospital: Hospital) -> None:
    source = dcmread(hospital.clip, stop_before_pixels=True)
    for archive in both(hospital):
        results = hospital.results(archive, hospital.clip)

        assert {result.Modality for result in results.values()} == set(MODALITIES)
        assert {result.StudyInstanceUID for result in results.values()} == {source.StudyInstanceUID}
        assert {result.PatientID for result in results.values()} == {source.PatientID}
        series = {result.SeriesInstanceUID for result in results.values()}
        assert len(series | {source.SeriesInstanceUID}) == 4
        assert series | {source.SeriesInstanceUID} <= set(archive.series())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
def test_dciodvfy_finds_no_error_in_what_the_archives_hold(hospital: Hospital, tmp_path: Path) -> None:
    for archive in both(hospital):
        for kind, uid in result_uids(hospital.clip).items():
            path = tmp_path / f"{kind}.dcm"
            path.write_bytes(archive.download(uid))

            assert errors_of(path) == []


def test_the_report_in_the_archive_says_what_predict_says_of_the_same_file(hospital: Hospital) -> None:
    answer = hospital.seashore.predict(hospital.clip)

    assert answer["lung_sliding"]["verdict"] == "present"
    for archive in both(hospital):
        assert numbers_of(report_in(archive, hospital.clip)) == numbers_in(answer)


def report_in(archive: Orthanc, clip: Path) -> Comprehensive3DSR:
    report = srread(BytesIO(archive.download(result_uids(clip)[ResultKind.SR])))
    assert isinstance(report, Comprehensive3DSR)
    return report


def clip_group(report: Comprehensive3DSR) -> Any:
    content: Any = report.content
    return content.get_image_measurement_groups()[0]


def numbers_of(report: Comprehensive3DSR) -> dict[tuple[str, str], float]:
    return {(m.name.value, m.unit.value): m.value for m in clip_group(report).get_measurements()}


def numbers_in(answer: dict[str, Any]) -> dict[tuple[str, str], float]:
    sliding, pleura = answer["lung_sliding"], answer["pleura"]
    columns = pleura["columns"]
    return {
        ("probability", "1"): sliding["probability"],
        ("probability-low", "1"): sliding["interval"][0],
        ("probability-high", "1"): sliding["interval"][1],
        ("wall-control", "1"): sliding["wall_control"],
        ("picture-quality", "1"): answer["quality"]["score"],
        ("pleura-found", "1"): pleura["confidence"],
        ("slide", "{pixels}"): round(median(column["slide_px"] for column in columns), 4),
        ("wall-slide", "{pixels}"): round(median(column["wall_px"] for column in columns), 4),
    }


def test_a_clip_that_is_sent_again_is_not_read_again(hospital: Hospital) -> None:
    before = {archive.dicom_port: sorted(archive.instances()) for archive in both(hospital)}

    assert store([hospital.clip], hospital.seashore.dicom_port).returncode == 0

    uid = uid_of(hospital.clip)
    again = hospital.seashore.events("received_again")
    assert [(event["sop_instance_uid"], event["calling_ae_title"]) for event in again] == [(uid, "MODALITY")]
    assert [event["event"] for event in hospital.seashore.events("read") if event["sop_instance_uid"] == uid] == ["read"]
    time.sleep(1.0)
    assert {archive.dicom_port: sorted(archive.instances()) for archive in both(hospital)} == before


def test_the_archive_is_asked_to_keep_them_and_says_that_it_will(hospital: Hospital) -> None:
    wait_until(lambda: len(hospital.seashore.events("committed")) > 0, WITHIN_S)

    first = hospital.seashore.events("committed")[0]
    assert first["destination"] == "archive"
    assert first["job"] == hospital.seashore.events("read")[0]["job"]
    assert hospital.seashore.events("not_committed") == []


def test_the_way_of_a_clip_is_in_the_audit_trail(hospital: Hospital) -> None:
    wait_until(lambda: len(hospital.seashore.events("committed")) > 0, WITHIN_S)
    job = hospital.seashore.events("received")[0]["job"]

    events = [event["event"] for event in hospital.seashore.audit if event["job"] == job and event["event"] != "received_again"]
    assert events[:2] == ["received", "read"]
    assert sorted(events[2:]) == ["committed", "delivered", "delivered"]


def test_a_clip_by_stow_rs_gives_the_same_answer(hospital: Hospital, tmp_path: Path) -> None:
    clip = clip_file(tmp_path, 1)

    answer = hospital.seashore.stow(clip)

    assert answer.status_code == 200
    hospital.wait_for_results(clip)
    for archive in both(hospital):
        assert hospital.results(archive, clip).keys() == set(ResultKind)
        assert numbers_of(report_in(archive, clip)) == numbers_of(report_in(archive, hospital.clip))


def test_a_clip_that_cannot_be_assessed_gets_a_report_that_says_why(hospital: Hospital, tmp_path: Path) -> None:
    clip = clip_file(tmp_path, 2, frames=frozen(small_phantom("present", 2.2)))

    assert store([clip], hospital.seashore.dicom_port).returncode == 0

    hospital.wait_for_results(clip)
    report = report_in(hospital.by_dicom, clip)
    said = {evaluation.name.value: evaluation.value.value for evaluation in clip_group(report).get_qualitative_evaluations()}
    assert said["lung-sliding"] == "373068000"  # SNOMED CT: Undetermined
    assert "probability" not in {name for name, _ in numbers_of(report)}
    (reason,) = hospital.seashore.predict(clip)["quality"]["reasons"]
    assert reason["code"] == "frozen"
    assert reason["detail"] in [item.TextValue for item in walk(report) if "TextValue" in item]


def walk(item: Dataset) -> list[Dataset]:
    return [item, *(inner for child in item.get("ContentSequence", ()) for inner in walk(child))]


def test_no_log_and_no_audit_line_names_the_patient(hospital: Hospital) -> None:
    written = hospital.seashore.log.read_text() + str(hospital.seashore.audit)

    assert "Phantom" not in written
    assert "P0000" not in written
