"""A bundle becomes a model: verified, opened on a device, warmed up, and asked for an answer that is known."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle import Bundle, read_bundle
from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.engine.base import GraphEngine, Share, Task
from service.engine.batcher import Batcher
from service.engine.cuda import CudaEngine
from service.engine.healing import Care, HealingDevice
from service.engine.precision import Precision
from service.engine.select import open_engine
from service.engine.turn import Device
from service.errors import BadBundle
from service.findings import Analysis
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reading import Saliency

GOLDEN_TOLERANCE = 0.02
"""Of the probabilities. Engines differ by 1e-4 in a logit; a wrong graph or a changed preprocessing by far more."""
GOLDEN_TOLERANCE_PX = 1.0
SALIENCY_TOLERANCE = 0.05
"""Of a logit, between the two graphs: each may be rounded by `precision.LOGIT_LIMIT`."""


def load_model(directory: Path, device: str, precision: Precision = Precision.FLOAT32, share: Share | None = None) -> LoadedModel:
    """The bundle in `model_store/<name>/<version>/`, ready to read clips; with a stream for each core unless `share` is given.

    Raises: BadBundle, EngineFailed.
    """
    bundle = read_bundle(directory)
    model = LoadedModel(bundle, Batcher(_warm_engine(bundle, device, precision, share)))
    check_golden(model)
    return model


def load_healing_model(directory: Path, device: str, precision: Precision, care: Care) -> LoadedModel:
    """The same for a service: an engine that is lost is opened again, and checked as at first. Raises: BadBundle, EngineFailed."""
    bundle = read_bundle(directory)

    def opened_engine() -> GraphEngine:
        return _warm_engine(bundle, device, precision, None)

    def check(opened: Device) -> None:
        check_golden(LoadedModel(bundle, opened))

    return LoadedModel(bundle, HealingDevice(opened_engine, check, care))


def _warm_engine(bundle: Bundle, device: str, precision: Precision, share: Share | None) -> GraphEngine:
    engine = open_engine(bundle.model_onnx, bundle.saliency_onnx, device=device, share=share or Share.shared(), precision=precision)
    engine.warm_up(bundle.input_spec.patch_shape)
    return engine


def precision_of(device: Device) -> Precision:
    """What the device really calculates in: float32, unless it is a GPU that may and can do otherwise."""
    engine = device.engine if isinstance(device, (Batcher, HealingDevice)) else None
    return engine.precision if isinstance(engine, CudaEngine) else Precision.FLOAT32


def golden_answer(model: LoadedModel) -> dict[str, Any]:
    """What the model says of its golden clip, as far as it must not change."""
    analysis, _ = analyse(open_clip(model.bundle.golden_clip, DEFAULT_LIMITS), model, Options(saliency=Saliency.NONE))
    return _essence(analysis)


def check_golden(model: LoadedModel) -> None:
    """Raises: BadBundle when the model does not answer its golden clip as it did when it was made."""
    expected, found = _expected(model.bundle), golden_answer(model)
    if expected["verdict"] != found["verdict"]:
        raise BadBundle(f"The bundle {model.bundle} answers its golden clip with {found['verdict']}; it must be {expected['verdict']}.")
    for name in ("probability", "wall_control"):
        if (expected[name] is None) != (found[name] is None) or abs((expected[name] or 0) - (found[name] or 0)) > GOLDEN_TOLERANCE:
            raise BadBundle(f"The bundle {model.bundle} gives its golden clip the {name} {found[name]}; it must be {expected[name]}.")
    if abs(expected["pleura_y_px"] - found["pleura_y_px"]) > GOLDEN_TOLERANCE_PX:
        raise BadBundle(f"The bundle {model.bundle} finds the pleura of its golden clip in another place than when it was made.")
    _check_saliency(model)


def _expected(bundle: Bundle) -> dict[str, Any]:
    expected = bundle.golden_answer()
    figures = [expected.get(name) for name in ("probability", "wall_control", "pleura_y_px")]
    are_figures = all(figure is None or (isinstance(figure, int | float) and math.isfinite(figure)) for figure in figures)
    if not isinstance(expected.get("verdict"), str) or figures[2] is None or not are_figures:
        raise BadBundle(f"The golden answer of {bundle} lacks its verdict or a figure.")
    return expected


def _check_saliency(model: LoadedModel) -> None:
    """Both graphs must be of one network, or what is drawn on the clip is not why it was answered so. Raises: BadBundle."""
    shown = np.random.default_rng(0).integers(0, 256, (4, *model.bundle.input_spec.patch_shape), np.uint8)
    with model.engine.turn() as turn:
        said, explained = (turn.ask(task, shown).result().logits for task in (Task.CLASSIFY, Task.EXPLAIN))
    if not np.allclose(said, explained, atol=SALIENCY_TOLERANCE):
        raise BadBundle(f"The saliency graph of {model.bundle} is not of its model: they give the same patches other logits.")


def _essence(analysis: Analysis) -> dict[str, Any]:
    sliding = analysis.lung_sliding
    line = analysis.pleura.line if analysis.pleura else ()
    return {
        "verdict": str(sliding.verdict),
        "probability": None if sliding.probability is None else round(sliding.probability, 4),
        "wall_control": None if sliding.wall_control is None else round(sliding.wall_control, 4),
        "pleura_y_px": round(sum(y for _, y in line) / len(line), 2) if line else -1.0,
        "windows": len(analysis.windows),
    }
