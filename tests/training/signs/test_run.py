"""A preset run whole: every held-out run is answered once, by a network that has not seen its patient."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.signs.bars import Bar, small_preset
from training.signs.answers import SignAnswers
from training.signs.fit import ask, load_sign
from training.signs.run import ANSWERS, Ran, run_preset
from training.signs.runs import BESIDE, ClipRuns, open_runs
from training.splits import SplitError
from training.trainer import BEST


def uncounted(words: str, pieces: Iterable[ClipRuns], total: int) -> Iterable[ClipRuns]:
    return pieces


def run(out: Path, *, folds: int) -> Ran:
    preset = replace(small_preset(epochs=1), folds=folds)
    return run_preset(preset, [Bar(number) for number in range(9)], out, out / "clips", uncounted, progress=False)


def test_in_folds_every_run_is_answered_once_and_stays_answered(tmp_path: Path) -> None:
    ran = run(tmp_path, folds=3)

    assert len(ran.answers) == 9 * 3
    assert len(set(zip(ran.answers.clip.tolist(), ran.answers.start_s.tolist(), strict=True))) == 9 * 3
    assert [len(set(ran.answers.fold[ran.answers.patient == f"patient-{k}"].tolist())) for k in range(9)] == [1] * 9
    np.testing.assert_array_equal(SignAnswers.read(tmp_path / ANSWERS).probability, ran.answers.probability)

    fitted = {(fold / BEST).stat().st_mtime_ns for fold in ran.folds}
    again = run(tmp_path, folds=3)
    assert {(fold / BEST).stat().st_mtime_ns for fold in again.folds} == fitted
    np.testing.assert_array_equal(again.answers.probability, ran.answers.probability)


def test_a_manifests_own_split_holds_and_a_half_filled_one_is_refused(tmp_path: Path) -> None:
    preset, parts = small_preset(epochs=1), ["train"] * 4 + ["validation"] * 2 + ["test"] * 3
    bars = [Bar(number, part=part) for number, part in enumerate(parts)]

    ran = run_preset(preset, bars, tmp_path / "whole", tmp_path / "clips", uncounted, progress=False)

    assert set(ran.answers.patient.tolist()) == {"patient-6", "patient-7", "patient-8"}
    with pytest.raises(SplitError, match=r"^The manifest's split must be one of train, validation, test in every row that is used, and "):
        run_preset(preset, [*bars, Bar(9)], tmp_path / "half", tmp_path / "clips", uncounted, progress=False)


def test_beside_phantoms_each_patient_is_judged_once_and_what_is_kept_for_test_by_the_mean_of_all_folds(tmp_path: Path) -> None:
    preset = replace(small_preset(epochs=1), folds=3, real_share=0.4)
    beside, dealt, kept = (
        [Bar(k, part=part) for k in numbers] for numbers, part in ((range(20, 40), BESIDE), (range(6), ""), (range(6, 9), "test"))
    )

    ran = run_preset(preset, [*beside, *dealt, *kept], tmp_path, tmp_path / "clips", uncounted, progress=False)

    assert {name: int(fold) for name, fold in zip(ran.answers.patient, ran.answers.fold, strict=True)}.keys() == {
        f"patient-{k}" for k in range(9)
    }
    is_kept = ran.answers.fold == 3
    assert set(ran.answers.patient[is_kept].tolist()) == {"patient-6", "patient-7", "patient-8"}
    runs = open_runs(tmp_path / "clips", ran.clips)
    asked = np.array([np.flatnonzero(runs.clip == clip)[0] for clip in ran.answers.clip[is_kept][::3]])
    each = [ask(load_sign(fold / BEST), runs, asked).probability for fold in ran.folds]
    np.testing.assert_allclose(ran.answers.probability[is_kept][::3], np.mean(each, axis=0), atol=1e-6)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    ran = run_preset(
        replace(small_preset(epochs=1)),
        [*(Bar(k) for k in range(9)), Bar(10, first=14)],
        tmp_path,
        tmp_path / "clips",
        uncounted,
        progress=False,
    )

    assert ran.left_out == {"runs that show the sign for a moment only": 1}


def test_one_split_answers_a_fifth_of_the_patients(tmp_path: Path) -> None:
    ran = run(tmp_path, folds=1)

    assert len(set(ran.answers.patient.tolist())) == 2
    assert ran.folds == (tmp_path / "fold-0",)
