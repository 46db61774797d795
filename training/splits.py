"""Training, validation and test parts that share no patient: dealt by patient, asserted, and drawn from a seed alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from service.manifest import LabelledClip, Manifest

Indices = NDArray[np.intp]
CLIP_PARTS = {"train": 0.7, "validation": 0.15, "test": 0.15}


class SplitError(ValueError):
    """These patients cannot be split as asked."""


class PatientInTwoParts(AssertionError):
    """The same patient would be learned from and judged on. Says how many, never whom."""


@dataclass(frozen=True, slots=True)
class Fold:
    train: Indices
    test: Indices


def split_by_patient(
    patients: Sequence[str], *, fractions: Mapping[str, float], seed: int, strata: Sequence[str] | None = None
) -> dict[str, Indices]:
    """Deal the items, one patient each, to named parts: {"train": 0.8, "validation": 0.2} -> indices of each part, rising.

    Fractions are shares of the *patients*, and each part gets at least one. `strata` (one for each item: its label, its
    source) are spread evenly over the parts as far as whole patients allow. Raises: SplitError when it cannot be done.
    """
    _check_fractions(fractions)
    _check_patients(patients, strata)
    dealt = _deal(_in_strata(patients, strata, np.random.default_rng(seed)), fractions)
    parts = {name: np.array([i for i, patient in enumerate(patients) if dealt[patient] == name], np.intp) for name in fractions}
    check_no_patient_twice(patients, parts)
    return parts


def folds_by_patient(patients: Sequence[str], *, num_folds: int, seed: int, strata: Sequence[str] | None = None) -> list[Fold]:
    """Every item is tested on in exactly one fold, by a model that never saw its patient."""
    if num_folds < 2:
        raise SplitError(f"Cross-validation needs at least 2 folds; {num_folds} was asked for.")
    tests = split_by_patient(patients, fractions={str(k): 1 / num_folds for k in range(num_folds)}, seed=seed, strata=strata)
    folds = [Fold(train=np.setdiff1d(np.arange(len(patients)), test), test=test) for test in tests.values()]
    for fold in folds:
        check_no_patient_twice(patients, {"train": fold.train, "test": fold.test})
    _check_each_is_tested_once(len(patients), [fold.test for fold in folds])
    return folds


def fold_clips(manifest: Manifest, *, num_folds: int, seed: int) -> list[dict[str, tuple[LabelledClip, ...]]]:
    """Cross-validation over clips: in each fold a part of the patients is "test", the next part "validation", the rest "train".

    Labels and sources are spread evenly. Clips that the manifest keeps for "test" are in no fold: their licence, or their
    purpose, may forbid learning from them, and each other part of a fold is learned from somewhere.
    Raises: SplitError when there are fewer than three folds, or fewer patients than folds.
    """
    if num_folds < 3:
        raise SplitError(f"Cross-validation with a validation part needs at least 3 folds; {num_folds} was asked for.")
    clips = [clip for clip in manifest if clip.split != "test"]
    patients = [clip.patient for clip in clips]
    folds = folds_by_patient(patients, num_folds=num_folds, seed=seed, strata=[_stratum(clip) for clip in clips])
    tests = [fold.test for fold in folds]
    dealt = (parts_of_fold(patients, tests, k) for k in range(num_folds))
    return [{name: tuple(clips[i] for i in part) for name, part in parts.items()} for parts in dealt]


def parts_of_fold(patients: Sequence[str], tests: Sequence[Indices], k: int) -> dict[str, Indices]:
    """Fold k of those whose test parts are `tests`: it is judged on its own, the next one's validates, and the rest trains."""
    validation = tests[(k + 1) % len(tests)]
    train = np.setdiff1d(np.arange(len(patients)), np.concatenate([tests[k], validation]))
    parts = {"train": train, "validation": validation, "test": tests[k]}
    check_no_patient_twice(patients, parts)
    return parts


def _stratum(clip: LabelledClip) -> str:
    return f"{clip.label} {clip.source}"


