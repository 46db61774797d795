"""`seashore train fit MANIFEST --from BUNDLE`: what is asked, whether the clips suffice, and a bundle that learned on."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

from service.bundle import Bundle, read_bundle
from service.bundle_files import MODEL_CARD
from service.loading import load_model
from service.manifest import Label, LabelledClip, Manifest, read_manifest
from tests.fakes.inputs import MODEL_ALONE, SPEC
from tests.fakes.phantoms import small_phantom
from tests.training.test_card import FIGURES
from training.cli import app
from training.examples import ExampleSet, ExampleWriter, Origin, read_examples
from training.experiment import ExperimentError, read_experiment
from training.finetune import (
    CLIPS,
    FEWEST_PATIENTS,
    SETTINGS,
    Chosen,
    FineTuneError,
    FineTuning,
    choose,
    deal,
    experiment_of,
    make_examples,
    num_pieces,
    open_work,
    read_settings,
)
from training.finetune_card import write_site_card
from training.fit import FitError, Fitted, fit, load_fitted, predict_logits, read_validation
from training.models import build
from training.regions import BadRegion

FIT = {"model": "resnet3d-18-changes", "width": 2}
SMALL = replace(SPEC, window_frames=16, patch_px=12)
QUICK = Path(__file__).parents[2] / "training" / "experiments" / "quick.toml"


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["fit", *map(str, arguments)])


def parent_in(folder: Path, version: str = "1.1.0", **training: Any) -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_CARD).write_text("# pleura 1.1.0\n\n## What it is for\nLungs.\n")
    return Bundle("pleura", version, folder, "0123456789abcdef", SPEC, MODEL_ALONE, "", {"fit": FIT} | training)


def manifest_in(folder: Path, labels: str, **columns: str) -> Manifest:
    """A clip, never opened, and a patient a letter: p(resent), a(bsent), h(ealthy), u(nknown). The first is row 2."""
    named = {"p": Label.PRESENT, "a": Label.ABSENT, "h": Label.HEALTHY, "u": Label.UNKNOWN}
    for k in range(len(labels)):
        (folder / f"{k}.mp4").touch()
    clips = [LabelledClip(folder / f"{k}.mp4", f"P{k}", named[letter], row=k + 2, **columns) for k, letter in enumerate(labels)]
    return Manifest(tuple(clips))


def tuning_of(folder: Path, parent: Bundle, labels: str = "papapapapapapa") -> FineTuning:
    settings = read_settings(None)
    experiment = experiment_of(parent, settings, None)
    return FineTuning(parent, experiment, settings, deal(manifest_in(folder, labels), experiment.fit.seed))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ward.csv",), "A manifest is learned from by a bundle: --from NAME[:VERSION] or a bundle's folder says which."),
        (
            ("ward.xlsx", "--from", "pleura"),
            "What is fitted is an experiment (.toml), or with --from a manifest of clips (.csv or .parquet); the file named is neither.",
        ),
        *(
            (
                (QUICK, option, "x"),
                f"{option} goes with a manifest (.csv or .parquet) that a bundle is fine-tuned on; "
                "an experiment says itself what is fitted, and begins from nothing.",
            )
            for option in ("--from", "--clips", "--version", "--store", "--settings")
        ),
    ],
)
def test_what_does_not_go_together_is_told_apart(arguments: tuple[str | Path, ...], sentence: str) -> None:
    answer = ask(*arguments)

    assert answer.exit_code == 1
    assert answer.output.strip() == sentence


def test_a_manifest_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    answer = ask(tmp_path / "ward.csv", "--from", "pleura")

    assert answer.exit_code == 1
    assert answer.output.strip() == "The manifest cannot be read: No such file or directory."


def test_the_help_shows_both_ways_and_says_what_a_manifest_needs() -> None:
    words = " ".join(ask("--help").output.split())

    assert "seashore train fit training/experiments/default.toml --device auto" in words
    assert "seashore train fit ward.csv --from pleura-resnet3d-18 --version 1.1.2+ward" in words
    assert f"At least {FEWEST_PATIENTS} patients are needed." in words


def test_a_bundle_that_is_not_in_the_store_is_named_by_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pleura" / "1.0.0").mkdir(parents=True)
    (tmp_path / "pleura" / "1.0.0" / "manifest.json").write_text("{}")
    monkeypatch.setenv("SEASHORE_MODEL_STORE", str(tmp_path))
    (tmp_path / "0.mp4").touch()
    (tmp_path / "ward.csv").write_text("file,patient,label\n0.mp4,P0,present\n")

    assert ask(tmp_path / "ward.csv", "--from", "lung").output.strip() == "There is no such model; there is pleura:1.0.0."


def test_the_new_bundle_has_the_parents_name_patches_and_network_and_says_that_it_is_a_sites(tmp_path: Path) -> None:
    experiment = experiment_of(parent_in(tmp_path), read_settings(None), None, device=None, num_threads=3)

    assert (experiment.name, experiment.version, experiment.spec) == ("pleura", "1.1.0+site", SPEC)
    assert (experiment.fit.model, experiment.fit.width, experiment.fit.num_threads) == ("resnet3d-18-changes", 2, 3)
    assert experiment_of(parent_in(tmp_path), read_settings(None), "1.1.0+ward-3").version == "1.1.0+ward-3"


@pytest.mark.parametrize("version", ["site", "1.1+", "1.1.0 site", "1." + "0" * 40])
def test_a_version_that_is_none_is_refused_before_anything_is_fitted(tmp_path: Path, version: str) -> None:
    with pytest.raises(FineTuneError) as error:
        experiment_of(parent_in(tmp_path), read_settings(None), version)

    assert str(error.value) == (
        "The version asked for is not one: needed are digits and dots and, where wanted, a plus sign and a word, "
        "at most 32 characters, such as 1.1.0+site."
    )


def test_settings_that_name_a_network_of_their_own_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SETTINGS.read_text().replace("[fit]", "[fit]\nwidht = 3"))

    with pytest.raises(ExperimentError, match=r"^fit\.widht is not a setting; is width meant\?$"):
        experiment_of(parent_in(tmp_path), read_settings(tmp_path / "own.toml"), None)


def test_nine_patients_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError) as error:
        deal(manifest_in(tmp_path, "papapapap"), 1)

    assert str(error.value) == (
        "The manifest has clips of 9 patients; fine-tuning needs at least 10: seven of ten to learn from, and others to set the "
        "verdicts' limits on and to judge on, as nobody may be both learned from and judged on."
    )


def test_of_ten_patients_none_is_in_two_parts_and_each_part_has_some(tmp_path: Path) -> None:
    parts = deal(manifest_in(tmp_path, "papapapapa"), 1)
    patients = [clip.patient for clips in parts.values() for clip in clips]

    assert len(patients) == len(set(patients)) == 10
    assert min(map(len, parts.values())) >= 1


def test_a_split_column_that_holds_nobody_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError) as error:
        deal(manifest_in(tmp_path, "papapapapa", split="train"), 1)

    assert str(error.value) == (
        "The manifest's split column gives no clip to validation and none to test; each of train, validation, test needs some."
    )


def test_without_a_lung_that_slides_no_limit_can_be_set(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError) as error:
        deal(manifest_in(tmp_path, "aaaaauuuuu"), 1)

    assert str(error.value) == (
        "None of the clips that are not held out is labelled present or healthy; at least one is needed, "
        "as the limit below which sliding is called absent is set on lungs that slide."
    )


def test_a_region_that_is_none_is_told_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(BadRegion, match=r"^Row 2: region is 'here', which is not a polygon\. Write it as three or more corners"):
        deal(manifest_in(tmp_path, "papapapapa", region="here"), 1)


def test_the_parts_are_written_down_in_the_rows_that_the_clips_had(tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path, parent_in(tmp_path / "parent"))
    *others, last = tuning.parts["train"]
    parts = {**tuning.parts, "train": (*others, replace(last, row=40, signs=frozenset()))}  # 25 rows further down: blank ones between
    open_work(tmp_path / "work", replace(tuning, parts=parts))
    written = read_manifest(tmp_path / "work" / CLIPS)

    stated = {(clip.row, clip.patient, part) for part, clips in parts.items() for clip in clips}
    assert {(clip.row, clip.patient, clip.split) for clip in written} == stated
    assert {clip.row: clip.signs for clip in written} == {row: frozenset() if row == 40 else None for row, _, _ in stated}


def test_a_work_folder_is_gone_on_with_only_as_it_began(tmp_path: Path) -> None:
    parent = parent_in(tmp_path / "parent")
    tuning = tuning_of(tmp_path, parent)
    open_work(tmp_path / "work", tuning)
    faster = experiment_of(parent, tuning.settings, None, num_threads=7)
    open_work(tmp_path / "work", replace(tuning, experiment=faster))
    relabelled = deal(manifest_in(tmp_path, "papapapapapaph"), 1)

    with pytest.raises(FineTuneError) as error:
        open_work(tmp_path / "work", replace(tuning, parts=relabelled, parent=replace(parent, sha256="other")))
    assert str(error.value) == (
        "The work folder holds another fine-tuning: not the same bundle it begins from, not the same clips. "
        "Remove it, or name another with --work."
    )


@pytest.mark.slow
def test_the_examples_are_twins_phantoms_and_labelled_patches_and_every_piece_is_counted(tmp_path: Path) -> None:
    for name in ("present", "absent"):
        small_phantom(name, 2.5).write(tmp_path / f"{name}.mp4")
    named = {"p": Label.PRESENT, "a": Label.ABSENT, "h": Label.HEALTHY}
    clips = [
        LabelledClip(tmp_path / ("absent.mp4" if letter == "a" else "present.mp4"), f"P{k}", named[letter], row=k + 2)
        for k, letter in enumerate("ppaah")
    ]
    settings = read_settings(tiny_settings(tmp_path))
    experiment = experiment_of(parent_in(tmp_path / "parent"), settings, None)
    tuning = FineTuning(parent_in(tmp_path / "parent"), experiment, settings, {"train": tuple(clips), "validation": (), "test": ()})
    lines = list(make_examples(tuning, tmp_path / "examples"))

    assert len(lines) == num_pieces(tuning) == 5 + 4 + 1
    assert {"present", "absent", "own_wall", "phantom", "locked", "mirror", "wall"} == set(read_examples(tmp_path / "examples").kind)


def tiny_settings(folder: Path) -> Path:
    small = {"phantom_pairs": 1, "windows_per_clip": 1, "pairs_per_window": 2, "walls_per_window": 1, "phantoms": 1, "phantom_patches": 2}
    small |= {"patches_per_clip": 4, "epochs": 1, "num_threads": 1, "batch_size": 16}
    text = re.sub(r"(?m)^(\w+) = \d+\b(?!\.)", lambda line: f"{line[1]} = {small.get(line[1], 1)}", SETTINGS.read_text())
    (folder / "tiny.toml").write_text(text)
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> ExampleSet:
    folder, rng = tmp_path_factory.mktemp("noise") / "examples", np.random.default_rng(0)
    with ExampleWriter(folder, SMALL) as writer:
        for k in range(32):
            patch = rng.integers(0, 256, SMALL.patch_shape, dtype=np.uint8)
            writer.add(patch, Origin(k % 2, f"P{k // 4}", "clip", "mirror", f"{k // 2}", 0))
    return read_examples(folder)


def a_net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build("resnet3d-18-changes", channels=2, width=2).eval()


def begun_from(model: nn.Module, noise: ExampleSet, out: Path, **changes: Any) -> Fitted:
    settings = replace(read_experiment(QUICK).fit, width=2, epochs=1, num_threads=1, label_smoothing=0.0, **changes)
    return load_fitted(fit(noise, settings, out, start=model.state_dict(), progress=False))


def test_a_fit_begins_from_the_weights_it_is_given(noise: ExampleSet, tmp_path: Path) -> None:
    parent = a_net(1)
    fitted = begun_from(parent, noise, tmp_path / "fit", learning_rate=1e-9)

    np.testing.assert_allclose(predict_logits(fitted.model, noise), predict_logits(parent, noise), atol=1e-4)


def test_the_norms_keep_the_statistics_they_came_with_and_the_weights_change(noise: ExampleSet, tmp_path: Path) -> None:
    parent = a_net(1)
    fitted = begun_from(parent, noise, tmp_path / "fit", learning_rate=0.01)
    before, after = parent.state_dict(), fitted.model.state_dict()

    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name or "num_batches" in name)
    assert not torch.equal(before["stem.0.weight"], after["stem.0.weight"])
    assert not torch.equal(before["last.norm.bias"], after["last.norm.bias"])


def test_a_fit_is_not_gone_on_with_from_other_weights(noise: ExampleSet, tmp_path: Path) -> None:
    begun_from(a_net(1), noise, tmp_path / "fit")

    with pytest.raises(FitError, match=r"^This folder holds another fit: the weights begun from are not the same\."):
        begun_from(a_net(2), noise, tmp_path / "fit")


def test_weights_that_are_no_better_on_held_out_patients_are_not_taken(noise: ExampleSet, tmp_path: Path) -> None:
    parent = a_net(1)
    fitted = begun_from(parent, noise, tmp_path / "fit")
    validation = read_validation(tmp_path / "fit")
    worse = replace(fitted, model=shifted(fitted.model, 50.0))
    better, kept = choose(worse.model, fitted, noise, validation), choose(parent, worse, noise, validation)

    assert not better.is_parent
    assert better.fitted is fitted
    assert kept.is_parent
    assert kept.fitted.model is parent
    assert kept.sentence == (
        f"Validation loss {kept.loss_before:.3f} before, {kept.loss_after:.3f} after epoch 0: the bundle's own weights stay."
    )


def shifted(model: nn.Module, by: float) -> nn.Module:
    """The same net with every logit larger: half of all labels are wrong by as much."""
    other = build("resnet3d-18-changes", channels=2, width=2)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other.head.linear.bias += by
    return other.eval()


def card(folder: Path, parent: Bundle, labels: str, before: float = 0.7, after: float = 0.6, figures: Mapping[str, Any] = FIGURES) -> str:
    tuning = tuning_of(folder, parent, labels)
    fitted = Fitted(nn.Identity(), SPEC, tuning.experiment.fit, 0)
    return write_site_card(tuning, MODEL_ALONE, figures, Chosen(fitted, before, after, 0), "seashore train fit ward.csv --from pleura")


def test_the_card_says_what_it_began_from_and_on_how_many_of_each_label(tmp_path: Path) -> None:
    text = card(tmp_path, parent_in(tmp_path / "parent"), "papapapapapapapapapa")

    assert text.startswith("# pleura 1.1.0+site\n\nFine-tuned from pleura:1.1.0 (model.onnx sha256 0123456789ab) on a site's own clips.")
    assert "| clips | patients | present | absent |\n|---|---|---|---|\n| learned from | 14 | 7 | 7 |\n" in text
    assert "patches of the clips labelled present and absent as they are.\n" in text
    assert "Validation loss 0.700 before and 0.600 after; the weights are the fine-tuned ones. Calibrated anew.\n" in text
    assert "A limit set on fewer than 19 clips of any one kind is the parent's wherever that is stricter.\n" in text


def test_the_card_does_not_deny_the_absent_clips_it_learned_from(tmp_path: Path) -> None:
    text = card(tmp_path, parent_in(tmp_path / "parent"), "papapapapapapapapapa")

    assert "No clip with known absent sliding" not in text
    assert re.search(r"\* Clips labelled absent by the site: 7 learned from, \d held out\. The sensitivity for real absence\n", text)
    assert "* Absent sliding is not pneumothorax" in text


def test_the_card_without_absent_clips_states_no_sensitivity(tmp_path: Path) -> None:
    text = card(tmp_path, parent_in(tmp_path / "parent"), "hhhhhhhhhhhhhh", before=0.5, after=0.6)

    assert "by the site: 0 learned from, 0 held out. The sensitivity for real absence\n  is unknown; we state none;" in text
    assert "Learned from: twins of every clip, whatever its label, phantoms, and no label.\n" in text
    assert "the weights are the parent's, since the fine-tuned ones were no better. Calibrated anew." in text


def test_the_card_ends_with_the_parents_card_without_its_title_one_step_down(tmp_path: Path) -> None:
    text = card(tmp_path, parent_in(tmp_path / "parent"), "papapapapapapa")

    ending = "## The bundle it began from: pleura:1.1.0\n\n### What it is for\nLungs.\n"
    assert text.endswith(ending)


@pytest.mark.slow
def test_a_bundle_learns_on_and_is_held_against_itself_as_it_was(tmp_path: Path) -> None:
    """The whole way, as a site goes it, most of it two exports and phantoms."""
    parent = untrained(tmp_path / "store")
    rows = ["file,patient,label,split"]
    for name, duration_s in (("present", 2.5), ("absent", 2.5), ("unknown", 1.0)):
        small_phantom("absent" if name == "absent" else "present", duration_s).write(tmp_path / f"{name}.mp4")
    for k, part in enumerate(["train"] * 4 + ["validation"] * 2 + ["test"] * 2 + ["train"] * 2):
        name = "unknown" if k >= 8 else "absent" if k % 2 else "present"  # two are shorter than a window: nothing is learned from them
        shutil.copyfile(tmp_path / f"{name}.mp4", tmp_path / f"{k}.mp4")
        rows.append(f"{k}.mp4,P{k},{name},{part}")
    (tmp_path / "ward.csv").write_text("\n".join(rows) + "\n")
    asked = tmp_path / "ward.csv", "--from", parent.directory, "--settings", tiny_settings(tmp_path), "--work", tmp_path / "work"
    answer = ask(*asked, "--store", tmp_path / "site", "--threads", "1")

    assert answer.exit_code == 0, answer.output
    directory = tmp_path / "site" / "untrained" / "1.0.0+site"
    assert load_model(directory, "cpu").bundle.training["parent"] == {"name": "untrained", "version": "1.0.0", "sha256": parent.sha256}
    assert "Clips of patients: 6 of 6 to learn from, 2 of 2 to calibrate on, 2 of 2 held out." in answer.output
    assert (tmp_path / "work" / "report" / "report.html").stat().st_size > 10_000
    report = (tmp_path / "work" / "report" / "report.md").read_text()
    assert "untrained:1.0.0+site" in report
    assert "untrained:1.0.0 " in report

    written = read_bundle(directory).created
    again = ask(*asked, "--store", tmp_path / "site")
    assert again.exit_code == 0, again.output
    assert read_bundle(directory).created == written
    elsewhere = ask(*asked[:-1], tmp_path / "elsewhere", "--store", tmp_path / "site")
    assert elsewhere.output.strip().endswith(
        "There is a bundle untrained:1.0.0+site in that store already, and one is never overwritten; "
        "--version gives the new one a number of its own."
    )


def untrained(store: Path) -> Bundle:
    from tests.training.test_assemble import CALIBRATION, COMMAND, EXPERIMENT
    from training.assemble import export_graphs, write

    torch.manual_seed(0)
    experiment = replace(EXPERIMENT, fit=replace(EXPERIMENT.fit, width=2))
    model = build(experiment.fit.model, channels=2, width=2).eval()
    export_graphs(Fitted(model, experiment.spec, experiment.fit, 0), store / "graphs")
    return write(store, experiment, store / "graphs", CALIBRATION, FIGURES, [], COMMAND, {"examples": 0})
