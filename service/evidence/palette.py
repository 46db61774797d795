"""Colours, line styles and text of the annotated clip: dark for reading rooms, never colour alone.

Probabilities run from orange (still) over grey to blue (sliding): told apart with every common colour blindness
(Okabe and Ito's blue and vermilion), and each carries a line style as well. Colours are RGB.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Image = NDArray[np.uint8]

BACKGROUND: Colour = (13, 16, 20)
PANEL: Colour = (21, 26, 32)
RULE: Colour = (52, 60, 70)
TEXT: Colour = (228, 232, 236)
QUIET: Colour = (150, 160, 170)
SECTOR: Colour = (92, 104, 116)
PLEURA: Colour = (120, 220, 130)
LUNG_POINT: Colour = (240, 228, 66)
DOUBT: Colour = (58, 54, 18)
"""The ground below words in the lung point's yellow: dark enough to read them, light enough to be seen across a bed."""
CURSOR: Colour = (240, 240, 240)
SLIDE: Colour = (190, 200, 210)
SIGN: Colour = (172, 142, 214)
"""Of signs beside sliding: none of the colours that say something of sliding, of the pleura or of doubt."""

STILL: Colour = (240, 120, 40)
UNCLEAR: Colour = (178, 178, 178)
SLIDING: Colour = (70, 165, 240)

THIRDS = (1 / 3, 2 / 3)
"""Where the drawing changes its line style. A matter of drawing: the verdict's own thresholds belong to the bundle."""


class Stroke(StrEnum):
    SOLID = "solid"
    DOTTED = "dotted"
    DASHED = "dashed"


PATTERN_PX: dict[Stroke, tuple[float, float]] = {Stroke.SOLID: (1.0, 0.0), Stroke.DOTTED: (1.5, 3.5), Stroke.DASHED: (7.0, 4.0)}
"""Pixels drawn, pixels left out."""


def probability_colour(probability: float) -> Colour:
    """Orange at 0, grey at 0.5, blue at 1."""
    p = min(1.0, max(0.0, probability))
    first, last, share = (STILL, UNCLEAR, 2 * p) if p < 0.5 else (UNCLEAR, SLIDING, 2 * p - 1)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
    return red, green, blue


def probability_stroke(probability: float) -> Stroke:
    """The second cue: solid where it slides, dotted where unclear, dashed where still."""
    if probability >= THIRDS[1]:
        return Stroke.SOLID
    return Stroke.DASHED if probability < THIRDS[0] else Stroke.DOTTED


def heat_table() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Saliency 0..255 -> colour (256, 3) and opacity (256,): magenta to pale yellow, invisible below a tenth."""
    share = np.linspace(0.0, 1.0, 256)[:, None]
    low, high = np.array([200.0, 30.0, 150.0]), np.array([255.0, 245.0, 170.0])
    colours = (low + (high - low) * share).round().astype(np.uint8)
    opacity = (0.75 * np.clip((share[:, 0] - 0.1) / 0.9, 0, 1) ** 0.8).astype(np.float32)
    return colours, opacity


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws text in OpenCV's built-in sans face (Rubik, variable weight). One for each annotated clip."""

    face: cv2.FontFace

    @classmethod
    def sans(cls) -> "Pen":
        return cls(cv2.FontFace("sans"))

    def width_px(self, text: str, size_px: int, weight: int = 400) -> int:
        x, _, width, _ = cv2.getTextSize((1, 1), text, (0, 0), self.face, size_px, weight)
        return int(x + width)

    def write(self, image: Image, text: str, left_px: int, baseline_px: int, size_px: int, colour: Colour, weight: int = 400) -> int:
        """Draws one line and returns where it ends (x)."""
        cv2.putText(image, text, (left_px, baseline_px), colour, self.face, size_px, weight)
        return left_px + self.width_px(text, size_px, weight)

    def fitting_size(self, text: str, width_px: int, size_px: int, least_px: int, weight: int = 400) -> int:
        """The largest size from `size_px` down to `least_px` at which the text is no wider than `width_px`."""
        for size in range(size_px, least_px, -1):
            if self.width_px(text, size, weight) <= width_px:
                return size
        return least_px

    def wrap(self, text: str, width_px: int, size_px: int, weight: int = 400) -> list[str]:
        """The text broken at spaces into lines no wider than `width_px`; a longer word is cut off by the drawing."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width_px(longer, size_px, weight) <= width_px:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines
