"""What a report is made of.

Document
  Heading     level 2 or 3; the title is the only one of level 1
  Paragraph   plain text; a newline begins a new line
  Table       cells are plain text
  Figure      an SVG or a PNG, with what it shows said in words
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_FILE_NAME_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    level: int = 2

    def __post_init__(self) -> None:
        if self.level not in (2, 3):
            raise ValueError(f"The heading is of level {self.level}; it can be 2 or 3, as the title is level 1.")


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"A row of the table has {len(row)} cells and the header {len(self.header)}; they must be as many.")


@dataclass(frozen=True, slots=True, repr=False)
class Figure:
    content: bytes
    """The whole file."""
    kind: Literal["svg", "png"]
    caption: str
    alt: str
    """What is seen, for whoever cannot see it."""

    def __repr__(self) -> str:
        return f"Figure({self.kind}, {len(self.content)} bytes)"


Block = Heading | Paragraph | Table | Figure


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    blocks: Sequence[Block]

    def pictures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure with a file name for it: "001-reliability.svg"."""
        figures = (block for block in self.blocks if isinstance(block, Figure))
        for number, figure in enumerate(figures, start=1):
            words = re.sub(r"[^a-z0-9]+", "-", figure.caption.lower())[:_FILE_NAME_CHARACTERS].strip("-")
            yield f"{number:03d}-{words or 'picture'}.{figure.kind}", figure
