"""Anti-aliased lines and shapes to a sixteenth of a pixel, whole, dotted or dashed."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.evidence.palette import PATTERN_PX, Colour, Image, Stroke

Points = NDArray[np.float64]

SHIFT = 4
"""OpenCV's fixed point: sixteenths of a pixel."""


def fixed(points: Points) -> NDArray[np.int32]:
    return np.round(np.asarray(points, np.float64) * (1 << SHIFT)).astype(np.int32)


def draw_line(
    image: Image, points: Points, colour: Colour, *, stroke: Stroke = Stroke.SOLID, thickness: int = 1, closed: bool = False
) -> None:
    """A polyline (n, 2) in pixels, pixel centres at integers."""
    path = np.concatenate([points, points[:1]]) if closed else np.asarray(points)
    parts = [path] if stroke is Stroke.SOLID else broken(path, *PATTERN_PX[stroke])
    cv2.polylines(image, [fixed(part) for part in parts], False, colour, thickness, cv2.LINE_AA, SHIFT)


def fill(image: Image, points: Points, colour: Colour) -> None:
    cv2.fillPoly(image, [fixed(points)], colour, cv2.LINE_AA, SHIFT)


def tint(image: Image, points: Points, colour: Colour, opacity: float) -> None:
    """A translucent filling. Works on the outline's bounds only: there may be hundreds of patches."""
    left, top = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0).tolist()
    right, bottom = np.maximum(np.ceil(points.max(axis=0)).astype(int) + 2, 0).tolist()
    view = image[top:bottom, left:right]
    if view.size:
        filled = view.copy()
        fill(filled, points - (left, top), colour)
        view[:] = cv2.addWeighted(filled, opacity, view, 1 - opacity, 0)


def shade(image: Image, outlines: list[Points], opacity: float) -> None:
    """A dark rim, a pixel to each side of where the outlines will be drawn."""
    dark = image.copy()
    for outline in outlines:
        draw_line(dark, outline, (0, 0, 0), thickness=3, closed=True)
    cv2.addWeighted(dark, opacity, image, 1 - opacity, 0, dst=image)


def disc(image: Image, centre: tuple[float, float], radius_px: float, colour: Colour, thickness: int = -1) -> None:
    x, y = fixed(np.array(centre)).tolist()
    cv2.circle(image, (x, y), round(radius_px * (1 << SHIFT)), colour, thickness, cv2.LINE_AA, SHIFT)


def broken(path: Points, drawn_px: float, left_out_px: float) -> list[Points]:
    """A polyline cut into dashes by length along it; the last dash may be shorter."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    parts = []
    for start in np.arange(0.0, along[-1], drawn_px + left_out_px).tolist():
        end = min(start + drawn_px, along[-1])
        inner = along[(along > start) & (along < end)]
        at = np.concatenate([[start], inner, [end]])
        parts.append(np.stack([np.interp(at, along, path[:, 0]), np.interp(at, along, path[:, 1])], axis=1))
    return parts


class Layer:
    """Anything drawn by OpenCV, kept with its transparency, to be laid over many frames.

    Drawn once on black and once on white: what differs is what shines through.
    """

    def __init__(self, on_black: Image, on_white: Image) -> None:
        self.colour = on_black
        self.shines_through = cv2.subtract(on_white, on_black)

    def over(self, image: Image) -> None:
        """Lay this over an image of the same size, in place."""
        cv2.multiply(image, self.shines_through, dst=image, scale=1 / 255)
        cv2.add(image, self.colour, dst=image)
