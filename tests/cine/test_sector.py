"""find_sector(): where the echoes are, told from the pixels. Sector: frame to beams and back."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import EchoRegion
from service.cine.overview import Overview, look_over
from service.cine.sector import Sector, find_sector
from tests.fakes.clip import MemoryClip
from tests.fakes.inputs import speckle
from tests.fakes.phantoms import preset_phantom

SHAPE = (480, 640)
APEX, FACE_PX, END_PX, HALF_ANGLE = (320.0, -100.0), 140.0, 540.0, 0.55
"""Of the drawn fan: the probe's face is on row 40 in the middle, the deepest echo on row 440."""

Mask = NDArray[np.bool_]


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Mask:
    """Pixels x0..x1 and y0..y1, all inclusive."""
    mask = np.zeros(SHAPE, np.bool_)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def fan() -> Mask:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius, angle = np.hypot(x - APEX[0], y - APEX[1]), np.arctan2(x - APEX[0], y - APEX[1])
    return np.asarray((radius >= FACE_PX) & (radius <= END_PX) & (np.abs(angle) <= HALF_ANGLE))


def live(mask: Mask, surround: NDArray[np.uint8] | None = None) -> Overview:
    """Eight frames of flickering speckle where `mask` is, on black or on `surround`."""
    still = np.zeros(SHAPE, np.uint8) if surround is None else surround
    return look_over(MemoryClip([np.where(mask, frame, still) for frame in speckle((8, *SHAPE))]))


def found(overview: Overview, region: EchoRegion | None = None) -> Sector:
    sector = find_sector(overview, region)
    assert sector is not None
    return sector


# --- a linear probe ---


def test_a_rectangle_of_echoes_is_a_linear_sector() -> None:
    sector = found(live(rectangle(100, 30, 539, 429)))

    assert (sector.probe, sector.apex) == ("linear", None)
    assert sector.lateral == pytest.approx((100, 539), abs=2)
    assert sector.depth_px == pytest.approx((30, 429), abs=2)


def test_echoes_close_to_the_frames_edge_do_not_grow_to_it() -> None:
    sector = found(live(rectangle(5, 5, 634, 474)))

    assert sector.lateral == pytest.approx((5, 634), abs=2)
    assert sector.depth_px == pytest.approx((5, 474), abs=2)


def test_echoes_up_to_the_frames_edge_are_kept_up_to_it() -> None:
    sector = found(live(rectangle(0, 0, 639, 479)))

    assert sector.lateral == (0, 639)
    assert sector.depth_px == (0, 479)


# --- a convex probe ---


def test_a_fan_of_echoes_is_a_convex_sector_about_its_apex() -> None:
    sector = found(live(fan()))

    assert sector.probe == "convex"
    assert sector.apex is not None
    assert math.dist(sector.apex, APEX) < 8
    assert sector.lateral == pytest.approx((-HALF_ANGLE, HALF_ANGLE), abs=0.02)


def test_the_face_and_the_deepest_echo_of_a_fan_lie_where_they_are_drawn() -> None:
    sector = found(live(fan()))

    face, end = (sector.to_frame(np.array(0.0), np.array(depth))[1] for depth in (0.0, sector.depth_extent_px))
    assert float(face) == pytest.approx(40, abs=4)
    assert float(end) == pytest.approx(440, abs=4)


def test_the_outline_follows_the_fan() -> None:
    sector = found(live(fan()))

    drawn = cv2.fillPoly(np.zeros(SHAPE, np.uint8), [np.rint(sector.outline()).astype(np.int32)], 1) > 0
    assert (drawn & fan()).sum() / (drawn | fan()).sum() > 0.96


def test_the_outline_stays_on_the_frame() -> None:
    sector = Sector("convex", (320.0, -100.0), (-1.0, 1.0), (100.0, 900.0), np.ones(SHAPE, np.bool_))

    x, y = np.array(sector.outline()).T
    assert (x.min(), x.max(), y.max()) == (0, 639, 479)
    assert y.min() >= 0


# --- what is no echo ---


