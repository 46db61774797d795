"""From what a caller wrote, on the command line or in a query, to `Options`; every refusal is a sentence of ours."""

import json
import math
import re

from service.errors import BadOption
from service.findings import ALL_SIGNS, TOLD_SIGNS, Line, Point
from service.pipeline import Options, Rows
from service.reading import Saliency

MAX_REGION_POINTS = 200
MAX_COORDINATE_PX = 16384.0
MM_PER_PX_RANGE = (0.005, 2.0)
"""A 15 MHz probe on a 4K screen shows about 0.01 mm a pixel; a 30 cm depth on 240 lines about 1.3."""

MIN_LINE_PX = 8.0
"""An M-mode of fewer rows shows no line and no sand."""

LINE_FORM = "Write both as 'x,y', in pixels of the clip's frame."
REGION_FORM = "Write it as three or more corners, 'x,y x,y x,y', in pixels of the clip's frame."


def quoted(text: str) -> str:
    """What the caller wrote, short and printable enough to be repeated to them."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return f"'{printable[:40]}...'" if len(printable) > 40 else f"'{printable}'"


def parse_options(
    saliency: str | None = None,
    rows: str | None = None,
    region: str | None = None,
    mm_per_px: str | None = None,
    signs: str | None = None,
) -> Options:
    """None means not given. Raises: BadOption."""
    return Options(
        saliency=Saliency.VANILLA if saliency is None else parse_saliency(saliency),
        rows=Rows.PLEURA if rows is None else parse_rows(rows),
        region=None if region is None else parse_region(region),
        mm_per_px=None if mm_per_px is None else parse_mm_per_px(mm_per_px),
        signs=() if signs is None else parse_signs(signs),
    )


def parse_switch(name: str, text: str | None) -> bool:
    """false unless given. Raises: BadOption."""
    if text not in (None, "true", "false"):
        raise BadOption(f"{name} is {quoted(text)}; it can be true or false.")
    return text == "true"


def parse_saliency(text: str) -> Saliency:
    if text not in list(Saliency):
        raise BadOption(f"saliency is {quoted(text)}; it can be none, vanilla or smoothgrad.")
    return Saliency(text)


def parse_rows(text: str) -> Rows:
    if text not in list(Rows):
        raise BadOption(f"rows is {quoted(text)}; it can be pleura or all.")
    return Rows(text)


def parse_signs(text: str) -> tuple[str, ...]:
    """Names with commas between them, none, or all that the service has a model for."""
    if text == "none":
        return ()
    if text == "all":
        return ALL_SIGNS
    named = text.split(",")
    if not set(named) <= set(TOLD_SIGNS):
        known = ", ".join(TOLD_SIGNS)
        raise BadOption(f"signs is {quoted(text)}; it can be none, all, or one or more of {known} with commas between them.")
    return tuple(sign for sign in TOLD_SIGNS if sign in named)


def signs_text(signs: tuple[str, ...]) -> str:
    """As `parse_signs` reads it."""
    return ",".join(signs) or "none"


def parse_mm_per_px(text: str) -> float:
    """Millimetres a pixel of the uploaded frame."""
    low, high = MM_PER_PX_RANGE
    try:
        value = float(text)
    except ValueError:
        raise BadOption(f"mm_per_px is {quoted(text)}; it needs a number of millimetres, such as 0.08.") from None
    if not low <= value <= high:
        raise BadOption(f"mm_per_px is {quoted(text)}; one pixel of an ultrasound clip shows between {low} and {high} mm.")
    return value


def parse_region(text: str) -> tuple[Point, ...]:
    """A polygon as 'x,y x,y x,y' or as JSON '[[x,y],[x,y],[x,y]]'; it closes itself. Pixels of the uploaded frame."""
    points = _json_points(text) if text.lstrip().startswith("[") else _plain_points(text)
    if not 3 <= len(points) <= MAX_REGION_POINTS:
        raise BadOption(f"region has {len(points)} corners; it needs between 3 and {MAX_REGION_POINTS}. {REGION_FORM}")
    if not all(math.isfinite(v) and 0 <= v <= MAX_COORDINATE_PX for point in points for v in point):
        raise BadOption(f"region has a corner outside 0 to {MAX_COORDINATE_PX:.0f} px. {REGION_FORM}")
    if _area_px(points) < 1.0:
        raise BadOption(f"region encloses no area: its corners lie on one line. {REGION_FORM}")
    return points


def region_text(region: tuple[Point, ...] | None) -> str:
    """As `parse_region` reads it; "" where none was drawn."""
    return " ".join(f"{x},{y}" for x, y in region or ())


def _plain_points(text: str) -> tuple[Point, ...]:
    try:
        pairs = [tuple(float(v) for v in corner.split(",")) for corner in re.split(r"[\s;]+", text.strip()) if corner]
        return tuple((x, y) for x, y in pairs)
    except ValueError:
        raise BadOption(f"region is {quoted(text)}, which is not a polygon. {REGION_FORM}") from None


def _json_points(text: str) -> tuple[Point, ...]:
    try:
        return tuple((float(x), float(y)) for x, y in json.loads(text))
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise BadOption(f"region is {quoted(text)}, which is not a polygon. {REGION_FORM}") from None


def _area_px(points: tuple[Point, ...]) -> float:
    """The shoelace formula."""
    following = points[1:] + points[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, following, strict=True))) / 2


def parse_line(start: str | None, end: str | None) -> Line:
    """The line of an M-mode, from its first row to its last, in pixels of the uploaded frame. Raises: BadOption."""
    line = _end_of_line("from", start), _end_of_line("to", end)
    length_px = math.dist(*line)
    if length_px < MIN_LINE_PX:
        raise BadOption(f"The line is {length_px:.1f} px long; an M-mode needs at least {MIN_LINE_PX:g} px.")
    return line


def check_line(line: Line, width: int, height: int) -> None:
    """A line may end outside the frame, where its M-mode is black, but no further off than the frame is large. Raises: BadOption."""
    for x, y in line:
        if not (-width <= x <= 2 * width and -height <= y <= 2 * height):
            raise BadOption(f"The line ends at {x:g},{y:g}, far outside the clip's frame of {width} x {height} px. {LINE_FORM}")


def _end_of_line(name: str, text: str | None) -> Point:
    if text is None:
        raise BadOption(f"{name} is missing: an M-mode needs both ends of its line, from and to. {LINE_FORM}")
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise BadOption(f"{name} is {quoted(text)}, which is not a point. {LINE_FORM}") from None
    if not (abs(x) <= MAX_COORDINATE_PX and abs(y) <= MAX_COORDINATE_PX):
        raise BadOption(f"{name} is {quoted(text)}; a coordinate may be {MAX_COORDINATE_PX:.0f} px at most. {LINE_FORM}")
    return x, y
