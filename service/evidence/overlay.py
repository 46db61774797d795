"""The annotated clip: the clip as it was, with everything that was found drawn on it and beside it, as MP4."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.ahead import ahead
from service.cine.clip import Clip, ClipInfo
from service.evidence import panels, side_panel, sign_panel
from service.evidence.heat import Heat
from service.evidence.layout import Layout, lay_out
from service.evidence.mmode import Beam, best_beam, mmode
from service.evidence.mp4 import mp4_writer
from service.evidence.outline import sides
from service.evidence.palette import (
    BACKGROUND,
    CURSOR,
    LUNG_POINT,
    PLEURA,
    SECTOR,
    Image,
    Pen,
    Stroke,
    probability_colour,
    probability_stroke,
)
from service.evidence.strokes import Layer, draw_line, fill, shade, tint
from service.findings import Analysis, PleuraFinding, Point, ReasonCode, WindowFinding

CANVASES_AHEAD = 4
"""Drawn while another is encoded."""

TINT = 0.10
"""Opacity of a patch's filling: the speckle below must stay readable."""
SHADE = 0.3
"""Opacity of the dark rim under outlines, without which they are lost on bright haze."""


def annotate(clip: Clip, analysis: Analysis, out: Path | BinaryIO) -> None:
    """Write the clip with its findings drawn on it, as H.264 in MP4.

    Every frame is kept and shown when it was (variable frame rates stay variable). The clip is read twice, once in
    grey for the M-mode strip, and held frame by frame. A path is written whole or not at all.
    """
    info = clip.info
    canvas_of = Annotator(clip, analysis)
    layout = canvas_of.layout
    with mp4_writer(out, layout.canvas_width, layout.canvas_height, info.fps or 30.0) as writer:
        drawn = ahead(canvas_of.draw_all(clip), CANVASES_AHEAD)
        for canvas, shown_at_s, shown_for_s in zip(drawn, info.times_s.tolist(), _shown_for(info), strict=True):
            writer.write(canvas, shown_at_s, shown_for_s)


class Annotator:
    """Draws the canvases of one clip. What does not change is drawn once, what changes with the window once a window."""

    def __init__(self, clip: Clip, analysis: Analysis) -> None:
        self._analysis = analysis
        self._pen = Pen.sans()
        self.layout = lay_out(clip.info.width, clip.info.height, sign_panel.height_px(analysis.signs, self._pen))
        self._beam = best_beam(analysis)
        strip = mmode(clip.frames(), self._beam.top, self._beam.bottom) if self._beam else None
        self._still, self._cursor = self._draw_still(strip, clip.info.times_s)
        self._window: WindowFinding | None = None
        self._marks, self._heat = self._draw_window(None)

    def draw_all(self, clip: Clip) -> Iterator[Image]:
        """Every frame of the clip, in the order shown."""
        for frame, shown_at_s in zip(clip.rgb_frames(), clip.info.times_s.tolist(), strict=True):
            yield self.draw(frame, shown_at_s)

    def draw(self, frame: NDArray[np.uint8], t_s: float) -> Image:
        """Frame (H, W, 3) shown at t_s -> canvas, RGB."""
        window = window_at(self._analysis, t_s)
        if window is not self._window:
            self._window = window
            self._marks, self._heat = self._draw_window(window)
        canvas = self._still.copy()
        picture = self.layout.picture
        canvas[picture.slices] = _resized(frame, picture.width, picture.height)
        if self._heat:
            self._heat.over(canvas, t_s)
        self._marks.over(canvas[picture.slices])
        self._cursor.over(canvas, t_s)
        return canvas

    def _draw_still(self, strip: NDArray[np.uint8] | None, times_s: NDArray[np.float64]) -> tuple[Image, side_panel.Cursor]:
        layout, analysis, pen = self.layout, self._analysis, self._pen
        canvas: Image = np.empty((layout.canvas_height, layout.canvas_width, 3), np.uint8)
        canvas[:] = BACKGROUND
        panels.draw_banner(canvas, layout.banner, analysis, pen)
        panels.draw_slide(canvas, layout, analysis, pen)
        cursor = side_panel.draw_side(canvas, layout.side, analysis, strip, self._beam, times_s, pen)
        if analysis.signs:
            cursor = replace(cursor, lanes=sign_panel.draw_signs(canvas, layout.signs, analysis.signs, cursor.axis, pen))
        panels.draw_footer(canvas, layout.footer, analysis, pen)
        return canvas, cursor

    def _draw_window(self, window: WindowFinding | None) -> tuple[Layer, Heat | None]:
        backs = []
        for grey in (0, 255):
            canvas: Image = np.full((self.layout.canvas_height, self.layout.canvas_width, 3), grey, np.uint8)
            draw_marks(canvas, self.layout, self._analysis, window, self._beam, self._pen)
            backs.append(np.ascontiguousarray(canvas[self.layout.picture.slices]))
        return Layer(*backs), Heat(window, self.layout) if window else None


def window_at(analysis: Analysis, t_s: float) -> WindowFinding | None:
    """The window whose middle is nearest: overlapping ones (the last is pulled back) share the time between them."""
    return min(analysis.windows, key=lambda w: abs((w.start_s + w.end_s) / 2 - t_s), default=None)


