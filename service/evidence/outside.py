"""A clip without what lies outside its echoes: names, dates and logos burnt into the picture's rim are black, and never shown."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo, EchoRegion
from service.findings import Analysis, Point, ReasonCode


@dataclass(frozen=True, slots=True, repr=False)
class EchoesOnly:
    """A clip whose frames are black wherever `shown` is False. Like any clip it is read frame by frame."""

    clip: Clip
    shown: NDArray[np.bool_]
    """(H, W)"""

    @property
    def info(self) -> ClipInfo:
        return self.clip.info

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame as grey levels (H, W)."""
        for frame in self.clip.frames():
            yield frame * self.shown

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame in colour (H, W, 3)."""
        for frame in self.clip.rgb_frames():
            yield frame * self.shown[..., None]

    def __repr__(self) -> str:
        return f"EchoesOnly({self.clip!r}, {self.shown.mean():.0%} shown)"


def echoes_only(clip: Clip, analysis: Analysis) -> EchoesOnly:
    """The clip to draw results from where nothing outside the ultrasound region may be shown.

    What does not look like ultrasound has no sector that could be relied on: it may be a photographed page. Text inside the
    echoes stays.
    """
    is_echoes = all(reason.code is not ReasonCode.NOT_ULTRASOUND for reason in analysis.quality.reasons)
    return EchoesOnly(clip, shown_pixels(clip.info, analysis.sector if is_echoes else ()))


def shown_pixels(info: ClipInfo, sector: tuple[Point, ...]) -> NDArray[np.bool_]:
    """Where echoes are, (H, W): inside the sector that was found and inside the region that DICOM states (0018,6011).

    One of them will do. With neither nobody knows where the echoes end, and nothing is shown.
    """
    if not sector and info.region is None:
        return np.zeros((info.height, info.width), np.bool_)
    return _inside(sector, info) & _in_region(info.region, info)


def _inside(sector: tuple[Point, ...], info: ClipInfo) -> NDArray[np.bool_]:
    if not sector:
        return np.ones((info.height, info.width), np.bool_)
    drawn = np.zeros((info.height, info.width), np.uint8)
    cv2.fillPoly(drawn, [np.rint(np.array(sector)).astype(np.int32)], 1)
    return drawn.astype(np.bool_)


def _in_region(region: EchoRegion | None, info: ClipInfo) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = region.box if region else (0, 0, info.width, info.height)
    shown = np.zeros((info.height, info.width), np.bool_)
    shown[max(y0, 0) : y1, max(x0, 0) : x1] = True
    return shown
