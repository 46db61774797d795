"""The study from its clips to its report, all in one: what was done before is not done again."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from service.report.document import write_report
from training.records import write_json
from training.study.clips import StudyClip, deal_patients
from training.study.grid import Row, Study
from training.study.patches import cut_clips
from training.study.report import Finished, build_report
from training.study.run import GRID, RowImpossible, open_row, run_row

T = TypeVar("T")


class Told(Protocol):
    """Who is told how far it has come."""

    @property
    def has_bar(self) -> bool:
        """True where each fit may draw a bar of its own."""
        ...

    def count(self, words: str, pieces: Iterable[T], total: int) -> Iterable[T]: ...

    def say(self, words: str) -> None: ...


def run_study(study: Study, clips: Sequence[StudyClip], work: Path, told: Told, *, simulated: bool) -> Path:
    """Run every row that the study chooses; the page of its report. Raises: StudyError, SplitError, FitError."""
    patients = deal_patients(clips, study)
    rows = study.chosen()
    sets = list(dict.fromkeys(row.patches for row in rows))
    cut = [piece for of_clip in told.count("Patches", cut_clips(clips, sets, work / "patches"), len(clips)) for piece in of_clip]
    impossible: dict[str, str] = {}
    _note(work, rows, impossible)
    for number, row in enumerate(rows, start=1):
        told.say(f"Row {number} of {len(rows)}: {row.name}")
        try:
            run_row(row, open_row(row, cut, patients), study, work / "rows" / row.name, progress=told.has_bar)
        except RowImpossible as error:
            impossible[row.name] = str(error)
            told.say(f"{row.name} cannot be run on these clips. {error}")
        _note(work, rows, impossible, rows[:number])
    finished = Finished(study, clips, patients, cut, rows, impossible, work, simulated)
    told.say("Writing the report")
    return write_report(build_report(finished), work)


def _note(work: Path, rows: Sequence[Row], impossible: dict[str, str], done: Sequence[Row] = ()) -> None:
    """grid.json: what has been done."""
    states = {row.name: impossible.get(row.name) or ("finished" if row in done else "to be run") for row in rows}
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / GRID, {"rows": states})


def read_grid(work: Path) -> dict[str, str]:
    """Row -> "finished", "to be run", or why it cannot be run."""
    states: dict[str, str] = json.loads((work / GRID).read_text(encoding="utf-8"))["rows"]
    return states
