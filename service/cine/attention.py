"""Where a model's attention over the frames of a run points: which frames it attends to, and which of them stands for the run.

share of the attention     .   :   |   |   :   .
even share, 1/T          ------------------------
attended                           ^   ^
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ATTENDED_FROM = 0.9
"""Times the even share. An attention that is shared evenly by m of T frames gives each of them 1/m, never less than 1/T, and the others
nothing, so any threshold up to the even share finds the m. Somewhat below it, because where the sign is there throughout the attention
is even but for rounding and noise, and then it points at every frame and not at a half of them by chance."""


def attended(attention: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Frames with about their even share of the attention or more: (..., T), adding up to 1 over T -> (..., T)."""
    return np.asarray(attention * attention.shape[-1] >= ATTENDED_FROM, np.bool_)


def representative_frame(attention: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The frame of greatest attention, the first of equals: (..., T) -> (...)."""
    return np.asarray(attention.argmax(axis=-1), np.int64)
