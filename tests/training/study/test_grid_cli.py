"""`seashore train grid` as a person runs it: sentences, and the whole study in a reduced form."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from service.manifest import Manifest
from training.grid_cli import grid


def ask(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(grid)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_help_says_that_it_goes_on_and_that_it_simulates_without_a_manifest() -> None:
    text = " ".join(ask("--help").output.split())

    assert "15 rows and the M-mode baseline" in text
    assert "goes on where it was" in text
    assert "simulated clips unless given" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("missing.csv",), "The manifest cannot be read: No such file or directory."),
        (("--study", "missing.toml"), "The experiment cannot be read: No such file or directory."),
        (("--clips", "clips"), "--clips says where a manifest's clips lie; the manifest itself must be named too."),
        (("--device", "gpu"), 'fit.device is \'gpu\'; needed is "cpu" or "auto".'),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    answer = ask(*arguments, "--work", tmp_path)

    assert (answer.exit_code, answer.output.strip()) == (1, sentence)


def test_too_many_devices_for_a_batch_is_a_sentence(tmp_path: Path) -> None:
    answer = ask("--devices", "17", "--work", tmp_path)

    assert answer.exit_code == 1
    assert "Found 17 devices and batches of 32; needed are 1 or more, each with 2 patches of a batch." in answer.output


def test_a_manifest_without_an_absent_clip_says_what_can_be_done(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(f"file,patient,label\n{manifest.clips[0].file},A,present\n")
    answer = ask(tmp_path / "clips.csv", "--work", tmp_path / "work")

    assert answer.exit_code == 1
    assert "1 clips labelled present and 0 labelled absent" in answer.output
    assert "--healthy-is-present" in answer.output


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.study.clips.phantom_clips", interrupted)
    monkeypatch.setattr(sys, "argv", ["seashore", "train", "grid", "--quick"])
    answer = ask("--quick", "--work", tmp_path)

    assert answer.exit_code == 130
    assert answer.output.strip() == "Stopped. The same command goes on from here: seashore train grid --quick"


@pytest.mark.slow  # twelve simulated clips and three fits: half a minute
def test_the_whole_study_runs_in_a_reduced_form_and_its_second_run_changes_nothing(tmp_path: Path) -> None:
    answer = ask("--quick", "--threads", "1", "--work", tmp_path)
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}
    again = ask("--quick", "--threads", "1", "--work", tmp_path)
    states = json.loads((tmp_path / "grid.json").read_text())["rows"]
    text = (tmp_path / "report.md").read_text()

    assert answer.exit_code == again.exit_code == 0, answer.output + again.output
    assert list(states) == ["resnet3d-18_2_30x30", "resnet3d-50_2_30x30", "mmode-resnet-18_mmode_64"]
    assert set(states.values()) == {"finished"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")} == weights
    assert "its figures say that the code runs, and nothing of patients" in text
    assert "| mmode-resnet-18 | balanced accuracy | 0.89 |" in text
    assert "not at hand" in text
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert len(list((tmp_path / "pictures").iterdir())) >= 3 * 7


@pytest.mark.slow
def test_labelled_clips_of_a_manifest_with_their_own_split_are_run(manifest: Manifest, tmp_path: Path) -> None:
    """Both parts of the same two clips would be one patient twice: each file stands for two, as copies."""
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "patient", "label", "split"))
        for part in ("train", "test"):
            for clip in manifest.clips[:2]:
                copy = tmp_path / f"{part}-{clip.row}.mp4"
                copy.write_bytes(clip.file.read_bytes() + part.encode())  # read alike, and another file
                table.writerow((copy, f"{part}-{clip.row}", clip.label, part))
    answer = ask(tmp_path / "clips.csv", "--quick", "--row", "mmode-resnet-18_mmode_64", "--work", tmp_path / "work")

    assert answer.exit_code == 0, answer.output
    assert "on 4 labelled clips" in (tmp_path / "work" / "report.md").read_text()
