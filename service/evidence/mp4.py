"""Writing H.264 in MP4 that every browser and PACS viewer plays: yuv420p, index first, the times the frames were shown."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

TICKS_PER_S = 90_000
"""MPEG's clock: 30, 25 and 24 frames a second all come out whole."""

X264_OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0"}
"""No frames out of order: the first one is shown at 0 in every player, and the encoder holds few frames back."""


class Mp4Writer:
    """Takes RGB canvases and the time each is shown; frame times need not be even."""

    def __init__(self, stream: BinaryIO, width: int, height: int, fps: float) -> None:
        def again(url: str, flags: int, options: dict[str, str]) -> Any:
            """The index is moved to the front at the end, for which the muxer opens its own file once more."""
            return _Again(stream)

        self._container = av.open(stream, "w", format="mp4", options={"movflags": "+faststart"}, io_open=again)
        self._last_pts = -1
        self._container.metadata["title"] = "Seashore annotated clip: not for diagnosis"
        rate = Fraction(fps).limit_denominator(1000) or Fraction(30)
        self._stream = self._container.add_stream("libx264", rate=rate, options=X264_OPTIONS)
        _describe(self._stream, width, height)

    def write(self, canvas: NDArray[np.uint8], shown_at_s: float, shown_for_s: float) -> None:
        """canvas (H, W, 3), even sides."""
        planes = cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._last_pts = max(round(shown_at_s * TICKS_PER_S), self._last_pts + 1)  # the muxer takes no two at one time
        frame.duration = max(1, round(shown_for_s * TICKS_PER_S))
        frame.time_base = Fraction(1, TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        self._container.close()


def _describe(stream: VideoStream, width: int, height: int) -> None:
    """cv2 converts by BT.601 in limited range: say so, or players take BT.709 for pictures of this size."""
    context = stream.codec_context
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, TICKS_PER_S)
    context.flags |= Flags.frame_duration  # or the last frame is given the average time, not its own
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.SMPTE170M
    context.color_primaries = ColorPrimaries.SMPTE170M
    context.color_trc = ColorTrc.SMPTE170M


@contextmanager
def mp4_writer(out: Path | BinaryIO, width: int, height: int, fps: float) -> Iterator[Mp4Writer]:
    """A writer whose file appears whole or not at all; a stream, which can be read and sought in, is written as it goes."""
    if not isinstance(out, Path):
        with _closed_or_abandoned(Mp4Writer(out, width, height, fps)) as writer:
            yield writer
        return
    with tempfile.TemporaryDirectory(prefix=".seashore-", dir=out.parent) as folder:
        part = Path(folder) / "annotated.mp4"
        with part.open("w+b") as file, _closed_or_abandoned(Mp4Writer(file, width, height, fps)) as writer:
            yield writer
        os.replace(part, out)


@contextmanager
def _closed_or_abandoned(writer: Mp4Writer) -> Iterator[Mp4Writer]:
    try:
        yield writer
    except BaseException:
        writer.abandon()
        raise
    writer.close()


class _Again:
    """A stream that is being written, read from its start."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0

    def read(self, count: int) -> bytes:
        written_to = self._stream.tell()
        self._stream.seek(self._at)
        content = self._stream.read(count)
        self._stream.seek(written_to)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Only from the start: where the end is, the muxer knows."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at
