"""Compression: frames through a real encoder and back, at the quality that files on wards and on the web have."""

import io
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from training.recording.take import Frames, Recording


class Codec(StrEnum):
    """What clips are stored with."""

    NONE = "none"
    H264 = "h264"
    """Phones, the web, newer machines."""
    MPEG4 = "mpeg4"
    """AVI files of older machines."""
    MPEG2 = "mpeg2"
    """DVD recorders, and DICOM's first video syntax."""
    MJPEG = "mjpeg"
    """DICOM multi-frame JPEG, and AVI."""
    GIF = "gif"
    """Web pages and slides: a palette, dithered."""


class Quality(StrEnum):
    FINE = "fine"
    USUAL = "usual"
    COARSE = "coarse"


@dataclass(frozen=True, slots=True)
class Coding:
    codec: Codec
    quality: Quality = Quality.USUAL

    def __str__(self) -> str:
        return str(self.codec) if self.codec is Codec.NONE else f"{self.codec} {self.quality}"


_ENCODERS = {
    Codec.H264: ("libx264", "matroska", "yuv420p"),
    Codec.MPEG4: ("mpeg4", "matroska", "yuv420p"),
    Codec.MPEG2: ("mpeg2video", "matroska", "yuv420p"),
    Codec.MJPEG: ("mjpeg", "matroska", "yuvj420p"),
    Codec.GIF: ("gif", "gif", "gray"),
}
_CRF = {Quality.FINE: 18, Quality.USUAL: 26, Quality.COARSE: 36}
_QUANTISER = {Quality.FINE: 3, Quality.USUAL: 8, Quality.COARSE: 20}
_PALETTES = {Quality.FINE: "gray", Quality.USUAL: "rgb8", Quality.COARSE: "rgb8"}
"""Of a GIF: all greys; 256 colours shared by grey and colour (4 to 8 greys and dither). 16 colours left nothing to read."""
_RATE_FPS = 25
"""MPEG-2 knows few rates; frames keep the recording's own times, the encoder is told this one."""


def coded(recording: Recording, coding: Coding) -> Recording:
    """The recording after its file: same times, same count, other pictures. Odd sizes lose their last row or column, as in yuv420p."""
    if coding.codec is Codec.NONE:
        return recording
    frames = decoded(encoded(recording.grey, coding))
    if len(frames) != len(recording.grey):
        raise AssertionError(f"{len(recording.grey)} frames went into {coding}, and {len(frames)} came out.")
    return recording.showing(frames)


def encoded(grey: Frames, coding: Coding) -> bytes:
    """A file of frames (F, H, W) at a nominal rate. Raises: ValueError for no codec at all."""
    if coding.codec is Codec.NONE:
        raise ValueError("Without a codec there is no file to write.")
    encoder, container_format, pixels = _ENCODERS[coding.codec]
    height, width = (side - side % 2 for side in grey.shape[1:])
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = cast(VideoStream, container.add_stream(encoder, rate=_RATE_FPS, options=_options(coding)))
        stream.width, stream.height = width, height
        stream.pix_fmt = _PALETTES[coding.quality] if coding.codec is Codec.GIF else pixels
        # One thread: the same frames give the same file everywhere.
        stream.codec_context.thread_count = 1
        for frame in grey[:, :height, :width]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")))
        container.mux(stream.encode(None))
    return file.getvalue()


def decoded(data: bytes) -> Frames:
    """All frames as grey levels (F, H, W), as the service's decoder takes them."""
    with av.open(io.BytesIO(data), "r") as container:
        return np.stack([np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)])


def _options(coding: Coding) -> dict[str, str]:
    if coding.codec is Codec.GIF:
        return {}
    if coding.codec is Codec.H264:
        # x264 that looks ahead coded one clip in forty otherwise than the time before; examples must come out the same each time.
        return {"crf": str(_CRF[coding.quality]), "preset": "veryfast", "x264-params": "rc-lookahead=0:mbtree=0:sync-lookahead=0"}
    quantiser = str(_QUANTISER[coding.quality])
    return {"qmin": quantiser, "qmax": quantiser}
