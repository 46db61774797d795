"""Whoever reads clips: the HTTP API and the command line ask it, and know nothing of engines and bundles.

`Reader` is the seam; `ClipReader` is the real one, over a model store on disk. Tests stand a reader with a computable
answer behind the same seam.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.cine.clip import Clip
from service.errors import BadBundle, OperatorError, UnknownModel
from service.findings import Analysis, Arrays
from service.options import quoted
from service.pipeline import Options, Progress


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One bundle of the store."""

    name: str
    version: str
    is_default: bool
    is_loaded: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


class Reader(Protocol):
    """Reads clips. Every method blocks and may be called from several threads at once."""

    def models(self) -> tuple[ModelEntry, ...]:
        """Every bundle of the store, newest version first within a name."""
        ...

    def find(self, model: str | None) -> ModelEntry:
        """The bundle a request means by `NAME`, `NAME:VERSION` or nothing. Quick. Raises: UnknownModel, BadBundle."""
        ...

    def load(self, entry: ModelEntry) -> None:
        """Have a bundle verified, its golden clip checked and its engine warm. Raises: OperatorError."""
        ...

    def open(self, path: Path) -> Clip:
        """The clip in a file, which must stay there as long as the clip is used. Raises: RequestError."""
        ...

    def read(self, clip: Clip, entry: ModelEntry, options: Options, on_progress: Progress | None = None) -> tuple[Analysis, Arrays]:
        """Raises: RequestError, OperatorError; and whatever `on_progress` raises, which is how a caller stops it."""
        ...

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        """Write the clip with its findings drawn on it, as MP4."""
        ...
