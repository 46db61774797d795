"""Who comes, and when: arrivals that do not wait for one another, good clips and everything else among them. A function of the seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

GOOD, JOB, HALF, LEAVES, STALLS, GARBAGE = "good clip", "job", "leaves while it sends", "leaves while it waits", "stalls", "garbage"
BESIDES = {JOB: 0.01, HALF: 0.1, LEAVES: 0.1, STALLS: 0.03, GARBAGE: 0.2}
"""Arrivals for each good clip."""
MOST_PATIENT_S = 8.0
"""Who leaves while they wait does so within this."""


@dataclass(frozen=True, slots=True)
class Arrival:
    number: int
    at_s: float
    """Since the first could have come."""
    kind: str


def arrivals(seed: int, good_per_s: float, seconds: float) -> Iterator[Arrival]:
    """A Poisson process: so many good clips a second, and the rest on top of them."""
    random = Random(f"{seed}/arrivals")
    kinds, shares = (GOOD, *BESIDES), (1.0, *BESIDES.values())
    at_s, number = 0.0, 0
    while (at_s := at_s + random.expovariate(good_per_s * sum(shares))) < seconds:
        yield Arrival(number, at_s, random.choices(kinds, shares)[0])
        number += 1
