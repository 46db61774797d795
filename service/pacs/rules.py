"""Which instances are analysed: one expression over DICOM elements, in words an administrator writes.

    Modality is "US" and NumberOfFrames >= 30
    and (BodyPartExamined contains "chest" or StudyDescription matches "*lung*" or AnatomicRegionSequence.CodeMeaning is "Lung")
    and not Manufacturer is "Acme"
    and (0019,1001) exists

An element is its keyword (PS3.6), or (gggg,eeee); a dot goes into the items of a sequence.

| Test | Holds when any value of the element, in any item, ... |
|---|---|
| E is "text", E is 3 | is that text, upper or lower case, blanks around it left out; or that number |
| E contains "text" | has that text in it |
| E matches "a*b?" | is such a text: * stands for anything, ? for one character |
| E = 3, !=, <, <=, >, >= | compares so, as a number; an element without a number fails all of them |
| E exists | is there and not empty |
| E is not "text" | as `not E is "text"`: no value is that text, or there is none |

`not` binds closest, then `and`, then `or`. Text stands in "double" or 'single' quotes. No regular expressions: one written badly can
take minutes, and nobody reads them. CEL and Python expressions were tried on paper: both say what is wrong in their own words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import NoReturn, TypeVar

from pydicom.datadict import keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from service.options import quoted
from service.pacs.rule_tests import COMPARISONS, AllOf, AnyOf, Compares, Not, Test, number_test, text_test

EVERY_ULTRASOUND_OBJECT = 'Modality is "US"'
"""The rule of a site that states none."""

_EXAMPLE = 'Modality is "US"'
_MAX_DEPTH = 50


class BadRule(ValueError):
    """The rule cannot be read. Its text is for the administrator and quotes the rule alone."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an instance is analysed. `because` quotes the rule, never a value of the instance."""

    analyse: bool
    because: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read."""

    text: str
    _test: Test

    def decide(self, dataset: Dataset) -> Decision:
        """Never raises: an element whose value is broken has no value."""
        refusal = self._test.refusal(dataset)
        if refusal is None:
            return Decision(True, "The rule holds.")
        return Decision(False, f"The rule refuses it: {refusal}.")


def parse_rule(text: str) -> Rule:
    """Raises: BadRule."""
    parser = _Parser(text)
    test = parser.any_of()
    parser.finish()
    return Rule(text, test)


# Reading

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"[^"]*"|'[^']*')
      | (?P<number>[+-]?\d+(?:\.\d+)?(?![\w,]))
      | (?P<tag>\(\s*[0-9A-Fa-f]{4}\s*,\s*[0-9A-Fa-f]{4}\s*\))
      | (?P<word>[A-Za-z]\w*)
      | (?P<sign><=|>=|==|!=|[=<>().])
    )""",
    re.VERBOSE,
)
_RESERVED = ("and", "or", "not", "is", "contains", "matches", "exists")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int

    def says(self, *words: str) -> bool:
        return self.kind in ("word", "sign") and self.text.lower() in words


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            _refuse_character(text[at:].lstrip())
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind), match.end()))
        at = match.end()
    return [*found, _Token("end", "", len(text), len(text))]


def _refuse_character(rest: str) -> NoReturn:
    if rest[0] in "\"'":
        raise BadRule(f"a text begins with {rest[0]} and never ends: {quoted(rest)}")
    raise BadRule(f"{quoted(rest.split()[0])} cannot be read here. A rule looks like this: {_EXAMPLE}")


_Found = TypeVar("_Found")


class _Parser:
    """Recursive descent, one method for each level of binding."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def any_of(self) -> Test:
        tests = self._joined("or", self._all_of)
        return tests[0] if len(tests) == 1 else AnyOf(tuple(tests))

    def finish(self) -> None:
        token = self._next
        if token.kind != "end":
            raise BadRule(f"{quoted(token.text)} is not expected here. Tests are joined by 'and' and 'or'")

    def _all_of(self) -> Test:
        tests = self._joined("and", self._one)
        return tests[0] if len(tests) == 1 else AllOf(tuple(tests))

    def _joined(self, word: str, part: Callable[[], _Found]) -> list[_Found]:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadRule(f"it is nested more than {_MAX_DEPTH} deep")
        test = self._negated_or_grouped()
        self._depth -= 1
        return test

    def _negated_or_grouped(self) -> Test:
        if self._takes("not"):
            return Not(self._one())
        if self._takes("("):
            test = self.any_of()
            if not self._takes(")"):
                raise BadRule(f"a '(' is not closed; {self._found()}")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        start = self._next.start
        element = self._element()
        written = self._text[start : self._tokens[self._at - 1].end].strip()
        token = self._take()
        word = token.text.lower()
        if token.says("exists"):
            return Compares(element, lambda value: True, f"{written} exists")
        if token.says("is", "contains", "matches"):
            return self._against_text(element, written, word)
        if token.says(*COMPARISONS):
            return self._against_number(element, written, word)
        raise BadRule(f"after {written} comes is, contains, matches, exists, or a comparison such as >=; {self._found(token)}")

    def _against_text(self, element: tuple[BaseTag, ...], written: str, word: str) -> Test:
        is_negated = word == "is" and self._takes("not")
        token = self._take()
        if token.kind == "number" and word == "is":
            test = Compares(element, number_test("=", float(token.text)), f"{written} is {token.text}")
        elif token.kind == "text":
            test = Compares(element, text_test(word, token.text[1:-1]), f"{written} {word} {token.text}")
        else:
            raise BadRule(f"after '{written} {word}' comes a text in quotes; {self._found(token)}")
        return Not(test) if is_negated else test

    def _against_number(self, element: tuple[BaseTag, ...], written: str, sign: str) -> Test:
        token = self._take()
        if token.kind != "number":
            raise BadRule(f"after '{written} {sign}' comes a number; {self._found(token)}")
        return Compares(element, number_test(sign, float(token.text)), f"{written} {sign} {token.text}")

    def _element(self) -> tuple[BaseTag, ...]:
        return tuple(self._joined(".", self._tag))

    def _tag(self) -> BaseTag:
        token = self._take()
        if token.kind == "tag":
            return BaseTag(int(re.sub(r"[^0-9A-Fa-f]", "", token.text), 16))
        if token.kind != "word" or token.says(*_RESERVED):
            raise BadRule(f"a test begins with a DICOM element, as in {_EXAMPLE}; {self._found(token)}")
        return _tag_of(token.text)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _takes(self, word: str) -> bool:
        is_there = self._next.says(word)
        self._at += is_there
        return is_there

    def _found(self, token: _Token | None = None) -> str:
        found = token or self._next
        return "the rule ends there" if found.kind == "end" else f"{quoted(found.text)} was found"


def _tag_of(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    if number is not None:
        return BaseTag(number)
    meant = get_close_matches(keyword.lower(), _keywords(), n=1)
    hint = f"; did you mean {_keywords()[meant[0]]}?" if meant else "; write its keyword or (gggg,eeee)"
    raise BadRule(f"there is no DICOM element {quoted(keyword)}{hint}")


@cache
def _keywords() -> dict[str, str]:
    return {keyword.lower(): keyword for keyword in keyword_dict if keyword}
