"""Bundles of models for the signs beside sliding: what training hands to the service, in a part of the model store of their own.

model_store/signs/<name>/<version>/
    model.onnx        runs of frames, uint8 (N, 1, T, h, w), or of flow, float32 (N, 2, steps, h, w) -> float32 (N, F): what is told of
                      each, packed as `Outputs` says
    manifest.json     name, version, how frames are cut, the signs it tells and their limits, where it was measured, and the sha256 of
                      every other file
    golden.mp4        a clip, and
    golden.json       what the bundle answered for it when it was made
    MODEL_CARD.md     what it was trained on, what it is good at, what it must not be used for
    manifest.sig      where a site asks for it: who stands for all of this (`service.signature`)
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bundle_files import (
    GOLDEN_ANSWER,
    GOLDEN_CLIP,
    MODEL,
    MODEL_CARD,
    check_files,
    drafted,
    field,
    find_bundles,
    json_object,
    read_manifest,
    sha256_of,
    write_json,
    write_manifest,
)
from service.cine.frame_spec import FrameSpec
from service.errors import BadBundle
from service.findings import TOLD_SIGNS, Verdict

FOLDER = "signs"
"""Of the model store."""
FILES = (MODEL, GOLDEN_CLIP, GOLDEN_ANSWER, MODEL_CARD)
MAX_LOGIT = 13.8
"""Of one run, either way: a chance of one in a million. Surer than that nothing is, and one run must not outweigh all others."""

Floats = NDArray[np.float32]


def run_logits(logits: NDArray[np.floating[Any]], outputs: Sequence[int]) -> NDArray[np.floating[Any]]:
    """(n, K) of runs -> (n,): of each the greatest of `outputs`, bounded. What is served and what limits are set on goes through here."""
    return np.asarray(logits[:, list(outputs)].max(axis=1).clip(-MAX_LOGIT, MAX_LOGIT))


@dataclass(frozen=True, slots=True)
class Told:
    """One sign that a bundle tells: from the logits of a clip's runs to a probability and a verdict."""

    sign: str
    outputs: tuple[int, ...]
    """Which of the logits; of several the greatest is told, run by run."""
    scale: float
    offset: float
    """Platt: probability = sigmoid(scale * logit + offset)."""
    present_above: float
    absent_below: float
    measured: str
    """On what clips, and how well: a sentence that goes with every answer."""

    def __post_init__(self) -> None:
        if self.sign not in TOLD_SIGNS or self.scale <= 0:
            raise ValueError(f"A sign is one of {', '.join(TOLD_SIGNS)}, and its logit is scaled by more than 0.")
        if not self.outputs or min(self.outputs) < 0 or len(set(self.outputs)) < len(self.outputs):
            raise ValueError("A sign is told by one output or more, counted from 0, each once.")
        if not 0 <= self.absent_below <= self.present_above <= 1:
            raise ValueError("What is absent must end below where what is present begins.")

    def pooled(self, logits: Floats) -> float:
        """`run_logits` of all runs, (n,), n > 0 -> the clip's probability, of their mean: what its limits were measured with."""
        return float(self.probabilities(logits.mean(keepdims=True))[0])

    def probabilities(self, logits: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(self.scale * logits + self.offset))), np.float32)

    def verdict(self, probability: float) -> Verdict:
        if probability > self.present_above:
            return Verdict.PRESENT
        return Verdict.ABSENT if probability < self.absent_below else Verdict.INDETERMINATE


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the graph's F numbers of a run are: K logits, then the attention to its T frames, or a map of each sign."""

    logits: int
    attention: int = 0
    """T, or 0."""
    map_px: int = 0
    """Side of each of the K maps, or 0."""

    def __post_init__(self) -> None:
        if self.logits < 1 or min(self.attention, self.map_px) < 0:
            raise ValueError("A model of signs gives one logit or more.")

    @property
    def size(self) -> int:
        return self.logits + self.attention + self.logits * self.map_px**2

    def unpack(self, figures: Floats) -> tuple[Floats, Floats | None, Floats | None]:
        """(n, F) -> logits (n, K), attention (n, T), maps (n, K, side, side). Raises: BadBundle for another F."""
        if figures.shape[1:] != (self.size,):
            found = "x".join(map(str, figures.shape[1:]))
            raise BadBundle(f"A model of signs gives {found} figures of a run, and its manifest says {self.size}.")
        logits, attention, maps = np.split(figures, [self.logits, self.logits + self.attention], axis=1)
        side = self.map_px
        return logits, attention if self.attention else None, maps.reshape(-1, self.logits, side, side) if side else None


@dataclass(frozen=True, slots=True)
class Domain:
    """The clips it was measured on; of others it says nothing."""

    probes: tuple[str, ...]
    """"convex", "linear"."""
    least_fps: float
    """Different frames a second."""

    def has_probe(self, probe: str) -> bool:
        return probe in self.probes

    def has_rate(self, distinct_fps: float) -> bool:
        return distinct_fps >= self.least_fps


