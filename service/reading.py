"""Windows go to the device one by one; what the model says of every patch is kept, in the order of the windows."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service.cine.inputs import GreyLevels
from service.cine.motion import Motion
from service.cine.prepare import CutWindow
from service.cine.tiling import Plan
from service.engine.base import Grey, Task
from service.engine.turn import Answer, Turn
from service.evidence import saliency
from service.findings import Arrays, PatchSaliency
from service.model import LoadedModel


class Saliency(StrEnum):
    """Which gradient explains the answer, if any."""

    NONE = "none"
    VANILLA = "vanilla"
    SMOOTHGRAD = "smoothgrad"


SMOOTHGRAD_SAMPLES = 25
"""At most: a patch whose map has settled gets no more."""
SMOOTHGRAD_NOISE_GREY_LEVELS = 8.0
SMOOTHGRAD_SEED = 0

WINDOWS_AHEAD = 2
"""Windows of one clip that may be on their way at once: while one is read the next is cut. More would only take memory."""
LOOK_EVERY_S = 0.02
"""How often whoever waits for the device looks whether the answer is still wanted: less than a batch takes."""

Wanted = Callable[[], None]
"""Raises when nobody waits for the answer any more."""


class DeviceWait:
    """A turn at the device, waited for. Also the `Gradients` that SmoothGrad asks."""

    def __init__(self, turn: Turn, wanted: Wanted) -> None:
        self._turn = turn
        self._wanted = wanted
        self.device_s = dict.fromkeys(Task, 0.0)

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        return self._turn.ask(task, patches)

    def get(self, task: Task, asked: "Future[Answer]") -> Answer:
        """Raises: EngineFailed; whatever `wanted` raises."""
        while not wait([asked], LOOK_EVERY_S).done:
            self._wanted()
        answer = asked.result()
        self.device_s[task] += answer.device_s
        return answer

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        answer = self.get(Task.EXPLAIN, self._turn.ask(Task.EXPLAIN, pixels))
        assert answer.gradients is not None
        return answer.logits, answer.gradients


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the device was asked about one window."""

    patches: NDArray[np.uint8]
    """(N, C, T, h, w), in the order of the plan."""
    classified: "Future[Answer]"
    explained: "Future[Answer] | None"
    """Of the lung patches, which then are not among those classified: the saliency graph gives the logit as well."""


