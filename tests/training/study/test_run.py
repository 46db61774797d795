"""One row: fitted once, judged on the held-out part, and gone on with after a kill to the same weights."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.curve import read_curve
from training.fit import load_fitted
from training.splits import PatientInTwoParts
from training.study.clips import FITTED, JUDGED, StudyClip
from training.study.figures import Answers
from training.study.fit_row import write_job
from training.study.grid import Row, Study
from training.study.patches import ClipPatches
from training.study.run import ANSWERS, FIGURES, RowImpossible, RowInput, open_row, run_row


@pytest.fixture(scope="module")
def finished(row: Row, given: RowInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a row that was run without a break."""
    return tmp_path_factory.mktemp("rows") / "unbroken"


@pytest.fixture
def folder(finished: Path, row: Row, given: RowInput, study: Study) -> Path:
    run_row(row, given, study, finished, progress=False)
    return finished


def test_the_held_out_part_is_judged_by_patch_and_by_clip(folder: Path, given: RowInput) -> None:
    answers = Answers.read(folder / ANSWERS)
    figures = json.loads((folder / FIGURES).read_text())

    assert set(answers.patient) == {"P6", "P7"}
    assert len(answers) == len(given.parts[JUDGED]) == 64
    assert set(figures) == {"of", "patch", "clip", "epoch"}
    assert figures["patch"]["accuracy"][0] == answers.counts.accuracy


def test_the_settings_are_the_studys_with_the_rows_network(folder: Path, study: Study) -> None:
    settings = load_fitted(folder / "fit" / "best.ckpt").settings

    assert settings == replace(study.fit, model="resnet3d-18")
    assert [float(epoch["learning_rate"]) for epoch in read_curve(folder / "fit" / "curve.csv")] == [0.001] * 3


def test_the_optimizer_is_adam(folder: Path) -> None:
    """Without decay AdamW would step alike; what Lightning saved says which it was."""
    saved = torch.load(folder / "fit" / "last.ckpt", weights_only=True)

    assert saved["optimizer_states"][0]["param_groups"][0]["decoupled_weight_decay"] is False


def test_a_finished_row_is_not_run_again(folder: Path, row: Row, given: RowInput, study: Study) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    run_row(row, given, study, folder, progress=False)

    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow  # a process that loads torch
def test_a_row_killed_after_an_epoch_goes_on_to_the_same_weights_bit_for_bit(
    folder: Path, row: Row, given: RowInput, study: Study, tmp_path: Path
) -> None:
    """SIGKILL: nothing can be put in order first."""
    job = write_job(tmp_path, given.folders, replace(study.fit, model=row.model), given.parts, progress=False)
    process = subprocess.Popen([sys.executable, "-m", "training.study.fit_row", str(job)], cwd=Path(__file__).parents[3])
    _wait_for_an_epoch(tmp_path / "fit", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    epochs_before = len(read_curve(tmp_path / "fit" / "curve.csv"))
    was_finished = json.loads((tmp_path / "fit" / "fit.json").read_text())["finished"]
    run_row(row, given, study, tmp_path, progress=False)

    assert not was_finished
    assert epochs_before < 3
    for name in ("last.ckpt", "best.ckpt"):
        first, second = (load_fitted(where / "fit" / name).model.state_dict() for where in (folder, tmp_path))
        assert all(torch.equal(first[key], second[key]) for key in first | second)
    assert np.array_equal(Answers.read(folder / ANSWERS).probability, Answers.read(tmp_path / ANSWERS).probability)


def _wait_for_an_epoch(fit: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until the first whole epoch is on disk; there are three."""
    until = time.monotonic() + 120
    while not (fit / "last.ckpt").exists():
        assert process.poll() is None, "the fit ended by itself"
        assert time.monotonic() < until
        time.sleep(0.002)


@pytest.mark.slow  # two processes, each of which loads torch
def test_two_devices_share_each_batch_and_fit_the_same_number_of_epochs(row: Row, given: RowInput, study: Study, tmp_path: Path) -> None:
    two = replace(study, fit=replace(study.fit, num_devices=2))
    run_row(row, given, two, tmp_path, progress=False)

    assert [epoch["epoch"] for epoch in read_curve(tmp_path / "fit" / "curve.csv")] == ["0", "1", "2"]
    assert json.loads((tmp_path / "fit" / "fit.json").read_text())["finished"]
    assert len(Answers.read(tmp_path / ANSWERS)) == 64


def pieces(given: RowInput, row: Row) -> list[ClipPatches]:
    clip = StudyClip("row 2", Path("nowhere"), "0", "P0", True)
    return [ClipPatches(clip, row.patches, given.folders[0], len(given.examples), ())]


def test_the_patches_of_a_row_are_dealt_by_patient(row: Row, given: RowInput) -> None:
    patients = {FITTED: frozenset(f"P{k}" for k in range(6)), JUDGED: frozenset({"P6", "P7"})}
    opened = open_row(row, pieces(given, row), patients)

    assert {part: len(indices) for part, indices in opened.parts.items()} == {FITTED: 192, JUDGED: 64}
    assert set(opened.examples.patient[opened.parts[JUDGED]]) == {"P6", "P7"}


def test_a_row_with_one_class_in_a_part_says_so(row: Row, given: RowInput) -> None:
    patients = {FITTED: frozenset({"P0", "P1"}), JUDGED: frozenset({"P2"})}

    with pytest.raises(RowImpossible, match="The validation part has 0 patches that slide and 32 that do not; both are needed."):
        open_row(row, pieces(given, row), patients)


def test_a_row_without_a_patch_says_so(row: Row) -> None:
    with pytest.raises(RowImpossible, match="No clip gave a patch."):
        open_row(row, [], {FITTED: frozenset(), JUDGED: frozenset()})


def test_a_patient_in_both_parts_is_refused(row: Row, given: RowInput) -> None:
    with pytest.raises(PatientInTwoParts, match="1 patient is both in train and in validation; none may be."):
        open_row(row, pieces(given, row), {FITTED: frozenset({"P0", "P1"}), JUDGED: frozenset({"P1", "P2"})})
