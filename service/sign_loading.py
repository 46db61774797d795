"""A bundle of signs becomes a model: verified, opened on a device, warmed up, and asked for an answer that is known."""

from pathlib import Path
from typing import Any

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.engine.base import GraphEngine, Share
from service.engine.batcher import Batcher
from service.engine.healing import Care, HealingDevice
from service.engine.select import open_engine
from service.engine.turn import Device
from service.errors import BadBundle
from service.findings import SignFinding
from service.sign_bundle import SignBundle, read_sign_bundle
from service.sign_reading import AskedSign, LoadedSign, SignReadings

GOLDEN_TOLERANCE = 0.02
"""Of the probabilities, as of sliding's."""


def load_sign(directory: Path, device: str) -> LoadedSign:
    """The bundle in `model_store/signs/<name>/<version>/`, ready to read clips. Raises: BadBundle, EngineFailed."""
    bundle = read_sign_bundle(directory)
    sign = LoadedSign(bundle, Batcher(_warm_engine(bundle, device)))
    check_golden_sign(sign)
    return sign


def load_healing_sign(directory: Path, device: str, care: Care) -> LoadedSign:
    """The same for a service: an engine that is lost is opened again, and checked as at first. Raises: BadBundle, EngineFailed."""
    bundle = read_sign_bundle(directory)

    def check(opened: Device) -> None:
        check_golden_sign(LoadedSign(bundle, opened))

    return LoadedSign(bundle, HealingDevice(lambda: _warm_engine(bundle, device), check, care))


def golden_signs(sign: LoadedSign) -> dict[str, Any]:
    """What the model says of its golden clip, as far as it must not change: the probability of each sign."""
    clip = open_clip(sign.bundle.golden_clip, DEFAULT_LIMITS)
    sector = find_sector(look_over(clip), clip.info.region)
    with sign.engine.turn() as turn:
        reading = SignReadings([(AskedSign(sign, sign.bundle.signs), turn)], clip.info, sector, lambda: None)
        for frame in clip.frames():
            reading.hear(frame)
        return {found.sign: _rounded(found) for found in reading.findings()}


def golden_of(bundle: SignBundle) -> dict[str, Any]:
    """The same of a bundle that is being written, on the CPU. Raises: EngineFailed."""
    return golden_signs(LoadedSign(bundle, Batcher(_warm_engine(bundle, "cpu"))))


def check_golden_sign(sign: LoadedSign) -> None:
    """Raises: BadBundle when the model does not answer its golden clip as it did when it was made."""
    expected, found = sign.bundle.golden_answer(), golden_signs(sign)
    for name, probability in found.items():
        must = expected.get(name)
        if not isinstance(must, float) or probability is None or abs(must - probability) > GOLDEN_TOLERANCE:
            raise BadBundle(f"The bundle {sign.bundle} gives {name} of its golden clip the probability {probability}; it must be {must}.")


def _rounded(found: SignFinding) -> float | None:
    return None if found.probability is None else round(found.probability, 4)


def _warm_engine(bundle: SignBundle, device: str) -> GraphEngine:
    engine = open_engine(bundle.model_onnx, None, device=device, share=Share.shared())
    engine.warm_up(bundle.frames.run_shape)
    return engine
