"""What was measured, drawn on paper: the probability on its scale, the slide along the pleura, the slide through time.

Nothing is told by colour alone: what slides is filled, what is still is hatched, what is unclear is grey, and all have a
number or a word beside them.
"""

import math
from dataclasses import dataclass

import numpy as np

from service.evidence.palette import THIRDS, Colour
from service.evidence.panels import LEAST_SCALE, nice_ceiling, slide_unit
from service.evidence.paper import BLACK, QUIET, RULE, WHITE, Align, Area, Face, Paper
from service.findings import Column, LungPoint, LungSliding, PleuraFinding, Verdict

NORMAL, SMALL, TINY = 9.0, 7.5, 6.5
"""Text sizes in points: sentences, a chart's title and captions, its numbers."""

SLIDING_INK: Colour = (0, 84, 147)
STILL_INK: Colour = (178, 66, 0)
UNCLEAR_INK: Colour = (196, 200, 204)
LUNG_POINT_INK: Colour = (17, 20, 24)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the model's verdicts begin, as probabilities of sliding."""

    absent_below: float
    present_above: float


# -- the verdict's sign ---------------------------------------------------------------------------------------------


def verdict_ink(verdict: Verdict) -> Colour:
    return {Verdict.PRESENT: SLIDING_INK, Verdict.ABSENT: STILL_INK}.get(verdict, BLACK)


def draw_sign(paper: Paper, centre: tuple[float, float], radius: float, verdict: Verdict, ink: Colour | None = None) -> None:
    """A shape for each verdict, the annotated clip's own: full disc, empty ring, half disc, bar. In sliding's colours unless told."""
    (x, y), ink = centre, ink or verdict_ink(verdict)
    if verdict is Verdict.NOT_ASSESSABLE:
        paper.box(Area(x - radius, y - 0.2 * radius, x + radius, y + 0.2 * radius), ink)
        return
    paper.disc(centre, radius, WHITE, ink, 0.2 * radius)
    if verdict is Verdict.PRESENT:
        paper.disc(centre, 0.6 * radius, ink, ink, 0.5)
    if verdict is Verdict.INDETERMINATE:
        angles = np.linspace(np.pi / 2, 3 * np.pi / 2, 30).tolist()
        paper.fill([(x + 0.65 * radius * math.cos(a), y + 0.65 * radius * math.sin(a)) for a in angles], ink)


# -- probability ----------------------------------------------------------------------------------------------------


def draw_probability(paper: Paper, area: Area, sliding: LungSliding, limits: Limits | None) -> None:
    """0 to 1 with the interval as a bar and the probability as a diamond; the verdicts' limits where they are known.

    `area` is the band from 0 to 1; words stand above it and numbers below, 10 points each.
    """
    paper.box(area, WHITE)
    _zones(paper, area, limits)
    paper.box(area, outline=BLACK)
    y = (area.top + area.bottom) / 2
    if sliding.interval:
        low, high = (_along(area, share) for share in sliding.interval)
        for ink, thickness in ((WHITE, 4.6), (BLACK, 2.2)):
            paper.line(((low, y), (high, y)), ink, thickness)
            for end in (low, high):
                paper.line(((end, y - 4), (end, y + 4)), ink, thickness * 0.7)
    x = _along(area, sliding.probability or 0.0)
    for ink, radius in ((WHITE, 6.4), (BLACK, 5.0)):
        paper.fill(((x, y - radius), (x + 0.8 * radius, y), (x, y + radius), (x - 0.8 * radius, y)), ink)


def _along(area: Area, probability: float) -> float:
    return area.left + area.width * min(1.0, max(0.0, probability))


