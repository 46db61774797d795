"""Writing a manifest, and what all adapters share: which files are clips, and whose they are by their names."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.cine.sniff import HEAD_BYTES, Dicom, Film, sniff
from service.manifest import LabelledClip, Manifest
from service.manifest_writing import write_rows


class AdapterError(ValueError):
    """What was found cannot be turned into a manifest. Counts files, never names them or their patients."""


def write_manifest(path: Path, clips: Sequence[LabelledClip], *, replace_it: bool = False) -> Manifest:
    """Write the CSV and read it back, as `write_rows` does.

    Raises: AdapterError when it is there already, or there are no clips; ManifestError when the rows contradict each other.
    """
    if path.exists() and not replace_it:
        raise AdapterError("That manifest is there already, perhaps corrected by hand; name another, or say --replace.")
    if not clips:
        raise AdapterError("No clips were found there, so that there is nothing to write.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_rows(path, clips)


def clip_files(folder: Path) -> list[Path]:
    """Every file below `folder` whose first bytes are those of a clip, in order of their names; hidden ones left out.

    Raises: AdapterError, when the folder is not there.
    """
    return [file for file in all_files(folder) if isinstance(_sniffed(file), Film | Dicom)]


def all_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise AdapterError("The folder named there does not exist.")
    below = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in below if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _sniffed(file: Path) -> object:
    with file.open("rb") as content:
        return sniff(content.read(HEAD_BYTES))


def patient_pattern(text: str) -> re.Pattern[str]:
    """Raises: AdapterError, when it is not a regular expression."""
    try:
        return re.compile(text)
    except re.error:
        raise AdapterError("--patient-from is not a regular expression; for instance '^(P[0-9]+)_' takes P12 from P12_left.mp4.") from None


def patient_in(pattern: re.Pattern[str], name: str) -> str:
    """The pattern's first group, or all it matches; empty where it does not match."""
    found = pattern.search(name)
    return "" if found is None else (found.group(1 if pattern.groups else 0) or "")


def require_patients(clips: Sequence[LabelledClip], needed: str) -> None:
    """Raises: AdapterError, telling how many clips are nobody's, and what would say whose they are."""
    nameless = sum(not clip.patient for clip in clips)
    if nameless:
        raise AdapterError(f"{nameless} of {len(clips)} clips have no patient; {needed}")


def with_columns(clips: Sequence[LabelledClip], **columns: str) -> list[LabelledClip]:
    """The same for every clip, where it is stated and the clip does not say it itself: a site, a device, a licence."""
    stated: dict[str, Any] = {name: text for name, text in columns.items() if text}
    return [replace(clip, **{name: text for name, text in stated.items() if not getattr(clip, name)}) for clip in clips]
