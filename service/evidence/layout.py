"""Where everything stands on the annotated clip: integer arithmetic, no pixels.

+-------------------------------------------------+
| banner: quality, verdict, probability           |
+------------------------------+------------------+
| picture                      | notes            |
|                              | M-mode strip     |
|                              | slide over time  |
|                              | windows          |
|                              | legend           |
+------------------------------+------------------+
| slide along the pleura (x    | signs beside     |
| aligned with the picture)    | sliding          |
+------------------------------+------------------+
| model, device                 not for diagnosis |
+-------------------------------------------------+

Without signs the side panel goes all the way down. With them the canvas is as much higher as it must be for both.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.findings import Point

PAD = 16
BANNER_PX = 96
FOOTER_PX = 22
SIDE_PX = 404
SLIDE_PX = 122
LEAST_LEFT_PX = 520
LEAST_CONTENT_PX = 600

ENLARGE_TO = (720, 640)
"""Smaller pictures are enlarged, in quarters, to fit this box, so that a patch can be seen."""
SHRINK_TO = (1024, 800)
"""Larger ones are made to fit this box; what lies between is shown pixel for pixel."""


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the canvas; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Layout:
    """The canvas of a clip of `width` x `height` pixels."""

    width: int
    height: int
    canvas_width: int
    canvas_height: int
    banner: Box
    picture: Box
    slide: Box
    side: Box
    signs: Box
    """Below the side panel, beginning where that ends; of no height where no sign was asked for."""
    footer: Box

    def to_canvas(self, points: tuple[Point, ...] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of the uploaded frame -> pixels of the canvas (n, 2). Pixel centres are at integers on both."""
        xy = np.asarray(points, np.float64).reshape(-1, 2)
        scale = np.array([self.picture.width / self.width, self.picture.height / self.height])
        corner = np.array([self.picture.left, self.picture.top])
        on_canvas: NDArray[np.float64] = (xy + 0.5) * scale - 0.5 + corner
        return on_canvas

    def to_canvas_x(self, x_px: float) -> float:
        return float(self.to_canvas(((x_px, 0.0),))[0, 0])


def lay_out(width: int, height: int, signs_px: int = 0) -> Layout:
    """The layout for frames of this size, with so high a panel of signs; the canvas has even sides, as H.264 needs."""
    signs_room = signs_px + PAD if signs_px else 0
    scale = picture_scale(width, height)
    picture_width, picture_height = max(1, round(width * scale)), max(1, round(height * scale))
    left_width = max(picture_width, LEAST_LEFT_PX)
    content_height = max(picture_height + PAD + SLIDE_PX, LEAST_CONTENT_PX + signs_room)
    canvas_width = _even(3 * PAD + left_width + SIDE_PX)
    content_top = 2 * PAD + BANNER_PX
    content_bottom = content_top + content_height
    canvas_height = _even(content_bottom + PAD // 2 + FOOTER_PX + PAD // 2)
    picture_left = PAD + (left_width - picture_width) // 2
    picture_top = content_top + (content_height - PAD - SLIDE_PX - picture_height) // 2
    left = Box(PAD, content_top, PAD + left_width, content_bottom)
    return Layout(
        width=width,
        height=height,
        canvas_width=canvas_width,
        canvas_height=canvas_height,
        banner=Box(PAD, PAD, canvas_width - PAD, PAD + BANNER_PX),
        picture=Box(picture_left, picture_top, picture_left + picture_width, picture_top + picture_height),
        slide=Box(left.left, content_bottom - SLIDE_PX, left.right, content_bottom),
        side=Box(left.right + PAD, content_top, canvas_width - PAD, content_bottom - signs_room),
        signs=Box(left.right + PAD, content_bottom - signs_px, canvas_width - PAD, content_bottom),
        footer=Box(PAD, canvas_height - PAD // 2 - FOOTER_PX, canvas_width - PAD, canvas_height - PAD // 2),
    )


def picture_scale(width: int, height: int) -> float:
    """How much the picture is enlarged: quarters above 1; 1 where it fits as it is; less for very large frames."""
    enlarged = min(ENLARGE_TO[0] / width, ENLARGE_TO[1] / height)
    if enlarged >= 1:
        return math.floor(enlarged * 4) / 4
    return min(1.0, SHRINK_TO[0] / width, SHRINK_TO[1] / height)


def _even(length: int) -> int:
    return length + length % 2
