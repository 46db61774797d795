"""The report's part on two models, and clips as pictures with a sentence each."""

from collections.abc import Iterator, Sequence

from service.report.document import Block, Figure, Heading, Paragraph, Table
from service.validation import wording
from service.validation.comparison import differing
from service.validation.comparison_wording import comparison_sentences
from service.validation.findings import Findings, ModelFindings, Shown

MOST_DIFFERING = 60
"""Rows of the table."""


def comparison(found: Findings) -> Iterator[Block]:
    c, second = found.comparison, found.second
    if c is None or second is None:
        return
    yield Heading(f"{found.first.name} against {second.name}")
    yield Paragraph("\n".join(comparison_sentences(found)))
    counts = [
        ("right in both", str(c.both_right)),
        (f"right only in {found.first.name}", str(c.only_first_right)),
        (f"right only in {second.name}", str(c.only_second_right)),
        ("right in neither", str(c.neither_right)),
        (f"opposite in {found.first.name}", str(c.opposite_first)),
        (f"opposite in {second.name}", str(c.opposite_second)),
    ]
    yield Table(("Labelled clips", "Number"), counts)
    yield from _differing_table(found, second)
    yield from picture_blocks(found.differing, with_model=True)


def _differing_table(found: Findings, second: ModelFindings) -> Iterator[Block]:
    pairs = differing(found.pairs)
    if not pairs:
        yield Paragraph("The two answered every clip alike.")
        return
    rows = [(str(a.clip.row), a.label_words, wording.answer_words(a), wording.answer_words(b)) for a, b in pairs[:MOST_DIFFERING]]
    more = f"; the first {MOST_DIFFERING} of {len(pairs)}" if len(pairs) > MOST_DIFFERING else ""
    yield Table(("Row", "Labelled", found.first.name, second.name), rows, f"Clips the two answered differently{more}")


def picture_blocks(shown: Sequence[Shown], *, with_model: bool = False) -> Iterator[Block]:
    for one in shown:
        said = f"{one.model}. " if with_model else ""
        caption = said + wording.case_sentence(one.case)
        if one.png is None:
            yield Paragraph(f"{caption} (No picture: no echoes were found in it, or it can no longer be read.)")
        else:
            yield Figure(one.png, "png", caption, "Middle frame with the findings drawn on it, M-mode strip and measured slide beside it.")
