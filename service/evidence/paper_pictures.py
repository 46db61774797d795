"""The clip's own pixels on paper: a frame with what was found drawn on it, and the M-mode strip with its scales."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.evidence.layout import Layout, lay_out
from service.evidence.mmode import Beam, best_beam, mmode
from service.evidence.overlay import draw_marks, window_at
from service.evidence.palette import BACKGROUND, Image, Pen
from service.evidence.panels import nice_ceiling
from service.evidence.paper import BLACK, QUIET, Align, Area, Paper
from service.evidence.paper_charts import TINY, draw_seconds
from service.findings import Analysis

JPEG_QUALITY = 92
MAX_STRIP_PX = 600
"""Of the M-mode strip, either way: 200 points are 2.8 inches, so this is finer than paper shows."""


@dataclass(frozen=True, slots=True, repr=False)
class Pictures:
    """What one walk through the clip leaves for the page."""

    frame: NDArray[np.uint8]
    """The middle frame, for which the pleural line is stated; grey levels (H, W)."""
    shown_at_s: float
    number: int
    """Of the frame, counted from 1."""
    beam: Beam | None
    strip: NDArray[np.uint8]
    """The M-mode, grey levels (depth, F); without a beam it is empty."""


def look(clip: Clip, analysis: Analysis) -> Pictures:
    """Walk through the clip once, in grey, holding one frame at a time."""
    index, beam = clip.info.num_frames // 2, best_beam(analysis)
    kept: list[NDArray[np.uint8]] = []
    frames = _keeping(clip.frames(), index, kept)
    strip = np.zeros((0, 0), np.uint8)
    if beam:
        strip = mmode(frames, beam.top, beam.bottom)
    else:
        next((None for _ in frames if kept), None)
    return Pictures(kept[0], float(clip.info.times_s[index]), index + 1, beam, strip)


def _keeping(frames: Iterator[NDArray[np.uint8]], index: int, kept: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    for number, frame in enumerate(frames):
        if number == index:
            kept.append(frame)
        yield frame


def marked_frame(pictures: Pictures, analysis: Analysis) -> Image:
    """The frame as the annotated clip shows it, patches, line and beam drawn on it, without heat: RGB, enlarged as there."""
    layout = lay_out(analysis.clip.width, analysis.clip.height)
    canvas: Image = np.empty((layout.canvas_height, layout.canvas_width, 3), np.uint8)
    canvas[:] = BACKGROUND
    canvas[layout.picture.slices] = _fitted(pictures.frame, layout)[..., None]
    draw_marks(canvas, layout, analysis, window_at(analysis, pictures.shown_at_s), pictures.beam, Pen.sans())
    return np.ascontiguousarray(canvas[layout.picture.slices])


def _fitted(frame: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    size, is_smaller = (layout.picture.width, layout.picture.height), layout.picture.width < frame.shape[1]
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def encoded(image: NDArray[np.uint8]) -> bytes:
    """Grey (H, W) or RGB (H, W, 3) as JPEG, colours at full resolution: thin lines keep theirs."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    settings = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    _, data = cv2.imencode(".jpg", stored, settings)
    return data.tobytes()


def draw_mmode(
    paper: Paper, area: Area, pictures: Pictures, times_s: NDArray[np.float64], duration_s: float, mm_per_px: float | None
) -> None:
    """The strip fills `area`: each moment shows the frame then on the screen. Depth at the left, seconds below, the pleura marked."""
    if pictures.beam is None or not pictures.strip.size:
        return
    paper.picture(encoded(_as_shown(pictures.strip, times_s, duration_s)), area)
    paper.box(area, outline=BLACK, thickness=0.4)
    draw_seconds(paper, area, duration_s)
    length_px = pictures.strip.shape[0] - 1
    _depth(paper, area, length_px * mm_per_px / 10 if mm_per_px else float(length_px), "cm" if mm_per_px else "px")
    y = area.top + area.height * pictures.beam.pleura_share
    paper.fill(((area.right + 1.5, y), (area.right + 8, y - 3.5), (area.right + 8, y + 3.5)), BLACK)


def _as_shown(strip: NDArray[np.uint8], times_s: NDArray[np.float64], duration_s: float) -> NDArray[np.uint8]:
    """Evenly in time, (depth, n), neither side over `MAX_STRIP_PX`."""
    seconds = np.linspace(0, duration_s, MAX_STRIP_PX)
    shown = np.clip(np.searchsorted(times_s, seconds, side="right") - 1, 0, strip.shape[1] - 1)
    height = min(MAX_STRIP_PX, strip.shape[0])
    lower = cv2.resize(strip, (strip.shape[1], height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return np.ascontiguousarray(lower[:, shown])


def _depth(paper: Paper, area: Area, length: float, unit: str) -> None:
    """Ticks at the left of an area, at most six."""
    step = nice_ceiling(length / 6, 0.1)
    for number in range(1, int(length / step) + 1):
        y = area.top + area.height * number * step / length
        paper.line(((area.left - 2.5, y), (area.left, y)), BLACK, 0.5)
        label = f"{number * step:g}" + (f" {unit}" if number == 1 else "")
        paper.write(label, (area.left - 4, y + 2.3), TINY, QUIET, align=Align.RIGHT)
