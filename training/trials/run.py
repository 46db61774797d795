"""All pieces of a run, several at a time. What a piece gave is written down as soon as it is there, and is not done again.

rows.jsonl   a first line that says what is tried, then a line a piece
"""

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from service.manifest import LabelledClip
from training.trials.answers import Judge, Row, open_judge
from training.trials.clips import Subject, open_subject, rows_of_clip, rows_of_two
from training.trials.phantoms import rows_of_pair, rows_of_point, rows_of_rates

ROWS = "rows.jsonl"
SEED = 2029
"""Apart from those of the recipe's phantoms and of calibration: nothing is tried on what it was made with."""


class OtherTrials(ValueError):
    """The folder holds rows of something else."""


class Part(StrEnum):
    CLIP = "clip"
    TWO_CLIPS = "two_clips"
    PHANTOMS = "phantoms"
    PHANTOM_RATES = "phantom_rates"
    PHANTOM_POINT = "phantom_point"


@dataclass(frozen=True, slots=True)
class Design:
    """How much is tried."""

    windows: int
    """At most, of each clip, spread over it."""
    phantoms: int
    """Pairs."""
    rates: int
    """Pairs that are thinned to each frame rate."""
    points: int
    """Phantoms with a lung point."""

    @classmethod
    def of(cls, phantoms: int) -> "Design":
        return cls(windows=2, phantoms=phantoms, rates=(phantoms + 5) // 6, points=(phantoms + 1) // 2)


QUICK = Design(windows=1, phantoms=1, rates=0, points=1)


@dataclass(frozen=True, slots=True)
class Trials:
    """What is tried: a bundle on these clips."""

    bundle: Path
    sha256: str
    """Of the bundle's manifest: its graphs, its spec and its calibration."""
    design: Design
    clips: tuple[LabelledClip, ...]
    seed: int = SEED

    def stamp(self) -> dict[str, Any]:
        """Rows with another stamp are of something else."""
        design = [self.design.windows, self.seed]
        clips = [f"{clip.sha256 or clip.file.name} {clip.region}".rstrip() for clip in self.clips]
        return {"bundle": self.sha256, "design": design, "clips": clips}

    def pieces(self) -> list["Piece"]:
        """Those that take longest first, so that the last process does not work alone for long."""
        counts = {
            Part.CLIP: len(self.clips),
            Part.PHANTOM_RATES: self.design.rates,
            Part.TWO_CLIPS: len(self.clips),
            Part.PHANTOMS: self.design.phantoms,
            Part.PHANTOM_POINT: self.design.points,
        }
        return [Piece(part, index) for part, count in counts.items() for index in range(count)]


@dataclass(frozen=True, slots=True)
class Piece:
    part: Part
    index: int

    def __str__(self) -> str:
        return f"{self.part}-{self.index}"


Counted = Callable[[str, Iterator[str], int], Iterable[str]]
"""(words, pieces done, their number) -> the pieces, shown as progress."""


def run(trials: Trials, folder: Path, jobs: int, counted: Counted) -> list[Row]:
    """Every row, in the order of the pieces. Raises: OtherTrials, BadBundle, EngineFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    ledger = _Ledger(folder / ROWS, trials.stamp())
    done = ledger.read()
    waiting = [piece for piece in trials.pieces() if str(piece) not in done]
    for _ in counted("Trials", _each(trials, waiting, ledger, jobs), len(waiting)):
        pass
    done = ledger.read()
    return [row for piece in trials.pieces() for row in done[str(piece)]]


def _each(trials: Trials, pieces: Sequence[Piece], ledger: "_Ledger", jobs: int) -> Iterator[str]:
    for piece, rows in _made(partial(rows_of, trials), pieces, jobs):
        ledger.add(str(piece), rows)
        yield str(piece)


def _made(make: Callable[[Piece], list[Row]], pieces: Sequence[Piece], jobs: int) -> Iterator[tuple[Piece, list[Row]]]:
    """As they are done, by as many processes as asked."""
    if jobs == 1:
        yield from ((piece, make(piece)) for piece in pieces)
        return
    # Spawned, not forked: OpenCV's and the runtime's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_settle_in) as pool:
        futures = {pool.submit(make, piece): piece for piece in pieces}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _settle_in() -> None:
    """Of a process of the pool: one thread; Ctrl-C is for the process that started it, as every process of a terminal gets it."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def rows_of(trials: Trials, piece: Piece) -> list[Row]:
    """What one piece gives; nothing where serving would not read the clip."""
    judge, windows = _judge(trials.bundle), trials.design.windows
    match piece.part:
        case Part.CLIP:
            subject = _subject(trials, piece.index)
            return [] if subject is None else list(rows_of_clip(subject, judge, trials.seed, windows))
        case Part.TWO_CLIPS:
            return _rows_of_two(trials, piece.index)
        case Part.PHANTOMS:
            return list(rows_of_pair(piece.index, judge, trials.seed, windows))
        case Part.PHANTOM_RATES:
            return list(rows_of_rates(piece.index, judge, trials.seed + 1, windows))
        case Part.PHANTOM_POINT:
            return list(rows_of_point(piece.index, judge, trials.seed + 2, windows))


def _rows_of_two(trials: Trials, index: int) -> list[Row]:
    """With the next clip of another patient that can be read, from half the list further on, where sources differ as well."""
    subject = _subject(trials, index)
    clips = trials.clips
    order = [(index + len(clips) // 2 + step) % len(clips) for step in range(len(clips))]
    for k in order if subject is not None else ():
        other = _subject(trials, k) if clips[k].patient != clips[index].patient else None
        if subject is not None and other is not None:
            return list(rows_of_two(subject, other, _judge(trials.bundle), trials.seed))
    return []


def _subject(trials: Trials, index: int) -> Subject | None:
    labelled = trials.clips[index]
    first = next(k for k, clip in enumerate(trials.clips) if clip.patient == labelled.patient)
    return open_subject(index, f"patient-{first}", labelled, _judge(trials.bundle), trials.design.windows)


@cache
def _judge(bundle: Path) -> Judge:
    """Opened once in each process."""
    return open_judge(bundle)


class _Ledger:
    """Rows in a file, a JSON object a line and a line a piece."""

    def __init__(self, path: Path, stamp: dict[str, Any]) -> None:
        self._path, self._stamp = path, stamp

    def read(self) -> dict[str, list[Row]]:
        """By piece. A line that was cut off is as if it were not there. Raises: OtherTrials."""
        if not self._path.exists():
            self._path.write_text(json.dumps(self._stamp) + "\n", encoding="utf-8")
        lines = [fields for line in self._path.read_text(encoding="utf-8").splitlines() if (fields := _object_in(line)) is not None]
        if not lines or lines[0] != self._stamp:
            raise OtherTrials("The folder holds trials of another bundle, other clips or another seed; name an empty folder.")
        return {str(fields["piece"]): [Row.from_json(row) for row in fields["rows"]] for fields in lines[1:]}

    def add(self, piece: str, rows: Sequence[Row]) -> None:
        # The line end goes first: it ends a line that was cut off.
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"piece": piece, "rows": [row.to_json() for row in rows]}) + "\n")


def _object_in(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
