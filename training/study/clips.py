"""The clips of the study: labelled ones of a manifest, or simulated ones where nobody has any."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.manifest import Label, LabelledClip, Manifest
from training.recipe import random_phantom
from training.regions import check_regions
from training.splits import split_by_patient
from training.study.grid import Study

FITTED, JUDGED = "train", "validation"


class StudyError(ValueError):
    """The study cannot be run on these clips, or not be gone on with as asked."""


@dataclass(frozen=True, slots=True, repr=False)
class StudyClip:
    """One clip whose sliding is known."""

    title: str
    """What it may be called in a report: "row 12", "phantom 3"."""
    file: Path
    sha256: str
    """Of the file."""
    patient: str
    slides: bool
    region: str = ""
    """Pleural region drawn by hand, as the manifest states it; the label holds of this region only."""
    part: str = ""
    """Where the manifest itself says to which part it belongs: FITTED or JUDGED."""
    source: str = ""
    """Where it was recorded, as the manifest states it."""
    is_weak: bool = False
    """Labelled healthy and counted as present: nobody has looked at it for sliding."""

    @property
    def key(self) -> str:
        """Tells it from every other clip, and says nothing of it."""
        return hashlib.sha256(f"{self.sha256} {self.region}".encode()).hexdigest()[:20]

    def __repr__(self) -> str:
        return f"StudyClip({self.title}, {'slides' if self.slides else 'does not slide'})"


def labelled_clips(manifest: Manifest, *, healthy_is_present: bool) -> tuple[StudyClip, ...]:
    """The clips labelled present or absent; healthy ones count as present only where that is asked for. Raises: StudyError, BadRegion."""
    present = {Label.PRESENT, Label.HEALTHY} if healthy_is_present else {Label.PRESENT}
    chosen = manifest.labelled(*present, Label.ABSENT)
    splits = {clip.split for clip in chosen}
    if len(splits) > 1 and "" in splits or not splits <= {"", "train", "validation", "test"}:
        raise StudyError("The split column must be train, validation or test in every row that is used, or empty in all of them.")
    check_regions(chosen)
    return tuple(_of(clip, clip.label in present) for clip in chosen)


def _of(clip: LabelledClip, slides: bool) -> StudyClip:
    part = {"": "", "train": FITTED}.get(clip.split, JUDGED)
    is_weak = clip.label is Label.HEALTHY
    return StudyClip(f"row {clip.row}", clip.file, _sha256(clip.file), clip.patient, slides, clip.region, part, clip.source, is_weak)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def phantom_clips(study: Study, folder: Path) -> Iterator[StudyClip]:
    """Simulated clips, each of its own patient, every other one sliding; written once, and read as clips are."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(study.phantoms):
        slides = index % 2 == 0
        file = folder / f"phantom-{study.seed}-{index}-{study.phantom_s:g}s.mp4"
        if not file.exists():
            partial = file.with_name(f"partial-{file.name}")  # a run may be killed while it writes
            random_phantom(study.seed, index, slides=slides, duration_s=study.phantom_s).write(partial)
            partial.replace(file)
        yield StudyClip(f"phantom {index + 1}", file, _sha256(file), f"phantom-{index}", slides)


def deal_patients(clips: Sequence[StudyClip], study: Study) -> dict[str, frozenset[str]]:
    """The patients fitted to and those judged on, the same for every row. By the manifest's split where it states one.

    Raises: StudyError, SplitError.
    """
    _check(clips)
    patients = [clip.patient for clip in clips]
    if any(clip.part for clip in clips):
        return {part: frozenset(clip.patient for clip in clips if clip.part == part) for part in (FITTED, JUDGED)}
    fractions = {FITTED: 1 - study.held_out_share, JUDGED: study.held_out_share}
    strata = ["present" if clip.slides else "absent" for clip in clips]
    parts = split_by_patient(patients, fractions=fractions, seed=study.seed, strata=strata)
    return {name: frozenset(patients[i] for i in part) for name, part in parts.items()}


def _check(clips: Sequence[StudyClip]) -> None:
    num_present = sum(clip.slides for clip in clips)
    if num_present in (0, len(clips)):
        raise StudyError(
            f"The manifest has {num_present} clips labelled present and {len(clips) - num_present} labelled absent; the study needs both. "
            "--healthy-is-present counts healthy ones as present; without a manifest the study runs on simulated clips."
        )
