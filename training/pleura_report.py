"""`python -m training.pleura_report`: how far the found pleural line lies from the annotated one, clip by clip, as a table.

error      median distance along the beams, over the annotated interspaces, in px of the published scale
right      error below 12 px
wrong      another line, or none where there is one
none       no pleura to be seen, and none found
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.overview import Overview, look_over
from service.cine.pleura import Pleura, find_pleura
from service.cine.sector import Sector, find_sector
from training.array_clip import ArrayClip
from training.phantom.simulate import simulate
from training.phantom.spec import Obstruction, random_spec
from training.phantom.truth import Truth
from training.pleura_net import Annotation, AnnotationError, read_annotations, require_clips

PICTURE_DEPTH_PX = 480
"""Depth of the picture on the published scale."""
RIGHT_PX = 12.0
"""2.5 % of the depth: 4 mm in a picture 16 cm deep."""
HALF_SURE, SUREST = 0.5, 0.7
BEGIN, END = "<!-- report: begin (python -m training.pleura_report) -->\n", "<!-- report: end -->\n"
PLACES = 400
PHANTOM_SEED = 1_000
"""Far from the seeds the shipped net was fitted with (0 and 1)."""


class Found(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    MISSED = "missed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One clip judged."""

    name: str
    sure: float
    is_visible: bool
    error_px: float | None
    """None where nothing was found, or where no interspace is annotated."""
    confidence: float | None
    """Of the pleura found; None where none was."""
    is_plain: bool = False
    """The search called its line plain; where it does not, the answer carries a caution."""

    @property
    def found(self) -> Found:
        if self.confidence is None:
            return Found.MISSED if self.is_visible else Found.NONE
        if not self.is_visible:
            return Found.WRONG
        return Found.RIGHT if self.error_px is not None and self.error_px < RIGHT_PX else Found.WRONG


def judge(name: str, annotation: Annotation, overview: Overview, sector: Sector | None) -> Row:
    """Search the pleura as serving does and hold it against the annotation."""
    pleura = None if sector is None else find_pleura(overview, sector)
    if pleura is None or sector is None:
        return Row(name, annotation.sure, annotation.is_visible, None, None)
    return Row(name, annotation.sure, annotation.is_visible, error_px(annotation, sector, pleura), pleura.confidence, pleura.is_plain)


def error_px(annotation: Annotation, sector: Sector, pleura: Pleura) -> float | None:
    """Median distance of the two lines along the beams, over the annotated interspaces, px of the published scale."""
    x = np.linspace(annotation.line[0, 0], annotation.line[-1, 0], PLACES)
    y = np.interp(x, annotation.line[:, 0], annotation.line[:, 1])
    seen = np.zeros(PLACES, np.bool_)
    for x0, x1 in annotation.interspaces:
        seen |= (x >= x0) & (x <= x1)
    if not seen.any():
        return None
    lateral, depth = sector.to_beam(x[seen], y[seen])
    distance = np.abs(np.interp(lateral, pleura.lateral, pleura.depth_px) - depth)
    return float(np.median(distance)) * PICTURE_DEPTH_PX / sector.depth_extent_px


def judge_clips(annotations: dict[str, Annotation], clips: Path) -> Iterator[Row]:
    for name, annotation in annotations.items():
        clip = open_clip(clips / name, DEFAULT_LIMITS)
        overview = look_over(clip)
        yield judge(name, annotation, overview, find_sector(overview, clip.info.region))