def deal_clips(manifest: Manifest, *, seed: int) -> dict[str, tuple[LabelledClip, ...]]:
    """Clips to "train", "validation" (calibrated on) and "test" (judged on): as the manifest's split column says, else 70:15:15.

    Raises: SplitError when the column is filled only in part, or says something else, or the patients are too few.
    """
    stated = [clip.split for clip in manifest]
    if any(stated):
        wrong = [clip.row for clip in manifest if clip.split not in CLIP_PARTS]
        if wrong:
            names = ", ".join(CLIP_PARTS)
            raise SplitError(f"Row {wrong[0]}: the split is not one of {names}. Fill the column in every row, or in none.")
        return {name: tuple(clip for clip in manifest if clip.split == name) for name in CLIP_PARTS}
    strata = [_stratum(clip) for clip in manifest]
    parts = split_by_patient(manifest.patients, fractions=CLIP_PARTS, seed=seed, strata=strata)
    return {name: tuple(manifest.clips[i] for i in part) for name, part in parts.items()}


def check_no_patient_twice(patients: Sequence[str], parts: Mapping[str, Indices]) -> None:
    """Raises: PatientInTwoParts."""
    seen = {name: {patients[i] for i in part} for name, part in parts.items()}
    for first, second in combinations(seen, 2):
        both = len(seen[first] & seen[second])
        if both:
            raise PatientInTwoParts(f"{both} patient{'s are' if both > 1 else ' is'} both in {first} and in {second}; none may be.")


def _check_each_is_tested_once(num_items: int, tests: Sequence[Indices]) -> None:
    times = np.bincount(np.concatenate(tests), minlength=num_items)
    if (times != 1).any():
        raise AssertionError(f"{int((times != 1).sum())} of {num_items} items are not tested on exactly once.")


def _check_fractions(fractions: Mapping[str, float]) -> None:
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        given = ", ".join(f"{name} {fraction:g}" for name, fraction in fractions.items()) or "none"
        raise SplitError(f"The parts of a split must be above 0 and add up to 1; found {given}.")


def _check_patients(patients: Sequence[str], strata: Sequence[str] | None) -> None:
    if strata is not None and len(strata) != len(patients):
        raise SplitError(f"There are {len(patients)} items and {len(strata)} strata; one an item is needed.")
    nameless = sum(not patient for patient in patients)
    if nameless:
        raise SplitError(f"{nameless} of {len(patients)} items have no patient; without one they cannot be kept apart.")


def _in_strata(patients: Sequence[str], strata: Sequence[str] | None, generator: np.random.Generator) -> list[str]:
    """Every patient once, in random order within a stratum, and the strata one after the other in random order.

    A patient with items of several strata is in a stratum of its own kind ("absent and present").
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    for patient, stratum in zip(patients, strata if strata is not None else [""] * len(patients), strict=True):
        kinds[patient].add(stratum)
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient in sorted(kinds):  # sorted: the order of the table must not matter
        members[tuple(sorted(kinds[patient]))].append(patient)
    groups = [members[kind] for kind in sorted(members)]
    return [groups[g][k] for g in generator.permutation(len(groups)) for k in generator.permutation(len(groups[g]))]


def _deal(ordered: Sequence[str], fractions: Mapping[str, float]) -> dict[str, str]:
    """Each patient goes to the part that is furthest behind its share: any run of patients is shared out alike, to within one."""
    if len(ordered) < len(fractions):
        raise SplitError(f"{len(ordered)} patients cannot be split into {len(fractions)} parts; each needs at least one.")
    given = dict.fromkeys(fractions, 0)
    dealt = {}
    for turn, patient in enumerate(ordered, start=1):
        behind = {name: fraction * turn - given[name] for name, fraction in fractions.items()}
        # A part that would stay empty takes the patients left over for it.
        empty = [name for name, number in given.items() if number == 0]
        if len(empty) > len(ordered) - turn:
            behind = {name: behind[name] for name in empty}
        name = max(behind, key=behind.__getitem__)
        dealt[patient] = name
        given[name] += 1
    return dealt
