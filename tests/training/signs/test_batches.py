"""Batches: every run once an epoch, or as many of each class."""

from collections import Counter
from typing import Literal

import numpy as np
import pytest

from training.signs.batches import BalancedBatches

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
