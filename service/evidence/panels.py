"""What stands around the picture and does not change while it plays: banner, slide along the pleura, side panel, footer."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.evidence import words
from service.evidence.layout import Box, Layout
from service.evidence.mmode import Beam
from service.evidence.palette import (
    CURSOR,
    DOUBT,
    LUNG_POINT,
    PANEL,
    PLEURA,
    QUIET,
    RULE,
    SECTOR,
    SLIDE,
    TEXT,
    Colour,
    Image,
    Pen,
    Stroke,
    heat_table,
    probability_colour,
    probability_stroke,
)
from service.evidence.strokes import disc, draw_line, fill
from service.findings import Analysis, Column, PleuraFinding, Verdict

SMALL, NORMAL, ADVICE, LARGE = 12, 14, 17, 28
"""Text sizes in pixels."""
MARGIN = 12
MAX_NOTES, LEAST_NOTES = 8, 2
"""Lines of notes above the M-mode strip: doubts go before them and take their room, but never all of it."""
NOTE_PX, DOUBT_PX = 16, 19
"""From one line to the next."""
LEGEND_PX = 108
CURVE_PX = 58
WINDOWS_PX = 22
LEAST_SCALE = {"mm": 2.0, "px": 5.0}
"""The slide's axis never ends below this, or the jitter of a still lung would fill it and look like sliding."""
TITLE_PX = 20
AXIS_PX = 34
"""Room for the numbers of the slide's axis."""


def panel(canvas: Image, box: Box) -> None:
    canvas[box.slices] = PANEL


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


