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
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.cine.pooling import Calibration
from service.cine.reference import InputReference
from service.cine.spec import InputSpec
from service.errors import BadBundle, UnknownModel

FORMAT = 1
"""Of the manifest. A bundle of another format is refused."""
MODEL, SALIENCY, MANIFEST, SIGNATURE = "model.onnx", "saliency.onnx", "manifest.json", "manifest.sig"
GOLDEN_CLIP, GOLDEN_ANSWER, MODEL_CARD = "golden.mp4", "golden.json", "MODEL_CARD.md"
FILES = (MODEL, SALIENCY, GOLDEN_CLIP, GOLDEN_ANSWER, MODEL_CARD)
"""Every file of a bundle beside its manifest and that one's signature."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")


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
        return _json_object(self.directory / GOLDEN_ANSWER, f"The golden answer of {self}")


def read_bundle(directory: Path) -> Bundle:
    """The bundle in `model_store/<name>/<version>/`, every file checked against its sha256. Raises: BadBundle."""
    directory = directory.absolute()
    bundle, sha256 = _read_manifest(directory)
    if (bundle.name, bundle.version) != (directory.parent.name, directory.name):
        raise BadBundle(f"The bundle {directory.parent.name}:{directory.name} calls itself {bundle} in its manifest.")
    for name in FILES:
        if not (directory / name).is_file():
            raise BadBundle(f"The bundle {bundle} has no {name}.")
        if _sha256(directory / name) != sha256[name]:
            raise BadBundle(f"The bundle {bundle} is damaged: its {name} is not the one its manifest lists.")
    unlisted = sorted(path.name for path in directory.iterdir() if path.name not in (*FILES, MANIFEST, SIGNATURE) and path.name[0] != ".")
    if unlisted:  # a graph may keep its weights in another file, which nobody has checked
        raise BadBundle(f"The bundle {bundle} holds {_quoted(unlisted)}, which its manifest does not list.")
    return bundle


def _quoted(names: list[str]) -> str:
    return ", ".join(map(ascii, names))


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
    _check_names(name, version)
    target = store / name / version
    if target.exists():
        raise BadBundle(f"There is a bundle {name}:{version} already; a bundle is never overwritten.")
    store.mkdir(parents=True, exist_ok=True)
    # Within the store, so that the last step is a rename, which is all or nothing; hidden, so that no one takes it for a bundle.
    with tempfile.TemporaryDirectory(dir=store, prefix=".new-") as scratch:
        draft = Path(scratch) / "bundle"
        draft.mkdir()
        for source, file in ((model_onnx, MODEL), (saliency_onnx, SALIENCY), (golden_clip, GOLDEN_CLIP)):
            shutil.copyfile(source, draft / file)
        (draft / MODEL_CARD).write_text(model_card, encoding="utf-8")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        bundle = Bundle(name, version, draft, _sha256(draft / MODEL), input_spec, calibration, created, training)
        _write_json(draft / GOLDEN_ANSWER, golden_answer(bundle))
        _write_json(draft / MANIFEST, _manifest(replace(bundle, input_statistics=input_statistics(bundle))))
        target.parent.mkdir(exist_ok=True)
        os.rename(draft, target)
    return read_bundle(target)


def find_bundles(store: Path) -> list[tuple[str, str]]:
    """(name, version) of every bundle in the store, by name, the newest version first. Nothing of them is read."""
    found = [(path.parent.parent.name, path.parent.name) for path in store.glob(f"*/*/{MANIFEST}")]
    named = [(name, version) for name, version in found if _NAME.fullmatch(name) and _VERSION.fullmatch(version)]
    return sorted(sorted(named, key=lambda entry: version_order(entry[1]), reverse=True), key=lambda entry: entry[0])


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


def version_order(version: str) -> list[tuple[bool, int, str]]:
    """Key that sorts 0.9 before 0.10, and 1.0-rc1 before 1.0: a word sorts before the end, the end before a number."""
    parts = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"[.+-]", version)]
    return [*parts, (True, -1, "")]


def _are(known: list[tuple[str, str]]) -> str:
    return f"{'is' if len(known) == 1 else 'are'} {_listed(known)}"


def _listed(known: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name}:{version}" for name, version in known)


def _manifest(bundle: Bundle) -> dict[str, Any]:
    made_from = bundle.input_statistics
    return {
        "format": FORMAT,
        "name": bundle.name,
        "version": bundle.version,
        "created": bundle.created,
        "input_spec": bundle.input_spec.to_json(),
        "calibration": bundle.calibration.to_json(),
        **({} if made_from is None else {"input_statistics": made_from.to_json()}),
        "training": dict(bundle.training),
        "sha256": {file: _sha256(bundle.directory / file) for file in FILES},
    }


def _read_manifest(directory: Path) -> tuple[Bundle, dict[str, str]]:
    """The bundle as its manifest describes it, and the sha256 of each of `FILES`. Raises: BadBundle."""
    called = f"{directory.parent.name}:{directory.name}"
    fields = _json_object(directory / MANIFEST, f"The manifest of {called}")
    if fields.get("format") != FORMAT:
        raise BadBundle(f"The manifest of {called} is of format {fields.get('format')!r}; this version reads format {FORMAT}.")
    name, version, created = (_field(fields, key, str, called) for key in ("name", "version", "created"))
    sha256 = _field(fields, "sha256", dict, called)
    unlisted = [file for file in FILES if not isinstance(sha256.get(file), str)]
    if unlisted:
        raise BadBundle(f"The manifest of {called} gives no sha256 for {', '.join(unlisted)}.")
    _check_names(name, version)
    bundle = Bundle(
        name,
        version,
        directory,
        sha256[MODEL],
        InputSpec.from_json(_field(fields, "input_spec", dict, called)),
        Calibration.from_json(_field(fields, "calibration", dict, called)),
        created,
        _field(fields, "training", dict, called),
        InputReference.from_json(_field(fields, "input_statistics", dict, called)) if "input_statistics" in fields else None,
    )
    return bundle, sha256


def _field(fields: dict[str, Any], key: str, kind: type, called: str) -> Any:
    if not isinstance(fields.get(key), kind):
        raise BadBundle(f"The manifest of {called} has no {key}, or one of the wrong kind.")
    return fields[key]


def _json_object(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadBundle(f"{what} cannot be read.", log_detail=repr(error)) from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise BadBundle(f"{what} is not JSON.", log_detail=repr(error)) from error
    if not isinstance(value, dict):
        raise BadBundle(f"{what} is not a JSON object.")
    return value


def _write_json(path: Path, fields: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _check_names(name: str, version: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadBundle(f"A bundle's name is lower-case letters, digits and hyphens; {name!r} is not.")
    if not _VERSION.fullmatch(version):
        raise BadBundle(
            f"A bundle's version begins with a digit and holds letters, digits, dots, hyphens and plus signs; {version!r} is not one."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
