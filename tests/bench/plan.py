"""How long the bench may take."""

import sys
import time
from dataclasses import dataclass

_STARTED_S = time.monotonic()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the parts. `quick` is a smoke run: every part, too few figures to quote."""

    quick: bool = False
    rounds: int = 2
    """Each server is started, loaded and ended so often, in turn; medians of the rounds are printed."""

    tune: bool = False
    """Try every setting of the peers first; else those are taken that were best when it was last tried."""

    def of(self, whole: float, quick: float) -> float:
        """The one that this run wants."""
        return quick if self.quick else whole


def say(sentence: str) -> None:
    """Progress, on standard error."""
    print(f"[{time.monotonic() - _STARTED_S:5.0f} s] {sentence}", file=sys.stderr, flush=True)
