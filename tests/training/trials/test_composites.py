"""Lung points of two patients: the seam is where it is said to be, and pleura is in view on both sides."""

import numpy as np

from tests.fakes.inputs import SPEC
from tests.training.trials.sources import ROWS_ABOVE, swaying
from training.trials.composites import Composite, _joined, side_by_side

LEFT, RIGHT = swaying(0), swaying(1)


def joined(seam: int, left: object = LEFT, right: object = RIGHT) -> Composite | None:
    return _joined(left, right, seam, 240, SPEC)  # type: ignore[arg-type]


def test_left_of_the_seam_is_the_one_clip_and_right_of_it_the_other() -> None:
    made = joined(100)
    assert made is not None
    strip = made.source.windows[1].strip

    assert made.seam_column == 100
    assert np.array_equal(strip[:, :, :100], LEFT.windows[1].strip[:, :, :100])
    assert np.array_equal(strip[:, :, 100:], RIGHT.windows[1].strip[:, :, 100:])


def test_each_side_keeps_its_own_interspaces() -> None:
    left = swaying(0, interspaces=((0, 70), (150, 240)))
    right = swaying(1, interspaces=((20, 60), (90, 200)))
    made = joined(110, left, right)

    assert made is not None
    assert made.source.grid.interspaces == ((0, 70), (110, 200))


def test_no_patch_lies_across_the_seam() -> None:
    made = joined(100)
    assert made is not None
    edges = [column.x0 for column in made.source.plan.lung_columns]

    assert all(x0 + SPEC.patch_px <= 100 or x0 >= 100 for x0 in edges)


def test_a_seam_that_leaves_one_patch_on_a_side_is_none() -> None:
    assert joined(59) is None  # one patch of 30 px on the left
    assert joined(60) is not None


def test_where_no_seam_will_do_there_is_no_composite() -> None:
    """Pleura is in view on the left of both clips only."""
    left, right = (swaying(seed, interspaces=((0, 60),)) for seed in (0, 1))

    assert side_by_side(left, right, SPEC, np.random.default_rng(0)) is None


def test_a_seam_is_found_in_the_middle_and_the_narrower_clip_sets_the_width() -> None:
    made = side_by_side(LEFT, swaying(1, columns=200), SPEC, np.random.default_rng(0))

    assert made is not None
    assert made.source.grid.num_columns == 200
    assert 60 <= made.seam_column <= 140
    assert made.source.grid.zero_row == ROWS_ABOVE


def test_the_slower_scanner_says_when_the_frames_were_taken() -> None:
    """10 frames a second beside 30: every picture is held for three ticks, on both sides."""
    for made in (joined(100, LEFT, swaying(1, fps=10.0)), joined(100, swaying(0, fps=10.0), RIGHT)):
        assert made is not None
        window = made.source.windows[0]
        assert len(np.unique(window.taken_s)) == 20
        assert np.array_equal(window.strip[0], window.strip[2])