def _zones(paper: Paper, area: Area, limits: Limits | None) -> None:
    words, numbers = area.top - 4, area.bottom + 9
    for share in (0.0, 0.5, 1.0):
        paper.line(((_along(area, share), area.bottom), (_along(area, share), area.bottom + 2.5)), BLACK)
        paper.write(f"{share:g}", (_along(area, share), numbers), TINY, QUIET, align=Align.CENTRE)
    if limits is None:
        paper.write("still", (area.left, words), SMALL, QUIET)
        paper.write("sliding", (area.right, words), SMALL, QUIET, align=Align.RIGHT)
        return
    low, high = _along(area, limits.absent_below), _along(area, limits.present_above)
    paper.hatch(Area(area.left, area.top, low, area.bottom), STILL_INK)
    paper.box(Area(high, area.top, area.right, area.bottom), (176, 205, 228))
    for x, share in ((low, limits.absent_below), (high, limits.present_above)):
        paper.line(((x, area.top - 3), (x, area.bottom + 2.5)), BLACK, 0.9)
        if abs(share - 0.5) > 0.03 and 0.03 < share < 0.97:
            paper.write(f"{share:.2f}", (x, numbers), TINY, BLACK, align=Align.CENTRE)
    paper.write("ABSENT", (area.left, words), SMALL, BLACK)
    paper.write("PRESENT", (area.right, words), SMALL, BLACK, align=Align.RIGHT)
    if high - low > 60:
        paper.write("cannot tell", ((low + high) / 2, words), SMALL, BLACK, align=Align.CENTRE)


# -- slide along the pleura -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlongPicture:
    """Pixels of the uploaded frame -> points of the page, under the picture."""

    left: float
    points_per_px: float

    def x(self, x_px: float) -> float:
        return self.left + (x_px + 0.5) * self.points_per_px


def draw_slide(
    paper: Paper, area: Area, across: AlongPicture, pleura: PleuraFinding, lung_point: LungPoint, mm_per_px: float | None
) -> None:
    """Two bars a column, each pair under its place in the picture: the lung past the wall, and beside it the wall past the wall.

    `area` is that of the bars; the axis' numbers stand at its right, the columns' own numbers below.
    """
    if not pleura.columns:
        paper.write("No place along the pleura could be measured.", (area.left, area.top + 10), SMALL, QUIET)
        return
    scale, unit = slide_unit(pleura.columns, mm_per_px)
    full = nice_ceiling(max(max(c.slide_px, c.wall_px) for c in pleura.columns) * scale, LEAST_SCALE[unit])
    _level_lines(paper, area, full)
    half = _half_slot(across, pleura.columns)
    for column in pleura.columns:
        x = across.x(column.x_px)
        _pair(paper, area, x, half, (column.slide_px * scale / full, column.wall_px * scale / full), column)
    _numbers(paper, area, across, pleura.columns, scale, unit)
    for x0, x1 in pleura.interspaces:
        paper.line(((across.x(x0), area.bottom + 2.2), (across.x(x1), area.bottom + 2.2)), BLACK, 1.6)
    if lung_point.suspected and lung_point.x_px is not None:
        x = across.x(lung_point.x_px)
        paper.line(((x, area.top - 3), (x, area.bottom + 2)), LUNG_POINT_INK, 1.2, (4, 2.5))
        paper.write("lung point?", (x + 3, area.top + 4), SMALL, BLACK, Face.BOLD)


def _level_lines(paper: Paper, area: Area, full: float) -> None:
    """0, half and full, their numbers at the right: at the left the picture begins."""
    for value in (full, full / 2, 0.0):
        y = area.bottom - area.height * value / full
        paper.line(((area.left, y), (area.right, y)), BLACK if value == 0 else RULE, 0.5)
        paper.write(f"{value:g}", (area.right + 3, y + 2.3), TINY, QUIET)


def _half_slot(across: AlongPicture, columns: tuple[Column, ...]) -> float:
    """Half the room of a pair of bars: columns' spacing leaves a gap, and a lone pair is not a wall."""
    xs = np.sort([across.x(c.x_px) for c in columns])
    gap = float(np.diff(xs).min()) if len(xs) > 1 else 24.0
    return float(np.clip(0.44 * gap, 1.0, 13.0))


def _pair(paper: Paper, area: Area, x: float, half: float, shares: tuple[float, float], column: Column) -> None:
    lung, wall = (area.bottom - area.height * min(1.0, share) for share in shares)
    between = x + 0.3 * half
    _bar(paper, Area(x - half, lung, between, area.bottom), column.probability)
    paper.box(Area(between, wall, x + half, area.bottom), WHITE, BLACK, 0.7)


