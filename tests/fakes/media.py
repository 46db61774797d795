"""Clips encoded by code: every container and codec the service reads, and every way in which an upload can be wrong.

Everything returns the bytes of a file. Pictures are a texture that moves by a known amount, so a test can tell frames apart.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""(F, H, W) grey, or (F, H, W, 3) RGB"""


@cache
def texture(num_frames: int = 30, width: int = 160, height: int = 120, step_px: int = 2, seed: int = 0) -> Frames:
    """A smooth grey texture (F, H, W), 20..235, that moves `step_px` to the left a frame."""
    wide = np.random.default_rng(seed).random((height, width + step_px * num_frames)).astype(np.float32)
    smooth = cv2.GaussianBlur(wide, (0, 0), 3)
    levels = cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)
    frames = np.stack([levels[:, step_px * n : step_px * n + width] for n in range(num_frames)])
    frames.flags.writeable = False
    return frames


def encode(
    frames: Frames,
    *,
    container: str,
    codec: str,
    pix_fmt: str,
    fps: Fraction | int = 30,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    full_range: bool = False,
    with_sound: bool = False,
    with_cover: bool = False,
) -> bytes:
    """One clip. `times_ms` replaces the even spacing of `fps`."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, container_options=container_options or {}) as output:
        cover = _add_cover(output) if with_cover else None
        stream = _add_stream(output, frames, codec, pix_fmt, fps, options or {}, full_range)
        sound = _add_sound(output) if with_sound else None
        if cover is not None:
            _write_cover(output, cover)
        _write(output, stream, frames, times_ms, fps)
        if sound is not None:
            _write_sound(output, sound, seconds=1.0)
    return file.getvalue()


def _add_stream(
    output: av.container.OutputContainer,
    frames: Frames,
    codec: str,
    pix_fmt: str,
    fps: Fraction | int,
    options: dict[str, str],
    full_range: bool,
) -> VideoStream:
    stream: VideoStream = output.add_stream(codec, rate=Fraction(fps), options=options)  # type: ignore[call-overload]
    stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
    if full_range:
        stream.codec_context.color_range = 2
    return stream


def _write(output: Any, stream: VideoStream, frames: Frames, times_ms: Sequence[int] | None, fps: Fraction | int) -> None:
    if times_ms is not None:
        stream.codec_context.time_base = Fraction(1, 1000)
    for number, levels in enumerate(frames):
        frame = _as_frame(levels, stream)
        frame.pts = number if times_ms is None else times_ms[number]
        frame.time_base = Fraction(1, 1) / Fraction(fps) if times_ms is None else Fraction(1, 1000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _as_frame(levels: Frames, stream: VideoStream) -> av.VideoFrame:
    source = "gray" if levels.ndim == 2 else "rgb24" if levels.shape[2] == 3 else "rgba"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), format=source)
    dst_range = 2 if stream.codec_context.color_range == 2 or str(stream.pix_fmt).startswith("yuvj") else 1
    is_rgb = str(stream.pix_fmt).startswith(("rgb", "bgr", "gbr", "pal", "argb", "0rgb"))
    return frame.reformat(format=stream.pix_fmt, dst_color_range=None if is_rgb else dst_range)


def _add_sound(output: Any) -> Any:
    return output.add_stream("mp2" if "mpeg" in output.format.name else "aac", rate=48000, layout="mono")


def _write_sound(output: Any, stream: Any, seconds: float) -> None:
    samples = np.zeros((1, 1152), np.int16)
    for number in range(int(seconds * 48000 / 1152)):
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32) if stream.format.name == "fltp" else samples, stream.format.name, "mono"
        )
        frame.sample_rate, frame.pts = 48000, number * 1152
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _add_cover(output: Any) -> Any:
    stream = output.add_stream("png", rate=1)
    stream.width, stream.height, stream.pix_fmt = 96, 96, "rgb24"
    stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _write_cover(output: Any, stream: Any) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((96, 96, 3), 255, np.uint8), format="rgb24")
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


# Sound clips, one of each kind that is promised


def mp4(frames: Frames | None = None, **changes: Any) -> bytes:
    """H.264, yuv420p, nearly lossless."""
    settings = {"container": "mp4", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5", "preset": "ultrafast"}}
    return encode(texture() if frames is None else frames, **{**settings, **changes})


EVERY_KIND: dict[str, dict[str, Any]] = {
    "mp4 h264": {"container": "mp4", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5"}},
    "mp4 h264 b-frames": {"container": "mp4", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5", "bf": "3"}},
    "mp4 h264 fragmented": {
        "container": "mp4",
        "codec": "libx264",
        "pix_fmt": "yuv420p",
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "mp4 hevc": {"container": "mp4", "codec": "libx265", "pix_fmt": "yuv420p", "options": {"x265-params": "log-level=none:crf=5"}},
    "mp4 mpeg4": {"container": "mp4", "codec": "mpeg4", "pix_fmt": "yuv420p", "options": {"qscale": "2", "b": "4M"}},
    "mov h264": {"container": "mov", "codec": "libx264", "pix_fmt": "yuv444p", "options": {"crf": "5"}},
    "mov prores": {"container": "mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "mov mjpeg": {"container": "mov", "codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {"qscale": "2", "b": "20M"}},
    "avi mpeg4": {"container": "avi", "codec": "mpeg4", "pix_fmt": "yuv420p", "options": {"b": "4M"}},
    "avi mpeg4 b-frames": {"container": "avi", "codec": "mpeg4", "pix_fmt": "yuv420p", "options": {"b": "4M", "bf": "2"}},
    "avi mjpeg": {"container": "avi", "codec": "mjpeg", "pix_fmt": "yuvj422p", "options": {"b": "20M"}},
    "avi raw": {"container": "avi", "codec": "rawvideo", "pix_fmt": "bgr24"},
    "avi huffyuv": {"container": "avi", "codec": "huffyuv", "pix_fmt": "yuv422p"},
    "mkv h264": {"container": "matroska", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5"}},
    "mkv ffv1 grey": {"container": "matroska", "codec": "ffv1", "pix_fmt": "gray"},
    "webm vp8": {
        "container": "webm",
        "codec": "libvpx",
        "pix_fmt": "yuv420p",
        "options": {"b": "4M", "deadline": "realtime", "cpu-used": "8"},
    },
    "webm vp9": {
        "container": "webm",
        "codec": "libvpx-vp9",
        "pix_fmt": "yuv420p",
        "options": {"b": "4M", "deadline": "realtime", "cpu-used": "8"},
    },
    "mpeg program stream": {"container": "mpeg", "codec": "mpeg2video", "pix_fmt": "yuv420p", "options": {"b": "4M"}},
    "mpeg-1 program stream": {"container": "mpeg", "codec": "mpeg1video", "pix_fmt": "yuv420p", "options": {"b": "4M"}},
    "mpeg transport stream": {"container": "mpegts", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5"}},
    "mpeg bare stream": {"container": "mpeg2video", "codec": "mpeg2video", "pix_fmt": "yuv420p", "options": {"b": "4M"}},
    "gif": {"container": "gif", "codec": "gif", "pix_fmt": "gray", "fps": 25},
}
"""What `encode` needs for a sound clip of each kind."""


# Pixels of every sort


def grey_mp4() -> bytes:
    """H.264 4:0:0: no colour in the stream at all. Its luma is limited to 16..235, as of any H.264."""
    return mp4(np.rint(16 + texture() * (219 / 255)).astype(np.uint8), pix_fmt="gray")


def ten_bit_mkv(frames: Frames) -> bytes:
    return encode(frames, container="matroska", codec="ffv1", pix_fmt="yuv420p10le")


def alpha_mov(frames: Frames) -> bytes:
    """`frames` (F, H, W, 4): PNG pictures with transparency."""
    return encode(frames, container="mov", codec="png", pix_fmt="rgba")


def palette_avi(red: int, green: int, blue: int) -> bytes:
    """Two frames of 64 x 64 in one colour, as PNG pictures with a palette."""
    palette = np.full((256, 4), 255, np.uint8)
    palette[0] = 255, red, green, blue
    frame = av.VideoFrame.from_ndarray((np.zeros((64, 64), np.uint8), palette), format="pal8")  # type: ignore[arg-type]
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream: VideoStream = output.add_stream("png", rate=30)  # type: ignore[assignment]
        stream.width, stream.height, stream.pix_fmt = 64, 64, "pal8"
        for number in range(2):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def gif(frames: Frames, delays_cs: Sequence[int]) -> bytes:
    """`frames` (F, H, W, 3) of two colours, black and white, each shown `delays_cs` hundredths of a second.

    Written by hand, so that every frame after the first draws only its changed rows and leaves the rest as it was.
    """
    height, width = frames.shape[1:3]
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x80, 0, 0), b"\x00\x00\x00\xff\xff\xff"]
    before = None
    for frame, delay in zip(frames[..., 0] > 127, delays_cs, strict=True):
        rows = np.arange(height) if before is None else np.flatnonzero((frame != before).any(axis=1))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
        parts.append(b"\x21\xf9\x04\x04" + struct.pack("<HBB", delay, 0, 0))
        parts.append(b"\x2c" + struct.pack("<HHHHB", 0, top, width, bottom - top, 0) + _lzw(frame[top:bottom].ravel().tolist()))
        before = frame
    return b"".join([*parts, b"\x3b"])


def _lzw(indices: list[int]) -> bytes:
    """Not compressed: a clear code before the table can grow, so every code has 3 bits."""
    codes = [code for start in range(0, len(indices), 2) for code in (4, *indices[start : start + 2])] + [5]
    bits = sum(code << (3 * place) for place, code in enumerate(codes))
    data = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"\x02" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"


def transparent_gif(frames: Frames) -> bytes:
    """As `gif`, with black (colour 0) declared transparent."""
    made = bytearray(gif(frames, [10] * len(frames)))
    for at in _graphic_controls(made):
        made[at + 3] |= 1
    return bytes(made)


def _graphic_controls(data: bytes) -> Iterator[int]:
    at = data.find(b"\x21\xf9\x04")
    while at >= 0:
        yield at
        at = data.find(b"\x21\xf9\x04", at + 1)


# Wrong in one way each

EMPTY = b""
TEXT = b"patient;side;zone\nanonymous;left;2\n" * 20


def truncated(data: bytes, share: float) -> bytes:
    """The first `share` of a file, as from a broken transfer."""
    return data[: int(len(data) * share)]


def streamable_mp4(frames: Frames) -> bytes:
    """With its index before its pictures, so that a truncated one can still be read."""
    data = mp4(frames)
    start = next(_boxes(data, b"moov"))
    index = bytearray(data[start : start + int.from_bytes(data[start : start + 4], "big")])
    for at in _boxes(index, b"stco"):
        count = int.from_bytes(index[at + 12 : at + 16], "big")
        offsets = struct.unpack_from(f">{count}I", index, at + 16)
        struct.pack_into(f">{count}I", index, at + 16, *(offset + len(index) for offset in offsets))
    after_ftyp = int.from_bytes(data[:4], "big")
    return data[:after_ftyp] + bytes(index) + data[after_ftyp:start] + data[start + len(index) :]


def corrupted(data: bytes, share: float, num_bytes: int = 400) -> bytes:
    """With a run of bytes overwritten at `share` of its length."""
    at = int(len(data) * share)
    noise = np.random.default_rng(1).integers(0, 256, num_bytes, dtype=np.uint8).tobytes()
    return data[:at] + noise + data[at + num_bytes :]


def sound_only() -> bytes:
    """An MP4 with a sound track and no video stream."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        _write_sound(output, _add_sound(output), seconds=1.0)
    return file.getvalue()


