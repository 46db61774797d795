"""From an opened clip to the plan of its patches: sector, pleura, strip, tiling. The geometry of one clip."""

from collections.abc import Callable
from dataclasses import dataclass

from service.cine.clip import Clip
from service.cine.motion import BAND_PX, LUNG_GAP_PX, WALL_GAP_PX
from service.cine.overview import Overview, look_over
from service.cine.pleura import Pleura, find_pleura
from service.cine.sector import Sector, find_sector
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid, lay_strip
from service.cine.tiling import Plan, plan_patches, rows_needed

STRIP_MARGIN_PX = 12
"""Beyond the outermost patches, so that a patch that follows the wall stays on the strip."""
PLEURA_ROWS = 2
ALL_ROWS = 15
"""As many as the deepest published plan has."""

FindPleura = Callable[[Overview, Sector], Pleura | None]


@dataclass(frozen=True, slots=True)
class Located:
    """Where everything is in one clip. Later stages are None when an earlier one found nothing."""

    overview: Overview
    sector: Sector | None
    pleura: Pleura | None
    grid: StripGrid | None
    plan: Plan | None


def locate(clip: Clip, spec: InputSpec, *, num_rows: int = PLEURA_ROWS, find: FindPleura = find_pleura) -> Located:
    """Find the pleura and plan the patches. `find` is the search, or a region drawn by hand (`pleura_in_region`)."""
    overview = look_over(clip)
    sector = find_sector(overview, clip.info.region)
    if sector is None:
        return Located(overview, None, None, None, None)
    pleura = find(overview, sector)
    if pleura is None:
        return Located(overview, sector, None, None, None)
    grid = lay_strip_for(sector, pleura, spec, num_rows)
    return Located(overview, sector, pleura, grid, plan_patches(grid, spec, num_rows=num_rows))


def lay_strip_for(sector: Sector, pleura: Pleura, spec: InputSpec, num_rows: int) -> StripGrid:
    """A strip with room for the patches of `num_rows` rows and for the bands whose motion is measured."""
    above, below = rows_needed(spec, num_rows)
    return lay_strip(
        sector,
        pleura,
        picture_depth_px=spec.picture_depth_px,
        wall_rows=max(above, WALL_GAP_PX + BAND_PX) + STRIP_MARGIN_PX,
        lung_rows=max(below, LUNG_GAP_PX + BAND_PX) + STRIP_MARGIN_PX,
    )