# -- side panel -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds -> x, the same for the M-mode strip, the slide curve and the windows."""

    left: int
    right: int
    duration_s: float

    def x(self, t_s: float) -> float:
        share = t_s / self.duration_s if self.duration_s > 0 else 0.0
        return self.left + (self.right - 1 - self.left) * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the current time is marked while the clip plays."""

    axis: TimeAxis
    spans: tuple[tuple[int, int], ...]
    """(top, bottom) of each panel it crosses."""
    lanes: tuple[tuple[int, int], ...] = ()
    """The same of what is too close to words to have room for its head."""

    def over(self, canvas: Image, t_s: float) -> None:
        x = round(self.axis.x(t_s))
        for top, bottom in self.lanes:
            canvas[top:bottom, x] = CURSOR
        for top, bottom in self.spans:
            canvas[top:bottom, x] = CURSOR
            fill(canvas, np.array([[x, top], [x - 5.0, top - 7.0], [x + 5.0, top - 7.0]]), CURSOR)


def draw_side(
    canvas: Image, box: Box, analysis: Analysis, strip: NDArray[np.uint8] | None, beam: Beam | None, times_s: NDArray[np.float64], pen: Pen
) -> Cursor:
    """Notes, M-mode, slide over time, windows, legend, from the top down. The strip takes what room is left."""
    panel(canvas, box)
    axis = TimeAxis(box.left + 40, box.right - MARGIN, analysis.clip.duration_s)
    if strip is None or beam is None or analysis.pleura is None:
        _advice(canvas, box, analysis, pen)
        return Cursor(axis, ())
    y = _notes(canvas, box, analysis, pen)
    below = box.bottom - LEGEND_PX
    draw_legend(canvas, Box(box.left, below, box.right, box.bottom), pen)
    windows_top = below - 24 - WINDOWS_PX
    curve_top = windows_top - TITLE_PX - 12 - CURVE_PX
    strip_box = Box(axis.left, y + TITLE_PX + 8, axis.right, curve_top - TITLE_PX - 12)
    _strip(canvas, strip_box, strip, beam, times_s, axis, analysis, pen)
    _curve(canvas, Box(axis.left, curve_top, axis.right, curve_top + CURVE_PX), axis, analysis, analysis.pleura, pen)
    _windows(canvas, Box(axis.left, windows_top, axis.right, windows_top + WINDOWS_PX), axis, analysis, pen)
    return Cursor(axis, tuple((b.top, b.bottom) for b in (strip_box, Box(0, curve_top, 0, curve_top + CURVE_PX))))


def _advice(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> None:
    """Where there is no pleura to show: why, and what to do, large enough to read across a bed."""
    y = box.top + 30
    pen.write(canvas, "Notes", box.left + MARGIN, y, NORMAL, QUIET)
    for text in (*words.doubts(analysis), *words.reason_lines(analysis.quality), *analysis.warnings):
        y += 10
        for line in pen.wrap(text, box.width - 2 * MARGIN, ADVICE):
            y += ADVICE + 7
            if y < box.bottom - MARGIN:
                pen.write(canvas, line, box.left + MARGIN, y, ADVICE, TEXT)


def _notes(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> int:
    """What to look at twice, what to do about the picture, and the wall control. Returns the y below."""
    y, width = _doubts(canvas, box, analysis, pen), box.width - 2 * MARGIN
    room = max(LEAST_NOTES, MAX_NOTES - math.ceil((y - box.top) / NOTE_PX))
    y += 6
    lines = [line for text in (*words.reason_lines(analysis.quality), *analysis.warnings) for line in pen.wrap(text, width, SMALL)]
    if len(lines) > room:
        lines = [*lines[: room - 1], f"{lines[room - 1].rsplit(' ', 1)[0]} ..."]
    for line in lines:
        y += NOTE_PX
        pen.write(canvas, line, box.left + MARGIN, y, SMALL, LUNG_POINT)
    pen.write(canvas, words.wall_control_line(analysis.lung_sliding), box.left + MARGIN, y + NOTE_PX, SMALL, QUIET)
    return y + 22


def _doubts(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> int:
    """On a ground of their own below the banner's verdict, and never cut: they say why it may be wrong. Returns the y below."""
    y = box.top
    for text in words.doubts(analysis):
        lines = pen.wrap(text, box.width - 2 * MARGIN - 34, NORMAL, 600)
        field = Box(box.left, y, box.right, y + 14 + DOUBT_PX * len(lines))
        canvas[field.slices] = DOUBT
        canvas[field.top : field.bottom, field.left : field.left + 5] = LUNG_POINT
        _warning_sign(canvas, (box.left + 26, (field.top + field.bottom) / 2))
        for row, line in enumerate(lines, start=1):
            pen.write(canvas, line, box.left + MARGIN + 34, y + 3 + DOUBT_PX * row, NORMAL, LUNG_POINT, 600)
        y = field.bottom + 4
    return y


def _warning_sign(canvas: Image, centre: tuple[float, float]) -> None:
    """A triangle with an exclamation mark: the second cue beside the colour."""
    x, y = centre
    fill(canvas, np.array([[x, y - 12], [x + 13, y + 10], [x - 13, y + 10]]), LUNG_POINT)
    fill(canvas, np.array([[x - 1.5, y - 5], [x + 1.5, y - 5], [x + 1, y + 3], [x - 1, y + 3]]), DOUBT)
    disc(canvas, (x, y + 6.5), 1.5, DOUBT)


def _title(canvas: Image, box: Box, text: str, pen: Pen) -> None:
    pen.write(canvas, text, box.left - 28, box.top - 10, SMALL, TEXT)


