"""A manifest's regions: where the pleura is looked for, and a slip that is told before anything is read."""

from pathlib import Path

import pytest

from service.cine.pleura import find_pleura
from service.errors import BadOption
from service.manifest import Label, LabelledClip
from training.regions import BadRegion, check_regions, pleura_finder


def clip(row: int, region: str) -> LabelledClip:
    return LabelledClip(Path("a.mp4"), "P", Label.PRESENT, row=row, region=region)


def test_without_a_region_the_whole_picture_is_searched() -> None:
    assert pleura_finder("") is find_pleura


def test_what_is_no_polygon_is_the_error_of_serving() -> None:
    with pytest.raises(BadOption, match=r"^region has 2 corners; it needs between 3 and "):
        pleura_finder("1,2 3,4")


def test_a_region_that_is_none_is_told_with_its_row() -> None:
    check_regions([clip(2, ""), clip(3, "1,2 30,4 5,60")])

    with pytest.raises(BadRegion, match=r"^Row 4: region is 'here', which is not a polygon\. Write it as three or more corners"):
        check_regions([clip(2, ""), clip(4, "here")])
