"""Where the patches lie, in whole numbers; and that cutting them out takes the very pixels."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import WALL_ONLY, WALL_ROW, Column, Patch, Plan, cut, plan_patches, rows_needed
from tests.fakes.inputs import SPEC, flat_grid, of_spec, speckle

FROM_LINE = of_spec(row_offset_px=0)
"""Row 0 begins on the pleural line."""


def planned(
    interspaces: tuple[tuple[int, int], ...],
    spec: InputSpec = SPEC,
    num_columns: int = 300,
    num_rows: int = 1,
    wall_control: bool = False,
    is_echo: NDArray[np.bool_] | None = None,
) -> Plan:
    return plan_patches(grid(interspaces, num_columns, is_echo), spec, num_rows=num_rows, wall_control=wall_control)


def grid(interspaces: tuple[tuple[int, int], ...], num_columns: int = 300, is_echo: NDArray[np.bool_] | None = None) -> StripGrid:
    """50 rows of wall, 70 of lung."""
    return flat_grid(num_columns, 50, 70, interspaces, is_echo)


def lefts(plan: Plan) -> list[int]:
    return [column.x0 for column in plan.columns]


# --- columns ---


def test_what_is_left_over_of_an_interspace_lies_half_on_each_side() -> None:
    assert lefts(planned(((0, 100),))) == [5, 35, 65]  # 3 x 30 px, 5 px before and 5 after


def test_a_gap_as_wide_as_a_patch_holds_one() -> None:
    assert lefts(planned(((10, 40),))) == [10]


def test_a_gap_narrower_than_a_patch_holds_none() -> None:
    assert planned(((10, 39),)) == Plan((), (), 30)


def test_no_patch_lies_on_a_rib() -> None:
    plan = planned(((0, 60), (80, 140)))

    assert plan.columns == (Column(0, 0), Column(30, 0), Column(80, 1), Column(110, 1))


def test_columns_may_overlap() -> None:
    assert lefts(planned(((0, 60),), of_spec(column_stride_px=10))) == [0, 10, 20, 30]


def test_centres_are_the_columns_middles() -> None:
    assert planned(((0, 100),)).centres.tolist() == [20, 50, 80]


@pytest.mark.parametrize("stride", [7, 10, 30, 45])
def test_columns_stay_inside_their_interspace_and_fill_it(stride: int) -> None:
    for first, length in itertools.product((0, 13), range(121)):
        x0 = lefts(planned(((first, first + length),), of_spec(column_stride_px=stride)))

        assert all(first <= x and x + 30 <= first + length for x in x0)
        assert np.all(np.diff(x0) == stride)
        assert len(x0) == (0 if length < 30 else (length - 30) // stride + 1)


# --- rows ---


def test_rows_follow_one_another_down_from_the_line() -> None:
    plan = planned(((0, 30),), FROM_LINE, num_rows=2)

    assert plan.patches == (Patch(0, 0, 0, 0), Patch(1, 0, 30, 0))


def test_a_row_that_the_strip_has_no_room_for_is_left_out() -> None:
    assert [patch.row for patch in planned(((0, 30),), FROM_LINE, num_rows=9).patches] == [0, 1]  # 70 rows of lung


def test_row_zero_may_begin_above_the_line() -> None:
    assert [patch.y0 for patch in planned(((0, 30),), of_spec(row_offset_px=-4), num_rows=2).patches] == [-4, 26]


def test_a_patch_that_sticks_out_of_the_echoes_by_more_than_a_tenth_is_left_out() -> None:
    is_echo = np.ones((120, 300), np.bool_)
    is_echo[:, :3] = False  # a tenth of the first patch
    assert len(planned(((0, 60),), FROM_LINE, is_echo=is_echo).patches) == 2

    is_echo[:, :4] = False
    assert [patch.column for patch in planned(((0, 60),), FROM_LINE, is_echo=is_echo).patches] == [1]


def test_rows_needed_are_those_the_patches_reach() -> None:
    assert rows_needed(SPEC, num_rows=2) == (34, 56)  # the wall band and its gap; 2 x 30 from 4 px above the line
    assert rows_needed(of_spec(row_offset_px=-40), num_rows=1) == (40, -10)


# --- the wall control ---


def walls(plan: Plan) -> list[Patch]:
    return [patch for patch in plan.patches if patch.row == WALL_ROW]


def test_the_wall_control_is_the_wall_held_against_the_wall_60_px_further_on() -> None:
    plan = planned(((0, 90),), wall_control=True)

    assert lefts(plan)[:3] == [0, 30, 60]
    assert walls(plan)[0] == Patch(WALL_ROW, 0, -34, reference=2)


def test_in_front_of_a_rib_a_column_of_wall_alone_serves_as_reference() -> None:
    plan = planned(((0, 30),), wall_control=True)

    assert plan.columns == (Column(0, 0), Column(60, WALL_ONLY))
    assert walls(plan) == [Patch(WALL_ROW, 0, -34, reference=1)]
    assert plan.lung_columns == (Column(0, 0),)


def test_where_the_strip_ends_on_the_right_the_reference_lies_on_the_left() -> None:
    plan = planned(((100, 130),), num_columns=150, wall_control=True)

    assert plan.columns == (Column(100, 0), Column(40, WALL_ONLY))
    assert walls(plan) == [Patch(WALL_ROW, 0, -34, reference=1)]


def test_a_strip_too_narrow_for_a_second_wall_has_no_wall_control() -> None:
    assert walls(planned(((30, 60),), num_columns=100, wall_control=True)) == []


def test_a_wall_that_is_not_on_the_picture_is_no_control() -> None:
    is_echo = np.ones((120, 300), np.bool_)
    is_echo[:30] = False  # the wall band is rows 16 to 45

    assert walls(planned(((0, 90),), wall_control=True, is_echo=is_echo)) == []


def test_every_patch_lies_in_its_interspace_and_every_reference_on_the_strip() -> None:
    for first, length, num_columns in itertools.product((0, 7, 70), range(30, 120, 7), (130, 200)):
        plan = planned(((first, min(first + length, num_columns)),), num_columns=num_columns, num_rows=2, wall_control=True)

        for patch in plan.patches:
            x0, reference = plan.columns[patch.column].x0, plan.columns[patch.reference].x0
            assert first <= x0
            assert x0 + 30 <= min(first + length, num_columns)
            assert 0 <= reference <= num_columns - 30
            assert abs(reference - x0) == (60 if patch.row == WALL_ROW else 0)
        lung = len(plan.lung_columns)
        assert all(column.interspace == WALL_ONLY for column in plan.columns[lung:])


# --- cutting ---

FRAMES = SPEC.window_frames


def paths(plan: Plan, along: NDArray[np.int64], down: NDArray[np.int64]) -> NDArray[np.float32]:
    one = np.stack([along, down], axis=1).astype(np.float32)
    return np.repeat(one[:, None], len(plan.columns), axis=1)


def test_a_patch_that_follows_its_wall_by_whole_pixels_sees_it_stand_still() -> None:
    plan = planned(((60, 120),), num_rows=2, wall_control=True)
    still = speckle((120, 300))
    along, down = np.arange(FRAMES) % 7 - 3, np.arange(FRAMES) % 3 - 1
    strip = np.stack([np.roll(still, (y, x), axis=(0, 1)) for x, y in zip(along, down, strict=True)])

    patches = cut(strip, 50, plan, paths(plan, along, down), SPEC)

    assert patches.shape == (len(plan.patches), 2, FRAMES, 30, 30)
    for patch, pixels in zip(plan.patches, patches, strict=True):
        x0, reference = plan.columns[patch.column].x0, plan.columns[patch.reference].x0
        lung, wall = still[50 + patch.y0 :, x0:][:30, :30], still[50 - 34 :, reference:][:30, :30]
        assert np.array_equal(pixels[0], np.repeat(lung[None], FRAMES, axis=0))
        assert np.array_equal(pixels[1], np.repeat(wall[None], FRAMES, axis=0))


def test_without_stabilisation_a_patch_is_a_plain_slice() -> None:
    spec = of_spec(stabilised=False, bands=("lung",))
    plan = planned(((60, 120),), spec, num_rows=2)
    strip = speckle((FRAMES, 120, 300))

    patches = cut(strip, 50, plan, paths(plan, np.full(FRAMES, 5), np.zeros(FRAMES, int)), spec)

    for patch, pixels in zip(plan.patches, patches, strict=True):
        x0, y0 = plan.columns[patch.column].x0, 50 + patch.y0
        assert np.array_equal(pixels[0], strip[:, y0 : y0 + 30, x0 : x0 + 30])


def test_channels_are_in_the_order_of_the_bands() -> None:
    plan = planned(((60, 90),), of_spec(bands=("wall", "lung")))
    strip = np.repeat(speckle((1, 120, 300)), FRAMES, axis=0)
    still = np.zeros(FRAMES, int)

    as_named = cut(strip, 50, plan, paths(plan, still, still), of_spec(bands=("wall", "lung")))
    reversed_ = cut(strip, 50, plan, paths(plan, still, still), SPEC)

    assert np.array_equal(as_named, reversed_[:, ::-1])


def test_each_patch_follows_the_wall_of_its_reference() -> None:
    plan = planned(((0, 30),), wall_control=True)
    strip = np.repeat(speckle((1, 120, 300)), FRAMES, axis=0)
    moved = np.zeros((FRAMES, 2, 2), np.float32)
    moved[:, 1, 0] = 10  # the wall-only column's wall lies 10 px further right

    lung, wall = cut(strip, 50, plan, moved, SPEC)

    assert np.array_equal(lung[0, 0], strip[0, 46:76, 0:30])
    assert np.array_equal(wall[0, 0], strip[0, 16:46, 10:40])
    assert np.array_equal(wall[1, 0], strip[0, 16:46, 70:100])


def test_beyond_the_strip_its_edge_repeats() -> None:
    plan = planned(((0, 30),), of_spec(bands=("lung",)))
    strip = np.repeat(speckle((1, 120, 300)), FRAMES, axis=0)

    (pixels,) = cut(strip, 50, plan, paths(plan, np.full(FRAMES, -10), np.zeros(FRAMES, int)), of_spec(bands=("lung",)))

    assert np.array_equal(pixels[0, 0, :, :10], np.repeat(strip[0, 46:76, :1], 10, axis=1))
    assert np.array_equal(pixels[0, 0, :, 10:], strip[0, 46:76, :20])


def test_no_patches_are_an_empty_batch() -> None:
    plan = Plan((), (), 30)

    assert cut(speckle((FRAMES, 120, 300)), 50, plan, np.zeros((FRAMES, 0, 2), np.float32), SPEC).shape == (0, 2, 60, 30, 30)
