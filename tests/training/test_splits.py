"""Parts that share no patient."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from service.manifest import Label, LabelledClip, Manifest
from training.splits import (
    PatientInTwoParts,
    SplitError,
    check_no_patient_twice,
    deal_clips,
    fold_clips,
    folds_by_patient,
    split_by_patient,
)

THIRDS = {"train": 0.5, "validation": 0.25, "test": 0.25}


def patients_of(num: int, clips_each: int = 1) -> list[str]:
    return [f"P{k // clips_each}" for k in range(num * clips_each)]


def test_twelve_patients_are_dealt_6_3_3_with_all_their_clips() -> None:
    patients = patients_of(12, clips_each=5)
    parts = split_by_patient(patients, fractions=THIRDS, seed=0)

    assert {name: len({patients[i] for i in part}) for name, part in parts.items()} == {"train": 6, "validation": 3, "test": 3}
    assert {name: len(part) for name, part in parts.items()} == {"train": 30, "validation": 15, "test": 15}


def test_every_item_is_in_one_part_and_no_patient_in_two_whatever_the_numbers() -> None:
    generator = np.random.default_rng(0)
    for num_items, seed in product(range(8, 60, 7), range(10)):
        patients = [f"P{k}" for k in generator.integers(0, max(4, num_items // 3), num_items)]
        if len(set(patients)) < 3:
            continue
        parts = split_by_patient(patients, fractions=THIRDS, seed=seed)

        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(num_items))
        owners = [{patients[i] for i in part} for part in parts.values()]
        assert sum(map(len, owners)) == len(set(patients))
        assert all(owners)


def test_a_part_of_a_tenth_of_four_patients_still_gets_one() -> None:
    for seed in range(20):
        parts = split_by_patient(patients_of(4), fractions={"train": 0.8, "validation": 0.1, "test": 0.1}, seed=seed)

        assert {name: len(part) for name, part in parts.items()} == {"train": 2, "validation": 1, "test": 1}


def test_labels_are_spread_evenly() -> None:
    """Four of twelve patients without sliding: two, one and one of them in the parts."""
    patients = patients_of(12, clips_each=2)
    labels = ["absent" if int(patient[1:]) < 4 else "present" for patient in patients]
    for seed in range(20):
        parts = split_by_patient(patients, fractions=THIRDS, seed=seed, strata=labels)
        absent = [len({patients[i] for i in part if labels[i] == "absent"}) for part in parts.values()]

        assert absent == [2, 1, 1]


def test_a_patient_with_clips_of_both_labels_is_kept_together() -> None:
    patients = ["A", "A", "B", "B", "C", "C"]
    parts = split_by_patient(patients, fractions={"train": 0.6, "test": 0.4}, seed=0, strata=["absent", "present"] * 3)

    assert all(len(part) % 2 == 0 for part in parts.values())


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_table() -> None:
    patients = patients_of(20)
    split = split_by_patient(patients, fractions=THIRDS, seed=3)
    reverse = split_by_patient(patients[::-1], fractions=THIRDS, seed=3)

    assert {patients[i] for i in split["test"]} == {patients[::-1][i] for i in reverse["test"]}
    assert any(set(split["test"]) != set(split_by_patient(patients, fractions=THIRDS, seed=k)["test"]) for k in range(4, 8))


def test_in_cross_validation_every_item_is_tested_on_once_without_its_patient_in_training() -> None:
    patients = patients_of(10, clips_each=3)
    folds = folds_by_patient(patients, num_folds=5, seed=0)

    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(30))
    assert [len(fold.test) for fold in folds] == [6] * 5
    for fold in folds:
        assert len(fold.train) + len(fold.test) == 30
        assert not {patients[i] for i in fold.train} & {patients[i] for i in fold.test}


def test_a_patient_in_two_parts_is_counted_and_not_named() -> None:
    patients = ["Mustermann", "Mustermann", "B"]

    with pytest.raises(PatientInTwoParts) as caught:
        check_no_patient_twice(patients, {"train": np.array([0, 2]), "test": np.array([1])})
    assert str(caught.value) == "1 patient is both in train and in test; none may be."
    with pytest.raises(PatientInTwoParts, match="2 patients are both in train and in test; none may be."):
        check_no_patient_twice(["A", "B"], {"train": np.array([0, 1]), "test": np.array([1, 0])})


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(SplitError, match="2 patients cannot be split into 3 parts; each needs at least one."):
        split_by_patient(["A", "B", "A"], fractions=THIRDS, seed=0)
    with pytest.raises(ValueError, match="must be above 0 and add up to 1; found train 0.8, test 0.1."):
        split_by_patient(["A", "B"], fractions={"train": 0.8, "test": 0.1}, seed=0)
    with pytest.raises(ValueError, match="1 of 3 items have no patient; without one they cannot be kept apart."):
        split_by_patient(["A", "", "B"], fractions={"train": 0.5, "test": 0.5}, seed=0)
    with pytest.raises(ValueError, match="There are 2 items and 1 strata; one an item is needed."):
        split_by_patient(["A", "B"], fractions={"train": 0.5, "test": 0.5}, seed=0, strata=["x"])
    with pytest.raises(ValueError, match="Cross-validation needs at least 2 folds; 1 was asked for."):
        folds_by_patient(["A", "B"], num_folds=1, seed=0)


def manifest(*splits: str) -> Manifest:
    """One clip of one patient for each."""
    return Manifest(tuple(LabelledClip(Path(f"{k}.mp4"), f"P{k}", Label.HEALTHY, split=split, row=k + 2) for k, split in enumerate(splits)))


def test_clips_go_where_the_manifest_says() -> None:
    dealt = deal_clips(manifest("train", "test", "train"), seed=0)

    assert {name: [clip.row for clip in clips] for name, clips in dealt.items()} == {"train": [2, 4], "validation": [], "test": [3]}


def test_clips_of_a_manifest_that_says_nothing_are_dealt_by_patient() -> None:
    dealt = deal_clips(manifest(*[""] * 20), seed=0)

    assert {name: len(clips) for name, clips in dealt.items()} == {"train": 14, "validation": 3, "test": 3}


@pytest.mark.parametrize("splits", [("train", ""), ("train", "holdout")])
def test_a_split_column_filled_in_part_or_otherwise_is_refused(splits: tuple[str, ...]) -> None:
    with pytest.raises(
        SplitError, match="Row 3: the split is not one of train, validation, test. Fill the column in every row, or in none."
    ):
        deal_clips(manifest(*splits), seed=0)


def of_patients(num: int, clips_each: int, absent: int, split: str = "") -> list[LabelledClip]:
    """The first `absent` patients have clips without sliding, the others with."""
    return [
        LabelledClip(Path(f"{split}{p}-{c}.mp4"), f"{split}P{p}", Label.ABSENT if p < absent else Label.PRESENT, split=split)
        for p in range(num)
        for c in range(clips_each)
    ]


def test_in_folds_every_clip_is_tested_on_once_and_validated_on_once_and_no_patient_is_in_two_parts() -> None:
    clips = of_patients(10, clips_each=3, absent=5)
    folds = fold_clips(Manifest(tuple(clips)), num_folds=5, seed=0)

    assert [{name: len(part) for name, part in fold.items()} for fold in folds] == [{"train": 18, "validation": 6, "test": 6}] * 5
    for name in ("test", "validation"):
        assert sorted(str(clip.file) for fold in folds for clip in fold[name]) == sorted(str(clip.file) for clip in clips)
    for fold in folds:
        owners = [{clip.patient for clip in part} for part in fold.values()]
        assert sum(map(len, owners)) == len(set().union(*owners)) == 10


def test_each_fold_is_tested_on_as_many_patients_of_either_label() -> None:
    for seed in range(10):
        folds = fold_clips(Manifest(tuple(of_patients(10, clips_each=1, absent=5))), num_folds=5, seed=seed)

        assert [sum(clip.label is Label.ABSENT for clip in fold["test"]) for fold in folds] == [1] * 5


def test_clips_the_manifest_keeps_for_testing_are_in_no_fold() -> None:
    """In the clips we train on, these are the ones whose licence forbids it."""
    kept = of_patients(4, clips_each=2, absent=0, split="test")
    folds = fold_clips(Manifest((*of_patients(6, clips_each=2, absent=3, split="train"), *kept)), num_folds=3, seed=0)

    assert {clip.patient for fold in folds for part in fold.values() for clip in part} == {f"trainP{k}" for k in range(6)}


def test_too_few_folds_or_patients_are_refused() -> None:
    two = Manifest(tuple(of_patients(2, clips_each=4, absent=1)))

    with pytest.raises(SplitError, match="Cross-validation with a validation part needs at least 3 folds; 2 was asked for."):
        fold_clips(two, num_folds=2, seed=0)
    with pytest.raises(SplitError, match="2 patients cannot be split into 3 parts; each needs at least one."):
        fold_clips(two, num_folds=3, seed=0)
