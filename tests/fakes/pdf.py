"""What stands on the page of a PDF that reportlab wrote: its lines of text, where they begin, its pictures. No PDF library."""

import base64
import re
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PAGE_WIDTH, PAGE_HEIGHT = 595.2756, 841.8898
_OBJECT = re.compile(rb"\n(\d+) 0 obj\s*(.*?)\nendobj", re.DOTALL)
_LINE = re.compile(rb"BT 1 0 0 1 (\S+) (\S+) Tm (.*?) T\* ET", re.DOTALL)
_RUN = re.compile(rb"(?:/(\S+) (\S+) Tf \S+ TL )?\(((?:\\.|[^\\)])*)\) Tj", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One line of text; points from the page's top left corner to where its baseline begins."""

    text: str
    left: float
    baseline: float
    size: float


def num_pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


def lines(pdf: bytes) -> list[Line]:
    """Every line of the (one) page, in the order written."""
    objects = dict(_OBJECT.findall(pdf))
    tables = {
        name: _unicode_of(_stream(objects[number]))
        for body in objects.values()
        for name, number in re.findall(rb"/Name /(\S+) .*?/ToUnicode (\d+) 0 R", body, re.DOTALL)
    }
    page = next(body for body in objects.values() if re.search(rb"/Type /Page\b(?!s)", body))
    found = re.search(rb"/Contents (\d+) 0 R", page)
    assert found is not None
    return [_line(match, tables) for match in _LINE.finditer(_stream(objects[found.group(1)]))]


def text(pdf: bytes) -> str:
    """All lines, one below the other."""
    return "\n".join(line.text for line in lines(pdf))


def pictures(pdf: bytes) -> list[NDArray[np.uint8]]:
    """Every picture of the page, RGB, in the order placed."""
    bodies = [body for _, body in _OBJECT.findall(pdf) if b"/DCTDecode" in body]
    decoded = [cv2.imdecode(np.frombuffer(_stream(body), np.uint8), cv2.IMREAD_COLOR) for body in bodies]
    return [np.asarray(image)[..., ::-1].astype(np.uint8) for image in decoded]


def information(pdf: bytes) -> bytes:
    """The document's metadata, as written."""
    return next(body for _, body in _OBJECT.findall(pdf) if b"/CreationDate" in body)


def _line(match: re.Match[bytes], tables: dict[bytes, dict[int, str]]) -> Line:
    left, bottom, runs = match.groups()
    said, size, table = "", 0.0, dict[int, str]()
    for name, points, written in _RUN.findall(runs):
        if name:
            size, table = float(points), tables[name]
        said += "".join(table[code] for code in _ESCAPE.sub(_unescaped, written))
    return Line(said, float(left), PAGE_HEIGHT - float(bottom), size)


def _unescaped(match: re.Match[bytes]) -> bytes:
    found = match.group(1)
    return (
        bytes([int(found, 8)]) if len(found) == 3 else {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}.get(found, found)
    )


def _unicode_of(table: bytes) -> dict[int, str]:
    """A ToUnicode map: a line "<4f> <0432>" for each code."""
    return {int(code, 16): chr(int(unicode, 16)) for code, unicode in re.findall(rb"\n<(\w\w)> <(\w{4})>", table)}


def _stream(body: bytes) -> bytes:
    head, data = body.split(b"stream", 1)
    data = data.rsplit(b"endstream", 1)[0].strip()
    if b"/ASCII85Decode" in head:
        data = base64.a85decode(b"<~" + data, adobe=True)
    return zlib.decompress(data) if b"/FlateDecode" in head else data