def one_frame() -> bytes:
    return mp4(texture(1))


@cache
def ten_minutes(kind: str = "mp4 h264") -> bytes:
    """600 s at 2 frames a second, small."""
    return encode(np.repeat(texture(2, 64, 64), 600, axis=0), **{**EVERY_KIND[kind], "fps": 2})


def claiming(avi: bytes, num_frames: int) -> bytes:
    """An AVI whose stream header (strh, dwLength) says that it has `num_frames`, whatever is in it."""
    made = bytearray(avi)
    struct.pack_into("<I", made, made.index(b"strh") + 40, num_frames)
    return bytes(made)


def rotated(data: bytes, clockwise_deg: int) -> bytes:
    """An MP4 whose display matrix says that it is to be shown turned, as a phone writes it."""
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[clockwise_deg]
    return with_matrix(data, a, b, c, d)


def with_matrix(data: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """An MP4 with x' = a x + c y, y' = b x + d y in its track header."""
    made = bytearray(data)
    for at in _boxes(made, b"tkhd"):
        made[at + 48 : at + 84] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return bytes(made)


def _boxes(data: bytes, name: bytes) -> Iterator[int]:
    """Where the boxes of that name begin (MP4: 4 bytes of length, 4 of name)."""
    at = data.find(name)
    while at >= 0:
        yield at - 4
        at = data.find(name, at + 1)


def huge_gif(side_px: int) -> bytes:
    """Of `side_px` squared by its header, with next to nothing in it."""
    return b"GIF89a" + struct.pack("<HHBBB", side_px, side_px, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff" + b"\x2c" + struct.pack(
        "<HHHHB", 0, 0, side_px, side_px, 0
    ) + _lzw([0, 1] * 40) + b"\x3b"  # fmt: skip


def png() -> bytes:
    return bytes(cv2.imencode(".png", texture(1)[0])[1])


def jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", texture(1)[0])[1])


def playlist(url: str) -> bytes:
    """An HLS playlist that asks its reader to fetch `url`."""
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n".encode()


def concat_script(path: str) -> bytes:
    """FFmpeg's own list of files to read one after the other."""
    return f"ffconcat version 1.0\nfile '{path}'\n".encode()


def uneven_times_ms(steps_ms: Sequence[int], num_frames: int) -> list[int]:
    """`steps_ms` over and over."""
    return [sum(steps_ms[k % len(steps_ms)] for k in range(n)) for n in range(num_frames)]


def is_even(times: Sequence[float]) -> bool:
    return len({round(after - before, 6) for before, after in pairwise(times)}) <= 1
