"""Hard controls: clips in which nothing slides, made from one in which it does, and composites with a lung point."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.motion import mean_square
from service.cine.pooling import MIN_PAIRS
from service.cine.prepare import StripWindow, prepare_window
from service.cine.tiling import plan_patches
from tests.fakes.inputs import SPEC, constant_engine, flat_grid
from tests.fakes.phantoms import small_phantom
from training.array_clip import ArrayClip
from training.controls import Control, each_control, make_control, make_lung_point, read_evidence
from training.counterfactual import PLEURA_HALF_WIDTH_PX, Base
from training.recipe import Source, read_source

PROBES = {"convex": "present", "linear": "linear_present"}


@cache
def source_of(preset: str) -> Source:
    phantom = small_phantom(preset, 2.5)
    source = read_source(ArrayClip(phantom.frames, phantom.spec.fps), SPEC, 1)
    assert source is not None
    return source


def slides_px(source: Source) -> NDArray[np.float64]:
    """Measured slide of the lung past the wall of each column, RMS px."""
    motion = prepare_window(source.windows[0], source.grid, source.plan, SPEC).motion
    return np.sqrt(mean_square(motion.relative_px, MIN_PAIRS)[: len(source.plan.lung_columns)])


def made(preset: str, control: Control, seed: int = 0) -> Source:
    return make_control(source_of(preset), control, SPEC.fps, np.random.default_rng(seed))


@pytest.mark.parametrize("control", Control)
@pytest.mark.parametrize("preset", PROBES.values(), ids=PROBES.keys())
def test_next_to_nothing_slides_in_a_control_of_a_lung_that_slides_well(preset: str, control: Control) -> None:
    """The locked lung fades between its own stills, which had slid past each other: a phantom's, which hardly decorrelate, show it."""
    most = 1.5 if control in (Control.LOCKED, Control.PULSING) else 0.75

    assert np.median(slides_px(source_of(preset))) > 3.5
    assert np.nanmedian(slides_px(made(preset, control))) < most


@pytest.mark.parametrize("control", Control)
def test_a_control_is_as_long_and_as_large_as_its_clip(control: Control) -> None:
    clip, changed = source_of("present"), made("present", control)

    assert (changed.grid, changed.plan) == (clip.grid, clip.plan)
    assert [window.strip.shape for window in changed.windows] == [window.strip.shape for window in clip.windows]
    assert [window.start_frame for window in changed.windows] == [window.start_frame for window in clip.windows]
    assert np.array_equal(changed.windows[0].taken_s, clip.windows[0].taken_s)


@pytest.mark.parametrize("control", [Control.WALL, Control.MIRROR, Control.LOCKED, Control.PULSING])
def test_where_only_the_lung_is_changed_the_wall_is_the_clips_own(control: Control) -> None:
    rows = source_of("present").grid.zero_row - PLEURA_HALF_WIDTH_PX

    assert np.array_equal(made("present", control).windows[0].strip[:, :rows], source_of("present").windows[0].strip[:, :rows])


def test_the_frozen_clip_is_one_still_under_noise() -> None:
    frozen = made("present", Control.FROZEN).windows[0].strip.astype(np.float64)
    bright = frozen.mean(axis=0) > 20  # darker ones are cut off at 0

    assert frozen.std(axis=0)[bright].mean() == pytest.approx(3.0, abs=0.15)


def test_the_pulsing_lung_is_brighter_and_darker_by_a_sixth() -> None:
    source = made("present", Control.PULSING)
    lung = source.windows[0].strip[:, source.grid.zero_row :].astype(np.float64)
    brightness = lung.mean(axis=(1, 2)) / lung.mean()

    assert 1.10 < brightness.max() < 1.25
    assert 0.80 < brightness.min() < 0.90


def test_the_shaken_clip_moves_as_a_whole() -> None:
    shaken = made("present", Control.SHAKEN)
    motion = prepare_window(shaken.windows[0], shaken.grid, shaken.plan, SPEC).motion

    assert np.sqrt(np.nanmean(motion.wall.along_px**2)) > 1.0
    assert np.nanmedian(np.abs(motion.lung.along_px - motion.wall.along_px)) < 0.25


def test_a_seed_gives_its_controls_once_and_for_all() -> None:
    first, again = (dict(each_control(source_of("present"), SPEC.fps, 7)) for _ in range(2))

    assert list(first) == list(Control)
    assert all(np.array_equal(first[control].windows[0].strip, again[control].windows[0].strip) for control in Control)
    assert set(Base) < set(map(str, Control))


# --- lung points ---


def flat_source(grey: int, columns: int, windows: int = 1) -> Source:
    grid = flat_grid(columns, 50, 68, ((0, columns),))
    strip = np.full((SPEC.window_frames, 118, columns), grey, np.uint8)
    return Source(
        grid,
        plan_patches(grid, SPEC, num_rows=2),
        tuple(StripWindow(60 * w, strip, np.arange(60) / 30 + 2 * w) for w in range(windows)),
    )


def test_a_composite_is_one_clip_left_of_the_seam_and_the_other_right_of_it() -> None:
    composite, seam = make_lung_point(flat_source(200, 300), flat_source(100, 260), share=0.4)
    strip = composite.windows[0].strip

    assert seam == 104  # 0.4 of the narrower one's 260 columns
    assert strip.shape == (60, 118, 260)
    assert (strip[:, :, :104] == 200).all()
    assert (strip[:, :, 104:] == 100).all()


def test_a_composite_has_an_interspace_on_each_side_so_that_no_patch_lies_across() -> None:
    composite, seam = make_lung_point(flat_source(200, 300), flat_source(100, 300), share=0.5)
    columns = plan_patches(composite.grid, SPEC, num_rows=2).lung_columns

    assert composite.grid.interspaces == ((0, 150), (150, 300))
    assert [column.x0 + SPEC.patch_px <= seam for column in columns] == [True] * 5 + [False] * 5
    assert [column.x0 >= seam for column in columns] == [False] * 5 + [True] * 5


def test_a_composite_is_as_long_as_the_shorter_clip() -> None:
    composite, _ = make_lung_point(flat_source(200, 300, windows=3), flat_source(100, 300, windows=2), share=0.5)

    assert [window.start_frame for window in composite.windows] == [0, 60]


def test_of_a_composite_the_left_slides_and_the_right_does_not() -> None:
    preset = "linear_present"
    composite, seam = make_lung_point(source_of(preset), made(preset, Control.LOCKED), share=0.5)
    planned = Source(composite.grid, plan_patches(composite.grid, SPEC, num_rows=2), composite.windows)
    is_left = np.array([column.x0 < seam for column in planned.plan.lung_columns])
    slides = slides_px(planned)

    assert np.nanmedian(slides[is_left]) > 4  # ribs' shadows and all
    assert np.nanmedian(slides[~is_left]) < 1.5


def test_the_evidence_of_a_clip_is_its_patches_sorted_into_columns() -> None:
    source = flat_source(128, 300, windows=2)
    evidence = read_evidence(source, constant_engine(1.5), SPEC)

    assert evidence.lung_logit.tolist() == [[1.5] * 10] * 2
    assert evidence.wall_logit.tolist() == [[1.5] * 10] * 2
    assert np.isnan(evidence.lung_sq).all()  # nothing can be followed on a flat grey
    assert evidence.interspace.tolist() == [0] * 10
