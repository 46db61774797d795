"""What the pipeline knows of whatever classifies patches: a device, and a clip's turn at it."""

from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from service.engine.base import Grey, Task


class Lane(IntEnum):
    """Who goes first."""

    INTERACTIVE = 0
    """Somebody waits at a bedside."""
    BACKGROUND = 1
    """A job, which may take its time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a graph says of N patches."""

    logits: NDArray[np.float32]
    """(N,), or (N, F) of a graph that tells F numbers of each."""
    gradients: NDArray[np.float32] | None
    """d logit / d grey level, (N, C, T, h, w); None where the patches were only classified."""
    device_s: float
    """Seconds of the whole device that these patches took."""


class Turn(Protocol):
    """One clip's place at the device. Leaving it drops whatever of it has not begun."""

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        """Patches (N, C, T, h, w) of grey levels, uint8; to explain also float32 in 0..255; of flow float32. The answer comes when they
        have had their turn.

        The future raises EngineFailed, and CancelledError once the turn has been left.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Device(Protocol):
    """Classifies the patches of many clips. May be asked from any thread."""

    @property
    def device(self) -> str:
        """Where the work is really done, as `Engine.device`."""
        ...

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> Turn: ...


def nothing_asked(task: Task, patches: Grey) -> "Future[Answer]":
    """The answer about no patches at all."""
    answered: Future[Answer] = Future()
    gradients = np.empty(patches.shape, np.float32) if task is Task.EXPLAIN else None
    answered.set_result(Answer(np.empty(0, np.float32), gradients, 0.0))
    return answered
