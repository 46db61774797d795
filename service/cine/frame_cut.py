"""What of a frame a model that looks at the whole picture is given: a square, cut to the box of the sector or straightened beam by beam.

frame             box               beams
    ___           ___              +-----+   each column is a beam, each row a depth below the probe's face
   /   \\        | / \\ |            |  |  |   a B-line stands upright in it, an A-line lies level, under any probe
  / | | \\       |/ | \\|            |  |  |
  \\_____/       |\\___/|            +-----+
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.frame_spec import Geometry
from service.cine.sector import Sector

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) of the frame, x1 and y1 exclusive."""
MAP_PX = 96
"""Side of a map that was bent back onto the frame: fine enough for the sector's edge, which models' own maps are not."""
_FINER = 2
"""Times as many beams and depths are looked up as are kept, and then averaged, so that thin lines are not missed."""


class Cut(Protocol):
    """A frame (H, W) -> what a model is given of it, (side, side)."""

    @property
    def box(self) -> Box:
        """What of the frame that is."""
        ...

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]: ...

    def onto_box(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """A map over what the model was given, (h, w) of any size -> over `box`, 0 outside the sector."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FrameCut:
    """Frames (H, W) -> the box of the sector, black outside the sector, (side, side).

    What is written beside the echoes (names, depths, a logo) tells the hospital, and a model that has seen few hospitals would take
    it for the sign.
    """

    box: Box
    inside: NDArray[np.uint8]
    """1 in the sector, 0 elsewhere, of the box."""
    side_px: int

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = self.box
        return _shrunk(frame[y0:y1, x0:x1] * self.inside, self.side_px)

    def onto_box(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """As it is: coarse maps reach a little beyond the sector."""
        return seen


@dataclass(frozen=True, slots=True, eq=False)
class BeamCut:
    """Frames (H, W) -> the sector's beams from left to right, black where a beam has left the frame, (side, side)."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    """Where on the frame each beam (column) and depth (row) lies, (_FINER * side, _FINER * side)."""
    side_px: int
    sector: Sector
    box: Box

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen = np.asarray(cv2.remap(frame, self.x, self.y, cv2.INTER_LINEAR, borderValue=0), np.uint8)
        return _shrunk(seen, self.side_px)

    def onto_box(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bent back, (MAP_PX, MAP_PX)."""
        x0, y0, x1, y1 = self.box
        middles = (np.arange(MAP_PX) + 0.5) / MAP_PX
        x, y = np.meshgrid(x0 - 0.5 + middles * (x1 - x0), y0 - 0.5 + middles * (y1 - y0))
        lateral, depth = self.sector.to_beam(x, y)
        low, high = self.sector.lateral
        across, down = (lateral - low) / (high - low), depth / self.sector.depth_extent_px
        inside = (across >= 0) & (across <= 1) & (down >= 0) & (down <= 1)
        height, width = seen.shape
        x_seen, y_seen = (across * width - 0.5).astype(np.float32), (down * height - 0.5).astype(np.float32)
        return np.asarray(cv2.remap(seen, x_seen, y_seen, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * inside, np.float32)


def cut_to(sector: Sector, side_px: int, geometry: Geometry = "box") -> Cut:
    return _beams_of(sector, side_px) if geometry == "beams" else _box_of(sector, side_px)


def _box_of(sector: Sector, side_px: int) -> FrameCut:
    drawn = np.zeros(sector.mask.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(sector.outline())).astype(np.int32)], 1)
    x0, y0, x1, y1 = box = _bounds(sector)
    return FrameCut(box, drawn[y0:y1, x0:x1], side_px)


def _beams_of(sector: Sector, side_px: int) -> BeamCut:
    middles = (np.arange(_FINER * side_px) + 0.5) / (_FINER * side_px)
    lateral = sector.lateral[0] + middles * (sector.lateral[1] - sector.lateral[0])
    x, y = sector.to_frame(lateral[None, :], (middles * sector.depth_extent_px)[:, None])
    return BeamCut(x.astype(np.float32), y.astype(np.float32), side_px, sector, _bounds(sector))


def _bounds(sector: Sector) -> Box:
    height, width = sector.mask.shape
    outline = np.array(sector.outline())
    x0, y0 = np.clip(np.floor(outline.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(outline.max(axis=0)) + 1, (x0 + 1, y0 + 1), (width, height)).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _shrunk(seen: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    # INTER_AREA averages where it shrinks, as every resizer that does not alias, and is linear where it enlarges.
    return np.asarray(cv2.resize(seen, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)
