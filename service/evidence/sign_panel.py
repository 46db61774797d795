"""The signs beside sliding on the annotated clip, below the side panel: what each model says, and when in the clip it says so.

| heading                          |
| O  B-lines: PRESENT (0.91), ...  |
|    lane: probability over time   |   one for each sign, on the time axis of the M-mode above; a tick where it is seen best
| Measured (B-lines): ...          |
"""

import numpy as np

from service.evidence import words
from service.evidence.layout import SIDE_PX, Box
from service.evidence.palette import BACKGROUND, QUIET, RULE, SIGN, TEXT, Image, Pen
from service.evidence.panels import MARGIN, SMALL, TimeAxis, draw_glyph, panel, shown_spans
from service.evidence.strokes import draw_line, fill
from service.findings import SignFinding

TINY = 11
HEAD_PX, KEY_PX, LINE_PX, GAP_PX, FOOT_PX = 26, 16, 15, 9, 8
"""The heading; what its lanes are; a line of text; what lies between two signs and below the last line."""
ABOVE_LANE_PX, LANE_PX = 9, 14
"""Room for a tick's head below the words."""
INDENT_PX = 28
"""Where a sign's words begin: with the axis of the panel above."""


def height_px(signs: tuple[SignFinding, ...], pen: Pen) -> int:
    """How high the panel must be for all there is to say; 0 where no sign was asked for."""
    if not signs:
        return 0
    rows = sum(LINE_PX * len(_said(found, pen)) + (ABOVE_LANE_PX + LANE_PX if found.moments else 0) + GAP_PX for found in signs)
    return _head_px(signs) + rows + LINE_PX * len(_measured(signs, pen)) + FOOT_PX


def draw_signs(canvas: Image, box: Box, signs: tuple[SignFinding, ...], axis: TimeAxis, pen: Pen) -> tuple[tuple[int, int], ...]:
    """Returns (top, bottom) of each lane."""
    panel(canvas, box)
    pen.write(canvas, words.SIGNS_HEADING, box.left + MARGIN, box.top + 18, SMALL, TEXT)
    if _head_px(signs) > HEAD_PX:
        key = f"Lanes: probability through the clip (0 to {axis.duration_s:.1f} s). Tick: the frame told."
        pen.write(canvas, key, box.left + MARGIN, box.top + 34, TINY, QUIET)
    y, lanes = box.top + _head_px(signs), []
    for found in signs:
        draw_glyph(canvas, (box.left + MARGIN + 8, y + LINE_PX - 4.5), found.verdict, TEXT, 7)
        for line in _said(found, pen):
            y += LINE_PX
            pen.write(canvas, line, box.left + MARGIN + INDENT_PX, y, SMALL, TEXT)
        if found.moments:
            lane = Box(axis.left, y + ABOVE_LANE_PX, axis.right, y + ABOVE_LANE_PX + LANE_PX)
            _lane(canvas, lane, found, axis)
            lanes.append((lane.top, lane.bottom))
            y = lane.bottom
        y += GAP_PX
    for line in _measured(signs, pen):
        y += LINE_PX
        pen.write(canvas, line, box.left + MARGIN, y - 4, TINY, QUIET)
    return tuple(lanes)


def _head_px(signs: tuple[SignFinding, ...]) -> int:
    return HEAD_PX + (KEY_PX if any(found.moments for found in signs) else 0)


def _said(found: SignFinding, pen: Pen) -> list[str]:
    return pen.wrap(words.sign_line(found), SIDE_PX - 2 * MARGIN - INDENT_PX, SMALL)


def _measured(signs: tuple[SignFinding, ...], pen: Pen) -> list[str]:
    return [line for sentence in words.measured_lines(signs) for line in pen.wrap(sentence, SIDE_PX - 2 * MARGIN, TINY)]


def _lane(canvas: Image, box: Box, found: SignFinding, axis: TimeAxis) -> None:
    """Each moment as high as it is probable, over its seconds; moments that overlap meet half way."""
    spans = shown_spans([(moment.start_s, moment.end_s) for moment in found.moments])
    canvas[box.slices] = BACKGROUND
    canvas[box.bottom - 1, box.left : box.right] = RULE
    for moment, (start_s, end_s) in zip(found.moments, spans, strict=True):
        left, right = round(axis.x(start_s)), max(round(axis.x(end_s)), round(axis.x(start_s)) + 1)
        top = box.bottom - 1 - round(moment.probability * (box.height - 1))
        canvas[top : box.bottom, left:right] = SIGN
    if found.representative is not None:
        x = axis.x(found.representative.t_s)
        draw_line(canvas, np.array([[x, box.top - 1.0], [x, box.bottom - 1.0]]), TEXT, thickness=2)
        fill(canvas, np.array([[x, box.top + 1.0], [x - 5, box.top - 5.0], [x + 5, box.top - 5.0]]), TEXT)
