"""Twins: one strip made to slide and not to slide, and nothing else between them."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.motion import measure_motion
from service.cine.prepare import StripWindow
from service.cine.tiling import plan_patches
from tests.fakes.inputs import SPEC, flat_grid, speckle
from training import counterfactual, finish
from training.counterfactual import PLEURA_HALF_WIDTH_PX, Base, Twin, base_lung, carry_by_wall, from_left, join, make_twins
from training.recording import Codec
from training.slide import Renewal, Shimmer

ROWS_ABOVE, ROWS_BELOW, COLUMNS = 50, 68, 300
GRID = flat_grid(COLUMNS, ROWS_ABOVE, ROWS_BELOW, ((0, COLUMNS),))
PLAN = plan_patches(GRID, SPEC, num_rows=2)
FRAMES = 60
SECONDS = np.arange(FRAMES) / 30
FIRST_LUNG_ROW = ROWS_ABOVE - PLEURA_HALF_WIDTH_PX

Slide = NDArray[np.float32]


def breath(amplitude_px: float) -> Slide:
    """(T, columns): the whole lung to and fro once in 2 s, `amplitude_px` to either side."""
    return np.repeat(amplitude_px * np.sin(np.pi * SECONDS)[:, None], COLUMNS, axis=1).astype(np.float32)


def still_window(seed: int = 0) -> StripWindow:
    """A strip of speckle in which nothing moves, its lung half as bright as its wall."""
    picture = speckle((ROWS_ABOVE + ROWS_BELOW, COLUMNS), seed)
    picture[ROWS_ABOVE:] //= 2
    return StripWindow(0, np.repeat(picture[None], FRAMES, axis=0), SECONDS)


def swaying_window(amplitude_px: float) -> StripWindow:
    """The same, all of it moved along by a slow sway: as a probe that wanders."""
    picture = still_window().strip[0].astype(np.float32)
    y, x = np.mgrid[: picture.shape[0], :COLUMNS].astype(np.float32)
    frames = [cv2.remap(picture, x - dx, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for dx in breath(amplitude_px)[:, 0]]
    return StripWindow(0, np.rint(np.stack(frames)).astype(np.uint8), SECONDS)


def twins(window: StripWindow, base: Base, seed: int = 0) -> tuple[Twin, Twin]:
    return make_twins(window, GRID, PLAN, base, SPEC.fps, np.random.default_rng(seed))


def relative_px(twin: Twin) -> NDArray[np.float32]:
    """Measured slide of the lung past the wall as serving measures it, (pairs, columns)."""
    return measure_motion(twin.window.strip, twin.window.taken_s, ROWS_ABOVE, GRID.first_row, PLAN.centres).relative_px


def true_px(twin: Twin) -> NDArray[np.float32]:
    """What was put in: displacement after 4 frames less before, of every second pair, (pairs, columns)."""
    at = twin.slide_px[:, PLAN.centres]
    return at[4:][::2] - at[:-4][::2]


@pytest.fixture
def one_breath(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Settles the slide, which is drawn at random otherwise."""

    def settle(amplitude_px: float) -> None:
        monkeypatch.setattr(counterfactual, "draw_slide", lambda *_: breath(amplitude_px))

    return settle


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pulse, no new speckle, no shimmer, and nothing that probe, machine or file do to the picture."""
    monkeypatch.setattr(counterfactual, "draw_pulse", lambda *_: np.zeros(FRAMES, np.float32))
    monkeypatch.setattr(counterfactual, "draw_renewal", lambda *_: Renewal(float("inf"), 50))
    monkeypatch.setattr(counterfactual, "draw_shimmer", lambda *_: Shimmer(np.zeros((FRAMES, 1), np.float32), is_offset=False))
    monkeypatch.setattr(counterfactual, "draw_finish", lambda *_: lambda window: window)


@pytest.mark.parametrize("base", Base)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_slide_of_amplitude_zero_leaves_twins_equal_to_the_last_byte(one_breath: Callable[[float], None], base: Base, seed: int) -> None:
    one_breath(0.0)
    negative, positive = twins(swaying_window(3), base, seed)

    assert negative.window.strip.tobytes() == positive.window.strip.tobytes()
    assert negative.window.taken_s.tobytes() == positive.window.taken_s.tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_the_slide_leaves_the_wall_as_it_is(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever noise, gain and JPEG (in blocks of 8 rows) are drawn: down to the block in which the lung begins. (A video codec
    carries what changes from block to block; for both twins it is the same codec.)"""
    monkeypatch.setattr(finish, "CODECS", (Codec.MJPEG,))
    negative, positive = twins(still_window(), Base.LOCKED, seed)
    wall = FIRST_LUNG_ROW // 8 * 8

    assert np.array_equal(negative.window.strip[:, :wall], positive.window.strip[:, :wall])
    assert not np.array_equal(negative.window.strip[:, ROWS_ABOVE:], positive.window.strip[:, ROWS_ABOVE:])


@pytest.mark.parametrize("base", Base)
@pytest.mark.usefixtures("bare")
def test_no_slide_is_measured_in_the_negative_and_the_true_one_in_the_positive(one_breath: Callable[[float], None], base: Base) -> None:
    one_breath(6.0)
    negative, positive = twins(still_window(), base)

    assert np.nanmedian(np.abs(relative_px(negative))) < 0.1
    assert np.nanmedian(np.abs(relative_px(positive) - true_px(positive))) < 0.2
    assert np.abs(true_px(positive)).max() == pytest.approx(2 * 6 * np.sin(np.pi / 15), rel=0.01)  # 4 frames of a breath of 60


