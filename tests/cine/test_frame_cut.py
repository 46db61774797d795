"""A frame becomes a square: its box, or its beams side by side."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.frame_cut import MAP_PX, cut_to
from service.cine.frame_spec import FrameSpec
from service.cine.overview import look_over
from service.cine.sector import Sector, find_sector
from tests.fakes.phantoms import small_phantom
from training.array_clip import ArrayClip

FAN = Sector("convex", (50.0, -20.0), (-0.5, 0.5), (30.0, 110.0), np.ones((100, 100), np.bool_))
"""A probe's face 30 px from an apex above the picture, beams to half a radian on either side, 80 px deep."""


def in_beams(of_place: NDArray[np.float64], side_px: int = 16) -> NDArray[np.uint8]:
    return cut_to(FAN, side_px, "beams")(np.asarray(of_place, np.uint8))


def place() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(lateral, depth) of every pixel of a frame of 100x100."""
    y, x = np.mgrid[:100, :100].astype(np.float64)
    return FAN.to_beam(x, y)


def test_what_lies_along_a_beam_stands_upright() -> None:
    lateral, _ = place()

    seen = in_beams(100 + 100 * lateral)

    # 16 beams over 1 rad: the first is 15/32 to the left of the middle.
    np.testing.assert_allclose(seen[2:-2], np.broadcast_to(100 + 100 * (np.arange(16) - 7.5) / 16, (12, 16)), atol=1.6)


def test_what_lies_at_one_depth_lies_level() -> None:
    _, depth = place()

    seen = in_beams(np.clip(2 * depth, 0, 255))

    # 16 depths over 80 px, twice as bright as they are deep: 5, 15, ...
    np.testing.assert_allclose(seen[1:-2, 4:-4], np.broadcast_to(10 * (np.arange(16) + 0.5)[1:-2, None], (13, 8)), atol=1.6)


def test_where_a_beam_has_left_the_frame_it_is_black() -> None:
    fan = Sector("convex", (50.0, -20.0), (-0.7, 0.7), (30.0, 110.0), FAN.mask)

    seen = cut_to(fan, 16, "beams")(np.full((100, 100), 200, np.uint8))

    # The outermost beam is 21 px beside the frame at its end: 50 + 110 sin(0.7).
    assert seen[-1, 0] == seen[-1, -1] == 0
    assert seen[8, 8] == 200


def test_beams_of_a_linear_probe_are_its_columns() -> None:
    linear = Sector("linear", None, (0.0, 39.0), (0.0, 39.0), np.ones((40, 40), np.bool_))
    frame = np.repeat(np.arange(40, dtype=np.uint8)[None, :] * 5, 40, axis=0)

    seen = cut_to(linear, 10, "beams")(frame)

    np.testing.assert_allclose(seen, np.broadcast_to(5 * (39 * (np.arange(10) + 0.5) / 10), (10, 10)), atol=1.0)


def test_a_geometry_is_one_of_two_and_the_box_where_an_older_fit_says_nothing() -> None:
    told = FrameSpec(5.0, 1, 1, 112, "uint8", "beams").to_json()

    assert FrameSpec.from_json(told).geometry == "beams"
    assert FrameSpec.from_json({name: value for name, value in told.items() if name != "geometry"}).geometry == "box"
    with pytest.raises(ValueError, match=r'^The geometry of a FrameSpec is "box" or "beams", not "fan"\.$'):
        FrameSpec(5.0, 1, 1, 112, "uint8", "fan")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["present", "linear_present"])
def test_a_map_over_the_beams_is_bent_back_to_where_it_was_seen(name: str) -> None:
    """One cell of 7 x 7 is lit; on the frame it lies where that cell's beams and depths do."""
    phantom = small_phantom(name, 1.0)
    sector = find_sector(look_over(ArrayClip(phantom.frames, 30.0)))
    assert sector is not None
    cut = cut_to(sector, 56, "beams")
    seen = np.zeros((7, 7), np.float32)
    seen[4, 1] = 1
    low, high = sector.lateral
    x, y = sector.to_frame(np.array([low + 1.5 / 7 * (high - low)]), np.array([4.5 / 7 * sector.depth_extent_px]))

    bent = cut.onto_box(seen)

    row, column = np.unravel_index(bent.argmax(), bent.shape)
    x0, y0, x1, y1 = cut.box
    at = x0 - 0.5 + (column + 0.5) / MAP_PX * (x1 - x0), y0 - 0.5 + (row + 0.5) / MAP_PX * (y1 - y0)
    assert at == pytest.approx((float(x[0]), float(y[0])), abs=(x1 - x0) / MAP_PX)
    assert bent[0, 0] == 0
