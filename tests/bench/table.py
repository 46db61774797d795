"""Rows of figures, the Markdown table they make, and the page they are kept in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN = "<!-- made by `make bench ARGS=--write`: begin -->"
END = "<!-- made by `make bench ARGS=--write`: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """What was timed, and its figures as they are printed, in the order of the section's columns."""

    what: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the table."""

    title: str
    columns: tuple[str, ...]
    """Of the figures; the first column, what was timed, has no name."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """Sentences below it: ratios, settings, what was skipped and why."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.figures) != len(self.columns):
                raise ValueError(f"{row.what!r} has {len(row.figures)} figures; the section has {len(self.columns)} columns.")

    def markdown(self) -> str:
        head = _line(["", *self.columns]) + "\n" + "|---|" + "---:|" * len(self.columns)
        body = "\n".join(_line([row.what, *row.figures]) for row in self.rows)
        return "\n\n".join([f"### {self.title}", f"{head}\n{body}", *self.notes])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def figure(value: float, unit: str = "", digits: int = 2) -> str:
    """To `digits` behind the point; "-" for what is not known."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}{' ' if unit else ''}{unit}"


def millis(seconds: float) -> str:
    return figure(seconds * 1000, "ms", 0)


def write_between(page: Path, made: str, begin: str = BEGIN, end: str = END) -> None:
    """Put `made` between the markers of `page`; its prose stays. Raises: ValueError when the page does not hold both once, in order."""
    text = page.read_text()
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{page.name} must hold the lines {begin!r} and {end!r}, once each and in this order.")
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}\n\n{made.strip()}\n\n{end}{rest.split(end)[1]}")