class Reading:
    """Collects, window by window, motion, logits and saliency of one clip's patches."""

    def __init__(
        self,
        model: LoadedModel,
        plan: Plan | None,
        kind: Saliency,
        turn: Turn,
        wanted: Wanted,
        *,
        keeps_arrays: bool = False,
        windows_ahead: int = WINDOWS_AHEAD,
    ) -> None:
        self.model = model
        self.plan = plan or Plan((), (), model.bundle.input_spec.patch_px)
        self.motions: list[Motion] = []
        self.greys = GreyLevels(model.bundle.input_spec, self.plan)
        self.logits: list[NDArray[np.float32]] = []
        """(N,) a window, in the order of the plan."""
        self.spans_s: list[tuple[float, float]] = []
        self._kind = kind
        self._device = DeviceWait(turn, wanted)
        self._ahead = windows_ahead
        self._asked: deque[_Asked] = deque()
        self._keeps_arrays = keeps_arrays
        self._patches: list[NDArray[np.uint8]] = []
        self._gradients: list[NDArray[np.float32]] = []
        self._pooled: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._is_lung = np.array([patch.row >= 0 for patch in self.plan.patches], dtype=np.bool_)

    @property
    def model_ms(self) -> float:
        """The device's time for patches that were only classified."""
        return self._device.device_s[Task.CLASSIFY] * 1000

    @property
    def saliency_ms(self) -> float:
        """The device's time for patches that were explained, their classification with it."""
        return self._device.device_s[Task.EXPLAIN] * 1000

    def take(self, window: CutWindow) -> None:
        """Ask about one window's patches. Waits only when too many windows are on their way. Raises: EngineFailed."""
        while len(self._asked) >= self._ahead:
            self._settle_oldest()
        self.spans_s.append((window.start_s, window.end_s))
        self._asked.append(self._ask(window.patches))
        self.greys.take(window.patches)

    def settle(self) -> None:
        """Wait for all that was asked. Raises: EngineFailed."""
        while self._asked:
            self._settle_oldest()

    def _ask(self, patches: NDArray[np.uint8]) -> _Asked:
        if self._kind is Saliency.VANILLA:
            explained = self._device.ask(Task.EXPLAIN, patches[self._is_lung])
            return _Asked(patches, self._device.ask(Task.CLASSIFY, patches[~self._is_lung]), explained)
        return _Asked(patches, self._device.ask(Task.CLASSIFY, patches), None)

    def _settle_oldest(self) -> None:
        asked = self._asked.popleft()
        logits = self._device.get(Task.CLASSIFY, asked.classified).logits
        lung = asked.patches[self._is_lung] if self._keeps_arrays or self._kind is Saliency.SMOOTHGRAD else None
        if asked.explained is not None:
            explained = self._device.get(Task.EXPLAIN, asked.explained)
            logits = self._in_order(logits, explained.logits)
            self._keep_gradients(explained.gradients)
        elif self._kind is Saliency.SMOOTHGRAD and lung is not None:
            self._keep_gradients(self._smoothgrad(lung))
        self.logits.append(logits)
        if self._keeps_arrays and lung is not None:
            self._patches.append(lung)

    def _in_order(self, of_wall: NDArray[np.float32], of_lung: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = np.empty(len(self._is_lung), np.float32)
        logits[self._is_lung], logits[~self._is_lung] = of_lung, of_wall
        return logits

    def _smoothgrad(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        return saliency.smoothgrad(
            self._device,
            patches,
            samples=SMOOTHGRAD_SAMPLES,
            noise_grey_levels=SMOOTHGRAD_NOISE_GREY_LEVELS,
            seed=SMOOTHGRAD_SEED,
        )

    def _keep_gradients(self, gradients: NDArray[np.float32] | None) -> None:
        """Pooled at once: a clip of ten minutes has gigabytes of them.

        Only the lung's own channel: the map is drawn on the lung, and what the model saw of the wall lies elsewhere.
        """
        assert gradients is not None
        lung = self.model.bundle.input_spec.bands.index("lung")
        self._pooled.append(saliency.pool(gradients[:, lung : lung + 1]))
        if self._keeps_arrays:
            self._gradients.append(gradients)

    def saliencies(self) -> list[tuple[PatchSaliency, ...]] | None:
        """Of the lung patches, window by window, on one scale for the whole clip; None when not asked for."""
        if not self._pooled:
            return None
        flat = saliency.normalise(np.concatenate([maps for maps, _ in self._pooled]), np.concatenate([times for _, times in self._pooled]))
        count = int(self._is_lung.sum())
        return [flat[start : start + count] for start in range(0, len(flat), count)] if count else [() for _ in self._pooled]

    def arrays(self) -> Arrays | None:
        """Everything the model saw and said of the lung, all windows one after the other; None unless it was to be kept."""
        if not self._keeps_arrays:
            return None
        lung = [patch for patch in self.plan.patches if patch.row >= 0]
        windows = len(self.logits)
        return Arrays(
            patches=np.concatenate([np.empty((0, *self.model.bundle.input_spec.patch_shape), np.uint8), *self._patches]),
            logits=np.concatenate([np.empty(0, np.float32), *(logits[self._is_lung] for logits in self.logits)]),
            gradients=np.concatenate(self._gradients) if self._gradients else None,
            window=np.repeat(np.arange(windows, dtype=np.int32), len(lung)),
            row=np.tile(np.array([patch.row for patch in lung], np.int32), windows),
            column=np.tile(np.array([patch.column for patch in lung], np.int32), windows),
        )