def _bar(paper: Paper, area: Area, probability: float | None) -> None:
    """Filled where it slides, grey where unclear, hatched where still, dashed and empty where it could not be read."""
    outline = ((area.left, area.bottom), (area.left, area.top), (area.right, area.top), (area.right, area.bottom))
    if probability is None:
        paper.line(outline, QUIET, 0.6, (1.5, 1.5))
    elif probability >= THIRDS[1]:
        paper.box(area, SLIDING_INK, SLIDING_INK)
    elif probability < THIRDS[0]:
        paper.box(area, WHITE)
        paper.hatch(area, STILL_INK)
        paper.box(area, outline=STILL_INK)
    else:
        paper.box(area, UNCLEAR_INK, QUIET)


def _numbers(paper: Paper, area: Area, across: AlongPicture, columns: tuple[Column, ...], scale: float, unit: str) -> None:
    """Below the bars each column's slide and probability, where there is room for all."""
    if paper.text_width("0.00", TINY) + 1 > 2 * _half_slot(across, columns) / 0.88:
        return
    paper.write(unit, (area.right + 3, area.bottom + 11), TINY, QUIET)
    paper.write("probability", (area.right + 3, area.bottom + 20), TINY, QUIET)
    for column in columns:
        x, slide = across.x(column.x_px), column.slide_px * scale
        paper.write(f"{slide:.2f}" if slide < 9.995 else f"{slide:.1f}", (x, area.bottom + 11), TINY, BLACK, align=Align.CENTRE)
        probability = "–" if column.probability is None else f"{column.probability:.2f}"
        paper.write(probability, (x, area.bottom + 20), TINY, BLACK, align=Align.CENTRE)


def draw_slide_legend(paper: Paper, at: tuple[float, float]) -> None:
    """What the bars' fillings mean, on one line."""
    x, y = at
    for word, probability in (("slides", 1.0), ("unclear", 0.5), ("still", 0.0)):
        _bar(paper, Area(x, y - 6, x + 10, y), probability)
        x = paper.write(word, (x + 13, y), TINY, BLACK) + 9
    paper.box(Area(x, y - 6, x + 5, y), WHITE, BLACK, 0.7)
    paper.write("the wall past itself", (x + 8, y), TINY, BLACK)


# -- slide through time ---------------------------------------------------------------------------------------------


def draw_slide_over_time(paper: Paper, area: Area, pleura: PleuraFinding, duration_s: float, mm_per_px: float | None) -> None:
    """How far the lung shifts past the wall in an eighth of a second, zero in the middle; broken where nothing was measured."""
    scale, unit = slide_unit(pleura.columns, mm_per_px)
    values = pleura.slide_over_time.px.astype(np.float64) * scale
    full = nice_ceiling(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)), LEAST_SCALE[unit])
    middle = (area.top + area.bottom) / 2
    for y, label in ((area.top, f"{full:g}"), (middle, "0"), (area.bottom, f"-{full:g}")):
        paper.line(((area.left, y), (area.right, y)), RULE, 0.5)
        paper.write(label, (area.left - 3, y + 2.3), TINY, QUIET, align=Align.RIGHT)
    draw_seconds(paper, area, duration_s)
    xs = area.left + area.width * np.clip(pleura.slide_over_time.t_s.astype(np.float64) / max(duration_s, 1e-9), 0, 1)
    run: list[tuple[float, float]] = []
    for x, y, is_known in zip(xs.tolist(), (middle - values / full * area.height / 2).tolist(), np.isfinite(values), strict=True):
        run = [*run, (x, y)] if is_known else _drawn(paper, run)
    _drawn(paper, run)


def _drawn(paper: Paper, run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(run) > 1:
        paper.line(run, BLACK, 1.1)
    return []


def draw_seconds(paper: Paper, area: Area, duration_s: float) -> None:
    """Ticks below an area whose width is the clip's time: at most six, in steps of 1, 2 or 5."""
    step = nice_ceiling(duration_s / 6, 0.1)
    for number in range(int(duration_s / step + 1e-6) + 1):
        x = area.left + area.width * min(1.0, number * step / max(duration_s, 1e-9))
        paper.line(((x, area.bottom), (x, area.bottom + 2.5)), BLACK, 0.5)
        label = f"{number * step:g}" + (" s" if number == int(duration_s / step + 1e-6) else "")
        paper.write(label, (x, area.bottom + 9), TINY, QUIET, align=Align.CENTRE)
