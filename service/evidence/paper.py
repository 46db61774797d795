"""One A4 page, drawn from its top left corner in points: text that fits, lines, boxes, pictures. Same input, same bytes."""

import io
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from service.evidence.palette import Colour

PAGE_WIDTH, PAGE_HEIGHT = A4
"""595 x 842 points (72 an inch)."""
FONTS = Path(__file__).with_name("fonts")

BLACK: Colour = (17, 20, 24)
QUIET: Colour = (88, 96, 106)
RULE: Colour = (186, 193, 200)
WASH: Colour = (241, 243, 246)
WHITE: Colour = (255, 255, 255)

Place = tuple[float, float]


class Face(StrEnum):
    """DejaVu Sans Condensed: Latin with every accent, Greek, Cyrillic, Armenian and Georgian (see fonts/README.md)."""

    PLAIN = "DejaVuSansCondensed"
    BOLD = "DejaVuSansCondensed-Bold"


class Align(StrEnum):
    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the page, points from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


_registering = threading.Lock()


def _register_faces() -> None:
    """reportlab finds a face by its name in one table for the whole process; a second one of that name would spoil open pages."""
    with _registering:
        for face in Face:
            if face.value not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(face.value, str(FONTS / f"{face.value}.ttf")))


def printable(text: str) -> str:
    """The text on one line as the page can show it: no control characters, "?" for what the face lacks."""
    _register_faces()
    known = pdfmetrics.getFont(Face.PLAIN.value).face.charToGlyph
    return "".join(c if ord(c) in known else "?" for c in _one_line(text))


def is_printable(text: str) -> bool:
    """Whether every character can be shown."""
    return printable(text) == _one_line(text)


