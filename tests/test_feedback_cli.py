"""`seashore feedback export` as an administrator types it; and the whole way, from a clip handed in to patches that are learned from."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from service import feedback_cli
from service.cli import build_app
from service.manifest import Label, read_manifest
from tests.fakes import dicom
from tests.fakes.inputs import SPEC
from tests.fakes.media import mp4, texture
from tests.fakes.opinions import speak
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import WordReader, is_ready, serving, shipped_reader, wait_until
from tests.training.test_finetune import ask as train_fit
from tests.training.test_finetune import tiny_settings, untrained
from training.data_cli import app as data_app
from training.finetune import deal
from training.labelled import LabelledSettings, examples_of


def run(folder: Path, *arguments: str | Path) -> Result:
    """`seashore feedback ARGUMENTS`, wide enough that no line is broken."""
    feedback_cli.out.width = 300
    settings = {"SEASHORE_DATA_DIR": str(folder / "data"), "TERMINAL_WIDTH": "300"}
    return CliRunner().invoke(build_app(lambda _: WordReader()), ["feedback", *map(str, arguments)], env=settings)


def export(folder: Path, *options: str | Path) -> Result:
    return run(folder, "export", "--out", folder / "ward", *options)


def test_the_help_says_what_is_written_and_what_to_do_next() -> None:
    text = " ".join(run(Path(), "export", "--help").output.split())

    assert "FOLDER/waiting.csv: fill in its column patient" in text
    assert "seashore train fit ward/manifest.csv --from pleura-resnet3d-18 --version 1.1.2+ward" in text
    assert "Example: seashore feedback export --out ward" in run(Path(), "--help").output


def test_what_became_of_every_opinion_is_told(tmp_path: Path) -> None:
    speak(tmp_path / "data", dicom.native(texture(4), PatientID="1"))
    speak(tmp_path / "data", dicom.native(texture(4), PatientID="1"), "disagree", at="2026-11-02T08:00:00+00:00")
    speak(tmp_path / "data", mp4(texture(4)))
    speak(tmp_path / "data", b"gone", is_there=False)
    speak(tmp_path / "data", dicom.without_pixel_data())
    speak(tmp_path / "data", b"a", "unsure")
    speak(tmp_path / "data", b"b", verdict="indeterminate")
    with (tmp_path / "data" / "feedback.jsonl").open("a") as file:
        file.write('{"at": "2026')
    result = export(tmp_path)

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "Passed over, because they are damaged: 1 lines of the feedback.",
        "Left out, because the clinician was unsure or could not tell: 1.",
        "Left out, because the verdict was open and it was not said what was seen: 1.",
        "Opinions contradict each other on 1 of the clips; the last one counts. Look at these again.",
        f"Not in the manifest yet: 3, listed in {tmp_path / 'ward' / 'waiting.csv'}.",
        "  1: the clip is gone with its job; --clips looks among the clips you keep.",
        "  2: whose it is is not known; fill in the column patient, and export again with --replace.",
        "  1: the DICOM header cannot be taken off; --with-headers copies the clip as it is.",
        "Manifest(1 clips of 1 patients: 1 present)",
        f"Written: {tmp_path / 'ward' / 'manifest.csv'}",
        "The key of the pseudonyms, manifest.csv.key, stays with you.",
        "What is burned into the pictures, or said in a film's own header, is copied as it is: look before you pass clips on.",
    ]


def test_headers_that_are_copied_are_warned_about(tmp_path: Path) -> None:
    speak(tmp_path / "data", dicom.native(texture(4), PatientID="1"))

    assert "1 of the clips are DICOM with their headers: they say whose they are.\n" in export(tmp_path, "--with-headers").output


def test_where_nobody_has_said_anything_nothing_is_written(tmp_path: Path) -> None:
    result = export(tmp_path)

    assert (result.exit_code, result.output) == (1, "No opinion says anything of sliding yet: nothing was written.\n")


def test_a_manifest_that_is_there_is_a_sentence(tmp_path: Path) -> None:
    speak(tmp_path / "data", dicom.native(texture(4), PatientID="1"))
    export(tmp_path)
    again = export(tmp_path)

    assert (again.exit_code, again.output.startswith("That folder has a manifest already, perhaps corrected by hand;")) == (2, True)
    assert export(tmp_path, "--replace").exit_code == 0


def test_a_table_that_was_spoilt_by_hand_is_a_sentence(tmp_path: Path) -> None:
    speak(tmp_path / "data", mp4(texture(4)))
    export(tmp_path)
    (tmp_path / "ward" / "waiting.csv").write_text("clip_sha256,label\na,present\n")
    result = export(tmp_path)

    sentence = "waiting.csv's first row lacks patient; it must name the columns clip_sha256, patient. Found: clip_sha256 and 1 other.\n"
    assert (result.exit_code, result.output) == (2, sentence)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    speak(tmp_path / "data", mp4(texture(4)))
    (tmp_path / "ward").write_text("a file")
    result = export(tmp_path)

    sentence = "A file of the feedback cannot be read, or one of the export cannot be written: "
    assert (result.exit_code, result.output.startswith(sentence)) == (2, True)


# The whole way


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ten patients' phantoms through the real service as DICOM, an opinion on each: what is really there. One with a region."""
    folder = tmp_path_factory.mktemp("hospital")
    with serving(shipped_reader(), data_dir=folder / "data") as client:
        assert is_ready(client)
        for patient in range(10):
            truth = "absent" if patient % 2 else "present"
            clip = dicom.native(small_phantom(truth, 2.5).frames, frame_time_ms=1000 / 30, PatientID=f"PID-{patient}")
            tell(client, clip, truth, "?region=20,20+300,20+300,150+20,150" if patient == 9 else "")
        yield folder


