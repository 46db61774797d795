"""Batches: every run once an epoch, or as many of each class."""

from collections import Counter
from typing import Literal

import numpy as np
import pytest

from training.signs.batches import BalancedBatches, BesideBatches

KINDS = np.array(["0"] * 6 + ["1"] * 2)


def epoch(balance: Literal["as_is", "drop", "each_epoch"], number: int, batch_size: int = 4) -> list[int]:
    batches = BalancedBatches(KINDS, batch_size, 1, balance)
    batches.set_epoch(number)
    return [index for batch in batches for index in batch]


def test_as_they_are_every_run_comes_once() -> None:
    assert sorted(epoch("as_is", 0)) == list(range(8))
    assert epoch("as_is", 0) != epoch("as_is", 1)


@pytest.mark.parametrize("balance", ["drop", "each_epoch"])
def test_balanced_there_are_as_many_of_the_larger_class_as_of_the_smaller(balance: Literal["drop", "each_epoch"]) -> None:
    assert Counter(KINDS[epoch(balance, 3)].tolist()) == {"0": 2, "1": 2}


def test_what_is_dropped_is_dropped_for_good_and_what_is_drawn_anew_is_all_seen_in_the_end() -> None:
    assert {frozenset(epoch("drop", number)) for number in range(20)} == {frozenset(epoch("drop", 0))}
    assert set().union(*(epoch("each_epoch", number) for number in range(20))) == set(range(8))


def test_the_same_seed_and_epoch_draw_the_same() -> None:
    assert epoch("each_epoch", 5) == epoch("each_epoch", 5)


def test_a_rest_of_less_than_half_a_batch_is_left_out() -> None:
    assert len(epoch("as_is", 0, 7)) == 7
    assert len(epoch("as_is", 0, 5)) == 8


PATIENTS = np.array([f"phantom-{k}" for k in range(30)] + ["many"] * 15 + ["few"] * 3)


def test_beside_phantoms_patients_are_the_share_that_is_asked_for_each_as_often_whatever_their_clips() -> None:
    batches = BesideBatches(PATIENTS, np.arange(48) >= 30, 8, 1, 0.4)
    seen = [index for batch in batches for index in batch]
    batches.set_epoch(1)
    other = [index for batch in batches for index in batch]
    of_few = [np.mean(PATIENTS[[i for i in run if i >= 30]] == "few") for run in _epochs(batches, 40)]

    # 20 of 50; the last 2 are less than half a batch.
    assert (batches.num, len(seen), len(batches)) == (50, 48, 6)
    assert len({index for index in seen if index < 30}) == len([index for index in seen if index < 30]) >= 28
    assert seen != other
    assert np.mean(of_few) == pytest.approx(0.5, abs=0.05)


def _epochs(batches: BesideBatches, num: int) -> list[list[int]]:
    drawn = []
    for epoch in range(num):
        batches.set_epoch(epoch)
        drawn.append([index for batch in batches for index in batch])
    return drawn
