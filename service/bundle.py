"""Bundles: what training hands to the service, and the only thing it hands over.

model_store/<name>/<version>/
    model.onnx        uint8 patches -> logits
    saliency.onnx     float32 pixels -> logits and gradients
    manifest.json     name, version, input spec, calibration, training summary, and the sha256 of every other file
    golden.mp4        a clip, and
    golden.json       what the bundle answered for it when it was made
    MODEL_CARD.md     what it was trained on, what it is good at, what it must not be used for
    manifest.sig      where a site asks for it: who stands for all of this (`service.signature`)
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from service.cine.pooling import Calibration
from service.cine.reference import InputReference
from service.cine.spec import InputSpec
from service.errors import BadBundle, UnknownModel

SALIENCY = "saliency.onnx"
FILES = (MODEL, SALIENCY, GOLDEN_CLIP, GOLDEN_ANSWER, MODEL_CARD)
"""Every file of a bundle beside its manifest and that one's signature."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle whose files are there and are the ones it was made with."""

    name: str
    version: str
    directory: Path
    sha256: str
    """Of `model.onnx`, hexadecimal."""
    input_spec: InputSpec
    calibration: Calibration
    created: str
    """When, ISO 8601 in UTC."""
    training: Mapping[str, Any]
    """Summary of the training run, for people and logs: net, data, seed, figures. Nothing in the service depends on it."""
    input_statistics: InputReference | None = None
    """What the clips it was made from were like; None in a bundle that does not say."""

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def model_onnx(self) -> Path:
        return self.directory / MODEL

    @property
    def saliency_onnx(self) -> Path:
        return self.directory / SALIENCY

    @property
    def golden_clip(self) -> Path:
        return self.directory / GOLDEN_CLIP

    @property
    def fingerprint(self) -> str:
        """Of all that decides an answer: graph, input spec, calibration. Hexadecimal."""
        decides = [self.sha256, self.input_spec.to_json(), self.calibration.to_json()]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def golden_answer(self) -> dict[str, Any]:
        """What the bundle answered for `golden_clip` when it was made. Raises: BadBundle."""
        return json_object(self.directory / GOLDEN_ANSWER, f"The golden answer of {self}")


def read_bundle(directory: Path) -> Bundle:
    """The bundle in `model_store/<name>/<version>/`, every file checked against its sha256. Raises: BadBundle."""
    directory = directory.absolute()
    bundle, sha256 = _read_manifest(directory)
    check_files(directory, str(bundle), sha256, FILES)
    return bundle


def stated_bundle(directory: Path) -> Bundle:
    """As the manifest describes it: quick, and its files are checked only when the bundle is read. Raises: BadBundle."""
    bundle, _ = _read_manifest(directory)
    return bundle


def stated_sha256(directory: Path) -> str:
    """Of `model.onnx`, as `stated_bundle`. Raises: BadBundle."""
    return stated_bundle(directory).sha256


def write_bundle(
    store: Path,
    *,
    name: str,
    version: str,
    model_onnx: Path,
    saliency_onnx: Path,
    golden_clip: Path,
    golden_answer: Callable[[Bundle], Mapping[str, Any]],
    model_card: str,
    input_spec: InputSpec,
    calibration: Calibration,
    training: Mapping[str, Any],
    input_statistics: Callable[[Bundle], InputReference | None] = lambda bundle: None,
) -> Bundle:
    """Write `store/<name>/<version>/` from copies of the files, all of it or nothing, and read it back.

    `golden_answer` and `input_statistics` are asked with the bundle as it will be (graphs, spec and calibration are in place, no
    manifest yet).
    Raises: BadBundle for a name or version that cannot be one, or a version that is there already: those are never overwritten.
    """
    with drafted(store, name, version) as draft:
        for source, file in ((model_onnx, MODEL), (saliency_onnx, SALIENCY), (golden_clip, GOLDEN_CLIP)):
            shutil.copyfile(source, draft / file)
        (draft / MODEL_CARD).write_text(model_card, encoding="utf-8")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        bundle = Bundle(name, version, draft, sha256_of(draft / MODEL), input_spec, calibration, created, training)
        write_json(draft / GOLDEN_ANSWER, golden_answer(bundle))
        _write_manifest(replace(bundle, input_statistics=input_statistics(bundle)))
    return read_bundle(store / name / version)


def resolve(store: Path, model: str | None, *, default: str | None = None) -> Path:
    """Directory of the bundle meant by NAME:VERSION, NAME (its newest), or None (`default`; without one, the store's only name).

    Raises: UnknownModel when the caller names none of them; BadBundle when the store has none, or no default can be told.
    """
    known = find_bundles(store)
    if not known:
        raise BadBundle("The model store holds no model.")
    if model is None and default is None and len({name for name, _ in known}) > 1:
        raise BadBundle(f"The model store holds more than one model and none is the default; there are {_listed(known)}.")
    wanted = next(name for name in (model, default, known[0][0]) if name is not None)
    name, has_version, version = wanted.partition(":")
    for entry in known:
        if entry[0] == name and (not has_version or entry[1] == version):
            return store / entry[0] / entry[1]
    if model is None:
        raise BadBundle(f"The default model is none of those in the store; there {_are(known)}.")
    raise UnknownModel(f"There is no such model; there {_are(known)}.")


def _are(known: list[tuple[str, str]]) -> str:
    return f"{'is' if len(known) == 1 else 'are'} {_listed(known)}"


def _listed(known: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name}:{version}" for name, version in known)


def _write_manifest(bundle: Bundle) -> None:
    made_from = bundle.input_statistics
    decides = {
        "input_spec": bundle.input_spec.to_json(),
        "calibration": bundle.calibration.to_json(),
        **({} if made_from is None else {"input_statistics": made_from.to_json()}),
    }
    name, version, created = bundle.name, bundle.version, bundle.created
    write_manifest(bundle.directory, name=name, version=version, created=created, decides=decides, training=bundle.training, files=FILES)


def _read_manifest(directory: Path) -> tuple[Bundle, dict[str, str]]:
    """The bundle as its manifest describes it, and the sha256 of each of `FILES`. Raises: BadBundle."""
    fields, sha256 = read_manifest(directory, FILES)
    name, version = fields["name"], fields["version"]
    called = f"{name}:{version}"
    bundle = Bundle(
        name,
        version,
        directory,
        sha256[MODEL],
        InputSpec.from_json(field(fields, "input_spec", dict, called)),
        Calibration.from_json(field(fields, "calibration", dict, called)),
        fields["created"],
        field(fields, "training", dict, called),
        InputReference.from_json(field(fields, "input_statistics", dict, called)) if "input_statistics" in fields else None,
    )
    return bundle, sha256
