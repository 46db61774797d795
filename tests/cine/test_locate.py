"""locate(): sector, pleura, strip and plan of one clip, as far as each is found."""

import numpy as np
import pytest

from service.cine.locate import ALL_ROWS, PLEURA_ROWS, STRIP_MARGIN_PX, Located, lay_strip_for, locate
from service.cine.motion import BAND_PX, LUNG_GAP_PX, WALL_GAP_PX
from service.cine.pleura import Pleura
from service.cine.sector import Sector
from service.cine.tiling import WALL_ROW
from tests.fakes.clip import MemoryClip
from tests.fakes.inputs import SPEC, of_spec
from tests.fakes.phantoms import preset_phantom
from training.array_clip import ArrayClip


def located(name: str, num_rows: int = PLEURA_ROWS) -> Located:
    phantom = preset_phantom(name, 0.3)
    return locate(ArrayClip(phantom.frames, 30.0), SPEC, num_rows=num_rows)


def test_everything_is_found_in_a_phantom() -> None:
    found = located("linear_present")

    assert found.sector is not None
    assert found.pleura is not None
    assert found.grid is not None
    assert found.plan is not None
    assert {patch.row for patch in found.plan.patches} == {WALL_ROW, 0, 1}


def test_in_a_black_picture_nothing_is_found() -> None:
    found = locate(MemoryClip([np.zeros((240, 320), np.uint8)] * 3), SPEC)

    assert (found.sector, found.pleura, found.grid, found.plan) == (None, None, None, None)


def test_without_a_pleura_the_sector_is_still_told() -> None:
    phantom = preset_phantom("linear_present", 0.3)

    found = locate(ArrayClip(phantom.frames, 30.0), SPEC, find=lambda overview, sector: None)

    assert found.sector is not None
    assert (found.pleura, found.grid, found.plan) == (None, None, None)


def test_the_row_of_the_strip_follows_the_true_pleura() -> None:
    found, truth = located("linear_present"), preset_phantom("linear_present", 0.3).truth.pleura_middle_px
    assert found.grid is not None
    assert truth is not None

    x, y = found.grid.x[found.grid.zero_row], found.grid.y[found.grid.zero_row]

    assert np.median(np.abs(y - np.interp(x, truth[:, 0], truth[:, 1]))) < 2.0


def test_patches_lie_in_interspaces_only() -> None:
    found = located("present")
    assert found.grid is not None
    assert found.plan is not None

    for column in found.plan.lung_columns:
        first, last = found.grid.interspaces[column.interspace]
        assert first <= column.x0
        assert column.x0 + SPEC.patch_px <= last


def test_all_rows_reach_further_down_than_the_two_below_the_pleura() -> None:
    two, all_ = located("linear_present"), located("linear_present", ALL_ROWS)
    assert two.plan is not None
    assert all_.plan is not None

    assert max(patch.row for patch in two.plan.patches) == 1
    assert max(patch.row for patch in all_.plan.patches) > 5
    assert all_.plan.lung_columns == two.plan.lung_columns


@pytest.mark.parametrize(
    ("wall_gap_px", "num_rows", "above", "below"),
    [
        (4, 1, WALL_GAP_PX + BAND_PX, LUNG_GAP_PX + BAND_PX),  # one row of 30 px from -4 is less than the measured band
        (20, 2, 30 + 20, 2 * 30 - 4),
    ],
)
def test_the_strip_has_room_for_patches_bands_and_a_margin(wall_gap_px: int, num_rows: int, above: int, below: int) -> None:
    sector = Sector("linear", None, (0.0, 319.0), (0.0, 480.0), np.ones((481, 320), np.bool_))
    pleura = Pleura(np.linspace(0, 319, 320), np.full(320, 200.0), ((0, 320),), 1.0)

    grid = lay_strip_for(sector, pleura, of_spec(wall_gap_px=wall_gap_px), num_rows)

    assert grid.zero_row == above + STRIP_MARGIN_PX
    assert grid.lung_rows == below + STRIP_MARGIN_PX
