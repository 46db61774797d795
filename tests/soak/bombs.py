"""Small files that decode to much, or nest without end. Each is made by code in a second; none is larger than a few hundred kilobytes."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from tests.fakes import dicom, media
from tests.soak.seeds import STUDY, Seed

NUM_FRAMES = 600
LARGE = (2304, 4096)
"""Height, width: the largest frame that is accepted."""
DEEP = 20_000


@cache
def every_bomb() -> tuple[Seed, ...]:
    makers: dict[str, tuple[Callable[[], bytes], bool]] = {
        "black MP4 of 4096 x 2304": (_black_mp4, False),
        "GIF of 4096 x 2304": (_large_gif, False),
        "GIF that states 65535 x 65535": (lambda: media.huge_gif(65535), False),
        "ten minutes in a few kilobytes": (media.ten_minutes, False),
        "AVI that claims 4 billion frames": (
            lambda: media.claiming(media.encode(media.texture(12, 96, 80), **media.EVERY_KIND["avi mjpeg"]), 2**32 - 1),
            False,
        ),
        "DICOM, RLE of nothing": (_rle, True),
        "DICOM, deflated gigabyte": (_deflated, True),
        "DICOM, deflated gigabyte of text": (_deflated_text, True),
        "DICOM, sequences in sequences": (_nested_dicom, True),
        "DICOM that claims a billion frames": (lambda: dicom.native(media.texture(2, 96, 80), NumberOfFrames=10**9, **STUDY), True),
        "boxes in boxes": (_nested_boxes, False),
        "lists in lists": (_nested_lists, False),
        "elements in elements": (_nested_elements, False),
        "a million empty boxes": (lambda: media.mp4(media.texture(2, 96, 80))[:32] + b"\x00\x00\x00\x08free" * 60_000, False),
    }
    return tuple(Seed(name, make(), is_dicom) for name, (make, is_dicom) in makers.items())


def _black_mp4() -> bytes:
    """Each frame after the first says "the same": a few bytes."""
    black = np.zeros((90, *LARGE), np.uint8)
    return media.encode(black, container="mp4", codec="libx264", pix_fmt="yuv420p", options={"preset": "ultrafast", "crf": "40"})


def _large_gif() -> bytes:
    """A screen of the largest size, drawn one pixel at a time, many times."""
    height, width = LARGE
    frame = b"\x21\xf9\x04\x00\x03\x00\x00\x00" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff" + frame * NUM_FRAMES + b"\x3b"


def _rle() -> bytes:
    """Runs of 128 zeros in two bytes (PS3.5 G.3.1)."""
    from pydicom.encaps import encapsulate

    height, width = LARGE
    run = b"\x81\x00" * (height * width // 128)
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + run
    made = dicom.dataset(media.texture(2, 96, 80), **STUDY)
    made.Rows, made.Columns, made.NumberOfFrames = height, width, 2
    made.PixelData = encapsulate([frame] * 2, has_bot=False)
    return dicom.file_of(made, RLELossless)


def _deflated() -> bytes:
    return _with_deflated(b"\xe0\x7f\x10\x00OB\x00\x00" + struct.pack("<I", 2**30), 2**30)


def _deflated_text() -> bytes:
    """A private element of a gigabyte, before the pictures."""
    return _with_deflated(b"\x09\x00\x10\x10UT\x00\x00" + struct.pack("<I", 2**30), 2**30)


def _with_deflated(head: bytes, num_zeros: int) -> bytes:
    """The elements of a sound object, `head` and so many zeros, deflated (PS3.5 A.5)."""
    made = dicom.dataset(media.texture(2, 96, 80), **STUDY)
    del made.PixelData
    whole = dicom.file_of(made, DeflatedExplicitVRLittleEndian)
    meta_end = 132 + 12 + int.from_bytes(whole[140:144], "little")
    elements = zlib.decompress(whole[meta_end:], -zlib.MAX_WBITS)
    small = elements[: elements.index(b"\x28\x00\x02\x00")] if head.startswith(b"\x09") else elements
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = io.BytesIO()
    out.write(squeeze.compress(small + head))
    for _ in range(num_zeros // 2**20):
        out.write(squeeze.compress(bytes(2**20)))
    out.write(squeeze.flush())
    return whole[:meta_end] + out.getvalue()


def _nested_dicom() -> bytes:
    """Undefined lengths, so that nobody need know how deep it goes (PS3.5 7.5)."""
    whole = dicom.native(media.texture(2, 96, 80), **STUDY)
    at = whole.index(b"\x28\x00\x02\x00US")
    deep = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * DEEP
    return whole[:at] + deep + whole[at:]


def _nested_boxes() -> bytes:
    content = b""
    for _ in range(2000):
        content = struct.pack(">I", len(content) + 8) + b"moov" + content
    return b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + content


def _nested_lists() -> bytes:
    content = b""
    for _ in range(2000):
        content = b"LIST" + struct.pack("<I", len(content) + 4) + b"hdrl" + content
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"AVI " + content


def _nested_elements() -> bytes:
    """SimpleTag in SimpleTag, of unknown length."""
    head = b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    return head + b"\x12\x54\xc3\x67\x01" + b"\xff" * 7 + b"\x73\x73\x01" + b"\xff" * 7 + b"\x67\xc8\x01\xff\xff\xff\xff\xff\xff\xff" * DEEP
