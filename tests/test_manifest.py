"""The table of labelled clips: what is read, and what is said of a row that is wrong."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.manifest import Label, Manifest, ManifestError, read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    return tmp_path


def written(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def read(folder: Path, *lines: str) -> Manifest:
    return read_manifest(written(folder, *lines))


def problem(folder: Path, *lines: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(folder, *lines)
    return str(caught.value)


def test_a_clip_is_its_file_its_patient_and_its_label(folder: Path) -> None:
    (clip,) = read(folder, "file,patient,label", "a.mp4,P7,present")

    assert (clip.file, clip.patient, clip.label, clip.row) == (folder / "a.mp4", "P7", Label.PRESENT, 2)
    assert (clip.probe, clip.source, clip.licence, clip.split, clip.region, clip.notes) == ("",) * 6
    assert (clip.site, clip.device) == ("", "")


def test_the_file_may_be_called_clip_and_the_site_and_the_device_are_kept(folder: Path) -> None:
    (clip,) = read(folder, "clip,patient,label,site,device", "a.mp4,A,present,our ward,Lumify")

    assert (clip.file, clip.site, clip.device) == (folder / "a.mp4", "our ward", "Lumify")


def test_a_column_called_clip_beside_the_file_is_one_of_the_others(folder: Path) -> None:
    (clip,) = read(folder, "file,clip,patient,label", "a.mp4,7,A,present")

    assert (clip.file.name, clip.other) == ("a.mp4", {"clip": "7"})


def test_a_file_and_two_columns_called_clip_are_refused(folder: Path) -> None:
    assert problem(folder, "clip,clip,patient,label", "a.mp4,a.mp4,A,present") == (
        "The manifest has two columns called file; each may be there once."
    )


def test_a_file_is_looked_for_beside_the_manifest_and_an_absolute_one_where_it_says(folder: Path) -> None:
    (folder / "ward").mkdir()
    manifest = written(folder / "ward", "file,patient,label", "../a.mp4,A,present", f"{folder / 'b.mp4'},B,absent")

    assert [clip.file.resolve().name for clip in read_manifest(manifest)] == ["a.mp4", "b.mp4"]


def test_columns_come_in_any_order_and_case_and_unknown_ones_are_kept(folder: Path) -> None:
    (clip,) = read(folder, "Label, Patient ,depth_cm,FILE,probe", "healthy,A,15,a.mp4,linear")

    assert (clip.label, clip.patient, clip.probe) == (Label.HEALTHY, "A", "linear")
    assert clip.other == {"depth_cm": "15"}


@pytest.mark.parametrize("label", ["present", "absent", "lung_point", "unknown", "healthy", "Present", " ABSENT ", "Lung_Point"])
def test_the_five_labels_are_read_whatever_their_case(folder: Path, label: str) -> None:
    (clip,) = read(folder, "file,patient,label", f"a.mp4,A,{label}")

    assert clip.label == label.strip().lower()


def test_what_a_spreadsheet_writes_is_read(folder: Path) -> None:
    """A byte order mark, semicolons, quotation marks, a line break in a cell, blank lines, an umlaut."""
    lines = ("file;patient;label;notes", '"a.mp4";A;present;"ruhig\r\nÜbung; gut"', "", ";;;", "b.mp4;B;absent;")
    manifest = read_manifest(written(folder, *lines, encoding="utf-8-sig"))

    assert [(clip.patient, clip.row) for clip in manifest] == [("A", 2), ("B", 5)]
    assert "Übung; gut" in manifest.clips[0].notes


def test_clips_can_be_chosen_by_label(folder: Path) -> None:
    manifest = read(folder, "file,patient,label", "a.mp4,A,present", "b.mp4,B,healthy", "c.mp4,C,unknown")

    assert manifest.labelled(Label.PRESENT, Label.UNKNOWN).patients == ("A", "C")


def test_one_clip_may_have_a_label_for_each_region(folder: Path) -> None:
    """A lung point: sliding on one side, none on the other."""
    manifest = read(folder, "file,patient,label,region", 'a.mp4,A,present,"0,0 9,0 9,9"', 'a.mp4,A,absent,"20,0 29,0 29,9"')

    assert [clip.label for clip in manifest] == ["present", "absent"]


def test_a_clip_can_be_sent_to_another_process(folder: Path) -> None:
    manifest = read(folder, "file,patient,label,depth_cm", "a.mp4,A,present,15")

    assert pickle.loads(pickle.dumps(manifest)) == manifest


def test_no_repr_shows_a_patient_or_a_file(folder: Path) -> None:
    manifest = read(folder, "file,patient,label,probe", "a.mp4,Mustermann,present,linear", "b.mp4,Mustermann,unknown,")

    assert repr(manifest) == "Manifest(2 clips of 1 patients: 1 present, 1 unknown)"
    assert repr(manifest.clips[0]) == "LabelledClip(row 2, present, linear)"
    assert repr(manifest.clips[1]) == "LabelledClip(row 3, unknown)"


def test_a_word_that_is_not_a_label_is_answered_with_the_one_that_may_be_meant(folder: Path) -> None:
    assert problem(folder, "file,patient,label", "a.mp4,A,present", "b.mp4,B,Yes") == (
        'Row 3: the label is "yes"; write present if that is meant. It can be present, absent, lung_point, unknown or healthy.'
    )
    assert "Row 2: the label is empty; write unknown if that is meant." in problem(folder, "file,patient,label", "a.mp4,A,")


def test_a_patient_in_the_label_column_is_not_shown(folder: Path) -> None:
    sentence = problem(folder, "file,label,patient", "a.mp4,Mustermann,present")

    assert (
        sentence == "Row 2: the label is not one of present, absent, lung_point, unknown or healthy. Are the columns in the header's order?"
    )


def test_a_table_without_a_header_does_not_show_its_first_row(folder: Path) -> None:
    sentence = problem(folder, "a.mp4,Mustermann,present")

    assert sentence == (
        "The manifest's first row lacks file, patient, label; it must name the columns file, patient, label. "
        "Found: none of the known columns and 3 other."
    )


def test_a_missing_column_is_named_beside_those_that_are_there(folder: Path) -> None:
    sentence = problem(folder, "file,sliding,probe", "a.mp4,present,linear")

    assert "first row lacks patient, label;" in sentence
    assert sentence.endswith("Found: file, probe and 1 other.")


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    assert problem(folder, "file,patient,label,label", "a.mp4,A,present,absent") == (
        "The manifest has two columns called label; each may be there once."
    )


def test_a_row_with_a_cell_too_many_is_refused(folder: Path) -> None:
    assert problem(folder, "file,patient,label,notes", "a.mp4,A,present,calm, deep") == (
        "Row 2: it has 5 cells and the header 4; a comma within a cell needs quotation marks."
    )


def test_empty_cells_that_are_needed_are_refused(folder: Path) -> None:
    assert problem(folder, "file,patient,label", ",A,present") == "Row 2: the file is empty."
    assert problem(folder, "file,patient,label", "a.mp4,,present").startswith("Row 2: the patient is empty; any made-up name will do")


def test_a_file_that_is_not_there_is_told_by_its_row_not_its_name(folder: Path) -> None:
    assert problem(folder, "file,patient,label", "Mustermann.mp4,A,present") == (
        "Row 2: the file named there does not exist. A relative name is taken from the manifest's folder, "
        "unless a folder of clips is named."
    )


def test_relative_names_are_taken_from_the_folder_of_clips_where_one_is_named(folder: Path) -> None:
    (folder / "tables").mkdir()
    manifest = written(folder / "tables", "file,patient,label", "a.mp4,A,present")

    assert [clip.file for clip in read_manifest(manifest, folder)] == [folder / "a.mp4"]
    with pytest.raises(ManifestError, match="Row 2: the file named there does not exist."):
        read_manifest(manifest)


EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_is_held_against_its_sha256_where_one_is_stated(folder: Path) -> None:
    lines = "file,patient,label,sha256", f"a.mp4,A,present,{EMPTY_SHA256}", f"b.mp4,B,present,{EMPTY_SHA256.upper()}", "c.mp4,C,present,"
    assert [clip.sha256.lower() for clip in read(folder, *lines)] == [EMPTY_SHA256, EMPTY_SHA256, ""]

    (folder / "b.mp4").write_bytes(b"another")
    assert problem(folder, *lines) == "Row 3: the file named there is not the one the table was made for; its sha256 differs."
    assert problem(folder, "file,patient,label,sha256", "a.mp4,A,present,e3b0") == "Row 2: the sha256 is not 64 hexadecimal digits."


@pytest.mark.parametrize(
    ("cell", "signs", "others"),
    [
        ("", None, set()),
        ("none", set(), set()),
        ("None", set(), set()),
        ("a_lines;b_lines", {"a_lines", "b_lines"}, set()),
        ("consolidation;B-lines;effusion", {"consolidation", "b_lines", "effusion"}, set()),
        (" Pleural effusion ; A-line ;", {"effusion", "a_lines"}, set()),
        ("white lung; Consolidations", {"b_lines", "consolidation"}, set()),
        ("b_lines;Pleural irregularities;air bronchograms", {"b_lines"}, {"pleural_irregularities", "air_bronchogram"}),
        ("lung pulse", set(), {"lung_pulse"}),
    ],
)
def test_signs_are_read_as_people_write_them(folder: Path, cell: str, signs: set[str] | None, others: set[str]) -> None:
    (clip,) = read(folder, "file,patient,label,signs", f"a.mp4,A,unknown,{cell}")

    assert (clip.signs, clip.other_signs, clip.other) == (signs, others, {})


def test_a_table_without_signs_says_nothing_of_them(folder: Path) -> None:
    (clip,) = read(folder, "file,patient,label", "a.mp4,A,present")

    assert (clip.signs, clip.other_signs) == (None, frozenset())


def test_a_word_that_is_no_sign_is_told_with_its_row_and_not_shown(folder: Path) -> None:
    header = "file,patient,label,signs"
    choices = 'a_lines, b_lines, effusion, consolidation, joined by ";", or none'

    assert problem(folder, header, "a.mp4,A,present,", "b.mp4,B,present,b_lines;Mustermann") == (
        f"Row 3: the signs are not {choices}. Are the columns in the header's order?"
    )
    assert problem(folder, header, "a.mp4,A,present,unclear") == (
        f"Row 2: nobody knows the signs; leave the cell empty if that is meant. It can be {choices}."
    )
    assert problem(folder, header, "a.mp4,A,present,none;effusion") == (
        "Row 2: the signs are none and something else; only one of the two can be meant."
    )


def test_signs_stand_in_a_parquet_table_as_in_a_csv(folder: Path) -> None:
    files, people = ["a.mp4", "b.mp4", "c.mp4"], ["A", "B", "C"]
    manifest = read_manifest(parquet(folder, file=files, patient=people, label=["present"] * 3, signs=["A-lines;B-lines", "none", None]))

    assert [clip.signs for clip in manifest] == [{"a_lines", "b_lines"}, set(), None]


def test_the_same_clip_twice_is_refused(folder: Path) -> None:
    header = "file,patient,label,region"

    assert problem(folder, header, "a.mp4,A,present,", "./a.mp4,A,present,") == (
        "Row 3: the same file as in row 2; a clip may be there once for each region."
    )
    assert "Row 3: the same file and region as in row 2;" in problem(folder, header, 'a.mp4,A,present,"1,2"', 'a.mp4,A,absent,"1,2"')


def test_one_clip_of_two_patients_is_refused(folder: Path) -> None:
    assert problem(folder, "file,patient,label,region", 'a.mp4,A,present,"1,2"', 'a.mp4,B,absent,"3,4"') == (
        "Row 3: the same file as in row 2, of another patient."
    )


def test_a_patient_in_two_splits_is_refused(folder: Path) -> None:
    assert problem(folder, "file,patient,label,split", "a.mp4,Mustermann,present,train", "b.mp4,Mustermann,absent,test") == (
        "Row 3: the same patient as in row 2, in another split; a patient must be in one split only."
    )


def test_of_many_problems_the_first_five_are_told(folder: Path) -> None:
    lines = problem(folder, "file,patient,label", *["a.mp4,A,maybe"] * 7).splitlines()

    assert [line[:5] for line in lines[:5]] == ["Row 2", "Row 3", "Row 4", "Row 5", "Row 6"]
    assert lines[5] == "... and 2 more."


def test_what_is_not_a_table_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="The manifest cannot be read: No such file or directory."):
        read_manifest(folder / "missing.csv")
    (folder / "latin.csv").write_bytes("file,patient,label\na.mp4,Müller,present".encode("latin-1"))
    with pytest.raises(ManifestError, match='The manifest is not UTF-8 text. Save it from the spreadsheet as "CSV UTF-8".'):
        read_manifest(folder / "latin.csv")
    assert problem(folder, "file,patient,label", 'a.mp4,"A,present').startswith(
        "The manifest is not a CSV table: a quotation mark is opened"
    )
    assert problem(folder, "file,patient,label") == "The manifest has a header and no clips; one clip a row is needed."
    assert problem(folder).startswith("The manifest's first row lacks file, patient, label;")


def parquet(folder: Path, **columns: list[Any]) -> Path:
    path = folder / "manifest.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_parquet_table_is_read_as_the_same_csv_would_be(folder: Path) -> None:
    """Numbers and missing values are what they would be as text."""
    manifest = read_manifest(
        parquet(
            folder, clip=["a.mp4", "b.mp4"], patient=[7, 8], label=["present", "Absent"], site=["ward", None], depth_cm=[15.5, float("nan")]
        )
    )

    assert [(clip.file.name, clip.patient, clip.label, clip.site, clip.row) for clip in manifest] == [
        ("a.mp4", "7", "present", "ward", 2),
        ("b.mp4", "8", "absent", "", 3),
    ]
    assert [clip.other for clip in manifest] == [{"depth_cm": "15.5"}, {"depth_cm": ""}]


def test_a_parquet_table_is_checked_as_a_csv_is(folder: Path) -> None:
    with pytest.raises(ManifestError, match='Row 3: the label is "yes"; write present if that is meant.'):
        read_manifest(parquet(folder, file=["a.mp4", "b.mp4"], patient=["A", "B"], label=["present", "yes"]))
    with pytest.raises(ManifestError, match="The manifest's first row lacks label;"):
        read_manifest(parquet(folder, file=["a.mp4"], patient=["A"]))


def test_what_is_no_parquet_table_is_refused(folder: Path) -> None:
    (folder / "broken.parquet").write_bytes(b"file,patient,label\na.mp4,Mustermann,present")
    with pytest.raises(ManifestError) as caught:
        read_manifest(folder / "broken.parquet")
    assert str(caught.value) == "The manifest is not a Parquet table, or is damaged."
    with pytest.raises(ManifestError, match="The manifest cannot be read: No such file or directory."):
        read_manifest(folder / "missing.parquet")


def test_without_pyarrow_parquet_is_answered_with_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(folder, file=["a.mp4"], patient=["A"], label=["present"])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value) == (
        "The manifest is a Parquet table, and pyarrow, which reads it, is not installed: "
        'pip install "seashore[parquet]", or save it as CSV.'
    )
