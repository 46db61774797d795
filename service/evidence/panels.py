"""What stands around the picture and does not change while it plays: banner, slide along the pleura, footer; and what panels share."""

import math
from dataclasses import dataclass

import numpy as np

from service.evidence import words
from service.evidence.layout import Box, Layout
from service.evidence.palette import (
    CURSOR,
    LUNG_POINT,
    PANEL,
    PLEURA,
    QUIET,
    RULE,
    TEXT,
    Colour,
    Image,
    Pen,
    Stroke,
    probability_colour,
)
from service.evidence.strokes import disc, draw_line, fill
from service.findings import Analysis, Column, PleuraFinding, Verdict

SMALL, NORMAL, LARGE = 12, 14, 28
"""Text sizes in pixels."""
MARGIN = 12
LEAST_SCALE = {"mm": 2.0, "px": 5.0}
"""The slide's axis never ends below this, or the jitter of a still lung would fill it and look like sliding."""
TITLE_PX = 20
AXIS_PX = 34
"""Room for the numbers of the slide's axis."""


def panel(canvas: Image, box: Box) -> None:
    canvas[box.slices] = PANEL


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds -> x, the same for the M-mode strip, the slide curve and the windows."""

    left: int
    right: int
    duration_s: float

    def x(self, t_s: float) -> float:
        share = t_s / self.duration_s if self.duration_s > 0 else 0.0
        return self.left + (self.right - 1 - self.left) * min(1.0, max(0.0, share))


def shown_spans(bounds: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The seconds each run of frames is shown for: its own, less half of what it shares with its neighbours."""
    meets = [(a[1] + b[0]) / 2 for a, b in zip(bounds, bounds[1:], strict=False)]
    starts = [b[0] for b in bounds[:1]] + meets
    ends = meets + [b[1] for b in bounds[-1:]]
    return list(zip(starts, ends, strict=True))


# -- banner ---------------------------------------------------------------------------------------------------------


