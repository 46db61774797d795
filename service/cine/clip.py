"""What a clip is once it has been opened: when its frames were shown, how large they are, and the frames themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EchoRegion:
    """One item of DICOM's Sequence of Ultrasound Regions (0018,6011): where the echoes are, and their scale.

    `box` is (x0, y0, x1, y1) in pixels of the frame, x1 and y1 exclusive. `mm_per_px` is None when the region's
    physical units are not centimetres.
    """

    box: tuple[int, int, int, int]
    mm_per_px: float | None


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one upload may ask of the decoder. Over a limit is an error of its own, never a shortened clip."""

    max_seconds: float
    max_frames: int
    max_pixels_per_frame: int
    max_pixels_in_all: int
    """Over all frames: what bounds the time that decoding takes."""
    min_side_px: int
    cache_bytes: int
    """Grey frames up to this many bytes are kept from the first pass; a larger clip is decoded again on each walk."""


DEFAULT_LIMITS = DecodeLimits(
    max_seconds=120.0,
    max_frames=20_000,
    max_pixels_per_frame=4096 * 2304,
    max_pixels_in_all=5 * 10**9,  # 80 s of 1920 x 1080 at 30 frames a second, 20 s of 4K: within a deadline of 60 s on 2 cores
    min_side_px=64,
    cache_bytes=192 * 2**20,
)


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What is known of a clip without looking at its picture. Counted by decoding, never taken from a header."""

    times_s: NDArray[np.float64]
    """When each frame is shown, from 0, strictly increasing, (F,)."""
    duration_s: float
    """`times_s[-1]` and the time the last frame is shown."""
    width: int
    height: int
    is_duplicate: NDArray[np.bool_]
    """True where a frame repeats the one before it (pixel for pixel, or nearly so after lossy coding), (F,)."""
    container: str
    """"mp4", "avi", "mpeg", "gif", "matroska", "dicom", ..."""
    region: EchoRegion | None
    """DICOM's own statement of where the echoes are; None for every other format."""
    warnings: tuple[str, ...]
    """Sentences for the caller: "The frame time is missing; 30 frames a second were assumed.\""""

    @property
    def num_frames(self) -> int:
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames shown a second, on average; 0 for a single frame."""
        return (self.num_frames - 1) / float(self.times_s[-1]) if self.num_frames > 1 else 0.0

    @property
    def distinct_fps(self) -> float:
        """Frames a second that are not repeats, on average."""
        return int((~self.is_duplicate).sum()) / self.duration_s if self.duration_s > 0 else 0.0


class Clip(Protocol):
    """An opened clip. Frames can be walked through any number of times; memory does not grow with its length."""

    @property
    def info(self) -> ClipInfo: ...

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame as grey levels (H, W), in the order shown, rotation applied."""
        ...

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame in colour (H, W, 3), in the order shown, rotation applied."""
        ...
