"""What a fit makes smaller: the losses by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.shards import MappedFiles, Shards
from training.signs.preset import Loss, read_preset
from training.signs.runs import RunSet
from training.signs.task import levels, loss_of

HALF, SURE = 0.0, math.log(9)
"""Logits of a probability of 0.5 and of 0.9."""


def loss(logits: list[float], labels: list[float], **settings: float) -> float:
    kind = Loss("focal" if settings else "binary", **settings)
    return float(loss_of(torch.tensor(logits)[:, None], torch.tensor(labels)[:, None], kind))


def test_binary_cross_entropy_is_minus_the_log_of_what_is_true() -> None:
    assert loss([HALF], [1.0]) == pytest.approx(-math.log(0.5))
    assert loss([SURE, SURE], [1.0, 0.0]) == pytest.approx((-math.log(0.9) - math.log(0.1)) / 2)


def test_the_focal_loss_weighs_positives_by_alpha_and_what_is_right_already_less() -> None:
    assert loss([SURE], [1.0], alpha=0.8, gamma=1.0) == pytest.approx(-0.8 * 0.1 * math.log(0.9), rel=1e-5)
    assert loss([SURE], [0.0], alpha=0.8, gamma=1.0) == pytest.approx(-0.2 * 0.9 * math.log(0.1), rel=1e-5)
    assert loss([SURE], [0.0], alpha=0.5, gamma=0.0) == pytest.approx(0.5 * loss([SURE], [0.0]))


def test_one_of_several_signs_is_learnt_by_softmax() -> None:
    logits: Tensor = torch.tensor([[0.0, 0.0, 0.0, math.log(5)]])

    assert float(loss_of(logits, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), Loss("softmax"))) == pytest.approx(-math.log(5 / 8))


def test_several_signs_are_learnt_each_by_itself_and_one_of_which_nothing_is_known_is_passed_over() -> None:
    logits = torch.tensor([[SURE, SURE, 7.0], [HALF, -SURE, SURE]], requires_grad=True)

    found = loss_of(logits, torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.0, -1.0]]), Loss("binary"))
    found.backward()

    assert found.item() == pytest.approx(-(math.log(0.9) + math.log(0.1) + math.log(0.5) + math.log(0.9)) / 4)
    assert logits.grad is not None
    assert logits.grad[:, 2].tolist() == [0, 0]


def test_what_is_right_to_the_last_digit_has_a_slope_that_is_a_number() -> None:
    logits = torch.tensor([[40.0], [-40.0]], requires_grad=True)

    loss_of(logits, torch.tensor([[1.0], [0.0]]), Loss("focal", alpha=0.8, gamma=0.5)).backward()

    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def runs_of(folder: Path, given: NDArray[Any]) -> RunSet:
    np.save(folder / "a.npy", given)
    n, names = len(given), np.array(["a"] * len(given))
    zeros = np.zeros((n, 1), np.int64)
    return RunSet(Shards(MappedFiles([folder / "a.npy"]), (n,)), zeros, zeros, names, names, names, np.zeros(n), names, np.zeros(n))


def test_frames_are_normalised_by_mean_and_deviation_of_the_training_runs_and_a_flow_keeps_its_zero(tmp_path: Path) -> None:
    grey = np.array([[[[0, 100]]], [[[200, 100]]], [[[255, 255]]]], np.uint8)
    flow = np.array([[[[1.0, 3.0]]]], np.float16)

    found = levels(runs_of(tmp_path, grey), np.array([0, 1]), read_preset("cmwru"))
    assert found == pytest.approx((100.0, np.std([0, 100, 200, 100])))
    assert levels(runs_of(tmp_path, flow), np.array([0]), read_preset("cmwra")) == pytest.approx((0.0, 1.0))
