"""What a clip was like as the model got it: numbers that can be checked against the very patches, and by hand."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.inputs import GreyLevels
from service.cine.tiling import WALL_ROW, Column, Patch, Plan
from service.findings import InputStatistics
from service.pipeline import Options, Rows, analyse
from service.reading import Saliency
from tests.fakes.inputs import SPEC, constant_engine, loaded_model, of_spec
from tests.fakes.phantoms import frozen, preset_phantom
from training.array_clip import ArrayClip

PLAIN = Options(saliency=Saliency.NONE)
LUNG, WALL = 0, 1
"""Channels of SPEC's bands."""


def plan_of(*rows: int) -> Plan:
    return Plan((Column(0, 0),), tuple(Patch(row, 0, 0, 0) for row in rows), SPEC.patch_px)


def patches(*lung_levels: int, wall_level: int = 0) -> NDArray[np.uint8]:
    """One a level, (N, 2, 60, 30, 30)."""
    cut = np.full((len(lung_levels), *SPEC.patch_shape), wall_level, np.uint8)
    cut[:, LUNG] = np.array(lung_levels, np.uint8)[:, None, None, None]
    return cut


def inputs_of(frames: NDArray[np.uint8], options: Options = PLAIN, fps: float = 30.0) -> InputStatistics:
    analysis, _ = analyse(ArrayClip(frames, fps), loaded_model(constant_engine(0.0)), options)
    assert analysis.inputs is not None
    return analysis.inputs


def test_mean_and_contrast_are_of_all_pixels_of_all_windows() -> None:
    greys = GreyLevels(SPEC, plan_of(0, 1))
    greys.take(patches(10, 20, wall_level=7))
    greys.take(patches(30, 40, wall_level=7))

    assert greys.mean_and_contrast("lung") == (25.0, pytest.approx(125**0.5))
    assert greys.mean_and_contrast("wall") == (7.0, 0.0)


def test_the_wall_control_and_rows_far_below_the_pleura_are_not_counted() -> None:
    greys = GreyLevels(SPEC, plan_of(0, 1, 2, WALL_ROW))
    greys.take(patches(10, 20, 200, 250))

    assert greys.mean_and_contrast("lung") == (15.0, 5.0)


def test_a_band_that_the_model_does_not_get_has_no_grey_level_nor_has_a_clip_of_which_nothing_was_cut() -> None:
    lung_only = GreyLevels(of_spec(bands=("lung",)), plan_of(0))
    lung_only.take(patches(10)[:, :1])

    assert lung_only.mean_and_contrast("wall") == (None, None)
    assert GreyLevels(SPEC, plan_of(0)).mean_and_contrast("lung") == (None, None)


def test_the_statistics_of_a_phantom_are_those_of_its_patches_and_of_what_was_drawn() -> None:
    phantom = preset_phantom("linear_present", 2.5)
    analysis, arrays = analyse(ArrayClip(phantom.frames, 30.0), loaded_model(constant_engine(0.0)), PLAIN, keeps_arrays=True)
    inputs = analysis.inputs

    assert arrays is not None
    assert inputs is not None
    lung = arrays.patches[:, LUNG].astype(np.float64)
    assert inputs.lung_grey == pytest.approx(lung.mean())
    assert inputs.lung_contrast == pytest.approx(lung.std())
    assert inputs.wall_grey == pytest.approx(arrays.patches[:, WALL].mean(dtype=np.float64))
    assert (inputs.frame_rate_fps, inputs.quality) == (30.0, analysis.quality.probability)
    assert inputs.slide_px is not None
    assert inputs.wall_motion_px is not None
    assert inputs.slide_px > 3 * inputs.wall_motion_px  # the probe is held still, the lung slides
    assert inputs.pleura_depth_share is not None
    assert 0.1 < inputs.pleura_depth_share < 0.5


def test_a_darker_clip_is_darker_and_moves_as_much() -> None:
    frames = preset_phantom("linear_present", 2.5).frames
    bright, dark = inputs_of(frames), inputs_of((frames * 0.6).astype(np.uint8))

    assert bright.lung_grey is not None
    assert dark.lung_grey == pytest.approx(0.6 * bright.lung_grey, abs=1.0)
    assert dark.slide_px == pytest.approx(bright.slide_px, rel=0.2)


def test_frames_that_repeat_the_one_before_do_not_count_for_the_frame_rate() -> None:
    slow = preset_phantom("linear_present", 2.5).frames[::2].repeat(2, axis=0)

    assert inputs_of(slow).frame_rate_fps == 15.0


def test_rows_asked_for_below_the_pleura_change_nothing() -> None:
    frames = preset_phantom("linear_present", 2.5).frames
    asked = inputs_of(frames, Options(saliency=Saliency.NONE, rows=Rows.ALL))

    assert asked == inputs_of(frames)


def test_of_a_frozen_clip_nothing_is_told_that_was_not_looked_at() -> None:
    inputs = inputs_of(frozen(preset_phantom("present", 2.5)))

    assert {name for name, value in asdict(inputs).items() if value is None} == {
        "lung_grey",
        "lung_contrast",
        "wall_grey",
        "wall_motion_px",
        "slide_px",
    }
    assert (inputs.frame_rate_fps, inputs.quality) == (0.0, 0.0)
