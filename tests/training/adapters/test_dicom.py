"""A DICOM directory: pseudonyms that hold over time and tell nothing, machines and probes, and refusals to write a name."""

from pathlib import Path
from typing import Any

import pytest

from service.manifest import LabelledClip, ManifestError
from service.pseudonyms import BadKey, key_beside, pseudonym
from tests.fakes import dicom as fakes
from tests.fakes.media import texture
from training.adapters.dicom import read_dicom
from training.adapters.table import AdapterError, patient_pattern, write_manifest

FRAMES = texture(4, 64, 64)


def stored(folder: Path, name: str, **elements: Any) -> Path:
    path = folder / "export" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fakes.native(FRAMES, **elements))
    return path


def read(folder: Path, **options: Any) -> dict[str, LabelledClip]:
    clips, _ = read_dicom(folder / "export", folder / "manifest.csv", **options)
    return {clip.file.name: clip for clip in clips}


def test_objects_of_one_patient_share_a_pseudonym_and_others_do_not(tmp_path: Path) -> None:
    for name, identity in (("1", "4711"), ("2", "4711"), ("3", "0815")):
        stored(tmp_path, name, PatientID=identity)
    clips = read(tmp_path)

    assert clips["1"].patient == clips["2"].patient != clips["3"].patient
    assert clips["1"].patient.startswith("P-")
    assert len(clips["1"].patient) == 18


def test_the_same_number_from_two_issuers_is_two_patients(tmp_path: Path) -> None:
    stored(tmp_path, "1", PatientID="4711", IssuerOfPatientID="north")
    stored(tmp_path, "2", PatientID="4711", IssuerOfPatientID="south")

    assert len({clip.patient for clip in read(tmp_path).values()}) == 2


def test_pseudonyms_hold_with_the_key_and_change_without_it(tmp_path: Path) -> None:
    stored(tmp_path, "1", PatientID="4711", InstitutionName="St. Elsewhere")
    first, again = read(tmp_path)["1"], read(tmp_path)["1"]
    key = tmp_path / "manifest.csv.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    other = read(tmp_path)["1"]

    assert (first.patient, first.site) == (again.patient, again.site)
    assert other.patient != first.patient
    assert other.site != first.site


def test_nothing_that_is_written_tells_a_name_a_number_or_a_hospital(tmp_path: Path) -> None:
    stored(tmp_path, "IM0001", PatientID="ID471100", PatientBirthDate="19700101", InstitutionName="St. Elsewhere")
    clips, _ = read_dicom(tmp_path / "export", tmp_path / "manifest.csv")
    write_manifest(tmp_path / "manifest.csv", clips)

    written = "".join(path.read_text() for path in tmp_path.glob("manifest.csv*")).lower()
    assert [word for word in ("doe", "jane", "id471100", "1970", "elsewhere") if word in written] == []


@pytest.mark.parametrize("name", ["DOE_JANE/IM1", "study 4711.dcm", "doe.dcm", "scan_id471100x"])
def test_a_file_named_for_its_patient_is_refused_and_not_named(tmp_path: Path, name: str) -> None:
    stored(tmp_path, name, PatientID="ID471100" if "id4" in name else "4711")
    with pytest.raises(AdapterError) as caught:
        read(tmp_path)

    assert str(caught.value) == (
        "1 of 1 clips have their patient's name or ID in their file's or folder's name, which the manifest would repeat. "
        "Rename them first; nothing was written."
    )
    assert not (tmp_path / "manifest.csv.key").exists()


def test_a_clip_without_a_patient_id_needs_a_pattern(tmp_path: Path) -> None:
    stored(tmp_path, "case7/1")
    with pytest.raises(
        AdapterError, match="1 of 1 clips carry no Patient ID; say with --patient-from how to tell whose they are by their paths."
    ):
        read(tmp_path)

    assert read(tmp_path, pattern=patient_pattern("^(case[0-9]+)/"))["1"].patient.startswith("P-")
    with pytest.raises(AdapterError, match="1 of 1 clips have no patient: --patient-from does not match their paths."):
        read(tmp_path, pattern=patient_pattern("^x"))


@pytest.mark.parametrize(
    ("elements", "probe"),
    [
        ({"TransducerType": "LINEAR"}, "linear"),
        ({"TransducerType": "CURVED LINEAR"}, "convex"),
        ({"TransducerType": "SECTOR_PHASED"}, "phased"),
        ({"TransducerData": ["C5-1", "", ""]}, "convex"),
        ({"TransducerData": "L12-4"}, "linear"),
        ({"TransducerData": "UNUSED"}, ""),
        ({}, ""),
    ],
)
def test_the_probe_is_told_from_its_type_or_its_model(tmp_path: Path, elements: dict[str, Any], probe: str) -> None:
    stored(tmp_path, "1", PatientID="4711", **elements)

    assert read(tmp_path)["1"].probe == probe


def test_the_device_is_its_maker_and_model_once(tmp_path: Path) -> None:
    stored(tmp_path, "1", PatientID="4711", Manufacturer="Philips", ManufacturerModelName="EPIQ 7")
    stored(tmp_path, "2", PatientID="4711", Manufacturer="Butterfly", ManufacturerModelName="Butterfly iQ")

    assert [read(tmp_path)[name].device for name in ("1", "2")] == ["Philips EPIQ 7", "Butterfly iQ"]


def test_stills_reports_and_other_modalities_are_passed_over(tmp_path: Path) -> None:
    stored(tmp_path, "1", PatientID="4711")
    for name, content in (("still", fakes.single_frame()), ("ct", fakes.of_modality("CT")), ("text", b"a report")):
        (tmp_path / "export" / name).write_bytes(content)
    clips, passed_over = read_dicom(tmp_path / "export", tmp_path / "manifest.csv")

    assert ([clip.file.name for clip in clips], passed_over) == (["1"], 3)


def test_labels_come_from_a_table_by_sop_instance_uid(tmp_path: Path) -> None:
    for number in "123":
        stored(tmp_path, number, PatientID="4711", SOPInstanceUID=f"1.2.{number}")
    table = tmp_path / "labels.csv"
    table.write_text("SOP_Instance_UID,Label\n1.2.1,absent\n1.2.2,Lung_Point\n")

    assert [read(tmp_path, labels=table)[name].label.value for name in "123"] == ["absent", "lung_point", "unknown"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("9.9,absent", "The table of labels: Row 2: no clip in the folder has this SOP Instance UID."),
        ("1.2,ptx", 'The table of labels: Row 2: the label is "ptx"; write absent if that is meant.'),
        ("1.2,absent\n1.2,present", "The table of labels: Row 3: this SOP Instance UID has another label in a row above."),
    ],
)
def test_a_table_of_labels_that_does_not_fit_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    stored(tmp_path, "1", PatientID="4711", SOPInstanceUID="1.2")
    (tmp_path / "labels.csv").write_text(f"sop_instance_uid,label\n{line}\n")

    with pytest.raises(ManifestError) as caught:
        read(tmp_path, labels=tmp_path / "labels.csv")
    assert str(caught.value).startswith(sentence)


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    """A new one would give every patient a second pseudonym."""
    (tmp_path / "manifest.csv.key").write_text("00ff")
    with pytest.raises(BadKey, match=r"The key beside the manifest \(its name and .key\) is damaged: it is not 64 hexadecimal digits."):
        key_beside(tmp_path / "manifest.csv")


def test_a_patient_and_a_site_of_the_same_name_have_two_pseudonyms() -> None:
    assert pseudonym(bytes(32), "patient", "x") != pseudonym(bytes(32), "site", "x")
