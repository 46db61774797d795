"""What a table of labelled clips would let a model learn by heart, or by a shortcut, instead of looking at the lung.

Errors make every figure worthless (what is judged on was learned from); warnings may be harmless and should be looked at.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path

from service.errors import SeashoreError
from service.manifest import Label, LabelledClip, Manifest
from training.likeness import LIMIT, Likeness, distance, look

SLIDES = frozenset({Label.PRESENT, Label.HEALTHY})
SLIDES_NOT = frozenset({Label.ABSENT, Label.LUNG_POINT})
"""Somewhere in the clip at least."""
GROUPS = ("site", "device", "probe", "source")
"""What a picture shows of where it was made: marks, colours, grain, frame rate."""
MIN_GROUP_CLIPS = 3
"""In fewer clips than this, one class alone is chance."""
SHOWN_ROWS = 12


class Gravity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the table as a whole. Names rows and groups, never a patient or a file."""

    gravity: Gravity
    text: str

    def __str__(self) -> str:
        return f"{self.gravity.capitalize()}: {self.text}"


@dataclass(frozen=True, slots=True)
class Copy:
    """Two rows whose files show the same pictures."""

    one: LabelledClip
    other: LabelledClip
    distance: float
    """Share of the bits of their hashes that differ."""


def find_leaks(manifest: Manifest, copies: Sequence[Copy] = (), unreadable: Sequence[LabelledClip] = ()) -> list[Finding]:
    """Everything that is wrong, errors first. `unreadable`: clips whose pictures could not be compared."""
    found = [*_patients_in_two_splits(manifest), *_copies(copies), *_nearly_same_patients(manifest), *_classes(manifest)]
    if unreadable:
        found.append(Finding(Gravity.WARNING, f"{_rows(unreadable)} cannot be read as clips; they were not compared with the others."))
    found += [finding for group in GROUPS for finding in _shortcuts(manifest, group)]
    return sorted(found, key=lambda finding: finding.gravity)


# Copies


def look_at(manifest: Manifest) -> Iterator[tuple[LabelledClip, Likeness | None]]:
    """Each file once, with its first row. None: it cannot be read."""
    seen: set[Path] = set()
    for clip in manifest:
        file = clip.file.resolve()
        if file in seen:
            continue
        seen.add(file)
        try:
            yield clip, look(file)
        except SeashoreError:
            yield clip, None


def find_copies(looks: Iterable[tuple[LabelledClip, Likeness]], limit: float = LIMIT) -> list[Copy]:
    """Pairs of clips of *different* patients that show the same pictures. Within a patient, likeness leaks nothing."""
    pairs = (
        Copy(one, other, distance(first, second))
        for (one, first), (other, second) in combinations(list(looks), 2)
        if one.patient != other.patient
    )
    return [pair for pair in pairs if pair.distance <= limit]


def _copies(copies: Sequence[Copy]) -> Iterator[Finding]:
    for copy in copies:
        rows = f"Rows {copy.one.row} and {copy.other.row} show the same pictures ({copy.distance:.2f} of their hashes differs)"
        if copy.one.split != copy.other.split:
            splits = " and ".join(clip.split or "no split" for clip in (copy.one, copy.other))
            yield Finding(Gravity.ERROR, f"{rows}, of two patients in two splits: {splits}. Keep one of them, or one patient.")
        else:
            yield Finding(Gravity.WARNING, f"{rows}, of two patients. Give them one patient, or a split will part them.")
        if copy.one.label != copy.other.label:
            labels = f"{copy.one.label} and {copy.other.label}"
            yield Finding(Gravity.WARNING, f"Rows {copy.one.row} and {copy.other.row} show the same pictures and are labelled {labels}.")


# Patients


def _patients_in_two_splits(manifest: Manifest) -> Iterator[Finding]:
    """`read_manifest` refuses such a table; one made in memory has not been through it."""
    for clips in _by(manifest, lambda clip: clip.patient).values():
        if len({clip.split for clip in clips}) > 1:
            yield Finding(Gravity.ERROR, f"{_rows(clips)} are of one patient, in more than one split.")


def _nearly_same_patients(manifest: Manifest) -> Iterator[Finding]:
    """ "P 07", "p7" and "P-7" are most likely one patient, typed by two people."""
    for clips in _by(manifest, lambda clip: _plain(clip.patient)).values():
        spellings = {clip.patient: clip for clip in reversed(clips)}
        if len(spellings) > 1:
            rows = _rows(sorted(spellings.values(), key=lambda clip: clip.row))
            yield Finding(Gravity.WARNING, f"{rows} have patients that differ only in case, spaces, marks or leading zeros. One patient?")


def _plain(patient: str) -> str:
    """What is left of a name without case, marks and leading zeros; numbers stay apart, since P1_2 may well not be P12."""
    apart = re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", patient.casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^\w-]|_|(?<!\d)-|-(?!\d)", "", apart)) or patient


# Classes and shortcuts


def _classes(manifest: Manifest) -> Iterator[Finding]:
    for words, labels in (("slides (present, healthy)", SLIDES), ("does not slide (absent, lung_point)", SLIDES_NOT)):
        for split in sorted({clip.split for clip in manifest}):
            if not any(clip.label in labels for clip in manifest if clip.split == split):
                where = f"the split {split}" if split else "the table"
                yield Finding(
                    Gravity.WARNING, f"No clip of {where} is labelled as one that {words}; nothing can be measured on them there."
                )


def _shortcuts(manifest: Manifest, group: str) -> Iterator[Finding]:
    """A group whose clips are all of one class, where the other class exists: the group gives the answer away."""
    known = [clip for clip in manifest if clip.label in SLIDES | SLIDES_NOT]
    if len({clip.label in SLIDES for clip in known}) < 2:
        return
    for name, clips in _by(known, lambda clip: str(getattr(clip, group))).items():
        if name and len(clips) >= MIN_GROUP_CLIPS and len({clip.label in SLIDES for clip in clips}) == 1:
            what = "slide" if clips[0].label in SLIDES else "do not slide"
            yield Finding(
                Gravity.WARNING, f'All {len(clips)} labelled clips of the {group} "{name}" {what}: a model may learn the {group} instead.'
            )


def _by(clips: Iterable[LabelledClip], key: Callable[[LabelledClip], str]) -> Mapping[str, list[LabelledClip]]:
    groups: dict[str, list[LabelledClip]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return groups


def _rows(clips: Sequence[LabelledClip]) -> str:
    numbers = [str(clip.row) for clip in clips[:SHOWN_ROWS]]
    more = f" and {len(clips) - SHOWN_ROWS} more" if len(clips) > SHOWN_ROWS else ""
    return f"Rows {', '.join(numbers)}{more}"
