"""What is wrong in a site file, in our own words: pydantic's would name its types, not the administrator's keys."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.options import quoted
from service.pacs.site import Site

Place = tuple[str | int, ...]
"""Keys from the top of the file down, with the number of a table in its array: ("destination", 0, "dicom", "port")."""


def sentence(error: ErrorDetails, data: dict[str, Any]) -> str:
    """`data`: what the file holds."""
    place = error["loc"]
    table, key = _named(place, data)
    return f"{table}{_complaint(error, place, key)}"


def _named(place: Place, data: dict[str, Any]) -> tuple[str, str]:
    """The table in the administrator's words, and the key within it: ("destination 'archive': ", "dicom.port")."""
    if len(place) > 1 and isinstance(place[1], int):
        entry = data[str(place[0])][place[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        which = quoted(name) if isinstance(name, str) else f"number {place[1] + 1}"
        return f"{place[0]} {which}: ", _dotted(place[2:])
    return (f"{place[0]}: ", _dotted(place[1:])) if len(place) > 1 else ("", _dotted(place))


def _dotted(place: Place) -> str:
    return "".join(f".{part}" if isinstance(part, str) else f", entry {part + 1}" for part in place).removeprefix(".")


def _complaint(error: ErrorDetails, place: Place, key: str) -> str:
    kind = error["type"]
    if kind == "missing":
        return f"{key} is missing."
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "value_error":
        return f"{key}: {_own_words(error)}" if key else _own_words(error)
    return f"{key or 'it'} is {_shown(error['input'])}; it must be {_needed(error, place)}."


def _own_words(error: ErrorDetails) -> str:
    words = str(error.get("ctx", {}).get("error", "this cannot be"))
    return words if words.endswith((".", "?")) else f"{words}."


def _unknown_key(place: Place) -> str:
    table = _field(place[:-1])
    known = _keys_of(table.annotation if table else Site)
    meant = get_close_matches(str(place[-1]), known, n=1)
    hint = f"did you mean {quoted(meant[0])}?" if meant else f"there are {', '.join(known)}."
    return f"there is no key {quoted(str(place[-1]))}; {hint}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value) if value else "empty"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return str(value) if isinstance(value, int | float) else "something else"


_WORDS = {
    "ae_title": "an AE title: 1 to 16 characters, no backslash",
    "calling_ae_titles": 'an AE title: 1 to 16 characters, no backslash; or "*" for anyone',
    "name": "1 to 31 small letters, digits and hyphens, not beginning with a hyphen",
    "url": "a web address that begins with http:// or https://, without ? and #",
    "address": "a host name or an IP address",
}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text in quotes", "path": "a file's name"}
_SHAPES = {"tuple": "a list in [ ]", "model": "a table", "dict": "a table"}


def _needed(error: ErrorDetails, place: Place) -> str:
    kind = error["type"].split("_")[0]
    if error["type"].endswith(("_type", "_parsing", "_from_float")) and kind in _KINDS | _SHAPES:
        return (_KINDS | _SHAPES)[kind]
    if kind == "enum":
        return str(error.get("ctx", {}).get("expected", "another word"))
    named = [part for part in place if isinstance(part, str)]
    field = _field(place)
    return _bounds(field) if field and kind in ("greater", "less", "finite") else _WORDS.get(named[-1], "something else")


def _bounds(field: FieldInfo) -> str:
    low, above, high = (
        next((getattr(rule, bound) for rule in field.metadata if hasattr(rule, bound)), None) for bound in ("ge", "gt", "le")
    )
    if low is not None and high is not None:
        return f"between {low} and {high}"
    least = f"more than {above}" if above is not None else f"at least {low}"
    return least if high is None else f"{least} and at most {high}".removesuffix(".0")


def _field(place: Place) -> FieldInfo | None:
    """The model's field at a place; None for the file itself, and where there is none."""
    model: type[BaseModel] | None = Site
    field = None
    for key in (part for part in place if isinstance(part, str)):
        field = None if model is None else model.model_fields.get(key)
        model = None if field is None else _model_in(field.annotation)
    return field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Node of `Node`, `Node | None` and `tuple[Node, ...]`."""
    parts = [annotation, *get_args(annotation)]
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _keys_of(annotation: Any) -> Sequence[str]:
    model = _model_in(annotation)
    return list(model.model_fields) if model is not None else []
