"""From opinions to a manifest: whose clips, where they are found, what is taken off them and what waits."""

import csv
from pathlib import Path

import pytest
from pydicom import dcmread

from service.feedback.export import Exported, ExportError, Request, export
from service.jobs.feedback import sha256_of
from service.manifest import Label, read_manifest
from service.pseudonyms import BadKey, key_beside, patient_pseudonym
from tests.fakes import dicom
from tests.fakes.media import EVERY_KIND, encode, mp4, texture
from tests.fakes.opinions import outlive, speak

LUNG = dicom.native(texture(4), PatientID="PID-47110815")
SAME_PATIENT = dicom.native(texture(4, seed=1), PatientID="PID-47110815")
FILM = mp4(texture(4))
REGION = "1.0,2.0 30.0,2.0 30.0,40.0"


def ask(folder: Path, **options: object) -> Exported:
    return export(Request(folder / "data", folder / "ward", **options))  # type: ignore[arg-type]


def waiting(folder: Path) -> list[dict[str, str]]:
    with (folder / "ward" / "waiting.csv").open() as file:
        return list(csv.DictReader(file))


def fill_in(folder: Path, patient: str) -> None:
    path = folder / "ward" / "waiting.csv"
    rows = waiting(folder)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"patient": patient} for row in rows)