def _one_line(text: str) -> str:
    """Accents composed with their letters, whatever separates lines or controls terminals a space."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in composed).split())


class Paper:
    """The page being drawn. `close` writes the document; a page that is not closed leaves no trace."""

    def __init__(self, title: str, made_at: datetime, *, is_compressed: bool = True) -> None:
        """`made_at` is the document's date, in place of the clock's. Neither may hold anything of a patient."""
        _register_faces()
        self._written = io.BytesIO()
        self._canvas = Canvas(
            self._written,
            pagesize=A4,
            pageCompression=int(is_compressed),
            invariant=1,
            lang="en",
            pdfVersion=(1, 7),
            initialFontName=Face.PLAIN.value,
        )
        self._canvas.setTitle(title)
        self._canvas.setAuthor("Seashore")
        self._canvas.setCreator("Seashore")
        self._canvas.setSubject("Research software: not for diagnosis")
        self._canvas.setDateFormatter(lambda *_: _pdf_date(made_at))

    def close(self, out: BinaryIO) -> None:
        self._canvas.showPage()
        self._canvas.save()
        out.write(self._written.getvalue())

    # -- text -------------------------------------------------------------------------------------------------------

    def text_width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        return float(pdfmetrics.stringWidth(printable(text), face.value, size))

    def write(self, text: str, at: Place, size: float, ink: Colour = BLACK, face: Face = Face.PLAIN, align: Align = Align.LEFT) -> float:
        """One line whose baseline begins, has its middle or ends at a place. Returns where it ends (x)."""
        shown, width = printable(text), self.text_width(text, size, face)
        left = at[0] - {Align.LEFT: 0.0, Align.CENTRE: width / 2, Align.RIGHT: width}[align]
        self._ink(ink)
        self._canvas.setFont(face.value, size)
        self._canvas.drawString(left, PAGE_HEIGHT - at[1], shown)
        return left + width

    def fitting_size(self, text: str, width: float, size: float, least: float, face: Face = Face.PLAIN) -> float:
        """The largest size up to `size` at which the text is no wider than `width`; `least` where none is."""
        natural = self.text_width(text, size, face)
        return size if natural <= width else max(least, 0.995 * size * width / natural)  # a little less: sums of widths are rounded

    def wrap(self, text: str, width: float, size: float, face: Face = Face.PLAIN, max_lines: int | None = None) -> list[str]:
        """Lines no wider than `width`, broken at spaces, and inside a word that alone is wider. "…" ends what is cut off."""
        lines: list[str] = []
        for word in printable(text).split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.text_width(longer, size, face) <= width:
                lines[-1] = longer
            else:
                lines += self._pieces(word, width, size, face)
            if max_lines is not None and len(lines) > max_lines:
                return [*lines[: max_lines - 1], self.shortened(f"{lines[max_lines - 1]} …", width, size, face)]
        return lines

    def shortened(self, text: str, width: float, size: float, face: Face = Face.PLAIN) -> str:
        """The text itself where it fits, else as much of it as does, and "…"."""
        shown = printable(text)
        if self.text_width(shown, size, face) <= width:
            return shown
        kept = shown.rstrip("… ")
        while kept and self.text_width(f"{kept}…", size, face) > width:
            kept = kept[:-1]
        return f"{kept}…"

    def _pieces(self, word: str, width: float, size: float, face: Face) -> list[str]:
        pieces = [""]
        for character in word:
            if pieces[-1] and self.text_width(pieces[-1] + character, size, face) > width:
                pieces.append("")
            pieces[-1] += character
        return pieces

    # -- lines and areas --------------------------------------------------------------------------------------------

    def line(self, points: Sequence[Place], ink: Colour = BLACK, thickness: float = 0.6, dash: tuple[float, ...] = ()) -> None:
        """A polyline; `dash` is points drawn, points left out."""
        self._canvas.setStrokeColorRGB(*_share(ink))
        self._canvas.setLineWidth(thickness)
        self._canvas.setDash(list(dash))
        path = self._canvas.beginPath()
        path.moveTo(points[0][0], PAGE_HEIGHT - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, PAGE_HEIGHT - y)
        self._canvas.drawPath(path, stroke=1, fill=0)

    def fill(self, points: Sequence[Place], ink: Colour) -> None:
        """A polygon without an outline."""
        path = self._canvas.beginPath()
        path.moveTo(points[0][0], PAGE_HEIGHT - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, PAGE_HEIGHT - y)
        path.close()
        self._ink(ink)
        self._canvas.drawPath(path, stroke=0, fill=1)

    def box(self, area: Area, ground: Colour | None = None, outline: Colour | None = None, thickness: float = 0.6) -> None:
        corners = ((area.left, area.top), (area.right, area.top), (area.right, area.bottom), (area.left, area.bottom))
        if ground is not None:
            self.fill(corners, ground)
        if outline is not None:
            self.line((*corners, corners[0], corners[1]), outline, thickness)

    def hatch(self, area: Area, ink: Colour, step: float = 3.0) -> None:
        """Slanted lines in an area: a filling that is told apart without its colour."""
        self._canvas.saveState()
        path = self._canvas.beginPath()
        path.rect(area.left, PAGE_HEIGHT - area.bottom, area.width, area.height)
        self._canvas.clipPath(path, stroke=0, fill=0)
        for number in range(int((area.width + area.height) / step) + 1):
            x = area.left - area.height + number * step
            self.line(((x, area.bottom), (x + area.height, area.top)), ink, 0.7)
        self._canvas.restoreState()

    def disc(self, centre: Place, radius: float, ground: Colour | None, outline: Colour, thickness: float) -> None:
        self._canvas.setStrokeColorRGB(*_share(outline))
        self._canvas.setLineWidth(thickness)
        self._canvas.setDash([])
        if ground is not None:
            self._ink(ground)
        self._canvas.circle(centre[0], PAGE_HEIGHT - centre[1], radius, stroke=1, fill=int(ground is not None))

    def picture(self, jpeg: bytes, area: Area) -> None:
        """A JPEG, put into the document as it is."""
        self._canvas.drawImage(ImageReader(io.BytesIO(jpeg)), area.left, PAGE_HEIGHT - area.bottom, area.width, area.height)

    def _ink(self, ink: Colour) -> None:
        self._canvas.setFillColorRGB(*_share(ink))


def _share(colour: Colour) -> tuple[float, float, float]:
    return cast(tuple[float, float, float], tuple(round(level / 255, 4) for level in colour))


def _pdf_date(at: datetime) -> str:
    """ISO 32000-1, 7.9.4: D:YYYYMMDDHHmmSS and the offset, where the date has one."""
    offset = f"{at:%z}"
    return f"D:{at:%Y%m%d%H%M%S}" + (f"{offset[:3]}'{offset[3:5]}'" if offset else "")
