"""`seashore train data`: help that teaches, sentences instead of traces, and each command as a user would run it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.manifest import read_manifest
from tests.fakes import dicom as fakes
from tests.fakes.media import mp4, texture
from training.data_cli import app

COMMANDS = ("folders", "dicom", "pocus", "blues", "cvat", "check", "folds")
SQUARE = "10,20;30,20;30,40;10,40"


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def laid_out(folder: Path, *names: str) -> Path:
    """Each a clip of its own pictures."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(mp4(texture(8, seed=seed)))
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    laid_out(tmp_path, *(f"clips/{label}/P{number}{label[0]}/a.mp4" for label in ("present", "absent") for number in range(4)))
    assert ask("folders", tmp_path / "clips", "--out", tmp_path / "manifest.csv", "--site", "our ward").exit_code == 0
    return tmp_path / "manifest.csv"


def test_the_help_lists_the_commands_with_examples() -> None:
    text = ask("--help").output

    assert re.findall(r"^  (\w+) {2,}\S", text.partition("Commands:")[2], re.MULTILINE)[: len(COMMANDS)] == list(COMMANDS)
    assert "seashore train data check manifest.csv --report leaks.md" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example(command: str) -> None:
    assert f"Example: seashore train data {command} " in ask(command, "--help").output


def test_folders_become_a_manifest(table: Path) -> None:
    manifest = read_manifest(table)

    assert repr(manifest) == "Manifest(8 clips of 8 patients: 4 present, 4 absent)"
    assert {clip.site for clip in manifest} == {"our ward"}


def test_dicom_becomes_a_manifest_of_pseudonyms(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "1").write_bytes(fakes.native(texture(4), PatientID="4711", SOPInstanceUID="1.2"))
    (tmp_path / "export" / "2").write_bytes(fakes.single_frame())
    (tmp_path / "labels.csv").write_text("sop_instance_uid,label\n1.2,absent\n")
    answer = ask("dicom", tmp_path / "export", "--labels", tmp_path / "labels.csv", "--out", tmp_path / "manifest.csv")

    assert answer.exit_code == 0
    assert "Manifest(1 clips of 1 patients: 1 absent)" in answer.output
    assert "Passed over 1 files that are not ultrasound clips." in answer.output


@pytest.mark.parametrize(("command", "name"), [("pocus", "Reg_Avi_Image008.mp4"), ("blues", "lus_videos/patient_1_L3.mp4")])
def test_published_sets_become_manifests(tmp_path: Path, command: str, name: str) -> None:
    laid_out(tmp_path / "set", name)

    assert ask(command, tmp_path / "set", "--out", tmp_path / "manifest.csv").exit_code == 0
    assert len(read_manifest(tmp_path / "manifest.csv")) == 1


def test_polygons_become_rows_with_regions(tmp_path: Path) -> None:
    laid_out(tmp_path / "clips", "P1_left.mp4")
    xml = tmp_path / "annotations.xml"
    xml.write_text(
        "<annotations><meta><task><source>P1_left.mp4</source></task></meta>"
        f'<track label="pleura"><polygon frame="0" points="{SQUARE}"/></track></annotations>'
    )
    command = ("cvat", xml, "--clips", tmp_path / "clips", "--out", tmp_path / "manifest.csv")
    nobody = ask(*command, "--means", "pleura=present")
    made = ask(*command, "--means", "pleura=present", "--patient-from", "^(P[0-9]+)_")

    assert nobody.output.strip() == "1 of 1 clips have no patient; say --from with a manifest that has them, or --patient-from."
    assert made.exit_code == 0
    (clip,) = read_manifest(tmp_path / "manifest.csv")
    assert (clip.patient, clip.label, clip.region) == ("P1", "present", "10.0,20.0 30.0,20.0 30.0,40.0 10.0,40.0")

    (tmp_path / "manifest.csv").rename(tmp_path / "known.csv")
    assert ask(*command, "--means", "pleura=absent", "--from", tmp_path / "known.csv").exit_code == 0
    assert read_manifest(tmp_path / "manifest.csv").patients == ("P1",)
    assert ask(*command, "--means", "pleura=sliding").output.strip() == (
        "--means needs a name and one of present, absent, lung_point, unknown, healthy, such as pleura=unknown."
    )


def test_a_check_without_an_error_ends_with_status_0(table: Path) -> None:
    answer = ask("check", table, "--report", table.parent / "leaks.md")

    assert answer.exit_code == 0
    assert "Manifest(8 clips of 8 patients: 4 present, 4 absent): 0 errors, 0 warnings." in answer.output
    assert "| our ward | 4 | 4 |" in (table.parent / "leaks.md").read_text()


def test_a_copy_across_splits_ends_with_status_1(tmp_path: Path) -> None:
    laid_out(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "c.mp4").write_bytes((tmp_path / "a.mp4").read_bytes() + bytes(1))
    (tmp_path / "m.csv").write_text("file,patient,label,split\na.mp4,A,present,train\nb.mp4,B,absent,train\nc.mp4,C,present,test\n")
    answer = ask("check", tmp_path / "m.csv")

    assert answer.exit_code == 1
    assert "Error: Rows 2 and 4 show the same pictures (0.00 of their hashes differs), of two patients in two splits" in answer.output
    assert "1 error, 1 warning." in answer.output
    assert ask("check", tmp_path / "m.csv", "--no-pictures").exit_code == 0


def test_folds_are_manifests_to_train_on(table: Path) -> None:
    assert ask("folds", table, "--folds", "4", "--out", table.parent / "folds").exit_code == 0

    read = [read_manifest(path) for path in sorted((table.parent / "folds").iterdir())]
    assert [sorted({clip.split for clip in fold}) for fold in read] == [["test", "train", "validation"]] * 4
    assert sorted(clip.patient for fold in read for clip in fold if clip.split == "test") == sorted(read[0].patients)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "missing.csv"), "The manifest cannot be read: No such file or directory."),
        (("folders", "missing", "--out", "m.csv"), "The folder named there does not exist."),
        (("folders", "missing", "--patient-from", "(", "--out", "m.csv"), "--patient-from is not a regular expression; for instance"),
        (("folds", "missing.csv", "--out", "folds"), "The manifest cannot be read: No such file or directory."),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    answer = ask(*arguments)

    assert answer.exit_code == 1
    assert answer.output.strip().startswith(sentence)
