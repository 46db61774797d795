"""A manifest is written: as CSV, whole or not at all, and only when it can be read again."""

import csv
from collections.abc import Sequence
from pathlib import Path

from service.manifest import NEEDED, OPTIONAL, LabelledClip, Manifest, read_manifest
from service.manifest_signs import signs_text


def write_rows(path: Path, clips: Sequence[LabelledClip]) -> Manifest:
    """Write the CSV, one clip or more, and read it back; one that is there is replaced.

    Files below its folder are named relative to it, so that both can be moved together. Raises: ManifestError, when the rows
    contradict each other; what was there is untouched then.
    """
    columns = [*NEEDED, *(name for name in OPTIONAL if any(cell(clip, name) for clip in clips))]
    others = sorted({name for clip in clips for name in clip.other})
    # Written beside and moved: a manifest cut off in the middle would read as a smaller, sound one.
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, *others])
        writer.writerows([*_cells(clip, columns, path.parent), *(clip.other.get(name, "") for name in others)] for clip in clips)
    try:
        read_manifest(draft)
    except ValueError:
        draft.unlink()
        raise
    draft.replace(path)
    return read_manifest(path)


def _cells(clip: LabelledClip, columns: Sequence[str], folder: Path) -> list[str]:
    return [file_from(clip.file, folder) if name == "file" else cell(clip, name) for name in columns]


def cell(clip: LabelledClip, column: str) -> str:
    """What stands in a column this version knows, as it is read again."""
    return signs_text(clip.signs, clip.other_signs) if column == "signs" else str(getattr(clip, column))


def file_from(file: Path, folder: Path) -> str:
    """How a manifest in `folder` names a file."""
    absolute, base = file.resolve(), folder.resolve()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else str(absolute)
