"""What every bundle is as files, whatever it is a bundle of: a folder `<name>/<version>/` whose manifest lists the sha256 of all others.

Written whole or not at all, never overwritten, and refused when a file is missing, changed, or not listed.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.errors import BadBundle

FORMAT = 1
"""Of the manifest. A bundle of another format is refused."""
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MODEL, GOLDEN_CLIP, GOLDEN_ANSWER, MODEL_CARD = "model.onnx", "golden.mp4", "golden.json", "MODEL_CARD.md"
"""What every bundle has, whatever else."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")


def find_bundles(store: Path) -> list[tuple[str, str]]:
    """(name, version) of every bundle in the store, by name, the newest version first. Nothing of them is read."""
    found = [(path.parent.parent.name, path.parent.name) for path in store.glob(f"*/*/{MANIFEST}")]
    named = [(name, version) for name, version in found if _NAME.fullmatch(name) and _VERSION.fullmatch(version)]
    return sorted(sorted(named, key=lambda entry: version_order(entry[1]), reverse=True), key=lambda entry: entry[0])


def version_order(version: str) -> list[tuple[bool, int, str]]:
    """Key that sorts 0.9 before 0.10, and 1.0-rc1 before 1.0: a word sorts before the end, the end before a number."""
    parts = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"[.+-]", version)]
    return [*parts, (True, -1, "")]


def read_manifest(directory: Path, files: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """All that it says, and the sha256 of each of `files`, which are not looked at. Raises: BadBundle."""
    called = called_by(directory)
    fields = json_object(directory / MANIFEST, f"The manifest of {called}")
    if fields.get("format") != FORMAT:
        raise BadBundle(f"The manifest of {called} is of format {fields.get('format')!r}; this version reads format {FORMAT}.")
    for key in ("name", "version", "created"):
        field(fields, key, str, called)
    sha256 = field(fields, "sha256", dict, called)
    unlisted = [file for file in files if not isinstance(sha256.get(file), str)]
    if unlisted:
        raise BadBundle(f"The manifest of {called} gives no sha256 for {', '.join(unlisted)}.")
    check_names(fields["name"], fields["version"])
    return fields, sha256


def check_files(directory: Path, called: str, sha256: Mapping[str, str], files: Sequence[str]) -> None:
    """That the bundle which calls itself `called` lies where it says, and holds `files` as listed and nothing else. Raises: BadBundle."""
    if called != called_by(directory):
        raise BadBundle(f"The bundle {called_by(directory)} calls itself {called} in its manifest.")
    for name in files:
        if not (directory / name).is_file():
            raise BadBundle(f"The bundle {called} has no {name}.")
        if sha256_of(directory / name) != sha256[name]:
            raise BadBundle(f"The bundle {called} is damaged: its {name} is not the one its manifest lists.")
    unlisted = sorted(path.name for path in directory.iterdir() if path.name not in (*files, MANIFEST, SIGNATURE) and path.name[0] != ".")
    if unlisted:  # a graph may keep its weights in another file, which nobody has checked
        raise BadBundle(f"The bundle {called} holds {', '.join(map(ascii, unlisted))}, which its manifest does not list.")


def write_manifest(
    directory: Path, *, name: str, version: str, created: str, decides: Mapping[str, Any], training: Mapping[str, Any], files: Sequence[str]
) -> None:
    """As `read_manifest` reads it, once `files` are there. `decides`: what the kind of bundle has between its name and its training."""
    fields = {"format": FORMAT, "name": name, "version": version, "created": created, **decides, "training": dict(training)}
    write_json(directory / MANIFEST, fields | {"sha256": {file: sha256_of(directory / file) for file in files}})


@contextmanager
def drafted(store: Path, name: str, version: str) -> Iterator[Path]:
    """A folder to write a bundle in, which becomes `store/<name>/<version>/` at the end, all of it or nothing.

    Raises: BadBundle for a name or version that cannot be one, or a version that is there already: those are never overwritten.
    """
    check_names(name, version)
    target = store / name / version
    if target.exists():
        raise BadBundle(f"There is a bundle {name}:{version} already; a bundle is never overwritten.")
    store.mkdir(parents=True, exist_ok=True)
    # Within the store, so that the last step is a rename, which is all or nothing; hidden, so that no one takes it for a bundle.
    with tempfile.TemporaryDirectory(dir=store, prefix=".new-") as scratch:
        draft = Path(scratch) / "bundle"
        draft.mkdir()
        yield draft
        target.parent.mkdir(exist_ok=True)
        os.rename(draft, target)


def called_by(directory: Path) -> str:
    """NAME:VERSION, by the folder's place."""
    return f"{directory.parent.name}:{directory.name}"


def field(fields: Mapping[str, Any], key: str, kind: type, called: str) -> Any:
    """Of a manifest. Raises: BadBundle."""
    if not isinstance(fields.get(key), kind):
        raise BadBundle(f"The manifest of {called} has no {key}, or one of the wrong kind.")
    return fields[key]


def json_object(path: Path, what: str) -> dict[str, Any]:
    """Raises: BadBundle."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadBundle(f"{what} cannot be read.", log_detail=repr(error)) from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise BadBundle(f"{what} is not JSON.", log_detail=repr(error)) from error
    if not isinstance(value, dict):
        raise BadBundle(f"{what} is not a JSON object.")
    return value


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def check_names(name: str, version: str) -> None:
    """Raises: BadBundle."""
    if not _NAME.fullmatch(name):
        raise BadBundle(f"A bundle's name is lower-case letters, digits and hyphens; {name!r} is not.")
    if not _VERSION.fullmatch(version):
        raise BadBundle(
            f"A bundle's version begins with a digit and holds letters, digits, dots, hyphens and plus signs; {version!r} is not one."
        )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
