"""The tests a rule is made of (`rules` reads them): what holds of an instance, and the part that does not, in words.

No value of an instance is ever in those words, and a broken value never raises: an element that cannot be read has no value.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag


class Test(Protocol):
    def refusal(self, dataset: Dataset) -> str | None:
        """The part of the rule that does not hold, in words; None when all of it holds."""
        ...

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class AllOf:
    tests: tuple[Test, ...]

    def refusal(self, dataset: Dataset) -> str | None:
        return next((refusal for test in self.tests if (refusal := test.refusal(dataset)) is not None), None)

    def __str__(self) -> str:
        return f"({' and '.join(map(str, self.tests))})"


@dataclass(frozen=True, slots=True)
class AnyOf:
    tests: tuple[Test, ...]

    def refusal(self, dataset: Dataset) -> str | None:
        return None if any(test.refusal(dataset) is None for test in self.tests) else f"{self} does not hold"

    def __str__(self) -> str:
        return f"({' or '.join(map(str, self.tests))})"


@dataclass(frozen=True, slots=True)
class Not:
    test: Test

    def refusal(self, dataset: Dataset) -> str | None:
        return None if self.test.refusal(dataset) is not None else f"{self.test} holds, and the rule says not"

    def __str__(self) -> str:
        return f"not {self.test}"


@dataclass(frozen=True, slots=True)
class Compares:
    """One element against one wanted value."""

    element: tuple[BaseTag, ...]
    holds: Callable[[Any], bool]
    text: str

    def refusal(self, dataset: Dataset) -> str | None:
        return None if any(self.holds(value) for value in _values(dataset, self.element)) else f"{self} does not hold"

    def __str__(self) -> str:
        return self.text


def _values(dataset: Dataset, element: tuple[BaseTag, ...]) -> Iterator[Any]:
    """Every value that is not empty, of every item; nothing of what cannot be read."""
    tag, *inner = element
    value = _value(dataset, tag)
    if inner:
        items = [item for item in value if isinstance(item, Dataset)] if isinstance(value, Sequence) else []
        yield from (found for item in items for found in _values(item, tuple(inner)))
    elif isinstance(value, bytes):  # an unknown VR: read as the text it mostly is
        yield value.decode("latin-1")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from (entry for entry in value if entry is not None and str(entry).strip())
    elif value is not None and str(value).strip():
        yield value


def _value(dataset: Dataset, tag: BaseTag) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        try:
            return dataset[tag].value
        except Exception:  # pydicom converts on access, and a broken value raises whatever it breaks
            return None


def _plain(value: Any) -> str:
    try:
        return str(value).strip(" \0").casefold()
    except Exception:  # a name in a character set that is not there
        return ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def text_test(word: str, wanted: str) -> Callable[[Any], bool]:
    plain = _plain(wanted)
    if word == "is":
        return lambda value: _plain(value) == plain
    if word == "contains":
        return lambda value: plain in _plain(value)
    pattern = plain.replace("[", "[[]")
    return lambda value: fnmatchcase(_plain(value), pattern)


COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


def number_test(sign: str, wanted: float) -> Callable[[Any], bool]:
    compare = COMPARISONS[sign]
    return lambda value: (number := _number(value)) is not None and compare(number, wanted)
