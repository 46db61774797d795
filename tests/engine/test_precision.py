"""A rounded engine is used only where it answers as the exact one does; fakes are wrong by as much as a test says."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine import cuda
from service.engine.cuda import CudaEngine
from service.engine.precision import Difference, Precision, difference, moving_textures
from service.engine.select import agreeing
from service.errors import EngineFailed
from tests.engine.graphs import SHAPE, write_sum
from tests.engine.on_cpu import CudaEngineOnCpu


class Wrong(CudaEngineOnCpu):
    """Where it calculates in less than float32, logits and gradients are off by this much."""

    logit = 0.0
    share = 0.0

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().logits(patches) + self._if_rounded(self.logit)

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, gradients = super().logits_and_gradients(pixels)
        return logits, gradients * (1 + self._if_rounded(self.share))

    def _if_rounded(self, amount: float) -> np.float32:
        return np.float32(0 if self.precision is Precision.FLOAT32 else amount)


Opened = Callable[[Precision], CudaEngine]


@pytest.fixture
def wrong_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[float, float], Opened]:
    graphs = write_sum(tmp_path)
    caplog.set_level(logging.INFO, "service")

    def of(logit: float, share: float) -> Opened:
        monkeypatch.setattr(Wrong, "logit", logit)
        monkeypatch.setattr(Wrong, "share", share)
        return lambda precision: Wrong(*graphs, precision=precision)

    return of


def test_a_rounded_engine_that_agrees_is_used(wrong_by: Callable[[float, float], Opened], caplog: pytest.LogCaptureFixture) -> None:
    assert agreeing(wrong_by(0.0156, 0.01), Precision.TF32).precision is Precision.TF32  # 1/64: exact beside sums of thousands
    assert caplog.messages == ["tf32 differs from float32: logits by 0.0156 at most (limit 0.02), gradients by 1.00% (limit 5%)."]


@pytest.mark.parametrize(("logit", "share"), [(0.03125, 0.0), (0.0, 0.06)], ids=["logits", "gradients"])
def test_one_that_does_not_is_replaced_and_the_log_says_so(
    logit: float, share: float, wrong_by: Callable[[float, float], Opened], caplog: pytest.LogCaptureFixture
) -> None:
    engine = agreeing(wrong_by(logit, share), Precision.FLOAT16)

    assert (engine.precision, engine.device) == (Precision.FLOAT32, "cuda:0 (ONNX Runtime)")
    assert caplog.messages == [
        f"float16 differs too much from float32, so float32 is used: "
        f"logits by {logit:.4f} at most (limit 0.02), gradients by {share:.2%} (limit 5%)."
    ]


def test_so_is_one_whose_logits_are_no_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Overflows(CudaEngineOnCpu):
        def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
            if self.precision is not Precision.FLOAT32:
                raise EngineFailed("The model gave logits that are not numbers.", log_detail="inf")
            return super().logits(patches)

    graphs = write_sum(tmp_path)

    assert agreeing(lambda precision: Overflows(*graphs, precision=precision), Precision.FLOAT16).precision is Precision.FLOAT32
    assert caplog.messages == ["In float16 the model could not be run, so float32 is used. The model gave logits that are not numbers. inf"]


def test_float32_is_held_against_nothing(wrong_by: Callable[[float, float], Opened], caplog: pytest.LogCaptureFixture) -> None:
    assert agreeing(wrong_by(9.0, 9.0), Precision.FLOAT32).precision is Precision.FLOAT32
    assert not caplog.messages


@pytest.mark.parametrize(
    ("precision", "has_tf32", "came_to", "told"),
    [
        (Precision.FLOAT32, True, Precision.FLOAT32, []),
        (Precision.TF32, True, Precision.TF32, []),
        (Precision.TF32, False, Precision.FLOAT32, ["TF32 needs a GPU of compute capability 8.0 or more, so float32 is used."]),
        (Precision.FLOAT16, True, Precision.FLOAT32, ["float16 needs TensorRT (SEASHORE_DEVICE=tensorrt), so float32 is used."]),
    ],
)
def test_cuda_never_claims_a_precision_it_does_not_have(
    precision: Precision,
    has_tf32: bool,
    came_to: Precision,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Asked(CudaEngineOnCpu):
        _offered = CudaEngine._offered

    monkeypatch.setattr(cuda, "has_tf32", lambda gpu: has_tf32)

    assert Asked(*write_sum(tmp_path), precision=precision).precision is came_to
    assert caplog.messages == told


def test_a_difference_that_is_no_number_is_not_small() -> None:
    assert Difference(0.02, 0.05).is_small
    assert not Difference(float("nan"), 0.0).is_small
    assert not Difference(0.0, float("nan")).is_small


@dataclass(frozen=True)
class Answers:
    """An engine with one answer to everything."""

    logit: float
    gradient: float
    streams: int = 1
    device: str = "fake"

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full(len(patches), self.logit, np.float32)

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.logits(pixels.astype(np.uint8)), np.full(pixels.shape, self.gradient, np.float32)

    def buckets(self, task: object) -> tuple[int, ...]:
        return (1,)


def test_the_difference_is_of_logits_and_of_gradients_as_a_share() -> None:
    apart = difference(Answers(1.5, 1.25), Answers(1.0, 1.0), SHAPE)

    assert (apart.logit, apart.gradient) == pytest.approx((0.5, 0.25))


def test_engines_are_asked_about_textures_that_move_at_different_speeds() -> None:
    patches = moving_textures((2, 60, 30, 30))
    changes = np.abs(np.diff(patches.astype(np.float32), axis=2)).mean((1, 2, 3, 4)) / patches.std((1, 2, 3, 4))

    assert (patches.shape, patches.dtype) == ((16, 2, 60, 30, 30), np.uint8)
    assert changes[0] == 0
    assert (np.diff(changes) > 0).all()