@dataclass(frozen=True, slots=True)
class SignBundle:
    """One bundle whose files are there and are the ones it was made with."""

    name: str
    version: str
    directory: Path
    sha256: str
    """Of `model.onnx`, hexadecimal."""
    frames: FrameSpec
    outputs: Outputs
    tells: tuple[Told, ...]
    domain: Domain
    created: str
    """When, ISO 8601 in UTC."""
    training: Mapping[str, Any]
    """Summary of the training run, for people and logs. Nothing in the service depends on it."""

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def signs(self) -> tuple[str, ...]:
        return tuple(told.sign for told in self.tells)

    @property
    def model_onnx(self) -> Path:
        return self.directory / MODEL

    @property
    def golden_clip(self) -> Path:
        return self.directory / GOLDEN_CLIP

    @property
    def fingerprint(self) -> str:
        """Of all that decides an answer. Hexadecimal."""
        return hashlib.sha256(json.dumps([self.sha256, _decides(self)], sort_keys=True).encode()).hexdigest()

    def golden_answer(self) -> dict[str, Any]:
        """What the bundle answered for `golden_clip` when it was made. Raises: BadBundle."""
        return json_object(self.directory / GOLDEN_ANSWER, f"The golden answer of {self}")


def newest_sign_bundles(store: Path) -> tuple[Path, ...]:
    """The newest version of each name of the model store, by name. Nothing of them is read."""
    newest: dict[str, str] = {}
    for name, version in find_bundles(store / FOLDER):
        newest.setdefault(name, version)
    return tuple(store / FOLDER / name / version for name, version in newest.items())


def read_sign_bundle(directory: Path) -> SignBundle:
    """The bundle in `model_store/signs/<name>/<version>/`, every file checked against its sha256. Raises: BadBundle."""
    directory = directory.absolute()
    bundle, sha256 = _read_manifest(directory)
    check_files(directory, str(bundle), sha256, FILES)
    return bundle


def stated_sign_bundle(directory: Path) -> SignBundle:
    """As the manifest describes it: quick, and its files are checked only when the bundle is read. Raises: BadBundle."""
    return _read_manifest(directory)[0]


def write_sign_bundle(
    store: Path,
    *,
    name: str,
    version: str,
    model_onnx: Path,
    golden_clip: Path,
    golden_answer: Callable[[SignBundle], Mapping[str, Any]],
    model_card: str,
    frames: FrameSpec,
    outputs: Outputs,
    tells: Sequence[Told],
    domain: Domain,
    training: Mapping[str, Any],
) -> SignBundle:
    """Write `store/signs/<name>/<version>/`, all of it or nothing, and read it back.

    `golden_answer` is asked with the bundle as it will be.

    Raises: BadBundle, as `service.bundle_files.drafted` and for what could not be read again.
    """
    with drafted(store / FOLDER, name, version) as draft:
        shutil.copyfile(model_onnx, draft / MODEL)
        shutil.copyfile(golden_clip, draft / GOLDEN_CLIP)
        (draft / MODEL_CARD).write_text(model_card, encoding="utf-8")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        bundle = SignBundle(name, version, draft, sha256_of(draft / MODEL), frames, outputs, tuple(tells), domain, created, training)
        write_json(draft / GOLDEN_ANSWER, golden_answer(bundle))
        decides = _decides(bundle)
        write_manifest(draft, name=name, version=version, created=created, decides=decides, training=training, files=FILES)
    return read_sign_bundle(store / FOLDER / name / version)


def _read_manifest(directory: Path) -> tuple[SignBundle, dict[str, str]]:
    """The bundle as its manifest describes it, and the sha256 of each of `FILES`. Raises: BadBundle."""
    fields, sha256 = read_manifest(directory, FILES)
    called = f"{fields['name']}:{fields['version']}"
    tells = field(fields, "tells", list, called)
    outputs, domain, training = (field(fields, key, dict, called) for key in ("outputs", "domain", "training"))
    frames = FrameSpec.from_json(field(fields, "frames", dict, called))
    try:
        told = tuple(Told(**(one | {"outputs": tuple(one["outputs"])})) for one in tells)
        bundle = SignBundle(
            fields["name"],
            fields["version"],
            directory,
            sha256[MODEL],
            frames,
            Outputs(**outputs),
            told,
            Domain(tuple(domain["probes"]), domain["least_fps"]),
            fields["created"],
            training,
        )
        _check(bundle)
    except (TypeError, KeyError, ValueError) as error:
        raise BadBundle(
            f"What {called} tells, or where it was measured, is not what this version can read.", log_detail=str(error)
        ) from error
    return bundle, sha256


def _check(bundle: SignBundle) -> None:
    """Raises: ValueError."""
    last = max((output for told in bundle.tells for output in told.outputs), default=0)
    if not bundle.tells or len(set(bundle.signs)) < len(bundle.tells) or last >= bundle.outputs.logits:
        raise ValueError("A bundle tells one sign or more, each once, each from a logit that there is.")
    if bundle.outputs.attention not in (0, bundle.frames.num_frames):
        raise ValueError(f"Attention to {bundle.outputs.attention} frames does not fit runs of {bundle.frames.num_frames}.")


def _decides(bundle: SignBundle) -> dict[str, Any]:
    return {
        "frames": bundle.frames.to_json(),
        "outputs": asdict(bundle.outputs),
        "tells": [asdict(told) for told in bundle.tells],
        "domain": asdict(bundle.domain),
    }
