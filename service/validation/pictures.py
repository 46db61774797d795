"""One clip as a picture: its middle frame with what was found drawn on it, and the M-mode strip beside it.

Of the frame only the echoes are shown: around them machines write the patient's name, and a report is passed on.
"""

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.errors import SeashoreError
from service.evidence.overlay import Annotator
from service.findings import Analysis, Point
from service.reading import Saliency
from service.validation.cases import Case
from service.validation.run import Model, options_of

GREY_STEP = 4
"""Levels are rounded to multiples of it: speckle in 256 levels takes twice the bytes and looks the same."""


def picture_of(case: Case, model: Model) -> bytes | None:
    """PNG; None where the clip can no longer be read, or no echoes were found in it. Reads the clip again, with saliency."""
    try:
        clip = model.reader.open(case.clip.file)
        analysis, _ = model.reader.read(clip, model.entry, options_of(case.clip, Saliency.VANILLA))
        return _png(_middle_canvas(clip, analysis)) if analysis.sector else None
    except (SeashoreError, OSError):
        return None


class EchoesOnly:
    """A clip of which everything outside the sector is black."""

    def __init__(self, clip: Clip, sector: tuple[Point, ...]) -> None:
        self._clip = clip
        self._mask = np.zeros((clip.info.height, clip.info.width), np.uint8)
        cv2.fillPoly(self._mask, [np.rint(np.array(sector)).astype(np.int32)], 255)

    @property
    def info(self) -> ClipInfo:
        return self._clip.info

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        return (np.where(self._mask > 0, frame, 0).astype(np.uint8) for frame in self._clip.frames())

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        return (np.where(self._mask[..., None] > 0, frame, 0).astype(np.uint8) for frame in self._clip.rgb_frames())


def _middle_canvas(clip: Clip, analysis: Analysis) -> NDArray[np.uint8]:
    echoes, middle = EchoesOnly(clip, analysis.sector), clip.info.num_frames // 2
    frame = next(islice(echoes.rgb_frames(), middle, None))
    return Annotator(echoes, analysis).draw(frame, float(clip.info.times_s[middle]))


def _png(canvas: NDArray[np.uint8]) -> bytes:
    levels = (canvas.astype(np.int16) + GREY_STEP // 2) // GREY_STEP * GREY_STEP
    rounded = np.clip(levels, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".png", cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])
