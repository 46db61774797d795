"""Frames over a socket between two processes: a header, open files, and plain buffers, which are read straight to where they stay.

`multiprocessing.Connection` gathers what it reads in chunks and copies it twice; patches and gradients of a clip are tens of megabytes.
"""

import socket
import struct
from collections.abc import Sequence
from multiprocessing.connection import wait

import numpy as np
from numpy.typing import NDArray

Buffer = NDArray[np.uint8]

MAX_BUFFERS = 16
MAX_FILES = 2
MAX_FRAME_BYTES = 2**33
"""Far over what a clip comes to; it only keeps one end from filling the other's memory."""
SILENT_S = 30
"""In the middle of a frame, or with a frame of ours half taken: the other end is stuck."""

_PREFIX = struct.Struct("<QII")


_FILES_FOLLOW = b"F"
"""Files travel with a byte."""


class Hung(OSError):
    """Nobody is at the other end, or nobody who talks as we do."""


class Wire:
    """One end. One thread receives, one sends."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENT_S, 0))

    @property
    def end(self) -> socket.socket:
        """To wait for."""
        return self._end

    def send(self, header: bytes, buffers: Sequence[Buffer] = (), files: Sequence[int] = ()) -> None:
        """Buffers are one-dimensional and contiguous; files are descriptors, which stay open here. Raises: OSError."""
        sizes = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
        self._end.sendall(_PREFIX.pack(len(header), len(buffers), len(files)) + sizes + header)
        if files:
            socket.send_fds(self._end, [_FILES_FOLLOW], files)
        for buffer in buffers:
            self._end.sendall(buffer.data)

    def receive(self) -> tuple[bytes, list[Buffer]]:
        """Waits as long as it takes for a frame to begin. Files are not taken. Raises: OSError (Hung when the other end was closed)."""
        header, buffers, files = self.receive_with_files(most=0)
        return header, buffers

    def receive_with_files(self, most: int = MAX_FILES) -> tuple[bytes, list[Buffer], list[int]]:
        """As `receive`. The files are the receiver's to close."""
        wait([self._end])
        header_size, num_buffers, num_files = _PREFIX.unpack(self._take(_PREFIX.size).data)
        if num_buffers > MAX_BUFFERS or num_files > most:
            raise Hung
        sizes = struct.unpack(f"<{num_buffers}Q", self._take(8 * num_buffers).data)
        if header_size + sum(sizes) > MAX_FRAME_BYTES:
            raise Hung
        header, files = self._take(header_size).tobytes(), self._take_files(num_files)
        return header, [self._take(size) for size in sizes], files

    def close(self) -> None:
        self._end.close()

    def _take_files(self, count: int) -> list[int]:
        if count == 0:
            return []
        _, files, _, _ = socket.recv_fds(self._end, len(_FILES_FOLLOW), count)
        if len(files) != count:
            raise Hung
        return files

    def _take(self, size: int) -> Buffer:
        taken = np.empty(size, np.uint8)
        start = 0
        while start < size:
            count = self._end.recv_into(taken[start:].data)
            if count == 0:
                raise Hung
            start += count
        return taken
