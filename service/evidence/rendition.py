"""The rendition of a clip: every frame a JPEG of its own, one after the other in one file, and where each begins.

    bytes    |   JPEG 0   |  JPEG 1  |   JPEG 2   |      frame k: from offsets[k] up to offsets[k + 1]
    offsets  0           o1         o2           o3

Browsers play neither AVI nor MPEG nor DICOM, and are led to a frame of a film only nearly; any of them draws a JPEG.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.ahead import ahead
from service.cine.clip import Clip
from service.evidence.outside import echoes_only
from service.evidence.overlay import Annotator
from service.findings import Analysis

QUALITY = 90
"""Speckle keeps its grain; at 95 a frame takes two fifths more bytes."""
FRAMES_AHEAD = 4
"""Decoded while another is encoded."""

_AS_IT_IS = (cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
"""Colours at full resolution, for a tenth more bytes: a scanner's marks and Doppler's edges are a pixel wide."""
_DRAWN_ON = (cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422)
"""As archives' viewers know best; 4:2:0 smears thin coloured outlines upwards and downwards."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is drawn on the frames: an answer, as in the annotated clip."""

    analysis: Analysis
    show_outside_region: bool
    """False: what lies outside the echoes is black."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """The index: what is known of each frame without looking at it."""

    width: int
    height: int
    duration_s: float
    times_s: tuple[float, ...]
    """When each frame is shown, strictly increasing, F of them."""
    offsets: tuple[int, ...]
    """Where each frame's JPEG begins, in bytes, and at the end where the last one ends, F + 1 of them."""

    def __post_init__(self) -> None:
        if not self.times_s or len(self.offsets) != len(self.times_s) + 1:
            raise ValueError(f"{len(self.times_s)} frames need one offset more, not {len(self.offsets)}.")
        if self.offsets[0] != 0 or not all(begin < end for begin, end in pairwise(self.offsets)):
            raise ValueError("The frames do not lie one after the other.")
        is_in_order = all(before < after for before, after in pairwise(self.times_s))
        if not is_in_order or not all(map(math.isfinite, (self.duration_s, *self.times_s))):
            raise ValueError("The frames are not shown one after the other.")

    def __repr__(self) -> str:
        return f"Rendition({len(self.times_s)} frames of {self.width} x {self.height} px, {self.offsets[-1]} bytes)"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Rendition":
        """Raises: ValueError, whatever else the fields are."""
        try:
            times_s, offsets = tuple(map(float, fields["times_s"])), tuple(map(int, fields["offsets"]))
            return cls(int(fields["width"]), int(fields["height"]), float(fields["duration_s"]), times_s, offsets)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError("This is no index of a rendition.") from error


def render(
    clip: Clip, out: Path | BinaryIO, tell: Callable[[float], object] = lambda share: None, *, marks: Marks | None = None
) -> Rendition:
    """Write every frame of the clip into a file, in its own size and colours, or with marks drawn on it; gives where each of them lies.

    `tell` hears the share that is done (0..1) after each frame; what it raises ends it, and the file then stays as it is.
    Frames are held one at a time. The same clip makes the same bytes. Raises: RequestError when it can no longer be decoded.
    """
    info, offsets = clip.info, [0]
    (width, height), pictures = _as_it_is(clip) if marks is None else _drawn_on(clip, marks)
    coding = _AS_IT_IS if marks is None else _DRAWN_ON
    with out.open("wb") if isinstance(out, Path) else nullcontext(out) as file:
        for picture in ahead(pictures, FRAMES_AHEAD):
            _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), coding)
            offsets.append(offsets[-1] + file.write(jpeg.data))
            tell((len(offsets) - 1) / info.num_frames)
    return Rendition(width, height, info.duration_s, tuple(info.times_s.tolist()), tuple(offsets))


def _as_it_is(clip: Clip) -> tuple[tuple[int, int], Iterator[NDArray[np.uint8]]]:
    return (clip.info.width, clip.info.height), clip.rgb_frames()


def _drawn_on(clip: Clip, marks: Marks) -> tuple[tuple[int, int], Iterator[NDArray[np.uint8]]]:
    shown = clip if marks.show_outside_region else echoes_only(clip, marks.analysis)
    annotator = Annotator(shown, marks.analysis)
    return (annotator.layout.canvas_width, annotator.layout.canvas_height), annotator.draw_all(shown)
