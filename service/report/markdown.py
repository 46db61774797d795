"""A document as GitHub's Markdown. What is in it is text, never markup: a source called "*ward*" is shown with its stars."""

import re
from collections.abc import Iterator, Sequence

from service.report.blocks import Block, Document, Figure, Heading, Paragraph, Table

PICTURES = "pictures"
"""The folder beside the file."""

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&])")
_LIST_MARK = re.compile(r"^(\s*)(\d*)([-+.)])(?=\s)", re.MULTILINE)


def markdown_of(document: Document) -> str:
    names = iter([name for name, _ in document.pictures()])
    parts = [f"# {_on_one_line(document.title)}", *(_written(block, names) for block in document.blocks)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Markdown that shows exactly this text."""
    return _LIST_MARK.sub(r"\1\2\\\3", _MARKUP.sub(r"\\\1", text))


def _written(block: Block, names: Iterator[str]) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_on_one_line(block.text)}"
    if isinstance(block, Paragraph):
        return escaped(block.text).replace("\n", "  \n")
    if isinstance(block, Figure):
        return _figure(block, next(names))
    return _table(block)


def _figure(figure: Figure, name: str) -> str:
    caption = f"\n\n*{_on_one_line(figure.caption)}*" if figure.caption else ""
    return f"![{_on_one_line(figure.alt)}]({PICTURES}/{name}){caption}"


def _table(table: Table) -> str:
    lines = [_row(table.header), _row_of_marks(len(table.header)), *map(_row, table.rows)]
    caption = f"*{_on_one_line(table.caption)}*\n\n" if table.caption else ""
    return caption + "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_on_one_line(cell) for cell in cells) + " |"


def _row_of_marks(num_columns: int) -> str:
    return "|" + " --- |" * num_columns


def _on_one_line(text: str) -> str:
    return " ".join(escaped(text).split())
