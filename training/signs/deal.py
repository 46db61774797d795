"""Who is learnt from, who is set aside to choose the epoch, and who is judged on: by patient, in every fold.

                   train                      validation            test
clips alone        the other folds            the next fold         a fold
clips and phantoms the other folds, phantoms  a tenth of phantoms   a fold      and KEPT: clips that no fold may learn from
"""

from collections.abc import Mapping

import numpy as np

from training.batches import Indices
from training.signs.preset import Preset
from training.signs.runs import BESIDE, RunSet
from training.splits import SplitError, folds_by_patient, parts_of_fold, split_by_patient

ONE_SPLIT = {"train": 0.6, "validation": 0.2, "test": 0.2}
KEPT = "kept"
"""What a manifest keeps for test, judged by the networks of all folds."""
_OF_PHANTOMS = {"train": 0.9, "validation": 0.1}


def deal(preset: Preset, runs: RunSet) -> list[Mapping[str, Indices]]:
    """Each fold's train, validation and test part, by patient, every class spread evenly: the next fold's test part validates.

    One split is as the manifest deals its patients, where it does. Raises: SplitError.
    """
    patients, kinds = runs.patient.tolist(), runs.kinds.tolist()
    if (runs.part == BESIDE).any():
        return _beside(preset, runs)
    if preset.folds == 1:
        return [_stated(runs) or split_by_patient(patients, fractions=ONE_SPLIT, seed=preset.fit.seed, strata=kinds)]
    tests = [fold.test for fold in folds_by_patient(patients, num_folds=preset.folds, seed=preset.fit.seed, strata=kinds)]
    return [parts_of_fold(patients, tests, k) for k in range(preset.folds)]


def _stated(runs: RunSet) -> Mapping[str, Indices] | None:
    """The manifest's own parts; None where it says none. Raises: SplitError."""
    if not any(runs.part):
        return None
    parts = {name: np.flatnonzero(runs.part == name) for name in ONE_SPLIT}
    if sum(map(len, parts.values())) < len(runs) or not all(len(part) for part in parts.values()):
        raise SplitError(f"The manifest's split must be one of {', '.join(ONE_SPLIT)} in every row that is used, and each of them in some.")
    return parts


def _beside(preset: Preset, runs: RunSet) -> list[Mapping[str, Indices]]:
    """The epoch is chosen on phantoms alone: patients are too few to set any aside for that. One split learns from all but what the
    manifest keeps for "test", and is judged on that. Raises: SplitError.
    """
    learnt, chosen_by = _phantoms(preset, runs)
    kept = np.flatnonzero(runs.part == "test")
    dealt = np.flatnonzero((runs.part != "test") & (runs.part != BESIDE))
    if preset.folds == 1:
        if not len(kept):
            raise SplitError('One split is judged on the clips whose split is "test", and the manifest keeps none; there are folds.')
        return [{"train": np.union1d(learnt, dealt), "validation": chosen_by, "test": kept}]
    patients, kinds = runs.patient[dealt].tolist(), runs.kinds[dealt].tolist()
    folds = folds_by_patient(patients, num_folds=preset.folds, seed=preset.fit.seed, strata=kinds)
    also: Mapping[str, Indices] = {KEPT: kept} if len(kept) else {}
    return [{"train": np.union1d(learnt, dealt[f.train]), "validation": chosen_by, "test": dealt[f.test], **also} for f in folds]


def _phantoms(preset: Preset, runs: RunSet) -> tuple[Indices, Indices]:
    """(learnt from, chosen by)"""
    beside = np.flatnonzero(runs.part == BESIDE)
    patients, kinds = runs.patient[beside].tolist(), runs.kinds[beside].tolist()
    parts = split_by_patient(patients, fractions=_OF_PHANTOMS, seed=preset.fit.seed, strata=kinds)
    return beside[parts["train"]], beside[parts["validation"]]