def test_text_rulers_and_logos_are_cut_away() -> None:
    furniture = np.zeros(SHAPE, np.uint8)
    cv2.putText(furniture, "LUNG L2  MI 0.9", (10, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    for y in range(30, 430, 20):
        cv2.line(furniture, (600, y), (608, y), 255, 1)
    cv2.rectangle(furniture, (15, 420), (60, 460), 200, -1)

    plain, dressed = found(live(rectangle(100, 30, 539, 429))), found(live(rectangle(100, 30, 539, 429), furniture))

    assert dressed.lateral == pytest.approx(plain.lateral, abs=2)
    assert dressed.depth_px == pytest.approx(plain.depth_px, abs=2)
    assert not dressed.mask[420:460, 15:60].any()


def test_a_black_picture_has_no_sector() -> None:
    assert find_sector(look_over(MemoryClip([np.zeros(SHAPE, np.uint8)] * 3))) is None


def test_text_alone_is_no_sector() -> None:
    page = np.zeros(SHAPE, np.uint8)
    for y in range(40, 480, 40):
        cv2.putText(page, "No image. Press freeze to go on.", (10, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2)

    assert find_sector(look_over(MemoryClip([page] * 3))) is None


# --- what DICOM says ---


def test_echoes_are_looked_for_in_the_stated_region_only() -> None:
    both = rectangle(20, 40, 299, 439) | rectangle(340, 40, 619, 439)

    sector = found(live(both), EchoRegion((330, 0, 640, 480), 0.2))

    assert sector.lateral == pytest.approx((340, 619), abs=2)


def test_a_region_that_reaches_beyond_the_frame_means_the_part_on_it() -> None:
    sector = found(live(rectangle(100, 30, 539, 429)), EchoRegion((-50, -50, 320, 9999), None))

    assert sector.lateral == pytest.approx((100, 319), abs=2)


# --- beams ---

LINEAR = Sector("linear", None, (100.0, 540.0), (30.0, 430.0), np.ones(SHAPE, np.bool_))
CONVEX = Sector("convex", APEX, (-0.5, 0.5), (FACE_PX, END_PX), np.ones(SHAPE, np.bool_))


@pytest.mark.parametrize("sector", [LINEAR, CONVEX], ids=["linear", "convex"])
def test_beams_and_frame_are_inverse(sector: Sector) -> None:
    lateral, depth = np.meshgrid(np.linspace(*sector.lateral, 7), np.linspace(0, sector.depth_extent_px, 5))

    back = sector.to_beam(*sector.to_frame(lateral, depth))

    assert np.allclose(back, (lateral, depth), rtol=0, atol=1e-9)


def test_the_middle_beam_of_a_fan_runs_straight_down_from_the_apex() -> None:
    x, y = CONVEX.to_frame(np.array(0.0), np.array(60.0))

    assert (float(x), float(y)) == (320.0, -100.0 + 140.0 + 60.0)


def test_a_beam_of_a_linear_probe_is_a_column() -> None:
    x, y = LINEAR.to_frame(np.array(200.0), np.array(60.0))

    assert (float(x), float(y)) == (200.0, 90.0)


def test_beams_spread_with_depth() -> None:
    assert LINEAR.lateral_px(300.0) == 1.0
    assert CONVEX.lateral_px(60.0) == 200.0  # a radian is as long as the radius


# --- phantoms ---


@pytest.mark.parametrize("name", ["present", "absent", "lung_point", "not_assessable"])
def test_the_fan_of_a_phantom_is_close_to_its_truth(name: str) -> None:
    phantom = preset_phantom(name, 0.3)
    fan = phantom.truth.fan
    assert fan is not None

    sector = found(look_over(MemoryClip(list(phantom.frames))))

    assert sector.probe == "convex"
    assert sector.apex is not None
    assert math.dist(sector.apex, fan.apex) < 4
    assert sector.lateral == pytest.approx((fan.theta0, fan.theta1), abs=0.01)
    assert sector.depth_px == pytest.approx((fan.r0, fan.r1), abs=4)


@pytest.mark.parametrize("name", ["linear_present", "linear_absent"])
def test_the_rectangle_of_a_phantom_is_close_to_its_truth(name: str) -> None:
    phantom = preset_phantom(name, 0.3)
    (x0, y0), (x1, y1) = phantom.truth.sector.min(axis=0), phantom.truth.sector.max(axis=0)

    sector = found(look_over(MemoryClip(list(phantom.frames))))

    assert sector.probe == "linear"
    assert sector.lateral == pytest.approx((x0, x1), abs=4)
    assert sector.depth_px == pytest.approx((y0, y1), abs=4)