@pytest.mark.usefixtures("bare")
def test_new_speckle_comes_to_the_still_twin_as_well(one_breath: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it is new after 3 px of slide, though the still twin goes nowhere: changing speckle is no sign of sliding."""
    monkeypatch.setattr(counterfactual, "draw_renewal", lambda *_: Renewal(3.0, 50))
    one_breath(6.0)
    lung = twins(still_window(), Base.WALL)[0].window.strip[:, ROWS_ABOVE:].astype(np.float32)
    alike = [float(np.corrcoef(frame.ravel(), lung[0].ravel())[0, 1]) for frame in lung]

    assert min(alike) < 0.8
    assert np.nanmedian(np.abs(relative_px(twins(still_window(), Base.WALL)[0]))) < 0.1


@pytest.mark.usefixtures("bare")
def test_the_still_twin_shimmers_as_well(one_breath: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A third brighter every other frame; the slide stays what it is."""
    beat = np.tile(np.log([[1.0], [4 / 3]]), (FRAMES // 2, 1)).astype(np.float32)
    monkeypatch.setattr(counterfactual, "draw_shimmer", lambda *_: Shimmer(beat, is_offset=False))
    one_breath(6.0)
    for twin in twins(still_window(), Base.LOCKED):
        brightness = twin.window.strip[:, ROWS_ABOVE:].mean(axis=(1, 2))
        assert brightness[1] / brightness[0] == pytest.approx(4 / 3, rel=0.02)
        assert np.nanmedian(np.abs(relative_px(twin) - true_px(twin))) < 0.2


@pytest.mark.parametrize("base", Base)
@pytest.mark.usefixtures("bare")
def test_a_probe_that_wanders_makes_no_slide(one_breath: Callable[[float], None], base: Base) -> None:
    """Every base goes with the tracked wall, which moves by up to 0.8 px in 4 frames here."""
    one_breath(6.0)
    negative, positive = twins(swaying_window(2), base)
    of_columns = np.sqrt(np.nanmean(relative_px(negative) ** 2, axis=0))

    assert of_columns.max() < 0.25
    assert np.nanmedian(np.abs(relative_px(positive) - true_px(positive))) < 0.2


def test_the_wall_is_followed_where_it_goes() -> None:
    window = swaying_window(5)
    along = carry_by_wall(window, GRID, PLAN, SPEC.fps)[:, :, 0]
    expected = breath(5)[:, 0] - breath(5)[FRAMES // 2, 0]

    assert np.abs(np.median(along, axis=1) - expected).max() < 0.6


def test_the_wall_is_told_between_neighbours_also_where_columns_are_wall_only() -> None:
    """Two patches of lung at 90 and 120; the second is held against wall 60 px to its left, which comes last."""
    plan = plan_patches(flat_grid(180, ROWS_ABOVE, ROWS_BELOW, ((90, 150),)), SPEC, num_rows=2)

    assert plan.centres.tolist() == [105, 135, 165, 75]
    assert from_left(plan).centres.tolist() == [75, 105, 135, 165]
    near = replace(plan.columns[0], x0=93)
    assert from_left(replace(plan, columns=(*plan.columns, near))).centres.tolist() == [75, 105, 135, 165]


def test_where_the_wall_goes_does_not_depend_on_the_order_of_the_columns() -> None:
    backwards = replace(PLAN, columns=PLAN.columns[::-1])

    assert np.array_equal(
        carry_by_wall(swaying_window(5), GRID, backwards, SPEC.fps), carry_by_wall(swaying_window(5), GRID, PLAN, SPEC.fps)
    )


@pytest.mark.parametrize("base", [Base.MIRROR, Base.WALL])
def test_neither_brightness_nor_contrast_of_a_row_tells_the_base(base: Base) -> None:
    strip = still_window().strip
    lung = base_lung(strip, GRID, base, np.zeros((FRAMES, COLUMNS, 2), np.float32), np.random.default_rng(0))
    own = strip[:, FIRST_LUNG_ROW:].astype(np.float32)

    assert np.abs(lung.mean(axis=(0, 2)) - own.mean(axis=(0, 2))).max() < 0.5
    assert np.abs(lung.std(axis=(0, 2)) / own.std(axis=(0, 2)) - 1).max() < 0.15


@pytest.mark.parametrize("seed", range(4))
def test_texture_that_fades_from_still_to_still_keeps_four_fifths_of_its_contrast_all_along(seed: int) -> None:
    """Averaging independent stills without making up for it would leave 71 % of it, and less in some frames than in others."""
    strip = speckle((FRAMES, ROWS_ABOVE + ROWS_BELOW, COLUMNS))
    lung = base_lung(strip, GRID, Base.LOCKED, np.zeros((FRAMES, COLUMNS, 2), np.float32), np.random.default_rng(seed))
    contrast = lung.std(axis=(1, 2)) / strip[0, FIRST_LUNG_ROW:].std()

    assert contrast.min() > 0.78
    assert contrast.max() < min(1.05, 1.06 * contrast.min())


def test_the_lung_is_joined_to_the_strip_over_three_rows_above_the_line() -> None:
    strip = np.full((1, 10, 4), 100, np.uint8)
    joined = join(strip, np.full((1, 7, 4), 200, np.float32), zero_row=6)

    assert joined[0, :, 0].tolist() == [100, 100, 100, 125, 150, 175, 200, 200, 200, 200]
