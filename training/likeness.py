"""How alike two clips look, told by perceptual hashes of their echoes: copies are found whatever was done to the file.

clip -look_over-> 8 frames -find_sector-> the box of the echoes -7 insets-> pictures -phash-> 256 bits each
"""

from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.cine.overview import look_over
from service.cine.sector import find_sector

NUM_FRAMES = 8
HASH_SIDE = 16
"""phash keeps 16 x 16 frequencies. With 8 x 8, two fans of different patients are as close as a copy (0.06 of the bits)."""
INSETS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.10, 0.12)
"""Shares of the echoes cut off on each side: a copy that was cropped matches the original with the same inset. Without them a
crop by 0.05 lies at 0.31 of the bits, among different clips."""
LIMIT = 0.16
"""Share of the bits that differ, up to which two clips count as copies. Measured on 90 real clips and eight kinds of copy of 30 of
them. Different patients: 0.195 apart or more, over 3,800 pairs; the one pair below (0.08) is, on looking, one clip in two crops.
Copies found: all 150 that were re-encoded at CRF 38, padded, trimmed to half, brightened or thinned to half the frames (0.15 at
most), 29 of 30 at half the size, 27 of 30 cropped by 0.05 on each side, 25 of 30 by 0.10."""
MIN_CONTRAST = 4.0
"""Standard deviation in grey levels; a frame flatter than this (a fade, black) looks like every other such frame."""


@dataclass(frozen=True, slots=True, repr=False)
class Likeness:
    """What a clip looks like. Bits are -1 and 1, so that a product counts those that agree."""

    whole: NDArray[np.float32]
    """The echoes of each frame, (K, 256); K = 0 for a clip without contrast."""
    cropped: NDArray[np.float32]
    """The same at each inset, (7, K, 256)."""


def look(path: Path) -> Likeness:
    """Raises: SeashoreError, when the file is not a clip that can be read."""
    frames = _echoes(path)
    kept = [frame for frame in frames if frame.std() >= MIN_CONTRAST]
    cropped = [[_bits(_inset(frame, share)) for frame in kept] for share in INSETS]
    bits = np.array(cropped, np.float32).reshape(len(INSETS), len(kept), HASH_SIDE**2)
    return Likeness(whole=bits[0], cropped=bits)


def distance(one: Likeness, other: Likeness) -> float:
    """Share of the bits in which the two differ where they are most alike; 1 when either shows nothing.

    Two frames must agree, not one: a single pair among 64 may agree by chance.
    """
    if not len(one.whole) or not len(other.whole):
        return 1.0
    return min(_one_way(one.cropped, other.whole), _one_way(other.cropped, one.whole))


def _one_way(cropped: NDArray[np.float32], whole: NDArray[np.float32]) -> float:
    differ = (1 - cropped @ whole.T / whole.shape[1]) / 2  # (7, K, L)
    nearest = np.sort(differ.min(axis=2), axis=1)
    return float(nearest[:, min(1, nearest.shape[1] - 1)].min())


def _echoes(path: Path) -> NDArray[np.uint8]:
    """Frames spread over the clip, cut to the box of the sector: what surrounds the echoes is not the picture."""
    clip = open_clip(path, DEFAULT_LIMITS)
    overview = look_over(clip, NUM_FRAMES)
    sector = find_sector(overview, clip.info.region)
    if sector is None:
        return overview.frames
    ys, xs = np.nonzero(sector.mask)
    return overview.frames[:, ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _inset(frame: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    dy, dx = (int(side * share) for side in frame.shape)
    return frame[dy : frame.shape[0] - dy, dx : frame.shape[1] - dx]


def _bits(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    bits = imagehash.phash(Image.fromarray(frame), hash_size=HASH_SIDE).hash
    return np.asarray(bits, np.float32).ravel() * 2 - 1
