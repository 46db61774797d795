"""How far each stretch of lung moved past the chest wall above it, measured on textures that move by a known amount."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.motion import (
    LAG_S,
    MIN_TRACKING,
    Motion,
    Shifts,
    mean_square,
    measure_motion,
    past_neighbours,
    wall_path,
)
from tests.fakes.inputs import speckle

FPS, FRAMES, ZERO_ROW = 30.0, 60, 50
WIDTH, HEIGHT = 320, 110
CENTRES = np.array([60, 110, 160, 210, 260])
LAG_FRAMES = 4
"""0.133 s at 30 frames a second."""
FINE = 8
"""Textures are drawn eight times as wide, so that an eighth of a pixel is a whole step."""


def texture(rows: int, shift_px: NDArray[np.float64], seed: int) -> NDArray[np.uint8]:
    """Speckle displaced to the right by `shift_px` (T,), each to the nearest eighth of a pixel, (T, rows, WIDTH)."""
    rng = np.random.default_rng(seed)
    margin = 60
    fine = cv2.GaussianBlur(rng.normal(0, 1, (rows, (WIDTH + 2 * margin) * FINE)).astype(np.float32), (0, 0), 2.0 * FINE, sigmaY=1.5)
    levels = np.clip(128 + 40 * fine / fine.std(), 0, 255).astype(np.uint8)
    starts = [margin * FINE - round(shift * FINE) for shift in shift_px]
    return np.stack([levels[:, start : start + WIDTH * FINE : FINE] for start in starts])


def steady(px_per_lag: float) -> NDArray[np.float64]:
    """A displacement that grows by `px_per_lag` in four frames."""
    return np.arange(FRAMES) * px_per_lag / LAG_FRAMES


STILL = steady(0.0)


def strip(wall: NDArray[np.float64], lung: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.concatenate([texture(ZERO_ROW, wall, 1), texture(HEIGHT - ZERO_ROW, lung, 2)], axis=1)


def times(fps: float = FPS) -> NDArray[np.float64]:
    return np.arange(FRAMES) / fps


def measure(frames: NDArray[np.uint8], times_s: NDArray[np.float64] | None = None) -> Motion:
    return measure_motion(frames, times() if times_s is None else times_s, ZERO_ROW, 0, CENTRES)


# --- lung past wall ---


def test_a_lung_that_moves_one_and_a_half_pixels_past_a_still_wall_is_measured_so() -> None:
    motion = measure(strip(STILL, steady(1.5)))

    assert np.median(motion.relative_px) == pytest.approx(1.5, abs=0.1)
    assert np.median(motion.wall.along_px) == pytest.approx(0.0, abs=0.05)
    assert motion.relative_px.min() > 1.2
    assert motion.relative_px.max() < 1.8


def test_a_lung_that_moves_to_the_left_has_a_negative_shift() -> None:
    assert np.median(measure(strip(STILL, steady(-2.25))).relative_px) == pytest.approx(-2.25, abs=0.1)


def test_a_lung_that_moves_with_its_wall_does_not_slide() -> None:
    motion = measure(strip(steady(1.5), steady(1.5)))

    assert np.median(motion.wall.along_px) == pytest.approx(1.5, abs=0.1)
    assert np.abs(np.median(motion.relative_px, axis=0)).max() < 0.05


def test_what_the_wall_did_is_taken_from_what_the_lung_did() -> None:
    motion = measure(strip(steady(1.0), steady(3.0)))

    assert np.median(motion.relative_px) == pytest.approx(2.0, abs=0.1)


def test_the_walls_own_reference_is_zero_where_the_wall_moves_as_one() -> None:
    motion = measure(strip(steady(1.5), STILL))

    assert np.abs(np.median(motion.wall_reference_px, axis=0)).max() < 0.05


def test_motion_away_from_the_probe_is_told_from_motion_along() -> None:
    deep = np.stack([np.roll(frame, at // LAG_FRAMES % 2, axis=0) for at, frame in enumerate(strip(STILL, STILL))])

    motion = measure(deep)  # one row down, one row up again, every four frames

    assert np.abs(motion.wall.along_px).max() < 0.1
    assert np.abs(motion.wall.deep_px) == pytest.approx(np.ones(motion.wall.deep_px.shape), abs=0.15)


def test_every_second_frame_begins_a_pair_and_the_last_pair_ends_the_window() -> None:
    assert measure(strip(STILL, STILL)).pair_frames.tolist() == list(range(0, 56, 2))


def test_the_wall_above_a_shallow_pleura_is_measured_where_it_lies_on_the_picture() -> None:
    frames = strip(STILL, steady(1.5))
    frames[:, :30] = speckle((FRAMES, 30, WIDTH))  # what the strip shows above the picture is nobody's motion

    motion = measure_motion(frames, times(), ZERO_ROW, 30, CENTRES)

    assert np.median(motion.relative_px) == pytest.approx(1.5, abs=0.1)


# --- time ---


def test_repeated_frames_say_nothing() -> None:
    motion = measure(strip(STILL, steady(1.5)), np.repeat(times()[::6], 6))  # six of a kind: some pairs are one frame twice

    same = np.isin(motion.pair_frames % 6, [0])  # 0 and 4 are the same frame, 2 and 6 are not
    assert np.isnan(motion.relative_px[same]).all()
    assert np.isfinite(motion.relative_px[~same]).all()


def test_a_frozen_clip_is_not_tracked_at_all() -> None:
    motion = measure(np.repeat(strip(STILL, STILL)[:1], FRAMES, axis=0), np.zeros(FRAMES))

    assert (motion.lung.tracking < MIN_TRACKING).all()
    assert np.isnan(motion.relative_px).all()


def test_a_rate_of_half_the_frames_gives_the_same_shift() -> None:
    moved = np.repeat(steady(1.5)[::2], 2)  # every frame shown twice, as at 15 frames a second

    motion = measure(strip(STILL, moved), np.repeat(times()[::2], 2))

    assert np.median(motion.relative_px) == pytest.approx(1.5, abs=0.1)


def test_a_shift_is_stated_for_the_time_between_the_frames_that_were_taken() -> None:
    moved = np.repeat(steady(1.5)[::3], 3)  # 10 frames a second: pairs are 3 or 6 ticks apart, never 4

    motion = measure(strip(STILL, moved), np.repeat(times()[::3], 3))

    assert np.nanmedian(motion.relative_px) == pytest.approx(1.5, abs=0.1)


# --- what cannot be followed ---


def test_noise_is_not_tracked() -> None:
    motion = measure(speckle((FRAMES, HEIGHT, WIDTH), grain_px=0.5))

    assert motion.wall.tracking.max() < MIN_TRACKING
    assert np.isnan(motion.relative_px).all()
    assert np.isnan(motion.wall_reference_px).all()


def test_a_black_shadow_is_not_tracked() -> None:
    frames = strip(STILL, STILL)
    frames[:, ZERO_ROW:] = 0

    motion = measure(frames)

    assert (motion.lung.tracking == -1).all()
    assert (motion.wall.tracking > 0.99).all()


# --- arithmetic, by hand ---


def shifts(along: list[list[float]], tracking: list[list[float]] | None = None) -> Shifts:
    values = np.array(along, np.float32)
    return Shifts(values, np.zeros_like(values), np.ones_like(values) if tracking is None else np.array(tracking, np.float32))


def test_a_column_is_held_against_those_45_to_100_px_away() -> None:
    # 0 sees 60; 60 sees 0 and 120; 120 sees 60. 0 and 120 are too far apart to see each other.
    past = past_neighbours(shifts([[1, 3, 8]]), np.array([0, 60, 120]))

    assert past.tolist() == [[1 - 3, 3 - (1 + 8) / 2, 8 - 3]]


def test_a_column_next_door_overlaps_and_is_no_reference() -> None:
    assert np.isnan(past_neighbours(shifts([[1, 3]]), np.array([0, 30]))).all()


def test_a_lost_neighbour_is_left_out() -> None:
    past = past_neighbours(shifts([[1, 3, 8]], [[0.9, 0.9, 0.1]]), np.array([0, 60, 120]))

    assert past[0, :2].tolist() == [1 - 3, 3 - 1]
    assert np.isnan(past[0, 2])


def test_relative_shifts_are_stated_where_both_were_tracked() -> None:
    motion = Motion(np.array([0]), np.array([0, 60]), shifts([[1, 1]]), shifts([[4, 4]], [[0.9, 0.4]]))

    assert motion.relative_px[0, 0] == 3
    assert np.isnan(motion.relative_px[0, 1])


def test_mean_square_needs_enough_tracked_pairs() -> None:
    nan = float("nan")
    values = np.array([[3, 3], [nan, nan], [1, nan]], np.float32)

    found = mean_square(values, min_pairs=2)

    assert found[0] == (9 + 1) / 2
    assert np.isnan(found[1])


# --- the wall's path ---


@pytest.mark.parametrize("px_per_second", [0.0, 3.0, -6.0])
def test_the_walls_path_follows_a_steady_drift(px_per_second: float) -> None:
    drift = px_per_second * times()
    motion = measure(strip(drift, STILL))

    path = wall_path(motion.wall, motion.pair_frames, FRAMES, FPS)

    expected = drift - drift[FRAMES // 2]
    assert np.abs(path[:, :, 0] - expected[:, None]).max() < 0.5
    assert np.abs(path[:, :, 1]).max() < 0.5


def test_the_walls_path_follows_a_breath() -> None:
    breath = 4 * np.sin(2 * np.pi * times() / 2.0)
    motion = measure(strip(breath, STILL))

    path = wall_path(motion.wall, motion.pair_frames, FRAMES, FPS)

    assert np.abs(path[:, :, 0] - (breath - breath[FRAMES // 2])[:, None]).max() < 0.5


def test_the_path_is_zero_at_the_windows_middle() -> None:
    motion = measure(strip(3.0 * times(), STILL))

    assert wall_path(motion.wall, motion.pair_frames, FRAMES, FPS)[FRAMES // 2].tolist() == [[0, 0]] * 5


def test_a_lost_column_goes_with_the_others() -> None:
    lag = LAG_S * FPS
    found = Shifts(
        along_px=np.array([[lag, lag, -9 * lag]] * 2, np.float32),  # one pixel a frame, and a guess
        deep_px=np.zeros((2, 3), np.float32),
        tracking=np.array([[0.9, 0.9, 0.1]] * 2, np.float32),
    )

    path = wall_path(found, np.array([0, 4]), 10, FPS)

    assert path[:, 2, 0] == pytest.approx(np.arange(10) - 5.0, abs=1e-4)


def test_a_wall_that_was_lost_altogether_stands_still() -> None:
    found = shifts([[5.0, 5.0]], [[0.0, 0.0]])

    assert not wall_path(found, np.array([0]), 10, FPS).any()
