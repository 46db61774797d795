"""What is sent to whoever reads, beside the findings."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from service.evidence.identity import Identity


@dataclass(frozen=True, slots=True)
class SentClip:
    """A clip on its way to whoever reads it."""

    data: NDArray[np.uint8]
    """The file, byte for byte. It lies in shared memory, which a `bytes` would be copied out of."""
    is_unhurried: bool
    """It may be as long as a job's."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the one-page report says beside the findings."""

    analysed_at: datetime
    identity: Identity | None
    show_outside_region: bool
