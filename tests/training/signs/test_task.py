"""What a fit makes smaller: the losses by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.shards import Shards
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


def runs_of(given: np.ndarray) -> RunSet:  # type: ignore[type-arg]
    n = len(given)
    return RunSet(Shards((given,)), np.zeros((n, 1), np.int64), np.zeros((n, 2), np.int64), *(np.array(["a"] * n),) * 2, np.zeros(n))


def test_frames_are_normalised_by_mean_and_deviation_of_the_training_runs_and_a_flow_keeps_its_zero() -> None:
    grey = np.array([[[[0, 100]]], [[[200, 100]]], [[[255, 255]]]], np.uint8)
    flow = np.array([[[[1.0, 3.0]]]], np.float16)

    assert levels(runs_of(grey), np.array([0, 1]), read_preset("cmwru")) == pytest.approx((100.0, np.std([0, 100, 200, 100])))
    assert levels(runs_of(flow), np.array([0]), read_preset("cmwra")) == pytest.approx((0.0, 1.0))
