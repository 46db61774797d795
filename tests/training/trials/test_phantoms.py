"""Phantoms keep their truth on the way to a row."""

from dataclasses import replace

import numpy as np
import pytest

from service.cine.tiling import plan_patches
from tests.fakes.inputs import MODEL_ALONE, SPEC, constant_engine, flat_grid
from tests.fakes.phantoms import preset_phantom
from training.recipe import Source
from training.trials.answers import Judge, Kind
from training.trials.phantoms import RATES_FPS, _slide_rms_px, _true_point, rows_of_pair, rows_of_point, rows_of_rates

JUDGE = Judge(constant_engine(0.0), SPEC, MODEL_ALONE)


def wide(columns: int, px_per_strip_px: float = 1.0) -> Source:
    """A strip whose column x is pixel x of the frame."""
    grid = replace(flat_grid(columns, 60, 60, ((0, columns),)), px_per_strip_px=px_per_strip_px)
    return Source(grid, plan_patches(grid, SPEC, num_rows=1), ())


def test_a_true_lung_point_is_a_share_of_the_found_line() -> None:
    phantom = preset_phantom("lung_point")
    x = phantom.truth.lung_point_x_px
    assert x is not None

    assert _true_point(phantom, wide(640)) == pytest.approx(x / 640)
    assert _true_point(phantom, wide(int(x) - 5)) is None  # beyond the line that was found
    assert _true_point(preset_phantom("present"), wide(640)) is None


def test_a_zoomed_picture_slides_further_and_a_coarser_strip_less() -> None:
    phantom = preset_phantom("present")
    once = _slide_rms_px(phantom, wide(640), JUDGE, 1.0)

    assert once > 0.35
    assert _slide_rms_px(phantom, wide(640), JUDGE, 2.0) == pytest.approx(2 * once)
    assert _slide_rms_px(phantom, wide(640, 2.0), JUDGE, 1.0) == pytest.approx(once / 2)


def test_a_phantom_with_a_lung_point_is_neither_sliding_nor_still() -> None:
    (row,) = rows_of_point(0, JUDGE, 2031, 2)

    assert (row.kind, row.slides, row.base) == (Kind.PHANTOM_POINT, None, "lung_point")
    assert row.probability == pytest.approx(0.5)
    assert row.true_point == pytest.approx(0.5, abs=0.4)


@pytest.mark.slow
def test_a_pair_of_phantoms_is_one_that_slides_and_its_twin() -> None:
    rows = list(rows_of_pair(0, JUDGE, 2029, 1))

    assert [(row.base, row.slides, row.subject) for row in rows] == [("present", True, "phantom-0"), ("absent", False, "phantom-0")]


@pytest.mark.slow
def test_a_pair_is_thinned_to_every_rate() -> None:
    rows = list(rows_of_rates(0, JUDGE, 2030, 1))

    assert [row.condition for row in rows] == 2 * [f"{fps:g} fps" for fps in RATES_FPS]
    assert np.count_nonzero([row.slides is False for row in rows]) == len(RATES_FPS)
