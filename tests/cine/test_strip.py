"""The strip along the pleura: every strip pixel and its place on the frame."""

import math

import numpy as np
import pytest

from service.cine.pleura import Pleura
from service.cine.sector import Sector
from service.cine.strip import StripGrid, lay_strip
from tests.fakes.inputs import speckle

LINEAR = Sector("linear", None, (0.0, 319.0), (0.0, 480.0), np.ones((481, 320), np.bool_))
"""480 px deep, as the published scale: one strip pixel is one pixel of the frame."""
CONVEX = Sector("convex", (320.0, -100.0), (-0.5, 0.5), (140.0, 620.0), np.ones((521, 640), np.bool_))


def straight(sector: Sector, depth_px: float, num_beams: int = 320, interspaces: tuple[tuple[int, int], ...] = ((0, 320),)) -> Pleura:
    return Pleura(np.linspace(*sector.lateral, num_beams), np.full(num_beams, depth_px), interspaces, 1.0)


def strip_of(sector: Sector, pleura: Pleura, wall_rows: int = 50, lung_rows: int = 60, picture_depth_px: int = 480) -> StripGrid:
    return lay_strip(sector, pleura, picture_depth_px=picture_depth_px, wall_rows=wall_rows, lung_rows=lung_rows)


# --- a straight line across a linear picture ---


def test_a_straight_pleura_of_a_linear_picture_is_cropped_and_nothing_else() -> None:
    frame = speckle((481, 320))

    strip = strip_of(LINEAR, straight(LINEAR, 100.0)).cut(frame)

    assert np.array_equal(strip, frame[100 - 50 : 100 + 60, :319])


def test_row_zero_is_the_pleural_line() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 100.0))

    assert grid.zero_row == 50
    assert grid.to_frame(0, 0) == (0.0, 100.0)
    assert grid.to_frame(12, -50) == (12.0, 50.0)
    assert grid.to_frame(12.5, 7.25) == (12.5, 107.25)


def test_beyond_the_strip_its_edge_is_meant() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 100.0))

    assert grid.to_frame(-5, -99) == (0.0, 50.0)
    assert grid.to_frame(9999, 9999) == (318.0, 159.0)


def test_a_picture_of_half_the_depth_is_shown_twice_as_large() -> None:
    half = Sector("linear", None, (0.0, 319.0), (0.0, 240.0), np.ones((241, 320), np.bool_))

    grid = strip_of(half, straight(half, 100.0))

    assert grid.px_per_strip_px == 0.5
    assert grid.num_columns == 2 * 319
    assert grid.to_frame(10, 20) == (5.0, 110.0)


def test_the_strip_ends_where_the_echoes_end() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 100.0), lung_rows=9999)

    assert grid.lung_rows == 480 - 100


# --- a fan ---


def test_in_a_fan_the_line_is_an_arc_about_the_apex() -> None:
    grid = strip_of(CONVEX, straight(CONVEX, 60.0))

    radii = [math.dist(grid.to_frame(column, 0), (320.0, -100.0)) for column in range(0, grid.num_columns, 10)]
    assert radii == pytest.approx([200.0] * len(radii), abs=0.01)


def test_columns_lie_one_pixel_of_arc_apart() -> None:
    grid = strip_of(CONVEX, straight(CONVEX, 60.0))

    steps = np.hypot(np.diff(grid.x[grid.zero_row]), np.diff(grid.y[grid.zero_row]))
    assert steps == pytest.approx(np.ones(len(steps)), abs=0.01)
    assert grid.num_columns == pytest.approx(200 * 1.0, abs=2)  # radius times angle


def test_rows_run_along_the_beams() -> None:
    grid = strip_of(CONVEX, straight(CONVEX, 60.0))

    x0, y0 = grid.to_frame(5, 0)
    x1, y1 = grid.to_frame(5, 40)
    assert math.dist((x0, y0), (x1, y1)) == pytest.approx(40, abs=0.01)
    assert math.atan2(x0 - 320, y0 + 100) == pytest.approx(math.atan2(x1 - 320, y1 + 100), abs=1e-5)


# --- what the strip shows ---


def test_a_shallow_pleura_has_rows_above_the_picture_that_show_no_echo() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 30.0))

    assert grid.first_row == 20
    assert not grid.is_echo[:20].any()
    assert grid.is_echo[20:].all()


def test_a_deep_pleura_has_echoes_from_the_first_row_on() -> None:
    assert strip_of(LINEAR, straight(LINEAR, 200.0)).first_row == 0


def test_echoes_end_at_the_frames_edge() -> None:
    cropped = Sector("linear", None, (-40.0, 279.0), (0.0, 480.0), np.ones((481, 320), np.bool_))

    grid = strip_of(cropped, straight(cropped, 100.0))

    assert not grid.is_echo[:, :40].any()
    assert grid.is_echo[:, 40:].all()


# --- interspaces ---


def test_interspaces_are_counted_in_columns_of_the_strip() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 100.0, interspaces=((0, 101), (150, 251))))

    assert grid.interspaces == ((0, 101), (150, 251))


def test_interspaces_are_finer_where_the_strip_is() -> None:
    half = Sector("linear", None, (0.0, 319.0), (0.0, 240.0), np.ones((241, 320), np.bool_))

    grid = strip_of(half, straight(half, 100.0, interspaces=((10, 101),)))

    assert grid.interspaces == ((20, 201),)


def test_an_interspace_up_to_the_last_beam_ends_with_the_strip() -> None:
    grid = strip_of(LINEAR, straight(LINEAR, 100.0, interspaces=((0, 320),)))

    assert grid.interspaces == ((0, grid.num_columns),)


# --- a found line ---


def test_steps_of_the_found_line_are_smoothed_away() -> None:
    depth = np.where(np.arange(320) < 160, 100.0, 104.0)

    grid = strip_of(LINEAR, Pleura(np.linspace(0, 319, 320), depth, ((0, 320),), 1.0))

    line = grid.y[grid.zero_row]
    assert np.abs(np.diff(line)).max() < 0.25  # 4 px over a Gaussian of 9 px: 4 / (9 sqrt(2 pi)) = 0.18 a column
    assert (line[0], line[-1]) == pytest.approx((100, 104), abs=0.05)