def judge_phantoms(count: int, seed: int = PHANTOM_SEED) -> Iterator[Row]:
    """Random phantoms, a third of them without any pleura: of six the first has gas under the skin, the fourth no contact."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        obstruction = {0: Obstruction.EMPHYSEMA, 3: Obstruction.NO_CONTACT}.get(index % 6, Obstruction.NONE)
        phantom = simulate(random_spec(rng, duration_s=0.3, obstruction=obstruction), seed=seed + index)
        overview = look_over(ArrayClip(phantom.frames, phantom.spec.fps))
        yield judge(f"phantom {index}", _as_annotated(phantom.truth), overview, find_sector(overview))


def _as_annotated(truth: Truth) -> Annotation:
    line = truth.pleura_middle_px
    if line is None:
        return Annotation(0, np.array([[0.0, 0.0], [1.0, 0.0]]), (), False, 1.0)
    return Annotation(0, line, truth.interspaces, True, 1.0)


def table(rows: Iterable[Row], trained_on: frozenset[str]) -> Iterator[str]:
    """The rows as lines of a Markdown table."""
    yield "| clip | trained on | reader sure | visible | error, px | confidence | plain | found |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        reader = f"{row.sure:.2f} | {_yes(row.is_visible)}"
        search = f"{_number(row.error_px, 0)} | {_number(row.confidence, 2)} | {_plain(row)} | {row.found}"
        yield f"| `{row.name}` | {_yes(row.name in trained_on)} | {reader} | {search} |"


def summary(groups: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """For each group of clips how many with a pleura were right, and how sure the search was; lines of a Markdown table."""
    yield "| clips | with a pleura | right | wrong | missed | median error, px | confidence right / wrong | none where there is none |"
    yield "|---|---|---|---|---|---|---|---|"
    for words, rows in groups.items():
        visible, empty = [row for row in rows if row.is_visible], [row for row in rows if not row.is_visible]
        right = [row for row in visible if row.found is Found.RIGHT]
        wrong = [row for row in rows if row.found is Found.WRONG]
        share = f" ({len(right) / len(visible):.0%})" if visible else ""
        errors = [row.error_px for row in visible if row.error_px is not None]
        none = f"{sum(row.found is Found.NONE for row in empty)} of {len(empty)}"
        yield (
            f"| {words} | {len(visible)} | {len(right)}{share} | {sum(row.is_visible for row in wrong)} "
            f"| {sum(row.found is Found.MISSED for row in rows)} | {f'{np.median(errors):.1f}' if errors else ''} "
            f"| {_mean_confidence(right)} / {_mean_confidence(wrong)} | {none} |"
        )


def _mean_confidence(rows: Sequence[Row]) -> str:
    stated = [row.confidence for row in rows if row.confidence is not None]
    return f"{np.mean(stated):.2f}" if stated else "-"


def grouped(rows: Sequence[Row], trained_on: frozenset[str], phantoms: Sequence[Row]) -> dict[str, Sequence[Row]]:
    sure = [row for row in rows if row.sure >= HALF_SURE]
    unseen = [row for row in sure if row.name not in trained_on]
    groups = {
        "all": rows,
        "reader at least half sure": sure,
        "of these, never trained on": unseen,
        "of these, reader at least 0.7 sure": [row for row in unseen if row.sure >= SUREST],
        "never trained on, line called plain": [row for row in rows if row.is_plain and row.name not in trained_on],
        "never trained on, line called doubtful": [row for row in rows if _is_doubtful(row) and row.name not in trained_on],
    }
    return groups | ({"random phantoms, never trained on": phantoms} if phantoms else {})


def _is_doubtful(row: Row) -> bool:
    return row.confidence is not None and not row.is_plain


def with_report(page: str, lines: Sequence[str]) -> str:
    """The page with the lines between its markers."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _plain(row: Row) -> str:
    return "" if row.confidence is None else _yes(row.is_plain)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        annotations = read_annotations(asked.annotations)
        require_clips(annotations, asked.clips)
        trained_on = frozenset(read_annotations(asked.trained_on)) if asked.trained_on else frozenset[str]()
    except AnnotationError as error:
        parser.error(str(error))
    with Progress(console=Console(stderr=True)) as progress:
        rows = list(progress.track(judge_clips(annotations, asked.clips), total=len(annotations), description="Clips"))
        phantoms = list(progress.track(judge_phantoms(asked.phantoms), total=asked.phantoms, description="Phantoms"))
    lines = [*summary(grouped(rows, trained_on, phantoms)), "", *table(rows, trained_on)]
    if asked.page is None:
        print("\n".join(lines))
    else:
        asked.page.write_text(with_report(asked.page.read_text(encoding="utf-8"), lines), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training.pleura_report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="pleural lines, as in training/experiments/pleura_annotations.json")
    parser.add_argument("--clips", type=Path, required=True, help="folder of the annotated clips")
    parser.add_argument("--trained-on", type=Path, help="annotations the net was fitted to; clips among them are marked")
    parser.add_argument("--phantoms", type=int, default=0, help="judge on that many random phantoms as well (default: 0)")
    parser.add_argument("--page", type=Path, help="write the tables between the markers of this page instead of printing them")
    return parser


if __name__ == "__main__":
    main()
