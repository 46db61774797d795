"""Which opinions count: the last on each clip and region, where it says anything of sliding."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.jobs.feedback import Opinion, Said, Sign


@dataclass(frozen=True, slots=True, repr=False)
class Choice:
    counted: tuple[Said, ...]
    """Each with a label, and no clip twice with the same region; in the order in which they were first spoken of."""
    num_unsure: int
    """Last opinions that are unsure, or say that nobody can tell."""
    num_open: int
    """Last opinions on an open verdict that do not say what was seen instead."""
    num_contradicted: int
    """Clips and regions of which one opinion says something of sliding and another something else."""


def choose(said: Iterable[Said]) -> Choice:
    """The last by time counts, of two at the same second the later line."""
    by_clip: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for one in said:
        by_clip[one.clip_sha256, one.region].append(one)
    last = [sorted(opinions, key=lambda one: one.at)[-1] for opinions in by_clip.values()]
    silent = [one for one in last if one.label is None]
    num_unsure = sum(one.opinion is Opinion.UNSURE or one.sign is Sign.CANNOT_TELL for one in silent)
    return Choice(
        counted=tuple(one for one in last if one.label is not None),
        num_unsure=num_unsure,
        num_open=len(silent) - num_unsure,
        num_contradicted=sum(len({one.label for one in opinions} - {None}) > 1 for opinions in by_clip.values()),
    )
