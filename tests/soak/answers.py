"""What sound clips are answered at rest, and whether an answer under load is the same."""

import json
from typing import Any

from tests.fakes import media
from tests.fakes.phantoms import small_phantom
from tests.soak.seeds import LUNG_S, Seed, lungs

OF_THE_MOMENT = ("id", "timings_ms")
"""What no two answers share."""
TOLERANCE = 1e-5
"""Between figures: another batch size, another last digit."""

Findings = dict[str, Any]


def good_clips() -> tuple[Seed, ...]:
    """Of different answers, so that one given to the wrong sender is seen."""
    absent = small_phantom("absent", LUNG_S).frames
    longer = small_phantom("present", 2 * LUNG_S, seed=1).frames
    options = {"crf": "18", "preset": "ultrafast"}
    return (*lungs(), Seed("still lung", media.mp4(absent, options=options)), Seed("longer lung", media.mp4(longer, options=options)))


def findings(content: bytes) -> Findings:
    return {name: value for name, value in json.loads(content).items() if name not in OF_THE_MOMENT}


def difference(said: object, expected: object, where: str = "") -> str:
    """Where the two first differ, as a path; empty where they do not. Words and counts exactly, figures within TOLERANCE."""
    if isinstance(said, dict) and isinstance(expected, dict) and said.keys() == expected.keys():
        return next((found for name in said if (found := difference(said[name], expected[name], f"{where}.{name}"))), "")
    if isinstance(said, list) and isinstance(expected, list) and len(said) == len(expected):
        pairs = enumerate(zip(said, expected, strict=True))
        return next((found for number, pair in pairs if (found := difference(*pair, f"{where}[{number}]"))), "")
    if isinstance(said, float) and isinstance(expected, float):
        return "" if abs(said - expected) <= TOLERANCE * max(1.0, abs(expected)) else where
    return "" if type(said) is type(expected) and said == expected else where or "all of it"
