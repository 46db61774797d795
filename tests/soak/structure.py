"""Where the parts of a file lie: boxes of MP4, chunks of RIFF, elements of Matroska and DICOM, blocks of GIF, start codes of MPEG.

Good enough to be aimed with, on sound files and on damaged ones: a walk ends where it no longer understands.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_BOXES_OF_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex", b"moof", b"traf"}
_ELEMENTS_OF_ELEMENTS = {
    *(b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\x15\x49\xa9\x66", b"\x1a\x45\xdf\xa3", b"\x1c\x53\xbb\x6b"),
    *(b"\xae", b"\xe0", b"\xa0", b"\xbb", b"\xb7"),
}
"""Matroska: Segment, Cluster, Tracks, Info, the header, Cues; TrackEntry, Video, BlockGroup, CuePoint, CueTrackPositions."""
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"}
MAX_PARTS = 4000
MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Part:
    """`start`..`end` of the whole, `body` where its content begins, and its length field, where it has one."""

    start: int
    body: int
    end: int
    length_at: int = 0
    length_bytes: int = 0
    is_big_endian: bool = True
    parents: tuple["Part", ...] = ()


def parts_of(data: bytes) -> list[Part]:
    """In the order of the file; parents before children. Empty where the file is none that is known."""
    found: list[Part] = []
    for part in _walk(data):
        found.append(part)
        if len(found) == MAX_PARTS:
            break
    return found


def _walk(data: bytes) -> Iterator[Part]:
    if data[128:132] == b"DICM":
        return _elements(data, 132)
    if data[:4] == b"RIFF":
        return _chunks(data, 0, len(data), ())
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return _ebml(data, 0, len(data), ())
    if data[:3] == b"GIF":
        return _gif(data)
    if data[:1] == b"\x47" and data[188:189] == b"\x47":
        return iter([Part(at, at + 4, at + 188) for at in range(0, len(data) - 187, 188)])
    if data[:3] == b"\x00\x00\x01":
        return _start_codes(data)
    return _boxes(data, 0, len(data), ())


def _boxes(data: bytes, at: int, end: int, parents: tuple[Part, ...]) -> Iterator[Part]:
    while at + 8 <= end:
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if not 8 <= size <= end - at:
            return
        part = Part(at, at + 8, at + size, at, 4, True, parents)
        yield part
        if name in _BOXES_OF_BOXES and len(parents) < MAX_DEPTH:
            yield from _boxes(data, at + 8, at + size, (*parents, part))
        at += size


def _chunks(data: bytes, at: int, end: int, parents: tuple[Part, ...]) -> Iterator[Part]:
    while at + 8 <= end:
        size, name = int.from_bytes(data[at + 4 : at + 8], "little"), data[at : at + 4]
        if size > end - at - 8:
            return
        part = Part(at, at + 8, at + 8 + size, at + 4, 4, False, parents)
        yield part
        if name in (b"RIFF", b"LIST") and len(parents) < MAX_DEPTH:
            yield from _chunks(data, at + 12, at + 8 + size, (*parents, part))
        at += 8 + size + size % 2


def _ebml(data: bytes, at: int, end: int, parents: tuple[Part, ...]) -> Iterator[Part]:
    while at + 2 <= end and data[at]:
        id_bytes = 9 - data[at].bit_length()
        size_at = at + id_bytes
        if size_at >= end or not data[size_at]:
            return
        size_bytes = 9 - data[size_at].bit_length()
        size = int.from_bytes(data[size_at : size_at + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
        body = size_at + size_bytes
        stop = min(body + size, end)  # all ones: as far as its parent goes
        part = Part(at, body, stop, size_at, size_bytes, True, parents)
        yield part
        if data[at:size_at] in _ELEMENTS_OF_ELEMENTS and len(parents) < MAX_DEPTH:
            yield from _ebml(data, body, stop, (*parents, part))
        at = stop


def _gif(data: bytes) -> Iterator[Part]:
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 13 and data[10] & 0x80 else 0)
    yield Part(0, 6, min(at, len(data)))
    while at + 10 < len(data):
        start = at
        if data[at] == 0x2C:
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0) + 1
        elif data[at] == 0x21:
            at += 2
        else:
            return
        while at < len(data) and data[at]:
            yield Part(at, at + 1, at + 1 + data[at], at, 1)
            at += 1 + data[at]
        at += 1
        yield Part(start, start + 1, at)


def _start_codes(data: bytes) -> Iterator[Part]:
    at = 0
    while at >= 0:
        following = data.find(b"\x00\x00\x01", at + 3)
        yield Part(at, at + 4, following if following >= 0 else len(data))
        at = following


def _elements(data: bytes, at: int) -> Iterator[Part]:
    """Explicit VR, little endian, as far as that goes; items of encapsulated pictures are parts too."""
    while at + 8 <= len(data):
        vr = data[at + 4 : at + 6]
        is_item = data[at : at + 2] == b"\xfe\xff"
        if is_item or not vr.isalpha():
            length_at, length_bytes = at + 4, 4
        else:
            length_at, length_bytes = (at + 8, 4) if vr in _LONG_VRS else (at + 6, 2)
        size = int.from_bytes(data[length_at : length_at + length_bytes], "little")
        body = length_at + length_bytes
        end = body if size == 0xFFFFFFFF else body + size
        if end > len(data):
            return
        yield Part(at, body, end, length_at, length_bytes, is_big_endian=False)
        at = end


def with_length(data: bytearray, part: Part, length: int) -> None:
    """Write its length field, in place; what does not fit is cut off."""
    value = length % (1 << 8 * part.length_bytes)
    if part.length_bytes:
        data[part.length_at : part.length_at + part.length_bytes] = value.to_bytes(
            part.length_bytes, "big" if part.is_big_endian else "little"
        )


def grown(data: bytearray, part: Part, num_bytes: int) -> None:
    """Its parents hold so many bytes more: of MP4 and RIFF, whose lengths are plain numbers."""
    for parent in part.parents:
        if parent.length_bytes == 4:
            order = ">I" if parent.is_big_endian else "<I"
            (length,) = struct.unpack_from(order, data, parent.length_at)
            struct.pack_into(order, data, parent.length_at, max(0, length + num_bytes) % 2**32)
