"""`seashore train signs` as a person runs it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.fakes import media
from tests.training.signs.bars import Bar, small_preset
from training.signs.answers import SignAnswers
from training.signs.preset import PRESETS, preset_names
from training.signs.run import best_of, run_preset
from training.signs_cli import signs


def ask(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(signs)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sentence(result: Result) -> str:
    return " ".join(result.stderr.split())


def test_without_a_name_all_presets_are_listed() -> None:
    assert ask().stdout.split() == list(preset_names())


def test_a_name_that_is_none_is_answered_with_those_there_are() -> None:
    result = ask("blines")

    assert result.exit_code == 1
    assert sentence(result).startswith("There is no preset called 'blines'; there are blines-c2d-a,")


def test_a_folder_of_clips_needs_the_table_that_says_what_they_are(tmp_path: Path) -> None:
    result = ask("cmwru", "--clips", tmp_path)

    assert (result.exit_code, sentence(result)) == (1, "--clips says where a manifest's clips lie; the manifest itself must be named too.")


def test_a_grid_that_a_preset_does_not_have_is_told_with_those_it_has(tmp_path: Path) -> None:
    result = ask("cmwru", "--grid", "gamma", "--work", tmp_path)

    assert (result.exit_code, sentence(result)) == (1, "cmwru has no grid of gamma; it has dropout, gradient_clip.")


def test_a_manifest_that_says_nothing_of_the_sign_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "clips.csv").write_text("file,patient,label\na.mp4,A,present\n")

    result = ask("four-signs", "--manifest", tmp_path / "clips.csv", "--work", tmp_path)

    assert (result.exit_code, sentence(result)) == (1, "No clip of the manifest says what four-signs learns (four_signs).")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cmwru", "--manifest", "clips.csv", "--phantoms", "6"], "--phantoms is of simulated clips, and a manifest names real ones."),
        (["cmwru", "--grid", "dropout", "--export"], "--export writes one network, and a grid has many."),
        (["four-signs", "--grid", "dropout"], "A grid compares models of one sign; four-signs tells 4 apart."),
        (["cmwru", "--fitted", __file__], "--fitted judges a network on labelled clips; --manifest must say which."),
        (["cmwru", "--flow-step", "0"], "Invalid value for '--flow-step'"),
        (["cmwra", "--frames", "1"], "A flow over 1 frames does not fit a run of 1."),
        (["cmwru", "--weights", __file__], "Weights to begin from are of a resnet; this network is cmwru."),
        (["four-signs", "--quick", "--weights", __file__], "The file is not one of weights that torch has written."),
        (["cmwra", "--raft", __file__], "The RAFT checkpoint is not a file of weights that torch has written."),
        (["cmwra", "--raft", "none.pth"], "does not exist"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_clip_is_made(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = ask(*arguments, "--work", tmp_path / "work")

    assert result.exit_code != 0
    assert words in sentence(result).replace("│ ", "").replace(" │", "")
    assert not (tmp_path / "work").exists()


def test_a_fitted_network_is_judged_on_clips_of_a_manifest_and_nothing_is_fitted(tmp_path: Path) -> None:
    preset = small_preset(epochs=4)
    ran = run_preset(
        preset, [Bar(number) for number in range(12)], tmp_path / "fitted", tmp_path / "clips", lambda _, pieces, __: pieces, progress=False
    )
    rows = ["file,patient,label,signs"]
    for number in (20, 21, 22, 23):
        frames = np.stack(list(Bar(number).open()[0].frames()))
        (tmp_path / f"{number}.mp4").write_bytes(media.mp4(frames))
        rows.append(f"{number}.mp4,P{number},unknown,{'b_lines' if Bar(number).is_shown else 'none'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))

    result = ask("blines-c2d-lstm-a", "--fitted", best_of(ran), "--manifest", tmp_path / "clips.csv", "--work", tmp_path / "work")

    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "work" / f"{preset.name}-judged"
    other = ask("cmwru", "--fitted", best_of(ran), "--manifest", tmp_path / "clips.csv", "--work", tmp_path / "work")
    assert (other.exit_code, sentence(other)) == (1, "This network learnt b_lines, and cmwru learns sliding.")
    answers = SignAnswers.read(folder / "answers.npz").by_clip()
    assert sorted(zip(answers.patient.tolist(), answers.label[:, 0].tolist(), strict=True)) == [
        ("P20", 1),
        ("P21", 0),
        ("P22", 1),
        ("P23", 0),
    ]
    assert "simulated" not in (folder / "report.md").read_text(encoding="utf-8")
    assert not list(folder.glob("fold-*"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all presets: those that are given the same clips make them once."""
    return tmp_path_factory.mktemp("signs")


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_trains_in_its_reduced_form_reports_and_exports(name: str, work: Path) -> None:
    result = ask(name, "--quick", "--epochs", "1", "--work", work, "--export")

    assert result.exit_code == 0, result.stderr
    folder = work / f"{name}-quick"
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "simulated data" in report.splitlines()[0]
    assert "published" in report
    assert onnx.load(folder / "model.onnx").graph.output[0].name == "logits"


@pytest.mark.slow
def test_the_variants_of_a_family_stand_in_one_table(work: Path) -> None:
    for name in ("blines-c2d-a", "blines-c2d-lstm"):
        assert ask(name, "--quick", "--epochs", "1", "--work", work).exit_code == 0

    report = (work / "blines-c2d-lstm-quick" / "report.md").read_text(encoding="utf-8")
    (row,) = [line for line in report.splitlines() if line.startswith("| C2D+A |")]
    assert "not in this report" not in row


@pytest.mark.slow
def test_a_grid_is_one_report_of_all_its_values(work: Path, tmp_path: Path) -> None:
    text = (PRESETS / "cmwru.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(text.replace("dropout = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]", "dropout = [0.4, 0.7]"))

    result = ask(tmp_path / "own.toml", "--quick", "--epochs", "1", "--grid", "dropout", "--work", work)

    assert result.exit_code == 0, result.stderr
    report = (work / "cmwru-quick" / "grid-dropout" / "report.md").read_text(encoding="utf-8")
    assert "Table II" in report
    assert all(f"| {value} |" in report for value in ("0.4", "0.7"))
