"""What results take over from the object a clip came in, whole or broken."""

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from service.errors import UnreadableClip
from service.pacs.objects.source import Laterality, SourceInstance, read_source
from tests.fakes import dicom
from tests.fakes.sources import FULL, bare_source, full_file, full_source


def with_code(**elements: str) -> Dataset:
    item = Dataset()
    for keyword, text in elements.items():
        setattr(item, keyword, text)
    return item


def test_the_patient_and_the_study_are_taken_over(tmp_path: Path) -> None:
    source = full_source(tmp_path)

    taken = source.patient_and_study
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber", "StudyDescription"):
        assert taken[keyword].value == FULL[keyword]
    assert (source.study_instance_uid, source.series_instance_uid, source.sop_instance_uid) == ("1.2.3", "1.2.3.1", "1.2.3.4")
    assert (source.series_number, source.instance_number) == (2, 7)
    assert (source.num_frames, source.width, source.height) == (30, 160, 120)
    assert source.character_set == "ISO_IR 100"
    assert source.equipment.Manufacturer == "Acme"


def test_what_says_nothing_of_a_result_stays_where_it_is(tmp_path: Path) -> None:
    assert "PatientComments" not in full_source(tmp_path).patient_and_study


def test_what_must_be_there_is_there_empty(tmp_path: Path) -> None:
    taken = bare_source(tmp_path).patient_and_study

    assert {element.keyword for element in taken} == {
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
        *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
    }
    assert all(element.is_empty for element in taken)


def test_without_a_study_one_is_made_from_the_instance(tmp_path: Path) -> None:
    first, again = bare_source(tmp_path), bare_source(tmp_path)

    assert first.study_instance_uid.startswith("2.25.")
    assert first.study_instance_uid == again.study_instance_uid != first.series_instance_uid
    other = full_source(tmp_path, StudyInstanceUID=None, SOPInstanceUID="9.9.9")
    assert other.study_instance_uid != first.study_instance_uid


@pytest.mark.parametrize(
    ("keyword", "broken"),
    [("PatientBirthDate", "19991399"), ("StudyTime", "late"), ("PatientSex", "MALE"), ("StudyDate", "01.02.2026")],
)
def test_a_date_time_or_code_that_is_none_is_left_empty(tmp_path: Path, keyword: str, broken: str) -> None:
    source = broken_source(tmp_path, keyword, broken)

    assert source.patient_and_study[keyword].is_empty
    assert source.patient_and_study.PatientID == "P-1"


def test_an_identifier_is_taken_over_however_malformed(tmp_path: Path) -> None:
    assert broken_source(tmp_path, "PatientID", "x" * 70).patient_and_study.PatientID == "x" * 70


def test_a_uid_that_is_none_counts_as_missing(tmp_path: Path) -> None:
    assert broken_source(tmp_path, "StudyInstanceUID", "the study of Jane").study_instance_uid.startswith("2.25.")


def broken_source(folder: Path, keyword: str, text: str) -> SourceInstance:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what it is made to write here
        path = full_file(folder / "source.dcm", **{keyword: text})
    return read_source(path)


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"Laterality": "L"}, Laterality.LEFT),
        ({"Laterality": "R"}, Laterality.RIGHT),
        ({"Laterality": "R", "ImageLaterality": "L"}, Laterality.LEFT),
        ({"Laterality": "B"}, None),
        ({"Laterality": None}, None),
    ],
)
def test_the_side_is_told_from_the_image_then_the_series(tmp_path: Path, elements: dict[str, Any], side: Laterality | None) -> None:
    assert full_source(tmp_path, **elements).laterality is side


def test_the_side_is_told_from_the_anatomic_region(tmp_path: Path) -> None:
    def side(region: Dataset) -> Laterality | None:
        return full_source(tmp_path, Laterality=None, AnatomicRegionSequence=[region]).laterality

    chest = with_code(CodeValue="816094009", CodingSchemeDesignator="SCT", CodeMeaning="Chest")
    assert side(chest) is None
    assert side(with_code(CodeValue="44788007", CodingSchemeDesignator="SCT", CodeMeaning="Right Pleura")) is Laterality.RIGHT
    chest.AnatomicRegionModifierSequence = [with_code(CodeValue="7771000", CodingSchemeDesignator="SCT", CodeMeaning="Left")]
    assert side(chest) is Laterality.LEFT


@pytest.mark.parametrize(("stated", "hours"), [("+0130", 1.5), ("-0500", -5.0), ("+2500", None), ("noon", None)])
def test_the_time_zone_is_read(tmp_path: Path, stated: str, hours: float | None) -> None:
    zone = full_source(tmp_path, TimezoneOffsetFromUTC=stated).timezone

    assert (None if zone is None else zone.utcoffset(None) / timedelta(hours=1)) == hours


def test_a_character_set_that_does_not_exist_becomes_utf_8(tmp_path: Path) -> None:
    path = full_file(tmp_path / "source.dcm")
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))

    assert read_source(path).character_set == "ISO_IR 192"


def test_the_region_and_earlier_compression_are_read(tmp_path: Path) -> None:
    source = full_source(
        tmp_path,
        SequenceOfUltrasoundRegions=[dicom.region(10, 20, 99, 109)],
        LossyImageCompressionRatio=["12.5"],
        LossyImageCompressionMethod="ISO_10918_1",
        BurnedInAnnotation="NO",
    )

    assert source.region is not None
    assert source.region.box == (10, 20, 100, 110)
    assert source.compressed == (("12.5", "ISO_10918_1"),)
    assert source.shows_identity is False


def test_a_ratio_without_its_method_is_not_passed_on(tmp_path: Path) -> None:
    assert full_source(tmp_path, LossyImageCompressionRatio="12.5").compressed == ()


@pytest.mark.parametrize(("keyword", "name"), [("SOPInstanceUID", "SOP Instance UID"), ("SOPClassUID", "SOP Class UID")])
def test_an_object_that_nothing_could_refer_to_is_refused(tmp_path: Path, keyword: str, name: str) -> None:
    path = tmp_path / "source.dcm"
    made = dicom.dataset(**FULL)
    delattr(made, keyword)
    path.write_bytes(dicom.bare(made, implicit=False))

    with pytest.raises(UnreadableClip) as raised:
        read_source(path)

    assert str(raised.value) == f"The DICOM object has no {name}; results need it to say what they are about."


def test_what_is_no_dicom_is_refused_in_our_own_words(tmp_path: Path) -> None:
    path = tmp_path / "source.dcm"
    path.write_bytes(b"GIF89a" + bytes(range(256)) * 4)

    with pytest.raises(UnreadableClip, match=r"^The DICOM object (is damaged or cut off|has no SOP)"):
        read_source(path)


def test_the_uid_in_the_file_meta_information_will_do(tmp_path: Path) -> None:
    path = full_file(tmp_path / "source.dcm")
    path.write_bytes(path.read_bytes().replace(b"\x08\x00\x18\x00UI\x08\x001.2.3.4\x00", b""))

    assert read_source(path).sop_instance_uid == "1.2.3.4"


def test_nothing_of_the_patient_is_printed(tmp_path: Path) -> None:
    source: SourceInstance = full_source(tmp_path)

    assert repr(source) == str(source) == "SourceInstance(30 frames, 160x120)"