def tell(client: httpx.Client, clip: bytes, truth: str, query: str) -> None:
    """As the viewer does: agree, or disagree and say what is seen."""
    id = client.post(f"/v1/jobs{query}", content=clip).json()["id"]
    assert wait_until(lambda: client.get(f"/v1/jobs/{id}").json()["state"] == "done", 60)
    verdict = client.get(f"/v1/jobs/{id}").json()["verdict"]
    opinion = {"opinion": "agree"} if verdict == truth else {"opinion": "disagree", "sign": truth}
    assert client.post(f"/v1/jobs/{id}/feedback", json=opinion).status_code == 204


def test_opinions_on_the_service_become_a_manifest_that_training_learns_from(said: Path) -> None:
    assert export(said, "--replace").exit_code == 0
    path = said / "ward" / "manifest.csv"
    manifest = read_manifest(path)

    assert repr(manifest) == "Manifest(10 clips of 10 patients: 5 present, 5 absent)"
    assert [clip.region for clip in manifest if clip.region] == ["20.0,20.0 300.0,20.0 300.0,150.0 20.0,150.0"]
    checked = CliRunner().invoke(data_app, ["check", str(path), "--no-pictures"])
    assert (checked.exit_code, "10 clips of 10 patients: 5 present, 5 absent): 0 errors" in checked.output) == (0, True), checked.output
    assert {part: len(clips) for part, clips in deal(manifest, seed=0).items()} == {"train": 7, "validation": 2, "test": 1}

    learned = {label: next(clip for clip in manifest if clip.label is label) for label in (Label.PRESENT, Label.ABSENT)}
    settings = LabelledSettings(patches_per_clip=4, windows_per_clip=1, seed=3)
    for label, clip in learned.items():
        examples = examples_of(clip, SPEC, settings, 4)
        assert not isinstance(examples, str), examples
        assert len(examples) > 0
        assert {origin.kind for _, origin in examples} == {str(label)}


def test_the_region_of_an_opinion_is_the_one_learned_from(said: Path) -> None:
    assert export(said, "--replace").exit_code == 0
    (drawn,) = (clip for clip in read_manifest(said / "ward" / "manifest.csv") if clip.region)
    examples = examples_of(drawn, SPEC, LabelledSettings(patches_per_clip=4, windows_per_clip=1, seed=3), 4)

    assert not isinstance(examples, str), examples
    assert len(examples) > 0


@pytest.mark.slow
def test_a_bundle_is_fine_tuned_on_opinions(said: Path, tmp_path: Path) -> None:
    assert export(said, "--replace").exit_code == 0
    parent = untrained(tmp_path / "store")
    answer = train_fit(
        *(said / "ward" / "manifest.csv", "--from", parent.directory, "--settings", tiny_settings(tmp_path)),
        *("--work", tmp_path / "work", "--store", tmp_path / "site", "--threads", "1"),
    )

    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "site" / "untrained" / "1.0.0+site" / "model.onnx").exists()
