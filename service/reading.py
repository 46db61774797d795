"""Windows go through the engine one by one; what the model says of every patch is kept."""

import time
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service.cine.motion import Motion
from service.cine.prepare import PreparedWindow
from service.cine.tiling import Plan
from service.evidence import saliency
from service.findings import Arrays, PatchSaliency
from service.model import LoadedModel


class Saliency(StrEnum):
    """Which gradient explains the answer, if any."""

    NONE = "none"
    VANILLA = "vanilla"
    SMOOTHGRAD = "smoothgrad"


SMOOTHGRAD_SAMPLES = 8
SMOOTHGRAD_NOISE_GREY_LEVELS = 8.0
SMOOTHGRAD_SEED = 0


class Reading:
    """Collects, window by window, motion, logits and saliency of one clip's patches."""

    def __init__(self, model: LoadedModel, plan: Plan | None, kind: Saliency) -> None:
        self.model = model
        self.plan = plan or Plan((), (), model.bundle.input_spec.patch_px)
        self.motions: list[Motion] = []
        self.logits: list[NDArray[np.float32]] = []
        """(N,) a window, in the order of the plan."""
        self.spans_s: list[tuple[float, float]] = []
        self.model_ms = 0.0
        self.saliency_ms = 0.0
        self._kind = kind
        self._patches: list[NDArray[np.uint8]] = []
        self._gradients: list[NDArray[np.float32]] = []
        self._is_lung = np.array([patch.row >= 0 for patch in self.plan.patches], dtype=np.bool_)

    def take(self, window: PreparedWindow) -> None:
        """Classify one window's patches, and explain those of the lung. Raises: EngineFailed."""
        started = time.perf_counter()
        self.logits.append(self.model.engine.logits(window.patches))
        classified = time.perf_counter()
        if self._kind is not Saliency.NONE:
            self._gradients.append(self._explain(window.patches[self._is_lung]))
        self.model_ms += (classified - started) * 1000
        self.saliency_ms += (time.perf_counter() - classified) * 1000
        self.motions.append(window.motion)
        self.spans_s.append((window.start_s, window.end_s))
        self._patches.append(window.patches[self._is_lung])

    def _explain(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._kind is Saliency.VANILLA:
            return saliency.vanilla(self.model.engine, patches)[1]
        return saliency.smoothgrad(
            self.model.engine,
            patches,
            samples=SMOOTHGRAD_SAMPLES,
            noise_grey_levels=SMOOTHGRAD_NOISE_GREY_LEVELS,
            seed=SMOOTHGRAD_SEED,
        )[1]

    def saliencies(self) -> list[tuple[PatchSaliency, ...]] | None:
        """Of the lung patches, window by window, on one scale for the whole clip; None when not asked for.

        Only the lung's own channel: the map is drawn on the lung, and what the model saw of the wall lies elsewhere.
        """
        if not self._gradients:
            return None
        lung = self.model.bundle.input_spec.bands.index("lung")
        pooled = [saliency.pool(gradients[:, lung : lung + 1]) for gradients in self._gradients]
        flat = saliency.normalise(np.concatenate([maps for maps, _ in pooled]), np.concatenate([times for _, times in pooled]))
        count = int(self._is_lung.sum())
        return [flat[start : start + count] for start in range(0, len(flat), count)] if count else [() for _ in pooled]

    def arrays(self) -> Arrays:
        """Everything the model saw and said of the lung, all windows one after the other."""
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
