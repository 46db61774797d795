"""Where things stand on the canvas, in whole numbers."""

import itertools

import pytest

from service.evidence.layout import LEAST_CONTENT_PX, Box, Layout, lay_out, picture_scale


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [
        (139, 139, 4.5),  # 640 / 139 = 4.6
        (370, 370, 1.5),  # 640 / 370 = 1.73
        (360, 300, 2.0),
        (640, 480, 1.0),  # 720 / 640 = 1.125
        (900, 700, 1.0),  # shown pixel for pixel
        (2048, 1600, 0.5),
    ],
)
def test_small_pictures_are_enlarged_in_quarters_and_large_ones_made_to_fit(width: int, height: int, scale: float) -> None:
    assert picture_scale(width, height) == scale


def test_pixel_centres_map_to_pixel_centres() -> None:
    same, twice = lay_out(640, 480), lay_out(360, 300)

    assert same.to_canvas(((0.0, 0.0), (639.0, 479.0))).tolist() == [
        [same.picture.left, same.picture.top],
        [same.picture.right - 1, same.picture.bottom - 1],
    ]
    # At twice the size pixel 10 covers pixels 20 and 21 of the picture: its centre lies between them.
    assert twice.to_canvas_x(10.0) == twice.picture.left + 20.5


@pytest.mark.parametrize(("width", "height"), list(itertools.product((32, 139, 370, 641, 1333), (32, 241, 480, 1111))))
def test_nothing_overlaps_and_the_canvas_is_even(width: int, height: int) -> None:
    layout = lay_out(width, height)
    boxes = (layout.banner, layout.picture, layout.slide, layout.side, layout.footer)

    assert (layout.canvas_width % 2, layout.canvas_height % 2) == (0, 0)
    assert all(_inside(box, layout) for box in boxes)
    assert not any(_overlap(a, b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(("width", "height"), list(itertools.product((32, 370, 1333), (32, 480, 1111))))
def test_signs_stand_below_the_side_panel_which_keeps_its_least_height(width: int, height: int) -> None:
    layout = lay_out(width, height, signs_px=301)
    boxes = (layout.banner, layout.picture, layout.slide, layout.side, layout.signs, layout.footer)

    assert all(_inside(box, layout) for box in boxes)
    assert not any(_overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    assert (layout.signs.height, layout.signs.bottom) == (301, layout.slide.bottom)
    assert layout.side.height >= LEAST_CONTENT_PX
    assert (layout.canvas_width % 2, layout.canvas_height % 2) == (0, 0)


def _inside(box: Box, layout: Layout) -> bool:
    return 0 <= box.left < box.right <= layout.canvas_width and 0 <= box.top < box.bottom <= layout.canvas_height


def _overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
