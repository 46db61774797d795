"""`python -m training.pleura_report`: how far the found pleural line lies from the annotated one, clip by clip, as a table.

error      median distance along the beams, over the annotated interspaces, in px of the published scale
right      error below 12 px
wrong      another line, or none where there is one
none       no pleura to be seen, and none found
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

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
HALF_SURE = 0.5
PLACES = 400
PHANTOM_SEED = 1_000
"""Far from the seeds the shipped net was fitted with (0 and 1)."""


class Found(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
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

    @property
    def found(self) -> Found:
        if not self.is_visible:
            return Found.NONE if self.confidence is None else Found.WRONG
        return Found.RIGHT if self.error_px is not None and self.error_px < RIGHT_PX else Found.WRONG


def judge(name: str, annotation: Annotation, overview: Overview, sector: Sector | None) -> Row:
    """Search the pleura as serving does and hold it against the annotation."""
    pleura = None if sector is None else find_pleura(overview, sector)
    if pleura is None or sector is None:
        return Row(name, annotation.sure, annotation.is_visible, None, None)
    return Row(name, annotation.sure, annotation.is_visible, error_px(annotation, sector, pleura), pleura.confidence)


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
    """Random phantoms, an eighth of them without any pleura."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        obstruction = Obstruction.EMPHYSEMA if index % 8 == 0 else Obstruction.NONE
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
    yield "| clip | trained on | reader sure | visible | error, px | confidence | found |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        shown = f"{row.sure:.2f} | {_yes(row.is_visible)} | {_number(row.error_px, 0)} | {_number(row.confidence, 2)} | {row.found}"
        yield f"| `{row.name}` | {_yes(row.name in trained_on)} | {shown} |"


def summary(words: str, rows: Sequence[Row]) -> str:
    """How many of the clips with a pleura were right, and how sure the search was of right and of wrong ones."""
    visible = [row for row in rows if row.is_visible]
    right = [row for row in visible if row.found is Found.RIGHT]
    wrong = [row for row in visible if row.found is Found.WRONG]
    errors = [row.error_px for row in visible if row.error_px is not None]
    share = f" ({len(right) / len(visible):.0%})" if visible else ""
    middle = f"{np.median(errors):.1f} px" if errors else "unknown"
    sure = f"mean confidence {_mean_confidence(right)} where right, {_mean_confidence(wrong)} where wrong"
    return f"{words}: {len(right)} of {len(visible)} right{share}, median error {middle}; {sure}"


def _mean_confidence(rows: Sequence[Row]) -> str:
    stated = [row.confidence for row in rows if row.confidence is not None]
    return f"{np.mean(stated):.2f}" if stated else "unknown"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


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
    rows: list[Row] = []
    for line in table(_kept(judge_clips(annotations, asked.clips), rows), trained_on):
        print(line, flush=True)
    sure = [row for row in rows if row.sure >= HALF_SURE]
    print("\n" + summary("All clips", rows))
    print(summary("Reader at least half sure", sure))
    print(summary("... and not trained on", [row for row in sure if row.name not in trained_on]))
    if asked.phantoms:
        phantoms = list(judge_phantoms(asked.phantoms))
        print(summary("Phantoms", phantoms))
        without = [row for row in phantoms if not row.is_visible]
        print(f"Phantoms without a pleura: none found in {sum(row.found is Found.NONE for row in without)} of {len(without)}")


def _kept(rows: Iterable[Row], into: list[Row]) -> Iterator[Row]:
    for row in rows:
        into.append(row)
        yield row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training.pleura_report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="pleural lines, as in training/experiments/pleura_annotations.json")
    parser.add_argument("--clips", type=Path, required=True, help="folder of the annotated clips")
    parser.add_argument("--trained-on", type=Path, help="annotations the net was fitted to; clips among them are marked")
    parser.add_argument("--phantoms", type=int, default=0, help="judge on that many random phantoms as well (default: 0)")
    return parser


if __name__ == "__main__":
    main()
