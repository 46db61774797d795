"""`seashore validate` as a person runs it, with a reader whose answers are written in the clip."""

import json
import sys
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from service import validate_cli
from service.cli import _settings
from service.settings import Settings
from service.validate_cli import add_validate
from tests.fakes.cases import PatchlessReader
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import MODEL, PATIENT, shipped_reader

ROWS = {"present": "present", "absent": "present", "not assessable": "unknown", "clip_too_long": "absent", "lung point": "lung_point"}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Five clips, the second answered with the opposite of its label."""
    lines = ["file,patient,label,split"]
    for k, (word, label) in enumerate(ROWS.items()):
        (tmp_path / f"{k}.mp4").write_text(word)
        lines.append(f"{k}.mp4,{PATIENT}{k},{label},{'test' if k else 'train'}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    return tmp_path / "m.csv"


def a_store(folder: Path, content: str) -> Path:
    bundle = folder / MODEL.name / MODEL.version
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text(content)
    return folder


def run(manifest: Path, *arguments: str | Path, reader: PatchlessReader | None = None) -> Result:
    """`seashore validate MANIFEST --out OUT ARGUMENTS`, wide enough that no line is broken."""
    store = manifest.parent / "store"
    if not store.exists():
        a_store(store, "first")
    app = typer.Typer()
    app.callback()(lambda: None)
    add_validate(app, lambda settings: reader or PatchlessReader(), _settings)
    validate_cli.out.width = 300
    given = ["validate", manifest, "--out", manifest.parent / "out", "--store", store, *arguments]
    return CliRunner().invoke(app, list(map(str, given)), env={"TERMINAL_WIDTH": "300"})


def figures(manifest: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((manifest.parent / "out/figures.json").read_text())
    return found


def test_a_report_is_written_and_summed_up(manifest: Path) -> None:
    result = run(manifest)

    assert result.exit_code == 0
    assert (
        "Row 3: labelled present, answered absent (probability of sliding 0.07, 95 %: 0.03 to 0.15), which is the opposite."
        in result.stdout
    )
    assert "Not read, clip_too_long: row 5." in result.stdout
    assert f"Report: {manifest.parent / 'out/report.html'}" in result.stdout
    assert (manifest.parent / "out/report.html").is_file()
    assert (manifest.parent / "out/report.md").is_file()


def test_every_clip_is_in_the_figures_by_row(manifest: Path) -> None:
    run(manifest)
    model = figures(manifest)["model"]
    assert isinstance(model, dict)

    assert [(clip["row"], clip["outcome"]) for clip in model["clips"]] == [
        (2, "present"),
        (3, "absent"),
        (4, "not assessable"),
        (5, "not read"),
        (6, "lung point"),
    ]


def test_nothing_that_is_written_names_a_patient_or_a_file(manifest: Path) -> None:
    result = run(manifest)
    written = [path.read_text() for path in (manifest.parent / "out").iterdir() if path.is_file()]

    assert len(written) == 4
    assert not any(PATIENT in text or ".mp4" in text for text in written)
    assert PATIENT not in result.output


def test_the_same_command_again_reads_nothing_but_what_it_draws(manifest: Path) -> None:
    reader = PatchlessReader()
    run(manifest)
    run(manifest, reader=reader)

    assert [options.saliency for options in reader.read_options] == ["vanilla"]  # the worst clip, for its picture


def test_only_a_split_and_only_the_first_clips(manifest: Path) -> None:
    run(manifest, "--split", "test", "--limit", "2")

    assert figures(manifest)["labels"] == {"present": 1, "unknown": 1}


def test_a_split_that_is_not_there_cannot_start(manifest: Path) -> None:
    result = run(manifest, "--split", "ward 5")

    assert result.exit_code == 2
    assert "No clip of the manifest is in the split asked for. Its splits: test, train." in result.output


def test_a_manifest_with_a_wrong_row_cannot_start(manifest: Path) -> None:
    manifest.write_text("file,patient,label\n0.mp4,A,ward\n")
    result = run(manifest)

    assert result.exit_code == 2
    assert "Row 2: the label is not one of" in result.output


def test_where_nothing_could_be_read_it_exits_1(manifest: Path) -> None:
    for path in manifest.parent.glob("*.mp4"):
        path.write_text("unreadable_clip")
    result = run(manifest)

    assert result.exit_code == 1
    assert "None of the clips could be read." in result.output
    assert not (manifest.parent / "out/report.html").exists()


def test_a_model_that_is_not_there_cannot_start(manifest: Path) -> None:
    result = run(manifest, "--model", "other:1.0")

    assert result.exit_code == 2
    assert f"There is no such model; there is {MODEL}." in result.output


def test_a_broken_model_cannot_start(manifest: Path) -> None:
    result = run(manifest, reader=PatchlessReader(broken_bundle=True))

    assert result.exit_code == 2
    assert "The model's golden clip is answered 0.31 here; 0.93 was expected. golden.json" in result.output


def test_without_the_extra_it_says_how_to_install_it(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name
        for name in sys.modules
        if name.startswith(("service.report", "service.validation.chapters", "service.validation.comparison_chapter"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run(manifest)

    assert result.exit_code == 2
    assert 'The report needs matplotlib and jinja2, which are not installed: pip install "seashore[report]"' in result.output


def test_a_folder_that_cannot_be_made_cannot_start(manifest: Path) -> None:
    result = run(manifest, "--out", manifest)

    assert result.exit_code == 2
    assert "The folder for the report cannot be written: File exists." in result.output


def test_a_second_bundle_is_compared_by_its_folder(manifest: Path) -> None:
    other = a_store(manifest.parent / "other", "second") / MODEL.name / MODEL.version
    result = run(manifest, "--against", other)

    assert result.exit_code == 0
    assert "Of 4 clips with a label, 0 were answered rightly by" in result.stdout
    assert figures(manifest)["comparison"] is not None


def test_a_model_is_not_compared_with_itself(manifest: Path) -> None:
    result = run(manifest, "--against", MODEL.name)

    assert result.exit_code == 2
    assert f"Both models are {MODEL}; --against needs another." in result.output


def test_stopping_keeps_what_was_answered(manifest: Path) -> None:
    class Stopping(PatchlessReader):
        def open(self, path: Path, *, unhurried: bool = False):  # type: ignore[no-untyped-def]
            if path.name == "2.mp4":
                raise KeyboardInterrupt
            return super().open(path, unhurried=unhurried)

    result = run(manifest, "--jobs", "1", reader=Stopping())

    assert result.exit_code == 130
    assert "Stopped. What was answered is kept; the same command goes on from there." in result.output
    assert (manifest.parent / "out/answers.jsonl").read_text().count('"verdict"') >= 2


def test_the_shipped_model_reads_a_phantom(tmp_path: Path) -> None:
    small_phantom("present", 2.5).write(tmp_path / "phantom.mp4")
    (tmp_path / "m.csv").write_text("file,patient,label\nphantom.mp4,A,present\n")
    app = typer.Typer()
    app.callback()(lambda: None)
    add_validate(app, lambda settings: shipped_reader(), _settings)
    result = CliRunner().invoke(
        app, ["validate", str(tmp_path / "m.csv"), "--out", str(tmp_path / "out"), "--store", str(Settings().model_store)]
    )

    assert result.exit_code == 0
    assert json.loads((tmp_path / "out/figures.json").read_text())["model"]["clips"][0]["verdict"] in ("present", "indeterminate")
