"""analyse(): one clip, start to finish."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from service.cine.clip import Clip
from service.findings import Analysis, Arrays, Point


class Saliency(StrEnum):
    NONE = "none"
    VANILLA = "vanilla"
    SMOOTHGRAD = "smoothgrad"


class Rows(StrEnum):
    """Which patch rows are read: the two just below the pleural line, or all down to where the echoes end."""

    PLEURA = "pleura"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Options:
    saliency: Saliency = Saliency.VANILLA
    rows: Rows = Rows.PLEURA
    region: tuple[Point, ...] | None = None
    """Pleural region drawn by hand, a polygon in pixels of the uploaded frame; replaces the search for the pleura."""
    mm_per_px: float | None = None
    """Scale, when the clip does not state it."""


Progress = Callable[[float, str], None]
"""Called with the share of the work done (0..1) and the stage's name."""


def analyse(clip: Clip, model: "LoadedModel", options: Options, *, on_progress: Progress | None = None) -> tuple[Analysis, Arrays]:
    raise NotImplementedError
