"""The report of the study: the published tables with our column beside theirs, the curves, and what went wrong."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.report.document import Block, Document, Heading, Paragraph, Table
from training.study.clips import FITTED, JUDGED, StudyClip
from training.study.figures import Answers, written
from training.study.grid import BASELINE, EVERY_ROW, Row, Study
from training.study.patches import ClipPatches
from training.study.published import JASCUR, KOLARIK, NOT_AT_HAND, SLIPS, published
from training.study.row_report import row_blocks
from training.study.run import ANSWERS, FIGURES

SHOWN = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1", "auroc", "brier")
TITLES = {"f1": "F1", "auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "brier": "Brier score"}


@dataclass(frozen=True, slots=True)
class Finished:
    """The study as far as it has been run."""

    study: Study
    clips: Sequence[StudyClip]
    patients: Mapping[str, frozenset[str]]
    cut: Sequence[ClipPatches]
    rows: Sequence[Row]
    impossible: Mapping[str, str]
    """Rows that cannot be run on these clips, and why."""
    folder: Path
    """Its rows lie in `folder`/rows."""
    simulated: bool

    def figures(self, row: Row) -> Mapping[str, Any] | None:
        path = self.folder / "rows" / row.name / FIGURES
        figures: Mapping[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return figures

    def answers(self, row: Row) -> Answers:
        return Answers.read(self.folder / "rows" / row.name / ANSWERS)


def build_report(finished: Finished) -> Document:
    return Document("The published lung-sliding study, run again", tuple(_blocks(finished)))


def _blocks(finished: Finished) -> Iterator[Block]:
    yield Paragraph(_summary(finished))
    yield from _data(finished)
    yield Heading("The published tables, with our column beside theirs")
    yield Paragraph(_how_to_read())
    sets = list(dict.fromkeys(row.patches for row in EVERY_ROW))
    for number, patches in enumerate(sets, start=1):
        rows = [row for row in finished.rows if row.patches == patches]
        whose = JASCUR if patches == BASELINE.patches else KOLARIK
        if rows:
            yield _comparison(finished, rows, f"{number}. Patches {patches.name}, beside {whose}.")
    left_out = [row.name for row in EVERY_ROW if row not in finished.rows]
    if left_out:
        yield Paragraph(f"Not asked for this time: {', '.join(left_out)}.")
    yield _slips()
    for row in finished.rows:
        if finished.figures(row) is not None:
            failures = finished.study.failures
            yield from row_blocks(row, finished.answers(row), finished.clips, finished.folder / "rows" / row.name, failures)


def _summary(finished: Finished) -> str:
    done = sum(finished.figures(row) is not None for row in finished.rows)
    fit = finished.study.fit
    kind = "simulated clips: its figures say that the code runs, and nothing of patients" if finished.simulated else "labelled clips"
    return (
        f"{done} of {len(finished.rows)} rows are finished, on {len(finished.clips)} {kind}.\n"
        f"Width {fit.width} (64 is the published one), {fit.epochs} epochs of batches of {fit.batch_size}, {fit.optimizer} at "
        f"{fit.learning_rate:g}{', constant' if fit.constant_rate else ''}, binary cross-entropy, the weights of lowest validation loss "
        "kept.\nFrames of 640x480 at 30 a second; 60 frames a patch, below the pleural line that Seashore found by itself.\n"
        "As in the paper there are two parts. The lowest validation loss is taken on the part that is judged on, so every figure "
        "here is a little too good."
    )


def _data(finished: Finished) -> Iterator[Block]:
    yield Heading("Clips and patches")
    sizes = [_clip_sizes(finished, part) for part in (FITTED, JUDGED)]
    yield Table(
        ("part", "patients", "clips that slide", "clips that do not"), sizes, "Dealt by patient, the same for every row; nobody is in both."
    )
    header = ("patches", "clips", *(f"{part}: {kind}" for part in ("fitted to", "judged on") for kind in ("sliding", "not")), "published")
    yield Table(header, [_set_sizes(finished, name) for name in _set_names(finished)], "Patches of each set.")
    yield from _doubts(finished.clips)
    yield from _unread(finished.cut)
    for name, why in finished.impossible.items():
        yield Paragraph(f"{name} cannot be run on these clips. {why}")


def _doubts(clips: Sequence[StudyClip]) -> Iterator[Block]:
    """What would make the figures better than the networks are."""
    weak = sum(clip.is_weak for clip in clips)
    if weak:
        yield Paragraph(f"Clips labelled healthy and counted as present: {weak}. A weak label: nobody has looked at them for sliding.")
    of_sliding, of_still = ({clip.source for clip in clips if clip.slides == slides} for slides in (True, False))
    if (of_sliding | of_still) != {""} and not of_sliding & of_still:
        yield Paragraph(
            "No source has both clips that slide and clips that do not. A network can tell the sources apart without looking at the lung: "
            "these figures must not be taken for what it knows of sliding."
        )


def _unread(cut: Sequence[ClipPatches]) -> Iterator[Block]:
    """Clips that gave no patch in any set, and why: as serving would answer them."""
    used = {piece.clip.key for piece in cut if piece.num_patches}
    reasons = {(piece.clip.key, reason) for piece in cut if piece.clip.key not in used for reason in piece.reasons}
    if reasons:
        words = ", ".join(f"{reason} {number}" for reason, number in Counter(reason for _, reason in reasons).most_common())
        yield Paragraph(f"Clips that gave no patch at all: {len({key for key, _ in reasons})} ({words}).")


def _clip_sizes(finished: Finished, part: str) -> tuple[str, ...]:
    clips = [clip for clip in finished.clips if clip.patient in finished.patients[part]]
    present = sum(clip.slides for clip in clips)
    name = "fitted to" if part == FITTED else "judged on"
    return name, str(len(finished.patients[part])), str(present), str(len(clips) - present)


def _set_names(finished: Finished) -> list[str]:
    return list(dict.fromkeys(piece.patches.name for piece in finished.cut))


def _set_sizes(finished: Finished, name: str) -> tuple[str, ...]:
    pieces = [piece for piece in finished.cut if piece.patches.name == name]
    counts = [
        sum(piece.num_patches for piece in pieces if piece.clip.patient in finished.patients[part] and piece.clip.slides == slides)
        for part in (FITTED, JUDGED)
        for slides in (True, False)
    ]
    return name, str(sum(piece.num_patches > 0 for piece in pieces)), *map(str, counts), NOT_AT_HAND


def _how_to_read() -> str:
    return (
        f"“{NOT_AT_HAND}” is a figure that the sources at hand do not hold; nothing is filled in by guess. An asterisk marks a figure "
        "that its source contradicts. The tables are ordered by patches: which of them the paper numbers 1 to 5 is not at hand.\n"
        "Sliding is the positive: sensitivity is the share of sliding that is called sliding. Called present from 0.5 on. A clip's "
        "probability is the mean of its patches'. In brackets a 95 % interval, by a bootstrap over patients of 1000 draws; of few "
        "patients, or where nothing is wrong, it is too narrow. A Brier score of 0 is best, 0.25 is always saying 0.5."
    )


def _comparison(finished: Finished, rows: Sequence[Row], caption: str) -> Table:
    header = ("network", "figure", "published", "ours by patch", "ours by clip")
    return Table(header, [line for row in rows for line in _lines(row, finished.figures(row))], caption)


def _lines(row: Row, figures: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
    for name in SHOWN:
        theirs = published(row.name, name, "patch")
        said = NOT_AT_HAND if theirs is None else f"{theirs.value:g}{'*' if theirs.is_doubtful else ''}"
        ours = (written(figures["patch"][name]), written(figures["clip"][name])) if figures else ("not run", "not run")
        yield row.model, TITLES.get(name, name), said, *ours


def _slips() -> Table:
    rows = [(slip.source, slip.found, slip.taken) for slip in SLIPS]
    return Table(("source", "what it says twice", "taken here"), rows, "Where the sources contradict themselves.")
