"""Frames of a film container or a bare stream, by PyAV. The one place where FFmpeg's errors are caught.

Grey is the luma as coded, stretched to 0..255 where the stream says (or, for YUV, does not say) that it is limited to 16..235. That
equals OpenCV's and swscale's grey within a level. Pictures coded in RGB or a palette are weighted by BT.601. Whatever is
transparent is laid on black, which is the ground of an ultrasound picture (FFmpeg's own ground is white, in GIFs).
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideData, SideDataContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.cine.clip import DecodeLimits
from service.cine.handed import ClipFile
from service.cine.survey import DAMAGED, Damaged, Header, Picture, check_size, too_long
from service.errors import NoVideo, UnreadableClip

_JPEG_RANGE, _MPEG_RANGE = 2, 1  # AVColorRange
_LUMA_FIRST = re.compile(r"(?P<family>yuvj|yuv|gray|nv)(4\d\dp|12|21|16|24)?(?P<bits>9|10|12|14|16)?(le)?$")


class FFmpegSource:
    """One container, or bare stream, of a stated format. The format is never guessed: playlists and protocols stay out.

    Raises: NoVideo, UnreadableClip; FrameTooLarge, FrameTooSmall and ClipTooLong as early as the container allows.
    """

    def __init__(self, data: ClipFile, av_format: str, container: str, limits: DecodeLimits) -> None:
        self._data = data
        self._av_format = av_format
        self._limits = limits
        with self._opened() as (opened, stream):
            self.header = _header(opened, stream, container, tuple(self._ending_warnings()))
            self._check_hints(opened, stream)

    def _ending_warnings(self) -> Iterator[str]:
        """A GIF does not say how long it is, but how it ends."""
        if self._av_format != "gif":
            return
        with self._file() as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - 64))
            if not file.read().rstrip(b"\x00").endswith(b"\x3b"):
                yield "The clip is cut off: its last frames are missing."

    def _check_hints(self, opened: InputContainer, stream: VideoStream) -> None:
        """Refuse what is plainly too large or too long, before anything is decoded. Length is proved by time stamps: headers lie."""
        width, height = stream.codec_context.width, stream.codec_context.height
        if width and height:
            check_size(width, height, self._limits)
        if (self.header.stated_s or 0.0) > self._limits.max_seconds:
            _check_packets(opened, stream, self._limits)

    def pictures(self) -> Iterator[Picture | Damaged]:
        with self._opened() as (opened, stream):
            # One thread: frame threads make the concealment of a damaged stream depend on chance, and two walks must be equal. Over
            # 90 clips two or four threads took as long (4.3 s), because requests share the cores.
            stream.codec_context.thread_count = 1
            stream.codec_context.options = _guards(self._limits.max_pixels_per_frame)
            yield from self._decoded(opened, stream)

    def _decoded(self, opened: InputContainer, stream: VideoStream) -> Iterator[Picture | Damaged]:
        idle = 0
        for packet in _packets(opened, stream):
            try:
                frames: list[VideoFrame] = packet.decode()
            except FFmpegError as error:
                _refuse_if_out_of_memory(error)
                frames = []
                yield DAMAGED
            for frame in frames:
                yield DAMAGED if frame.is_corrupt else FFmpegPicture(frame, _display_matrix(frame))
            idle = 0 if frames else idle + 1
            if idle > self._limits.max_frames:
                return

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with self._file() as file, _open(file, self._av_format, _guards(self._limits.max_pixels_per_frame)) as opened:
            yield opened, _clip_stream(opened)

    def _file(self) -> BinaryIO:
        # From a descriptor, so that FFmpeg never sees a name: it would take "concat:..." for a protocol and ".m3u8" for a playlist.
        match self._data:
            case bytes() as data:
                return io.BytesIO(data)
            case Path() as path:
                return open(os.open(path, os.O_RDONLY), "rb")
            case handed:
                return handed.open()


def _guards(max_pixels: int) -> dict[str, str]:
    """Keeps a forged header from having FFmpeg allocate gigabytes. Roomy, because it counts whole blocks, and small frames have few."""
    return {"max_pixels": str(2 * max_pixels + 2**16)}


def _open(file: BinaryIO, av_format: str, options: dict[str, str]) -> InputContainer:
    try:
        return av.open(file, "r", format=av_format, options=options, io_open=_refuse_to_open, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:  # ValueError: PyAV's own, of a stream that breaks its expectations
        _refuse_if_out_of_memory(error)
        raise UnreadableClip(
            "The clip is damaged or cut off: it begins like a clip and could not be opened. Please export or copy it again.",
            log_detail=str(error),
        ) from error


def _refuse_if_out_of_memory(error: Exception) -> None:
    """A frame that there was no memory for is not damaged, and must not be left out of the answer like one. Raises: UnreadableClip."""
    if isinstance(error, MemoryError):
        raise UnreadableClip(
            "Decoding the clip takes more memory than there is for one clip. It is damaged, or its frames are too large or too many. "
            "Please export it again, at a smaller size."
        ) from error


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> Any:
    """A container that points to other files or servers gets none."""
    raise PermissionError


def _clip_stream(opened: InputContainer) -> VideoStream:
    """The first stream of moving pictures; cover art and thumbnails are not the clip."""
    streams = [stream for stream in opened.streams.video if not stream.disposition & _STILL]
    if not streams:
        raise NoVideo("The file has no moving pictures in it, only sound or data.")
    if streams[0].codec_context is None:
        raise UnreadableClip("The clip's pictures are in an encoding that cannot be read. Please export it as H.264 (MP4).")
    return streams[0]


_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def _header(opened: InputContainer, stream: VideoStream, container: str, warnings: tuple[str, ...]) -> Header:
    return Header(
        container=container,
        nominal_s=_interval_s(stream.average_rate) or _interval_s(stream.guessed_rate),
        stated_s=_stated_s(opened, stream),
        warnings=(*_shape_warnings(stream), *warnings),
    )


def _interval_s(rate: Fraction | None) -> float | None:
    """FFmpeg makes up 90 000 frames a second where it does not know."""
    return float(1 / rate) if rate and 0.01 <= rate <= 1000 else None


def _stated_s(opened: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    alone = len(opened.streams) == 1  # else the sound may be the longer
    return opened.duration / av.time_base if opened.duration is not None and alone else None


def _shape_warnings(stream: VideoStream) -> Iterator[str]:
    aspect = stream.sample_aspect_ratio
    if aspect and abs(aspect - 1) > 0.01:
        yield f"The clip's pixels are not square (width : height = {float(aspect):.2f}); it was read as stored."


def _check_packets(opened: InputContainer, stream: VideoStream, limits: DecodeLimits) -> None:
    """Read the time stamps without decoding. Raises: ClipTooLong."""
    first_s: float | None = None
    for packet in _packets(opened, stream):
        if packet.pts is None or packet.time_base is None:
            continue
        time_s = float(packet.pts * packet.time_base)
        first_s = time_s if first_s is None else min(first_s, time_s)
        if time_s - first_s > limits.max_seconds:
            raise too_long(limits)


def _packets(opened: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Up to the end, or to where the container breaks off."""
    try:
        yield from opened.demux(stream)
    except FFmpegError as error:
        _refuse_if_out_of_memory(error)


