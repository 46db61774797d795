"""Rows of cells out of a table on disk: CSV as a spreadsheet writes it, or Parquet. What the cells mean is not known here."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Rows = list[tuple[int, list[str]]]
"""Each row with its number, counted as in a spreadsheet (the header is row 1, in Parquet too); blank ones left out."""


class ManifestError(ValueError):
    """The table cannot be used as it is. Says in which rows, and never shows a patient, a file or a free text.

    Rows are counted as in a spreadsheet: the header is row 1.
    """


def read_rows(
    path: Path, needed: Sequence[str], known: Sequence[str], *, also_called: dict[str, str] | None = None, what: str = "The manifest"
) -> tuple[list[str], Rows]:
    """The columns' names in lower case, and the rows as text. Parquet when the file's name ends in .parquet, else CSV.

    `also_called`: other names of columns, {other: ours}, taken where ours is not there. `known`: columns a message may name.
    Raises: ManifestError, also when a needed column is missing or a known one is there twice.
    """
    header, rows = _parquet(path, what) if path.suffix.lower() == ".parquet" else _csv(path, what)
    header = [name.strip().lower() for name in header]
    header = [name if (ours := (also_called or {}).get(name)) is None or ours in header else ours for name in header]
    _check_header(header, needed, (*needed, *known), what)
    return header, [(number, cells) for number, cells in enumerate(rows, start=2) if any(cell.strip() for cell in cells)]


def cells_by_name(header: Sequence[str], cells: Sequence[str], number: int) -> dict[str, str]:
    """One row as {column: text}. Raises: ManifestError, when it has more or fewer cells than the header."""
    if len(cells) != len(header):
        raise ManifestError(
            f"Row {number}: it has {len(cells)} cells and the header {len(header)}; a comma within a cell needs quotation marks."
        )
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _csv(path: Path, what: str) -> tuple[list[str], list[list[str]]]:
    """Commas or semicolons, UTF-8 with or without a byte order mark."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{what} cannot be read: {error.strerror or 'unknown reason'}.") from None
    except UnicodeDecodeError:
        raise ManifestError(f'{what} is not UTF-8 text. Save it from the spreadsheet as "CSV UTF-8".') from None
    first_line = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal sign.
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        raise ManifestError(f"{what} is not a CSV table: a quotation mark is opened and not closed, or closed within a cell.") from None
    return (table[0], table[1:]) if table else ([], [])


def _parquet(path: Path, what: str) -> tuple[list[str], list[list[str]]]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ManifestError(
            f'{what} is a Parquet table, and pyarrow, which reads it, is not installed: pip install "seashore[parquet]", or save it as CSV.'
        ) from None
    try:
        with path.open("rb") as file:
            table = parquet.ParquetFile(file).read()
            columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    except OSError as error:
        raise ManifestError(f"{what} cannot be read: {error.strerror or 'it is no Parquet table, or damaged'}.") from None
    except Exception:  # pyarrow's own; its texts quote the file's content
        raise ManifestError(f"{what} is not a Parquet table, or is damaged.") from None
    return list(table.column_names), [list(row) for row in zip(*columns, strict=True)]


def _cell(value: object) -> str:
    """As the same value would stand in a CSV; what is not a number (NaN) is how some writers say "empty"."""
    return "" if value is None or value != value else str(value)


def _check_header(header: Sequence[str], needed: Sequence[str], known: Sequence[str], what: str) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        # Only names this version knows are shown: a table without a header has a patient in its first row.
        shown = [name for name in header if name in known]
        found = ", ".join(shown) or "none of the known columns"
        others = f" and {len(header) - len(shown)} other" if len(header) > len(shown) else ""
        must = f"it must name the columns {', '.join(needed)}"
        raise ManifestError(f"{what}'s first row lacks {', '.join(missing)}; {must}. Found: {found}{others}.")
    twice = [name for name, times in Counter(header).items() if name in known and times > 1]
    if twice:
        raise ManifestError(f"{what} has two columns called {twice[0]}; each may be there once.")