def draw_marks(canvas: Image, layout: Layout, analysis: Analysis, window: WindowFinding | None, beam: Beam | None, pen: Pen) -> None:
    """What is drawn on the picture itself, from the back to the front."""
    if analysis.sector:
        draw_line(canvas, layout.to_canvas(analysis.sector), SECTOR, closed=True)
    if window:
        _patches(canvas, layout, window)
    if beam:
        _beam(canvas, layout, beam)
    if analysis.pleura:
        _pleura(canvas, layout, analysis.pleura)
        _doubt(canvas, layout, analysis, analysis.pleura, pen)
        _lung_point(canvas, layout, analysis, analysis.pleura, pen)


def _patches(canvas: Image, layout: Layout, window: WindowFinding) -> None:
    shade(canvas, [layout.to_canvas(patch.polygon) for patch in window.patches], SHADE)
    for patch in window.patches:
        outline, colour = layout.to_canvas(patch.polygon), probability_colour(patch.probability)
        tint(canvas, outline, colour, TINT)
        for side in sides(outline):  # neighbours share a side: drawn the same way, its dashes fall on one another
            draw_line(canvas, side, colour, stroke=probability_stroke(patch.probability))


def _beam(canvas: Image, layout: Layout, beam: Beam) -> None:
    top, _, bottom = path = layout.to_canvas((beam.top, beam.pleura, beam.bottom))
    draw_line(canvas, path, CURSOR, stroke=Stroke.DOTTED)
    down = (bottom - top) / max(float(np.linalg.norm(bottom - top)), 1e-6)
    across = np.array([-down[1], down[0]])
    fill(canvas, np.stack([top + 11 * down, top + 6 * across, top - 6 * across]), CURSOR)


def _pleura(canvas: Image, layout: Layout, pleura: PleuraFinding) -> None:
    """Dashed all along; thick, with an end mark, inside interspaces."""
    if len(pleura.line) < 2:
        return
    line = layout.to_canvas(pleura.line)
    draw_line(canvas, line, PLEURA, stroke=Stroke.DASHED)
    for x0, x1 in pleura.interspaces:
        part = _between(line, layout.to_canvas_x(x0), layout.to_canvas_x(x1))
        draw_line(canvas, part, PLEURA, thickness=2)
        for end in (part[0], part[-1]):
            draw_line(canvas, np.stack([end - (0, 7), end + (0, 7)]), PLEURA, thickness=2)


def _between(line: NDArray[np.float64], x0: float, x1: float) -> NDArray[np.float64]:
    """The stretch of a left-to-right line from x0 to x1."""
    inner = line[(line[:, 0] > x0) & (line[:, 0] < x1), 0]
    xs = np.concatenate([[x0], inner, [x1]])
    return np.stack([xs, np.interp(xs, line[:, 0], line[:, 1])], axis=1)


def _lung_point(canvas: Image, layout: Layout, analysis: Analysis, pleura: PleuraFinding, pen: Pen) -> None:
    if not analysis.lung_point.suspected or analysis.lung_point.x_px is None:
        return
    line = layout.to_canvas(pleura.line)
    x = layout.to_canvas_x(analysis.lung_point.x_px)
    y = float(np.interp(x, line[:, 0], line[:, 1]))
    draw_line(canvas, np.array([[x, y - 34], [x, y + 34]]), LUNG_POINT, stroke=Stroke.DASHED, thickness=2)
    _tag(canvas, layout, "lung point?", (x, y - 42), pen)


def _doubt(canvas: Image, layout: Layout, analysis: Analysis, pleura: PleuraFinding, pen: Pen) -> None:
    """A question mark where the line was found: whoever looks must say whether it is the pleura."""
    if not pleura.interspaces or all(reason.code is not ReasonCode.PLEURA_DOUBTFUL for reason in analysis.quality.reasons):
        return
    line = layout.to_canvas(pleura.line)
    x = layout.to_canvas_x(max(pleura.interspaces, key=lambda span: span[1] - span[0])[0])
    _tag(canvas, layout, "pleura?", (x, float(np.interp(x, line[:, 0], line[:, 1])) - 16), pen)


def _tag(canvas: Image, layout: Layout, text: str, foot: Point, pen: Pen) -> None:
    """A word in the picture, on its own ground, centred above `foot` and kept inside."""
    picture, width = layout.picture, pen.width_px(text, panels.NORMAL, 600)
    left = max(picture.left + 6, min(picture.right - 6 - width, round(foot[0]) - width // 2))
    baseline = max(picture.top + 16, round(foot[1]))
    canvas[baseline - 15 : baseline + 6, left - 5 : left + width + 5] = BACKGROUND
    pen.write(canvas, text, left, baseline, panels.NORMAL, LUNG_POINT, 600)


def _resized(frame: NDArray[np.uint8], width: int, height: int) -> Image:
    if frame.shape[:2] == (height, width):
        return frame
    smaller = width < frame.shape[1]
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _shown_for(info: ClipInfo) -> list[float]:
    """How long each frame is shown, (F,); the last one until the clip ends, a lone one for a 30th of a second."""
    ends = np.append(info.times_s[1:], max(info.duration_s, float(info.times_s[-1])))
    return [float(d) if d > 0 else 1 / 30 for d in ends - info.times_s]
