"""A clip's file that was opened elsewhere and handed over: it can be read, and where it lies is not known."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO


class HandedFile:
    """Opened any number of times, each with a place of its own in the file. The descriptor stays whoever's it is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def open(self, mode: str = "rb") -> BinaryIO:
        return io.BufferedReader(_AtOwnPlace(self._descriptor))


ClipFile = bytes | Path | HandedFile
"""A clip as it is stored: its bytes, or where they can be read."""


class _AtOwnPlace(io.RawIOBase):
    """A descriptor's own place is shared by all that read it, two walks through the same clip among them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, offset + (os.fstat(self._descriptor).st_size if base is None else base))
        return self._at