def test_a_dicom_clip_becomes_a_row_with_a_pseudonym_and_a_copy_without_header(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", LUNG, "disagree", region=REGION, probe="linear", note="Mrs Doe, bed 4")
    found = ask(tmp_path)
    (row,) = read_manifest(tmp_path / "ward" / "manifest.csv")

    assert (row.label, row.region, row.probe, row.notes, row.file.name) == (Label.PRESENT, REGION, "linear", "", f"{digest}.dcm")
    assert row.patient == patient_pseudonym(key_beside(tmp_path / "ward" / "manifest.csv"), "\x00PID-47110815")
    assert row.sha256 == sha256_of(row.file) != digest
    assert (row.other["clip_sha256"], row.other["verdict"], row.other["opinion"], row.other["model"]) == (
        digest,
        "absent",
        "disagree",
        "m:1",
    )
    assert (found.num_dicom, found.waiting) == (1, ())
    everything = b"".join(path.read_bytes() for path in (tmp_path / "ward").rglob("*") if path.is_file())
    assert [word for word in (dicom.PATIENT, "PID-47110815", "1.2.3.4\0", "Doe") if word.encode() in everything] == []


def test_clips_of_one_patient_share_the_pseudonym_also_in_the_next_export(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG)
    ask(tmp_path)
    speak(tmp_path / "data", SAME_PATIENT)
    speak(tmp_path / "data", dicom.native(texture(4, seed=2), PatientID="4712"))
    found = ask(tmp_path, replace_it=True)

    assert found.manifest is not None
    first, second, third = found.manifest.patients
    assert first == second != third


def test_the_same_number_of_two_issuers_is_two_patients(tmp_path: Path) -> None:
    for issuer in ("east", "west"):
        speak(tmp_path / "data", dicom.native(texture(4), PatientID="PID-47110815", IssuerOfPatientID=issuer))
    found = ask(tmp_path)

    assert found.manifest is not None
    assert len(set(found.manifest.patients)) == 2


def test_with_headers_the_object_is_copied_as_it_is(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", LUNG)
    ask(tmp_path, with_headers=True)

    assert (tmp_path / "ward" / "clips" / f"{digest}.dcm").read_bytes() == LUNG


def test_a_header_that_was_exported_is_taken_off_when_it_is_no_longer_asked_for(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", LUNG)
    ask(tmp_path, with_headers=True)
    (tmp_path / "data" / "jobs" / digest[:32] / "clip").unlink()
    found = ask(tmp_path, replace_it=True)

    assert found.manifest is not None
    assert "PatientID" not in dcmread(tmp_path / "ward" / "clips" / f"{digest}.dcm")


def test_a_film_waits_until_somebody_says_whose_it_is_and_is_kept_meanwhile(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", FILM)
    first = ask(tmp_path)
    (row,) = waiting(tmp_path)

    assert first.manifest is None
    assert row == {"clip_sha256": digest, "patient": "", "label": "absent", "region": "", "lacks": "patient"}
    assert not (tmp_path / "ward" / "manifest.csv").exists()

    fill_in(tmp_path, "A")
    (tmp_path / "data" / "jobs" / digest[:32] / "clip").unlink()
    second = ask(tmp_path)
    assert second.manifest is not None
    assert second.manifest.patients == ("A",)
    assert second.manifest.clips[0].file.read_bytes() == FILM
    assert second.manifest.clips[0].file.name == f"{digest}.mp4"
    assert not (tmp_path / "ward" / "waiting.csv").exists()


def test_a_stripped_copy_keeps_its_patient_when_the_original_is_gone(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", LUNG)
    first = ask(tmp_path)
    (tmp_path / "data" / "jobs" / digest[:32] / "clip").unlink()
    second = ask(tmp_path, replace_it=True)

    assert first.manifest is not None
    assert second.manifest is not None
    assert second.manifest.clips == first.manifest.clips


def test_a_clip_that_is_gone_is_listed_and_found_by_its_content_among_the_sites_own(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", LUNG, is_there=False)
    first = ask(tmp_path)

    assert first.manifest is None
    assert [(row["clip_sha256"], row["lacks"]) for row in waiting(tmp_path)] == [(digest, "clip and patient")]

    (tmp_path / "archive" / "2026").mkdir(parents=True)
    (tmp_path / "archive" / "2026" / "another").write_bytes(FILM)
    (tmp_path / "archive" / "2026" / "IM0001").write_bytes(LUNG)
    second = ask(tmp_path, clips=tmp_path / "archive")
    assert second.manifest is not None
    assert second.manifest.clips[0].file == tmp_path / "ward" / "clips" / f"{digest}.dcm"


def test_a_clip_kept_longer_than_its_job_is_found(tmp_path: Path) -> None:
    outlive(tmp_path / "data", speak(tmp_path / "data", LUNG))

    assert ask(tmp_path).manifest is not None


def test_a_file_that_is_not_the_clip_is_not_taken_for_it(tmp_path: Path) -> None:
    digest = speak(tmp_path / "data", FILM)
    (tmp_path / "data" / "jobs" / digest[:32] / "clip").write_bytes(FILM + b"more")
    ask(tmp_path)

    assert [row["lacks"] for row in waiting(tmp_path)] == ["clip and patient"]


def test_the_whole_clip_and_its_region_are_two_rows_of_one_file(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG)
    speak(tmp_path / "data", LUNG, "disagree", region=REGION)
    found = ask(tmp_path)

    assert found.manifest is not None
    assert [(clip.region, clip.label) for clip in found.manifest] == [("", Label.ABSENT), (REGION, Label.PRESENT)]
    assert len({clip.file for clip in found.manifest}) == 1


def test_notes_come_along_when_they_are_asked_for(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG, note='a rib, "I think"')
    found = ask(tmp_path, with_notes=True)

    assert found.manifest is not None
    assert found.manifest.clips[0].notes == 'a rib, "I think"'


def test_dicom_that_cannot_be_told_from_its_header_waits(tmp_path: Path) -> None:
    speak(tmp_path / "data", dicom.without_pixel_data())
    ask(tmp_path)

    assert [row["lacks"] for row in waiting(tmp_path)] == ["header"]


def test_a_manifest_that_is_there_is_left_alone(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG)
    ask(tmp_path)
    with pytest.raises(ExportError) as caught:
        ask(tmp_path)

    sentence = "That folder has a manifest already, perhaps corrected by hand; name another, or say --replace, which keeps its patients."
    assert str(caught.value) == sentence


def test_a_manifest_of_which_no_row_holds_any_more_goes(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG)
    ask(tmp_path)
    speak(tmp_path / "data", LUNG, "unsure")
    found = ask(tmp_path, replace_it=True)

    assert (found.manifest, found.choice.num_unsure) == (None, 1)
    assert not (tmp_path / "ward" / "manifest.csv").exists()


def test_a_damaged_key_stops_the_export(tmp_path: Path) -> None:
    """A new one would give every patient a second pseudonym."""
    speak(tmp_path / "data", LUNG)
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward" / "manifest.csv.key").write_text("00ff")
    with pytest.raises(BadKey, match="The key beside the manifest"):
        ask(tmp_path)


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    speak(tmp_path / "data", LUNG)
    ask(tmp_path)

    assert (tmp_path / "ward").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("kind", "suffix"), [("mkv ffv1 grey", ".mkv"), ("mpeg transport stream", ".ts"), ("avi mjpeg", ".avi")])
def test_a_film_is_named_after_its_container(tmp_path: Path, kind: str, suffix: str) -> None:
    digest = speak(tmp_path / "data", encode(texture(8), **EVERY_KIND[kind]))
    ask(tmp_path)

    assert [path.name for path in (tmp_path / "ward" / "clips").iterdir()] == [f"{digest}{suffix}"]