def draw_banner(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> None:
    """Quality first, then the verdict, then its number; the probability's scale at the right."""
    panel(canvas, box)
    sliding, verdict = analysis.lung_sliding, analysis.lung_sliding.verdict
    colour = verdict_colour(verdict)
    canvas[box.top : box.bottom, box.left : box.left + 5] = colour
    draw_glyph(canvas, (box.left + 44, (box.top + box.bottom) / 2), verdict, colour)
    left, room = box.left + 84, box.width - 84 - MARGIN
    gauge_px = 270 if sliding.probability is not None else 0
    pen.write(canvas, words.quality_line(analysis.quality), left, box.top + 24, NORMAL, _quality_colour(analysis))
    said = words.headline(analysis)
    size = pen.fitting_size(said, room - gauge_px - MARGIN, LARGE, 15, 700)
    pen.write(canvas, said, left, box.top + 57, size, TEXT, 700)
    below = words.probability_line(sliding) or "See the notes for what to do."
    pen.write(canvas, below, left, box.top + 82, pen.fitting_size(below, room - gauge_px, NORMAL, 10), QUIET)
    if sliding.probability is not None:
        _gauge(canvas, Box(box.right - gauge_px, box.top, box.right - 20, box.bottom), analysis, pen)


def verdict_colour(verdict: Verdict) -> Colour:
    return {Verdict.PRESENT: probability_colour(1.0), Verdict.ABSENT: probability_colour(0.0)}.get(verdict, QUIET)


def _quality_colour(analysis: Analysis) -> Colour:
    return QUIET if analysis.quality.assessable and analysis.quality.probability >= 0.75 else LUNG_POINT


def draw_glyph(canvas: Image, centre: tuple[float, float], verdict: Verdict, colour: Colour, radius_px: float = 20) -> None:
    """A shape for each verdict: full disc, empty ring, half disc, bar."""
    (x, y), inner = centre, 0.65 * radius_px
    if verdict is Verdict.NOT_ASSESSABLE:
        half = 0.2 * radius_px
        fill(
            canvas,
            np.array([[x - radius_px, y - half], [x + radius_px, y - half], [x + radius_px, y + half], [x - radius_px, y + half]]),
            colour,
        )
        return
    disc(canvas, centre, radius_px, colour, max(1, round(0.2 * radius_px)))
    if verdict is Verdict.PRESENT:
        disc(canvas, centre, inner, colour)
    if verdict is Verdict.INDETERMINATE:
        angles = np.linspace(np.pi / 2, 3 * np.pi / 2, 40)
        fill(canvas, np.stack([x + inner * np.cos(angles), y + inner * np.sin(angles)], axis=1), colour)


def _gauge(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> None:
    """0 to 1, the interval as a bar, the probability as a mark."""
    sliding = analysis.lung_sliding
    y, left, right = box.top + 50, box.left + 10, box.right - 10

    def place(probability: float) -> float:
        return left + probability * (right - left)

    _gradient(canvas, Box(left, y - 3, right, y + 3))
    if sliding.interval:
        low, high = sliding.interval
        draw_line(canvas, np.array([[place(low), y - 10.0], [place(low), y + 10.0]]), TEXT)
        draw_line(canvas, np.array([[place(high), y - 10.0], [place(high), y + 10.0]]), TEXT)
        draw_line(canvas, np.array([[place(low), y + 10.0], [place(high), y + 10.0]]), TEXT)
    at = place(sliding.probability or 0.0)
    fill(canvas, np.array([[at, y - 5.0], [at - 7, y - 17.0], [at + 7, y - 17.0]]), TEXT)
    pen.write(canvas, "0  still", left, box.top + 82, SMALL, QUIET)
    pen.write(canvas, "sliding  1", right - pen.width_px("sliding  1", SMALL), box.top + 82, SMALL, QUIET)


def _gradient(canvas: Image, box: Box) -> None:
    colours = np.array([probability_colour(p) for p in np.linspace(0, 1, box.width).tolist()], np.uint8)
    canvas[box.slices] = colours[None]


# -- slide along the pleura -----------------------------------------------------------------------------------------


def draw_slide(canvas: Image, layout: Layout, analysis: Analysis, pen: Pen) -> None:
    """How far the lung shifts past the wall in an eighth of a second, one bar a column, each under its place in the picture."""
    box = layout.slide
    panel(canvas, box)
    pleura = analysis.pleura
    if pleura is None or not pleura.columns:
        pen.write(canvas, "Slide past the chest wall: none measured", box.left + MARGIN, box.top + TITLE_PX, SMALL, QUIET)
        return
    scale, unit = slide_unit(pleura.columns, analysis.clip.mm_per_px)
    full = nice_ceiling(max(max(c.slide_px, c.wall_px) for c in pleura.columns) * scale, LEAST_SCALE[unit])
    title = f"Slide past the wall in 0.13 s (RMS, {unit})"
    end = pen.write(canvas, title, box.left + MARGIN, box.top + TITLE_PX - 2, SMALL, TEXT)
    draw_line(canvas, np.array([[end + 14.0, box.top + 14.0], [end + 30.0, box.top + 14.0]]), CURSOR, thickness=2)
    end = pen.write(canvas, "wall past wall", end + 35, box.top + TITLE_PX - 2, SMALL, QUIET)
    pen.write(canvas, "00 network and slide, %", end + 14, box.top + TITLE_PX - 2, SMALL, QUIET)
    floor, ceiling = box.bottom - 26, box.top + 34

    def height(px: float) -> float:
        return floor - (floor - ceiling) * min(1.0, px * scale / full)

    half = _half_bar(layout, pleura.columns)
    leftmost = min(layout.to_canvas_x(column.x_px) for column in pleura.columns) - half
    _slide_axis(canvas, box, floor, ceiling, full, pen, labels_left=leftmost > box.left + AXIS_PX)
    _slide_interspaces(canvas, layout, pleura, floor)
    for column in pleura.columns:
        _slide_bar(canvas, layout.to_canvas_x(column.x_px), half, floor, height(column.slide_px), height(column.wall_px), column)
        _slide_number(canvas, layout.to_canvas_x(column.x_px), box.bottom - 8, 3 * half, column, pen)
    if analysis.lung_point.suspected and analysis.lung_point.x_px is not None:
        x = layout.to_canvas_x(analysis.lung_point.x_px)
        draw_line(canvas, np.array([[x, ceiling - 4.0], [x, floor + 2.0]]), LUNG_POINT, stroke=Stroke.DASHED, thickness=2)


def slide_unit(columns: tuple[Column, ...], mm_per_px: float | None) -> tuple[float, str]:
    """(factor from px, "mm" or "px"): millimetres only where the clip's scale is known."""
    in_mm = mm_per_px is not None and all(c.slide_mm is not None for c in columns)
    return (mm_per_px or 1.0, "mm") if in_mm else (1.0, "px")


def nice_ceiling(largest: float, least: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above; `least` where that is more."""
    if largest <= least:
        return least
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if largest <= step * power * (1 + 1e-9))


def _half_bar(layout: Layout, columns: tuple[Column, ...]) -> float:
    """Half a bar's width: columns' spacing leaves a gap, and a lone column is not a wall."""
    xs = np.sort([layout.to_canvas_x(c.x_px) for c in columns])
    gap = float(np.diff(xs).min()) if len(xs) > 1 else 24.0
    return float(np.clip(0.33 * gap, 1.0, 14.0))


def _slide_axis(canvas: Image, box: Box, floor: float, ceiling: float, full: float, pen: Pen, *, labels_left: bool) -> None:
    """Its numbers stand at the left; at the right where columns begin at the very edge of the picture."""
    left, right = (box.left + AXIS_PX, box.right - MARGIN) if labels_left else (box.left + MARGIN, box.right - AXIS_PX)
    for share, label in ((0.0, "0"), (1.0, f"{full:g}")):
        y = floor - (floor - ceiling) * share
        draw_line(canvas, np.array([[left, y], [right, y]], np.float64), RULE)
        x = left - 6 - pen.width_px(label, 11) if labels_left else right + 6
        pen.write(canvas, label, x, round(y) + 4, 11, QUIET)


def _slide_interspaces(canvas: Image, layout: Layout, pleura: PleuraFinding, floor: float) -> None:
    for x0, x1 in pleura.interspaces:
        left, right = layout.to_canvas_x(x0), layout.to_canvas_x(x1)
        draw_line(canvas, np.array([[left, floor + 3.0], [right, floor + 3.0]]), PLEURA, thickness=2)


def _slide_bar(canvas: Image, x: float, half: float, floor: float, top: float, wall: float, column: Column) -> None:
    """Filled where the model read it, hollow where it could not be tracked."""
    corners = np.array([[x - half, floor], [x - half, top], [x + half, top], [x + half, floor]])
    if column.probability is None:
        draw_line(canvas, corners, QUIET, closed=True)
    else:
        fill(canvas, corners, probability_colour(column.probability))
    draw_line(canvas, np.array([[x - half, wall], [x + half, wall]]), CURSOR, thickness=2)


def _slide_number(canvas: Image, x: float, baseline: int, room_px: float, column: Column, pen: Pen) -> None:
    """The column's probability in hundredths, where there is room for two figures."""
    if column.probability is None or pen.width_px("00", 11) + 3 > room_px:
        return
    text = f"{min(99, round(100 * column.probability))}"
    pen.write(canvas, text, round(x) - pen.width_px(text, 11) // 2, baseline, 11, probability_colour(column.probability))


# -- footer -----------------------------------------------------------------------------------------------------------


def draw_footer(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> None:
    model = analysis.model
    pen.write(canvas, f"Seashore   model {model.name} {model.version}   on {model.device}", box.left, box.bottom - 6, SMALL, QUIET)
    text = words.NOT_FOR_DIAGNOSIS
    pen.write(canvas, text, box.right - pen.width_px(text, NORMAL, 600), box.bottom - 6, NORMAL, LUNG_POINT, 600)
