"""The signs beside sliding on the one-page report: a line each with its verdict's shape, and small below them how their models did."""

from service.evidence import words
from service.evidence.paper import BLACK, QUIET, RULE, Area, Face, Paper
from service.evidence.paper_charts import SMALL, TINY, draw_sign
from service.findings import SignFinding

TEXT = 8.0
"""Points: below the sentences on sliding, which come first."""
ROW, MEASURED_ROW = 11.5, 8.2
"""From one line to the next."""
HEAD, BETWEEN, FOOT = 13.0, 2.0, 4.0
INDENT = 14.0
MAX_MEASURED = 12
"""Lines: six long sentences have two each, and leave the pictures their room."""


def draw_signs(paper: Paper, area: Area, signs: tuple[SignFinding, ...]) -> float:
    """Stands on the area's bottom, as high as there is to say. Returns its top; the bottom itself where no sign was asked for."""
    if not signs:
        return area.bottom
    measured = _measured(paper, signs, area.width)
    top = area.bottom - HEAD - ROW * len(signs) - BETWEEN - MEASURED_ROW * len(measured) - FOOT
    paper.line(((area.left, top), (area.right, top)), RULE)
    paper.write(words.SIGNS_HEADING, (area.left, top + 10), SMALL, BLACK, Face.BOLD)
    y = top + HEAD
    for found in signs:
        y += ROW
        _sign(paper, area, y, found)
    y += BETWEEN
    for line in measured:
        y += MEASURED_ROW
        paper.write(line, (area.left, y + 1), TINY, QUIET)
    return top


def _sign(paper: Paper, area: Area, baseline: float, found: SignFinding) -> None:
    draw_sign(paper, (area.left + 5, baseline - 3), 4, found.verdict, BLACK)  # sliding's colours would say of a lung that it slides
    said, width = words.sign_line(found) + _frame(found), area.width - INDENT
    size = paper.fitting_size(said, width, TEXT, TINY)
    paper.write(paper.shortened(said, width, size), (area.left + INDENT, baseline), size)


def _frame(found: SignFinding) -> str:
    """Counted from 1, as all frames on the page."""
    return "" if found.representative is None else f" (frame {found.representative.index + 1})"


def _measured(paper: Paper, signs: tuple[SignFinding, ...], width: float) -> list[str]:
    """Each model gets a word in: what of its sentence does not fit ends in "…", and is whole in the JSON."""
    sentences = words.measured_lines(signs)
    each = MAX_MEASURED // len(sentences)
    return [line for sentence in sentences for line in paper.wrap(sentence, width, TINY, max_lines=each)]
