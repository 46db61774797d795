"""Who is learnt from and who is judged on, where phantoms stand beside labelled clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.shards import Shards
from training.signs.deal import KEPT, deal
from training.signs.preset import read_preset
from training.signs.runs import BESIDE, RunSet
from training.splits import SplitError

PRESET = read_preset("signs-small")


def runs_of(**patients: str) -> RunSet:
    """Two runs of each patient, who is in the part that is named; every other patient shows the sign."""
    names = np.array([name for name in patients for _ in range(2)])
    parts = np.array([part for part in patients.values() for _ in range(2)])
    num = len(names)
    label = np.array([[index // 2 % 2] * 4 for index in range(num)])
    given = Shards([np.zeros((num, 1, 8, 8), np.uint8)], (num,))
    return RunSet(given, label, np.full((num, 1), -1), names, names, parts, np.zeros(num), names, np.zeros(num))


PHANTOMS = {f"phantom{k}": BESIDE for k in range(20)}
REAL = {f"patient{k}": "" for k in range(8)}
NOT_TO_LEARN_FROM = {f"other{k}": "test" for k in range(3)}


def of(runs: RunSet, indices: np.ndarray) -> set[str]:
    return set(runs.patient[indices].tolist())


def test_phantoms_are_learnt_from_and_chosen_by_and_never_judged_on() -> None:
    runs = runs_of(**PHANTOMS, **REAL, **NOT_TO_LEARN_FROM)
    folds = deal(replace(PRESET, folds=4), runs)

    assert len(folds) == 4
    for parts in folds:
        assert of(runs, parts["validation"]) < set(PHANTOMS)
        assert len(of(runs, parts["validation"])) == 2
        assert of(runs, parts["train"]) == (set(PHANTOMS) | set(REAL)) - of(runs, parts["validation"]) - of(runs, parts["test"])
        assert of(runs, parts[KEPT]) == set(NOT_TO_LEARN_FROM)
    assert sorted(name for parts in folds for name in of(runs, parts["test"])) == sorted(REAL)


def test_one_split_learns_from_all_but_what_is_kept_and_is_judged_on_that() -> None:
    runs = runs_of(**PHANTOMS, **REAL, **NOT_TO_LEARN_FROM)
    (parts,) = deal(replace(PRESET, folds=1), runs)

    assert of(runs, parts["train"]) > set(REAL)
    assert of(runs, parts["test"]) == set(NOT_TO_LEARN_FROM)
    assert KEPT not in parts


def test_one_split_of_a_manifest_that_keeps_nothing_for_test_is_refused() -> None:
    with pytest.raises(SplitError, match=r'^One split is judged on the clips whose split is "test", and the manifest keeps none; there'):
        deal(replace(PRESET, folds=1), runs_of(**PHANTOMS, **REAL))


def test_without_clips_beside_them_phantoms_are_dealt_as_any_patients(tmp_path: Path) -> None:
    runs = runs_of(**dict.fromkeys(PHANTOMS, ""))

    assert sorted(name for parts in deal(replace(PRESET, folds=4), runs) for name in of(runs, parts["test"])) == sorted(PHANTOMS)