@dataclass(frozen=True, slots=True)
class FFmpegPicture:
    frame: VideoFrame
    turned: "_DisplayMatrix"

    @property
    def time_s(self) -> float | None:
        return None if self.frame.pts is None else self._in_seconds(self.frame.pts)

    @property
    def shown_s(self) -> float | None:
        return self._in_seconds(self.frame.duration) if self.frame.duration else None

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.frame.width, self.frame.height
        return (height, width) if self.turned.swaps_axes else (width, height)

    def grey(self) -> NDArray[np.uint8]:
        return self.turned.show(_grey(self.frame))

    def rgb(self) -> NDArray[np.uint8]:
        return self.turned.show(_rgb(self.frame))

    def _in_seconds(self, ticks: int) -> float | None:
        base = self.frame.time_base
        return None if base is None else ticks * base.numerator / base.denominator


def _grey(frame: VideoFrame) -> NDArray[np.uint8]:
    """(H, W) as stored."""
    known = _LUMA_FIRST.fullmatch(frame.format.name)
    if known is None:
        return np.asarray(cv2.cvtColor(_rgb(frame), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    bits = int(known["bits"] or 8)
    return _levels(bits, _is_limited(frame, known["family"]), _luma_plane(frame, bits))


def _is_limited(frame: VideoFrame, family: str) -> bool:
    """16..235 unless the stream says otherwise; grey formats 0..255 unless it does (swscale's rule)."""
    return frame.color_range == _MPEG_RANGE if family == "gray" else family != "yuvj" and frame.color_range != _JPEG_RANGE


def _luma_plane(frame: VideoFrame, bits: int) -> NDArray[Any]:
    """A view (H, W) into the decoder's buffer, whose lines are padded."""
    plane = frame.planes[0]
    dtype = np.dtype(np.uint8) if bits == 8 else np.dtype("<u2")
    if plane.line_size < 0:
        return np.asarray(frame.to_ndarray()[: frame.height])
    lines: NDArray[Any] = np.frombuffer(memoryview(plane), dtype=dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return lines[: frame.height, : frame.width]


def _levels(bits: int, limited: bool, luma: NDArray[Any]) -> NDArray[np.uint8]:
    """Stored luma -> grey levels 0..255; a copy."""
    table = _level_table(bits, limited)
    if bits == 8:
        return np.asarray(cv2.LUT(luma, table), dtype=np.uint8) if limited else luma.copy()
    grey: NDArray[np.uint8] = table[np.minimum(luma, len(table) - 1)]
    return grey


@cache
def _level_table(bits: int, limited: bool) -> NDArray[np.uint8]:
    stored = np.arange(2**bits, dtype=np.float64)
    scale = 2.0 ** (bits - 8)
    grey = (stored - 16 * scale) / (219 * scale) if limited else stored / (2**bits - 1)
    return np.clip(np.rint(grey * 255), 0, 255).astype(np.uint8)


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    """(H, W, 3) as stored."""
    if not _has_alpha(frame):
        return np.ascontiguousarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    rgba = frame.to_ndarray(format="rgba")
    rgb = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    alpha = cv2.extractChannel(rgba, 3)
    if cv2.minMaxLoc(alpha)[0] < 255:
        rgb = cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255)
    return np.asarray(rgb, dtype=np.uint8)


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def decode_jpeg(coded: bytes, max_pixels: int) -> NDArray[Any] | None:
    """One JPEG picture, lossless ones too, as its components were coded: (H, W) or (H, W, 3) of uint8 or uint16. None if damaged."""
    decoder = VideoCodecContext.create("mjpeg", "r")
    decoder.options = _guards(max_pixels)
    try:
        frames = [*decoder.decode(Packet(coded)), *decoder.decode(None)]
        return None if len(frames) != 1 or frames[0].is_corrupt else _components(frames[0])
    except (FFmpegError, ValueError) as error:  # ValueError: PyAV's own, of pixels in a format it has no array for
        _refuse_if_out_of_memory(error)
        return None


def _components(frame: VideoFrame) -> NDArray[Any]:
    """Colours in the order of the stream, whatever FFmpeg took them for."""
    components = frame.to_ndarray()
    if frame.format.name.startswith("bgr"):
        return components[..., ::-1]
    return np.moveaxis(components, 0, -1) if frame.format.name.startswith("yuv") else components


@dataclass(frozen=True, slots=True)
class _DisplayMatrix:
    """How a stored frame is turned to be shown: transposed first, then mirrored."""

    swaps_axes: bool = False
    flips_x: bool = False
    flips_y: bool = False

    def show(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self is _UPRIGHT:
            return frame
        turned = frame.swapaxes(0, 1) if self.swaps_axes else frame
        turned = turned[:, ::-1] if self.flips_x else turned
        return np.ascontiguousarray(turned[::-1] if self.flips_y else turned)


_UPRIGHT = _DisplayMatrix()


def _display_matrix(frame: VideoFrame) -> _DisplayMatrix:
    """The nearest of the eight ways to lay a picture down. FFmpeg's matrix is a b u, c d v, x y w: x' = a x + c y, y' = b x + d y."""
    # Not `frame.side_data`: the frame keeps that, and it the frame, so that both wait for the garbage collector; 20 s of 1080p held 700 MB.
    stored = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # its stub leaves the frame out
    if stored is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(memoryview(cast(SideData, stored)), dtype=np.int32)[:5].astype(np.int64)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return _DisplayMatrix(True, bool(c < 0), bool(b < 0))
    return _DisplayMatrix(False, bool(a < 0), bool(d < 0))
