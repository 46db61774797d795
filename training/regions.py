"""Regions drawn by hand, as a manifest has them: read as `seashore predict --region` reads them."""

from collections.abc import Iterable
from functools import partial

from service.cine.locate import FindPleura
from service.cine.pleura import find_pleura, pleura_in_region
from service.errors import BadOption
from service.findings import Point
from service.manifest import LabelledClip
from service.options import parse_region


class BadRegion(ValueError):
    """A region of a manifest is no polygon."""


def region_of(region: str) -> tuple[Point, ...] | None:
    """The polygon; None where none was drawn (""). Raises: BadOption."""
    return parse_region(region) if region else None


def pleura_finder(region: str) -> FindPleura:
    """Inside the region drawn by hand, as a label holds of nothing else; the search where none was drawn (""). Raises: BadOption."""
    polygon = region_of(region)
    return find_pleura if polygon is None else partial(pleura_in_region, region=polygon)


def check_regions(clips: Iterable[LabelledClip]) -> None:
    """Before anything is read: a clip is not passed over for a slip in the table. Raises: BadRegion with the row."""
    for clip in clips:
        try:
            pleura_finder(clip.region)
        except BadOption as error:
            raise BadRegion(f"Row {clip.row}: {error}") from None
