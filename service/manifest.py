"""A table of labelled clips: who it is of, what is known of sliding, where it comes from. CSV, as a spreadsheet writes it, or Parquet.

file,patient,label,probe,site,device
ward/0001.mp4,A,present,linear,our ward,Lumify
ward/0002.dcm,A,absent,linear,our ward,Lumify
ward/0003.mp4,B,unknown,convex,our ward,Venue

A column `signs` says what else is seen: "" where nobody looked, "none", or "a_lines;b_lines", as `service.manifest_signs` reads them.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from service.manifest_rows import ManifestError, cells_by_name, read_rows
from service.manifest_signs import OTHER_SIGNS, read_signs

__all__ = [
    "ALSO_CALLED",
    "NEEDED",
    "OPTIONAL",
    "OTHER_SIGNS",
    "Label",
    "LabelledClip",
    "Manifest",
    "ManifestError",
    "cells_by_name",
    "meant_label",
    "read_label",
    "read_manifest",
    "read_rows",
]

NEEDED = ("file", "patient", "label")
OPTIONAL = ("probe", "site", "device", "source", "licence", "split", "region", "notes", "sha256", "signs")
ALSO_CALLED = {"clip": "file"}
_SHOWN_PROBLEMS = 5

_OTHER_WORDS = {
    **dict.fromkeys(("sliding", "slides", "yes", "true", "1", "positive", "lung sliding"), "present"),
    **dict.fromkeys(("no sliding", "not sliding", "no", "false", "0", "negative", "pneumothorax", "ptx"), "absent"),
    **dict.fromkeys(("lung point", "lung-point", "lungpoint", "partial"), "lung_point"),
    **dict.fromkeys(("", "?", "na", "n/a", "nan", "none", "unclear", "not stated"), "unknown"),
    **dict.fromkeys(("normal", "healthy lung", "control"), "healthy"),
}
"""What people write instead, and what they most likely mean. Told to them, never assumed."""


class Label(StrEnum):
    """What is known of sliding in a clip."""

    PRESENT = "present"
    ABSENT = "absent"
    LUNG_POINT = "lung_point"
    """One part of the pleura slides and another does not."""
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    """A weak label: the lung is healthy, so it most likely slides, but nobody has looked at this clip for it."""


@dataclass(frozen=True, slots=True, repr=False)
class LabelledClip:
    """One row. What the table does not say is an empty text."""

    file: Path
    """Where the clip is."""
    patient: str
    """Clips of one patient share it; made up or not, it is never shown."""
    label: Label
    probe: str = ""
    site: str = ""
    """Where it was recorded: a hospital, a ward, made up or not."""
    device: str = ""
    """The machine's model."""
    source: str = ""
    licence: str = ""
    split: str = ""
    """The part this patient was given to, when the table decides that itself: "train", "validation", "test", ..."""
    region: str = ""
    """Pleural region drawn by hand, as `seashore predict --region` takes it; the label holds of this region only."""
    notes: str = ""
    sha256: str = ""
    """Of the file, hexadecimal; checked on reading where it is stated."""
    signs: frozenset[str] | None = None
    """Those of `LABELLED_SIGNS` that are seen, the others being looked for and not seen; None: not stated."""
    other_signs: frozenset[str] = frozenset()
    """Those of `OTHER_SIGNS` that are named beside them."""
    row: int = 0
    """In the table; the one name of a clip that may be shown."""
    other: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Columns this version does not know."""

    def __repr__(self) -> str:
        return f"LabelledClip(row {self.row}, {self.label}{f', {self.probe}' if self.probe else ''})"


@dataclass(frozen=True, slots=True, repr=False)
class Manifest:
    """The whole table, in its own order. No patient is in two splits."""

    clips: tuple[LabelledClip, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[LabelledClip]:
        return iter(self.clips)

    @property
    def patients(self) -> tuple[str, ...]:
        """One for each clip."""
        return tuple(clip.patient for clip in self.clips)

    def labelled(self, *labels: Label) -> "Manifest":
        """The clips that have one of these labels."""
        return Manifest(tuple(clip for clip in self.clips if clip.label in labels))

    def __repr__(self) -> str:
        counts = Counter(clip.label for clip in self.clips)
        labels = ", ".join(f"{counts[label]} {label}" for label in Label if counts[label])
        return f"Manifest({len(self)} clips of {len(set(self.patients))} patients{': ' if labels else ''}{labels})"


def read_manifest(path: Path, clips: Path | None = None) -> Manifest:
    """Read and check the table at `path`: Parquet when its name ends so, else CSV. The column `file` may be called `clip`.

    Relative file names are taken from the folder `clips`, and from the manifest's own folder where none is given.
    Raises: ManifestError, naming the first rows that are wrong.
    """
    folder = path.parent if clips is None else clips
    header, rows = read_rows(path, NEEDED, OPTIONAL, also_called=ALSO_CALLED)
    problems: list[str] = []
    read = []
    for number, cells in rows:
        try:
            read.append(_read_clip(header, cells, number, folder))
        except ManifestError as error:
            problems.append(str(error))
    problems += _contradictions(read)
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        raise ManifestError("\n".join(problems[:_SHOWN_PROBLEMS]) + (f"\n... and {more} more." if more > 0 else ""))
    if not read:
        raise ManifestError("The manifest has a header and no clips; one clip a row is needed.")
    return Manifest(tuple(read))


def _read_clip(header: Sequence[str], cells: Sequence[str], number: int, folder: Path) -> LabelledClip:
    values = cells_by_name(header, cells, number)
    if not values["file"]:
        raise ManifestError(f"Row {number}: the file is empty.")
    if not values["patient"]:
        raise ManifestError(
            f"Row {number}: the patient is empty; any made-up name will do, but clips of one patient must share it, "
            "so that nobody is both trained on and tested on."
        )
    label = read_label(values["label"], number)
    file = folder / values["file"]
    if not file.is_file():
        raise ManifestError(
            f"Row {number}: the file named there does not exist. A relative name is taken from the manifest's folder, "
            "unless a folder of clips is named."
        )
    _check_sha256(file, values.get("sha256", ""), number)
    signs, other_signs = read_signs(values.get("signs", ""), number)
    known = {name: values.get(name, "") for name in OPTIONAL if name != "signs"}
    other = {name: cell for name, cell in values.items() if name not in NEEDED + OPTIONAL}
    return LabelledClip(
        file=file, patient=values["patient"], label=label, signs=signs, other_signs=other_signs, row=number, other=other, **known
    )


def _check_sha256(file: Path, stated: str, number: int) -> None:
    """What was trained or measured on other files than the table speaks of is not what the table says."""
    if not stated:
        return
    if not re.fullmatch(r"[0-9a-fA-F]{64}", stated):
        raise ManifestError(f"Row {number}: the sha256 is not 64 hexadecimal digits.")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != stated.lower():
        raise ManifestError(f"Row {number}: the file named there is not the one the table was made for; its sha256 differs.")


def read_label(text: str, number: int) -> Label:
    """The label in a cell of row `number`, whatever its case. Raises: ManifestError, with the word that may be meant."""
    word = text.lower()
    if word in list(Label):
        return Label(word)
    choices = f"{', '.join(list(Label)[:-1])} or {list(Label)[-1]}"
    meant = meant_label(word)
    if meant is not None:
        found = f'"{word}"' if word else "empty"
        raise ManifestError(f"Row {number}: the label is {found}; write {meant} if that is meant. It can be {choices}.")
    # Not quoted: where columns are mixed up this is a patient.
    raise ManifestError(f"Row {number}: the label is not one of {choices}. Are the columns in the header's order?")


def meant_label(word: str) -> str | None:
    """The label that people most likely mean by another word; None when no guess is good."""
    return _OTHER_WORDS.get(word.strip().lower())


def _contradictions(clips: Sequence[LabelledClip]) -> Iterator[str]:
    """Rows that cannot both be right."""
    regions: dict[tuple[Path, str], int] = {}
    owners: dict[Path, LabelledClip] = {}
    splits: dict[str, LabelledClip] = {}
    for clip in clips:
        file = clip.file.resolve()
        first = regions.setdefault((file, clip.region), clip.row)
        owner = owners.setdefault(file, clip)
        placed = splits.setdefault(clip.patient, clip)
        if first != clip.row:
            same = "file and region" if clip.region else "file"
            yield f"Row {clip.row}: the same {same} as in row {first}; a clip may be there once for each region."
        elif owner.patient != clip.patient:
            yield f"Row {clip.row}: the same file as in row {owner.row}, of another patient."
        if placed.split != clip.split:
            yield f"Row {clip.row}: the same patient as in row {placed.row}, in another split; a patient must be in one split only."
