"""A bundle becomes a model: verified, opened on a device, warmed up, and asked for an answer that is known."""

from pathlib import Path
from typing import Any

from service.bundle import read_bundle
from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.engine.base import Share
from service.engine.batcher import Batcher
from service.engine.precision import Precision
from service.engine.select import open_engine
from service.errors import BadBundle
from service.findings import Analysis
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reading import Saliency

GOLDEN_TOLERANCE = 0.02
"""Of the probabilities. Engines differ by 1e-4 in a logit; a wrong graph or a changed preprocessing by far more."""
GOLDEN_TOLERANCE_PX = 1.0


def load_model(directory: Path, device: str, precision: Precision = Precision.FLOAT32, share: Share | None = None) -> LoadedModel:
    """The bundle in `model_store/<name>/<version>/`, ready to read clips; with a stream for each core unless `share` is given.

    Raises: BadBundle, EngineFailed.
    """
    bundle = read_bundle(directory)
    engine = open_engine(bundle.model_onnx, bundle.saliency_onnx, device=device, share=share or Share.shared(), precision=precision)
    engine.warm_up(bundle.input_spec.patch_shape)
    model = LoadedModel(bundle, Batcher(engine))
    check_golden(model)
    return model


def golden_answer(model: LoadedModel) -> dict[str, Any]:
    """What the model says of its golden clip, as far as it must not change."""
    analysis, _ = analyse(open_clip(model.bundle.golden_clip, DEFAULT_LIMITS), model, Options(saliency=Saliency.NONE))
    return _essence(analysis)


def check_golden(model: LoadedModel) -> None:
    """Raises: BadBundle when the model does not answer its golden clip as it did when it was made."""
    expected, found = model.bundle.golden_answer(), golden_answer(model)
    if expected["verdict"] != found["verdict"]:
        raise BadBundle(f"The bundle {model.bundle} answers its golden clip with {found['verdict']}; it must be {expected['verdict']}.")
    for name in ("probability", "wall_control"):
        if (expected[name] is None) != (found[name] is None) or abs((expected[name] or 0) - (found[name] or 0)) > GOLDEN_TOLERANCE:
            raise BadBundle(f"The bundle {model.bundle} gives its golden clip the {name} {found[name]}; it must be {expected[name]}.")
    if abs(expected["pleura_y_px"] - found["pleura_y_px"]) > GOLDEN_TOLERANCE_PX:
        raise BadBundle(f"The bundle {model.bundle} finds the pleura of its golden clip in another place than when it was made.")


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