def _strip(
    canvas: Image,
    box: Box,
    strip: NDArray[np.uint8],
    beam: Beam,
    times_s: NDArray[np.float64],
    axis: TimeAxis,
    analysis: Analysis,
    pen: Pen,
) -> None:
    """The M-mode, each column showing the frame on screen at that time; the pleura's depth ticked, centimetres where known."""
    _title(canvas, box, "M-mode along the dotted beam", pen)
    seconds = np.linspace(0, axis.duration_s, box.width)
    shown = np.clip(np.searchsorted(times_s, seconds, side="right") - 1, 0, strip.shape[1] - 1)
    grey = cv2.resize(
        strip, (strip.shape[1], box.height), interpolation=cv2.INTER_AREA if strip.shape[0] > box.height else cv2.INTER_LINEAR
    )
    canvas[box.slices] = grey[:, shown, None]
    y = box.top + beam.pleura_share * (box.height - 1)
    for x, towards in ((box.left, -1), (box.right - 1, 1)):
        fill(canvas, np.array([[x + towards, y], [x + 9.0 * towards, y - 5], [x + 9.0 * towards, y + 5]]), PLEURA)
    length_mm = (strip.shape[0] - 1) * (analysis.clip.mm_per_px or 0.0)
    for cm in range(1, int(length_mm // 10) + 1):
        tick = box.top + (box.height - 1) * 10 * cm / length_mm
        draw_line(canvas, np.array([[box.left - 4.0, tick], [box.left - 1.0, tick]]), QUIET)
        if abs(tick - y) > 10:
            label = f"{cm} cm" if cm == 1 else str(cm)
            pen.write(canvas, label, box.left - 7 - pen.width_px(label, 10), round(tick) + 4, 10, QUIET)


def _curve(canvas: Image, box: Box, axis: TimeAxis, analysis: Analysis, pleura: PleuraFinding, pen: Pen) -> None:
    """How far the lung shifts past the wall in an eighth of a second (the tracker's step), through time, zero in the middle."""
    scale, unit = slide_unit(pleura.columns, analysis.clip.mm_per_px)
    _title(canvas, box, f"Lung past wall: shift in 0.13 s ({unit})", pen)
    middle = (box.top + box.bottom - 1) / 2
    values = pleura.slide_over_time.px.astype(np.float64) * scale
    full = nice_ceiling(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)), LEAST_SCALE[unit])
    for y, label in ((box.top, f"{full:g}"), (middle, "0"), (box.bottom - 1, f"-{full:g}")):
        draw_line(canvas, np.array([[box.left, y], [box.right - 1, y]], np.float64), RULE)
        pen.write(canvas, label, box.left - 6 - pen.width_px(label, 10), round(y) + 4, 10, QUIET)
    xs = np.array([axis.x(float(t)) for t in pleura.slide_over_time.t_s])
    for part in _finite_runs(xs, middle - values / full * (box.height - 1) / 2):
        draw_line(canvas, part, SLIDE, thickness=2)


