"""Writing H.264 in MP4 that every browser and PACS viewer plays: yuv420p, index first, the times the frames were shown."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

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

    def __init__(self, path: Path, width: int, height: int, fps: float) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata["title"] = "Seashore annotated clip: not for diagnosis"
        rate = Fraction(fps).limit_denominator(1000) or Fraction(30)
        self._stream = self._container.add_stream("libx264", rate=rate, options=X264_OPTIONS)
        _describe(self._stream, width, height)

    def write(self, canvas: NDArray[np.uint8], shown_at_s: float, shown_for_s: float) -> None:
        """canvas (H, W, 3), even sides."""
        planes = cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = round(shown_at_s * TICKS_PER_S)
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
    """A writer whose file appears whole or not at all.

    The index is moved to the front at the end, for which the muxer reads its own file again: so a stream is written
    by way of a temporary file, gone when this returns.
    """
    with tempfile.TemporaryDirectory(prefix=".seashore-", dir=out.parent if isinstance(out, Path) else None) as folder:
        part = Path(folder) / "annotated.mp4"
        writer = Mp4Writer(part, width, height, fps)
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        if isinstance(out, Path):
            os.replace(part, out)
        else:
            with part.open("rb") as encoded:
                shutil.copyfileobj(encoded, out)
