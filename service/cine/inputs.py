"""What a clip was like as the model got it: the statistics by which a site sees that its clips are not those the model was made from.

Serving and training both take them from `pipeline.finish`, which asks here: there is no second way to measure them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import ClipInfo
from service.cine.locate import PLEURA_ROWS, Located
from service.cine.motion import Motion, wall_motion_px
from service.cine.pooling import Evidence, summarise
from service.cine.spec import Band, InputSpec
from service.cine.tiling import Plan
from service.findings import InputStatistics, Quality

NUM_GREY_LEVELS = 256


class GreyLevels:
    """Counts the grey levels of one clip's patches, band by band, as its windows go to the device.

    Only of the rows at the pleura: a caller who asks for deeper ones sends the same clip.
    """

    def __init__(self, spec: InputSpec, plan: Plan) -> None:
        self._is_counted = np.array([0 <= patch.row < PLEURA_ROWS for patch in plan.patches], dtype=np.bool_)
        self._counts = {band: np.zeros(NUM_GREY_LEVELS, np.int64) for band in spec.bands}

    def take(self, patches: NDArray[np.uint8]) -> None:
        """One window's, (N, C, T, h, w), in the order of the plan."""
        for channel, counts in enumerate(self._counts.values()):
            counts += np.bincount(patches[self._is_counted, channel].ravel(), minlength=NUM_GREY_LEVELS)

    def mean_and_contrast(self, band: Band) -> tuple[float | None, float | None]:
        """Mean and standard deviation of the band's grey levels, 0..255; None for a band that is not there or was not seen."""
        counts = self._counts.get(band)
        if counts is None or not counts.any():
            return None, None
        levels = np.arange(NUM_GREY_LEVELS)
        mean = float(np.average(levels, weights=counts))
        return mean, math.sqrt(float(np.average((levels - mean) ** 2, weights=counts)))


def input_statistics(
    info: ClipInfo, located: Located, greys: GreyLevels, motions: list[Motion], evidence: Evidence, quality: Quality
) -> InputStatistics:
    """Of a clip that was walked through as far as it can be read."""
    lung_grey, lung_contrast = greys.mean_and_contrast("lung")
    wall_grey, _ = greys.mean_and_contrast("wall")
    return InputStatistics(
        lung_grey=lung_grey,
        lung_contrast=lung_contrast,
        wall_grey=wall_grey,
        frame_rate_fps=float(round(info.distinct_fps)),
        picture_scale=round(located.grid.px_per_strip_px, 2) if located.grid else None,
        pleura_depth_share=_pleura_depth_share(located),
        wall_motion_px=_known(wall_motion_px(motions)),
        slide_px=_known(summarise(evidence).slide_px),
        quality=quality.probability,
    )


def _pleura_depth_share(located: Located) -> float | None:
    if located.sector is None or located.pleura is None:
        return None
    return float(np.median(located.pleura.depth_px)) / located.sector.depth_extent_px


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
