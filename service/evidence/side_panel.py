"""The panel beside the picture: notes, M-mode, slide over time, windows, legend; and the cursor that goes over it while the clip plays."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.evidence import words
from service.evidence.layout import Box
from service.evidence.mmode import Beam
from service.evidence.palette import (
    CURSOR,
    DOUBT,
    LUNG_POINT,
    PLEURA,
    QUIET,
    RULE,
    SECTOR,
    SLIDE,
    TEXT,
    Image,
    Pen,
    Stroke,
    heat_table,
    probability_colour,
    probability_stroke,
)
from service.evidence.panels import LEAST_SCALE, MARGIN, NORMAL, SMALL, TITLE_PX, TimeAxis, nice_ceiling, panel, shown_spans, slide_unit
from service.evidence.strokes import disc, draw_line, fill
from service.findings import Analysis, PleuraFinding

ADVICE = 17
"""Text size in pixels."""
MAX_NOTES, LEAST_NOTES = 8, 2
"""Lines of notes above the M-mode strip: doubts go before them and take their room, but never all of it."""
NOTE_PX, DOUBT_PX = 16, 19
"""From one line to the next."""
LEGEND_PX = 108
CURVE_PX = 58
WINDOWS_PX = 22


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
