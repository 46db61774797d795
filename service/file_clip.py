"""A clip that is read in another process: here it is a file."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo


class Opener(Protocol):
    def __call__(self, path: Path, *, unhurried: bool = False) -> Clip:
        """As `Reader.open`."""
        ...


class FileClip:
    """Opened here only where its frames are asked for, as for what is drawn into the archive."""

    def __init__(self, path: Path, opener: Opener, *, is_unhurried: bool) -> None:
        self.path = path
        self.is_unhurried = is_unhurried
        self._opener = opener

    @cached_property
    def _opened(self) -> Clip:
        return self._opener(self.path, unhurried=self.is_unhurried)

    @property
    def info(self) -> ClipInfo:
        return self._opened.info

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        return self._opened.frames()

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        return self._opened.rgb_frames()
