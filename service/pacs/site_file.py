"""The site file on disk: read, checked, and everything that is wrong in it told at once, each with its line.

pacs.toml, line 12: destination 'archive': dicom.port is 70000; it must be between 1 and 65535.
pacs.toml, line 15: destination 'archive': there is no key 'comit'; did you mean 'commit'?
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import BadSite
from service.options import quoted
from service.pacs.site import Site
from service.pacs.site_words import Place, sentence

MAX_SITE_FILE_BYTES = 256 * 1024


def load_site(path: Path) -> Site:
    """Relative file names in it are taken from its folder. Raises: BadSite, a line of text for each thing that is wrong."""
    source = _read(path)
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise BadSite(f"{path.name}, {_syntax_problem(str(error), source)}") from None
    try:
        return Site.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        lines = _Lines(source)
        found = sorted((lines.of(entry["loc"]), sentence(entry, data)) for entry in error.errors())
        raise BadSite("\n".join(f"{path.name}{f', line {line}' if line else ''}: {words}" for line, words in found)) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SITE_FILE_BYTES + 1)
    except FileNotFoundError:
        raise BadSite(f"There is no site file {quoted(str(path))}.") from None
    except OSError as error:
        raise BadSite(f"The site file {quoted(str(path))} cannot be opened.", log_detail=type(error).__name__) from None
    if len(content) > MAX_SITE_FILE_BYTES:
        raise BadSite(f"{path.name} is larger than {MAX_SITE_FILE_BYTES // 1024} KiB; that is no site file.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")  # Notepad writes a byte order mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadSite(f"{path.name}, line {line}: a character is not UTF-8; save the file as UTF-8 text.") from None


# Not TOML

_SYNTAX = (
    ("Expected '='", "after a key come '=' and its value."),
    ("Invalid value", "the value cannot be read. Texts stand in quotes; true, false and numbers do not."),
    ("Cannot overwrite", "this key is there twice."),
    ("Cannot declare", "this table is there twice, or is a key already; tables that repeat have [[double]] brackets."),
    ("Duplicate inline", "this key is there twice."),
    ("Cannot mutate", "this table was closed where it was written in { }."),
    ("Unterminated string", "a text is not closed by its quote."),
    ("Illegal character", "a text is not closed by its quote on the same line, or holds a control character."),
    ("Unescaped", "a backslash in a text is written twice, or the text stands in 'single' quotes."),
    ("Unclosed array", "a list is not closed by ]."),
    ("Unclosed inline", "a table is not closed by }."),
    ("Expected ']", "the name of a table is not closed by its bracket."),
    ("Expected newline", "something follows the value; one key a line, and texts stand in quotes."),
    ("Invalid initial", "a key is made of letters, digits, - and _."),
    ("Invalid statement", "a line holds a key with its value, or a table's name in [ ]; a comment begins with #."),
)
"""What tomllib says, and what we say."""


def _syntax_problem(message: str, source: str) -> str:
    at = re.search(r"line (\d+), column (\d+)", message)
    line = int(at[1]) if at else max(1, source.rstrip().count("\n") + 1)
    return f"line {line}: {next((ours for theirs, ours in _SYNTAX if message.startswith(theirs)), 'this is not TOML.')}"


# Lines


@dataclass(frozen=True, slots=True)
class _Statement:
    """A key with its value, or a table's header; `so_far`: what the file says down to its end."""

    line: int
    so_far: dict[str, Any]


class _Lines:
    """On which line a place was written. tomllib does not tell, so the file is read again in ever longer pieces."""

    def __init__(self, source: str) -> None:
        self._statements = list(_statements(source))

    def of(self, place: Place) -> int:
        """Of the deepest part of the place that is there: for a key that is missing, the line of its table. 0: the whole file."""
        for length in range(len(place), 0, -1):
            for statement in self._statements:
                if _reaches(statement.so_far, place[:length]):
                    return statement.line
        return 0


def _statements(source: str) -> Iterator[_Statement]:
    lines = source.split("\n")
    start = 0
    for end in range(1, len(lines) + 1):
        while start < end and not lines[start].split("#")[0].strip():
            start += 1
        try:
            so_far = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:  # in the middle of a value
            continue
        if start < end:
            yield _Statement(start + 1, so_far)
            start = end


def _reaches(data: Any, place: Place) -> bool:
    for key in place:
        is_there = key in data if isinstance(data, dict) else isinstance(data, list) and isinstance(key, int) and key < len(data)
        if not is_there:
            return False
        data = data[key]
    return True
