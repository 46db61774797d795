"""Saliency maps bent onto patches: which corner is which, and when."""

import numpy as np
import pytest

from service.evidence.heat import Heat
from service.evidence.layout import Layout, lay_out
from service.findings import PatchFinding, PatchSaliency, Point, WindowFinding

LAYOUT = lay_out(640, 480)
SQUARE: tuple[Point, ...] = ((100.0, 100.0), (139.0, 100.0), (139.0, 139.0), (100.0, 139.0))


def picture(polygon: tuple[Point, ...], lit: tuple[int, int], t_s: float = 1.0, layout: Layout = LAYOUT) -> np.ndarray[tuple[int, ...]]:
    """The black picture with one patch whose 4x4 map is 1 at `lit` and whose second half matters."""
    patch_map = np.zeros((4, 4), np.float32)
    patch_map[lit] = 1.0
    time = np.repeat([0.0, 1.0], 30).astype(np.float32)
    patch = PatchFinding(polygon, 0, 0, 0.9, PatchSaliency(patch_map, time))
    canvas = np.zeros((layout.canvas_height, layout.canvas_width, 3), np.uint8)
    Heat(WindowFinding(0.0, 2.0, 0.9, (patch,)), layout).over(canvas, t_s)
    return canvas[layout.picture.slices].sum(axis=2, dtype=int)


def brightest(image: np.ndarray[tuple[int, ...]]) -> tuple[int, int]:
    """(x, y)"""
    y, x = np.argwhere(image == image.max()).mean(axis=0)
    return round(float(x)), round(float(y))


@pytest.mark.parametrize(
    ("lit", "x", "y"),
    [((0, 0), 102, 102), ((0, 3), 137, 102), ((3, 3), 137, 137), ((3, 0), 102, 137), ((0, 1), 114, 102)],
)
def test_row_and_column_of_the_map_lie_where_they_were_cut(lit: tuple[int, int], x: int, y: int) -> None:
    found = brightest(picture(SQUARE, lit, t_s=1.5))

    assert found == (pytest.approx(x, abs=3), pytest.approx(y, abs=3))


def test_an_outline_that_runs_the_other_way_round_is_the_same_patch() -> None:
    other_way = (SQUARE[0], *reversed(SQUARE[1:]))

    assert np.array_equal(picture(SQUARE, (0, 3), 1.5), picture(other_way, (0, 3), 1.5))


def test_a_patch_with_curved_sides_keeps_its_corners() -> None:
    us = np.linspace(-0.3, 0.3, 7).tolist()
    arc = [[(320 + r * np.sin(u), r * np.cos(u)) for u in us] for r in (200.0, 260.0)]
    curved = tuple(arc[0] + arc[1][::-1])

    top_left, bottom_right = brightest(picture(curved, (0, 0), 1.5)), brightest(picture(curved, (3, 3), 1.5))

    assert top_left == (pytest.approx(arc[0][0][0] + 6, abs=10), pytest.approx(arc[0][0][1] + 8, abs=10))
    assert bottom_right == (pytest.approx(arc[1][-1][0] - 6, abs=10), pytest.approx(arc[1][-1][1] - 8, abs=10))


def test_heat_shows_only_when_the_frame_mattered() -> None:
    assert picture(SQUARE, (1, 1), t_s=0.2).max() == 0
    assert picture(SQUARE, (1, 1), t_s=1.8).max() > 400


def test_heat_stays_inside_its_patch_and_the_picture() -> None:
    image = picture(((600.0, 440.0), (700.0, 440.0), (700.0, 540.0), (600.0, 540.0)), (0, 0), t_s=1.5)

    ys, xs = np.nonzero(image)
    assert (xs.min(), ys.min()) == (600, 440)
    assert brightest(image) == (pytest.approx(606, abs=7), pytest.approx(446, abs=7))


def test_a_patch_outside_the_picture_and_a_window_without_saliency_draw_nothing() -> None:
    assert picture(((900.0, 900.0), (930.0, 900.0), (930.0, 930.0), (900.0, 930.0)), (0, 0), 1.5).max() == 0
    canvas = np.zeros((LAYOUT.canvas_height, LAYOUT.canvas_width, 3), np.uint8)
    Heat(WindowFinding(0.0, 2.0, 0.9, (PatchFinding(SQUARE, 0, 0, 0.9, None),)), LAYOUT).over(canvas, 1.5)
    assert canvas.max() == 0
