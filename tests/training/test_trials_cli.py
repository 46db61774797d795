"""`seashore train trials`, as it is typed."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.fakes.phantoms import preset_phantom
from training.trials_cli import FIGURES, _of_other_patients, bundle_folder, trials

STORE = Path(__file__).resolve().parents[2] / "model_store"

app = typer.Typer()
app.command()(trials)


def typed(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


def manifest(folder: Path, patients: str = "AB") -> Path:
    rows = [f"{n}.mp4,{patient},unknown,test" for n, patient in enumerate(patients)]
    (folder / "clips.csv").write_text("\n".join(["file,patient,label,split", *rows]) + "\n")
    for n in range(len(patients)):
        (folder / f"{n}.mp4").write_bytes(b"")
    return folder / "clips.csv"


def test_a_bundle_is_named_or_shown_by_its_folder() -> None:
    named = bundle_folder(STORE, None)

    assert bundle_folder(STORE, f"{named.parent.name}:{named.name}") == named
    assert bundle_folder(Path("nowhere"), str(named)) == named


def test_clips_without_a_manifest_are_refused(tmp_path: Path) -> None:
    status, said = typed("--out", tmp_path / "out", "--store", STORE, "--clips", tmp_path)

    assert (status, said) == (1, "--clips and --split are of a manifest; --manifest must say which table that is.")


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    status, said = typed("--out", tmp_path / "out", "--store", STORE, "--manifest", manifest(tmp_path), "--split", "held")

    assert (status, said) == (1, "No clip of the manifest is in the split asked for. Its splits: test.")


def test_a_page_whose_folder_is_not_there_is_refused_before_the_work(tmp_path: Path) -> None:
    status, said = typed("--out", tmp_path / "out", "--store", STORE, "--page", tmp_path / "docs" / "trials.md")

    assert (status, said) == (1, "The folder that --page is to be written to is not there.")
    assert not (tmp_path / "out").exists()


def test_a_store_without_a_model_is_refused(tmp_path: Path) -> None:
    assert typed("--out", tmp_path / "out", "--store", tmp_path) == (1, "The model store holds no model.")


def test_a_quick_run_takes_clips_of_other_patients(tmp_path: Path) -> None:
    from service.manifest import read_manifest

    chosen = _of_other_patients(tuple(read_manifest(manifest(tmp_path, "AABBC"))))

    assert [clip.file.name for clip in chosen] == ["0.mp4", "2.mp4", "4.mp4"]


@pytest.mark.slow
def test_a_quick_run_leaves_a_report_a_page_and_figures_and_goes_on_from_its_rows(tmp_path: Path) -> None:
    for n, name in enumerate(("present", "linear_present")):
        preset_phantom(name).write(tmp_path / f"clip{n}.mp4")
    table = tmp_path / "clips.csv"
    table.write_text("file,patient,label\nclip0.mp4,A,present\nclip1.mp4,B,present\n")
    words = ("--out", tmp_path / "out", "--store", STORE, "--quick", "--manifest", table, "--page", tmp_path / "page.md")
    status, said = typed(*words)

    figures = json.loads((tmp_path / "out" / FIGURES).read_text())
    assert (status, figures["clips"]) == (0, 2)
    assert f"{figures['rows']} readings" in said
    assert {row["kind"] for row in figures["conditions"]} == {"counterfactual", "swapped", "phantom"}
    assert "NOT met |" in (tmp_path / "page.md").read_text()
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    rows = (tmp_path / "out" / "rows.jsonl").read_bytes()
    assert typed(*words)[0] == 0
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == rows
