"""What the service tells of what a network has learnt: each sign by itself, two together, and sliding where its absence was learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from service.findings import FLUID_OR_SOLID, SECOND_READER
from training.signs.answers import NOT_KNOWN, SignAnswers
from training.signs.preset import ABSENT

TOGETHER: Mapping[str, tuple[str, ...]] = {FLUID_OR_SOLID: ("effusion", "consolidation")}
"""There when any of these is."""


def tellings(signs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """What may be told of logits of these signs, and by which of them."""
    alone = {sign: (output,) for output, sign in enumerate(signs)}
    together = {name: parts for name, parts in TOGETHER.items() if set(parts) <= set(signs)}
    return alone | {name: tuple(signs.index(part) for part in parts) for name, parts in together.items()}


def as_served(answers: SignAnswers) -> SignAnswers:
    """The same answers in the service's words: who learnt that sliding is absent tells sliding, and 1 is that it is seen."""
    if answers.signs != (ABSENT,):
        return answers
    label = np.where(answers.label == NOT_KNOWN, NOT_KNOWN, 1 - answers.label)
    return replace(answers, signs=(SECOND_READER,), label=label, probability=1 - answers.probability)