def _finite_runs(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The curve broken where nothing was measured."""
    points = np.stack([xs, ys], axis=1)
    finite = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(finite)) + 1
    return [part for part, keep in zip(np.split(points, edges), np.split(finite, edges), strict=True) if len(part) and keep[0]]


def _windows(canvas: Image, box: Box, axis: TimeAxis, analysis: Analysis, pen: Pen) -> None:
    """Each window as a field over its seconds, its probability inside; overlapping ones meet half way."""
    _title(canvas, box, "Probability of sliding by window (network and slide)", pen)
    edges = shown_spans([(window.start_s, window.end_s) for window in analysis.windows])
    for window, (start_s, end_s) in zip(analysis.windows, edges, strict=True):
        left, right = round(axis.x(start_s)), round(axis.x(end_s))
        field = np.array([[left + 1.0, box.top], [right - 1.0, box.top], [right - 1.0, box.bottom - 1], [left + 1.0, box.bottom - 1]])
        if window.probability is None:
            draw_line(canvas, field, RULE, closed=True)
            continue
        colour = probability_colour(window.probability)
        fill(canvas, field, (colour[0] // 3, colour[1] // 3, colour[2] // 3))
        draw_line(canvas, field, colour, stroke=probability_stroke(window.probability), closed=True)
        text = f"{window.probability:.2f}"
        if pen.width_px(text, SMALL) <= right - left - 6:
            pen.write(canvas, text, (left + right - pen.width_px(text, SMALL)) // 2, box.bottom - 6, SMALL, TEXT)
    end = f"{axis.duration_s:.1f} s"
    pen.write(canvas, "0", axis.left, box.bottom + 14, 11, QUIET)
    pen.write(canvas, end, axis.right - pen.width_px(end, 11), box.bottom + 14, 11, QUIET)


def shown_spans(bounds: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The seconds each run of frames is shown for: its own, less half of what it shares with its neighbours."""
    meets = [(a[1] + b[0]) / 2 for a, b in zip(bounds, bounds[1:], strict=False)]
    starts = [b[0] for b in bounds[:1]] + meets
    ends = meets + [b[1] for b in bounds[-1:]]
    return list(zip(starts, ends, strict=True))


# -- legend and footer ----------------------------------------------------------------------------------------------


def draw_legend(canvas: Image, box: Box, pen: Pen) -> None:
    """What colours and line styles mean. Every colour has a line style or a shape beside it."""
    draw_line(canvas, np.array([[box.left + MARGIN, box.top], [box.right - MARGIN, box.top]], np.float64), RULE)
    left, right = box.left + MARGIN, box.right - MARGIN
    pen.write(canvas, "Patches: network alone; the verdict weighs the slide more", left, box.top + 19, SMALL, TEXT)
    third = (right - left) // 3
    for index, (label, probability) in enumerate((("still < 0.33", 0.0), ("unclear", 0.5), ("sliding > 0.67", 1.0))):
        x = left + index * third
        sample = np.array([[x, box.top + 29.0], [x + 30, box.top + 29.0], [x + 30, box.top + 41.0], [x, box.top + 41.0]])
        colour = probability_colour(probability)
        fill(canvas, sample, (colour[0] // 3, colour[1] // 3, colour[2] // 3))
        draw_line(canvas, sample, colour, stroke=probability_stroke(probability), thickness=2, closed=True)
        pen.write(canvas, label, x + 38, box.top + 40, SMALL, QUIET)
    y = box.top + 60
    _heat_sample(canvas, Box(left, y - 6, left + 30, y + 6))
    pen.write(canvas, "where and when the model looked", left + 38, y + 5, SMALL, QUIET)
    y = box.top + 84
    draw_line(canvas, np.array([[left, y], [left + 30.0, y]]), PLEURA, thickness=3)
    x = pen.write(canvas, "interspace", left + 38, y + 5, SMALL, QUIET) + 12
    draw_line(canvas, np.array([[x, y], [x + 24.0, y]]), PLEURA, stroke=Stroke.DASHED)
    x = pen.write(canvas, "pleural line", x + 30, y + 5, SMALL, QUIET) + 12
    draw_line(canvas, np.array([[x + 6, y - 8], [x + 6, y + 8.0]]), LUNG_POINT, stroke=Stroke.DASHED, thickness=2)
    x = pen.write(canvas, "lung point", x + 16, y + 5, SMALL, QUIET) + 12
    draw_line(canvas, np.array([[x, y - 6], [x + 8, y - 6], [x + 8, y + 6], [x, y + 6.0]]), SECTOR, closed=True)
    pen.write(canvas, "echoes", x + 14, y + 5, SMALL, QUIET)


def _heat_sample(canvas: Image, box: Box) -> None:
    colours, opacity = heat_table()
    index = np.linspace(0, 255, box.width).astype(int)
    canvas[box.slices] = (colours[index] * opacity[index, None] + 60 * (1 - opacity[index, None])).astype(np.uint8)[None]


def draw_footer(canvas: Image, box: Box, analysis: Analysis, pen: Pen) -> None:
    model = analysis.model
    pen.write(canvas, f"Seashore   model {model.name} {model.version}   on {model.device}", box.left, box.bottom - 6, SMALL, QUIET)
    text = words.NOT_FOR_DIAGNOSIS
    pen.write(canvas, text, box.right - pen.width_px(text, NORMAL, 600), box.bottom - 6, NORMAL, LUNG_POINT, 600)
