"""The clips that were called wrong with the most confidence, by their keys alone: what to look at next."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.report.document import Block, Paragraph, Table
from training.signs.answers import SignAnswers
from training.signs.confusion import OneOfSigns
from training.signs.tables import sign_title
from training.study.figures import THRESHOLD

NUM_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """A clip called wrong."""

    clip: str
    """Its key."""
    truth: str
    said: str
    probability: float
    """Of what was said."""


def mistakes(pooled: SignAnswers) -> list[Mistake]:
    """All of them, the most confident first; equals by their keys."""
    found = _of_one_sign(pooled) if len(pooled.signs) == 1 else _of_several(pooled)
    return sorted(found, key=lambda mistake: (-mistake.probability, mistake.clip))


def mistakes_table(pooled: SignAnswers) -> Iterator[Block]:
    found = mistakes(pooled)
    if not found:
        yield Paragraph("No clip was called wrong.")
        return
    rows = [(mistake.clip, mistake.truth, mistake.said, f"{mistake.probability:.2f}") for mistake in found[:NUM_SHOWN]]
    yield Table(("clip", "truth", "said", "probability of what was said"), rows, f"{len(rows)} of the {len(found)} clips called wrong.")


def _of_one_sign(pooled: SignAnswers) -> Iterator[Mistake]:
    title, known = sign_title(pooled.signs[0]), pooled.known(pooled.signs[0])
    for clip, label, probability in zip(pooled.clip[known], pooled.label[known, 0], pooled.probability[known, 0], strict=True):
        is_said = probability >= THRESHOLD
        if is_said != (label == 1):
            truth, said = (f"no {title}", title) if is_said else (title, f"no {title}")
            yield Mistake(str(clip), truth, said, float(probability if is_said else 1 - probability))


def _of_several(pooled: SignAnswers) -> Iterator[Mistake]:
    one = OneOfSigns.of(pooled)
    for k in np.flatnonzero(one.truth != one.answered):
        truth, said = (sign_title(one.signs[which]) for which in (one.truth[k], one.answered[k]))
        yield Mistake(str(one.clip[k]), truth, said, float(one.probability[k]))
