"""Phantoms as files, compressed like what users upload."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray


def write_clip(
    frames: NDArray[np.uint8], fps: float, path: str | Path, codec: str = "libx264", crf: int | None = 23, pixel_format: str | None = None
) -> None:
    """Encode grey frames (F, H, W) at a constant rate; the container is told by the suffix of `path`.

    Odd sizes lose their last row or column: the colour planes of yuv420p are half as large.
    """
    _, height, width = frames.shape
    pixels = pixel_format or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
    options = {} if crf is None else {"crf": str(crf)}
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options))
        stream.width, stream.height, stream.pix_fmt = width - width % 2, height - height % 2, pixels
        # One thread: the same frames give the same file everywhere.
        stream.codec_context.thread_count = 1
        for grey in frames[:, : stream.height, : stream.width]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(grey), format="gray")))
        container.mux(stream.encode(None))
