"""What a model is fed with, made by hand: an input spec, a calibration whose answers are computed in the head, a strip's grid."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.bundle import Bundle
from service.cine.pooling import Calibration
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.engine.base import Engine
from service.engine.batcher import Batcher
from service.model import LoadedModel
from tests.fakes.engine import LinearEngine

SPEC = InputSpec(
    fps=30.0,
    window_frames=60,
    window_stride_frames=60,
    picture_depth_px=480,
    patch_px=30,
    column_stride_px=30,
    row_offset_px=-4,
    bands=("lung", "wall"),
    wall_gap_px=4,
    stabilised=True,
    dtype="uint8",
)
"""As the shipped model's."""

MODEL_ALONE = Calibration(
    intercept=0.0,
    model_logit=1.0,
    model_past_wall=0.0,
    log_slide=0.0,
    log_slide_past_wall=0.0,
    patch_scale=1.0,
    patch_offset=0.0,
    absent_below=0.2,
    present_above=0.8,
    wall_control_above=0.9,
    lung_point_contrast=4.0,
)
"""The clip's logit is the model's logit on the lung."""

SLIDE_ALONE = replace(MODEL_ALONE, model_logit=0.0, log_slide_past_wall=3.0, intercept=-2.0)
"""The clip's logit is 3 log(slide of the lung / slide of the wall) - 2: the model has no say."""


def flat_grid(
    num_columns: int, wall_rows: int, lung_rows: int, interspaces: tuple[tuple[int, int], ...], is_echo: NDArray[np.bool_] | None = None
) -> StripGrid:
    """A strip that is the frame itself: column x is pixel x, the pleural line is pixel row `wall_rows`."""
    y, x = np.mgrid[: wall_rows + lung_rows, :num_columns].astype(np.float32)
    return StripGrid(x, y, wall_rows, 1.0, interspaces, np.ones(x.shape, np.bool_) if is_echo is None else is_echo)


def loaded_model(engine: Engine, calibration: Calibration = MODEL_ALONE, spec: InputSpec = SPEC) -> LoadedModel:
    """An opened bundle without files: `analyse` needs none."""
    bundle = Bundle("linear", "0.0.1", Path("nowhere"), "0" * 64, spec, calibration, "2026-01-01T00:00:00+00:00", {})
    return LoadedModel(bundle, Batcher(engine))


def constant_engine(logit: float, spec: InputSpec = SPEC) -> LinearEngine:
    """The same logit whatever the pixels."""
    return LinearEngine(np.zeros(spec.patch_shape, np.float32), logit)


def speckle(shape: tuple[int, ...], seed: int = 0, grain_px: float = 1.5) -> NDArray[np.uint8]:
    """Smooth random grey levels about 128, different in every frame of `shape` (..., rows, columns)."""
    noise = np.random.default_rng(seed).normal(0, 1, (int(np.prod(shape[:-2])), *shape[-2:])).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), grain_px) for frame in noise])
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8).reshape(shape)


def of_spec(**changes: Any) -> InputSpec:
    return replace(SPEC, **changes)
