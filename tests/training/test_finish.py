"""What hand, scanner and file do to a picture: the same to any two windows."""

import numpy as np
import pytest

from service.cine.prepare import StripWindow
from tests.fakes.inputs import speckle
from training import finish
from training.finish import draw_finish, move_along, shifted, through
from training.recording import Codec, Coding, Quality

SHAPE = (60, 41, 151)


def window() -> StripWindow:
    return StripWindow(0, np.repeat(speckle((1, *SHAPE[1:]), 0), 60, axis=0), np.arange(60) / 30)


@pytest.mark.parametrize("seed", range(12))
def test_two_windows_that_are_alike_stay_alike(seed: int) -> None:
    done = draw_finish(SHAPE, np.random.default_rng(seed))
    first, second = done(window()), done(window())

    assert first.strip.shape == SHAPE
    assert first.strip.tobytes() == second.strip.tobytes()
    assert np.array_equal(first.taken_s, second.taken_s)


def test_frames_of_a_slower_scanner_are_repeated_with_the_time_they_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 frames a second on 30 ticks: each is shown three times."""
    monkeypatch.setattr(finish, "FRAME_RATES_FPS", (10.0,))
    monkeypatch.setattr(finish, "BLENDED_SHARE", 0.0)
    in_time = finish._draw_frame_rate(60, np.random.default_rng(0))
    strip, taken_s = in_time(np.arange(60, dtype=np.uint8)[:, None, None], np.arange(60) / 30)

    assert strip[:7, 0, 0].tolist() == [0, 0, 0, 3, 3, 3, 6]
    assert taken_s[:7].tolist() == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.2])


def test_a_converter_blends_and_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "FRAME_RATES_FPS", (10.0,))
    monkeypatch.setattr(finish, "BLENDED_SHARE", 1.0)
    in_time = finish._draw_frame_rate(60, np.random.default_rng(0))
    strip, taken_s = in_time(np.arange(60, dtype=np.uint8)[:, None, None], np.arange(60) / 30)

    assert strip[:7, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert taken_s[1] == pytest.approx(1 / 30)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.MPEG2, Codec.GIF])
def test_a_strip_of_odd_size_comes_back_from_its_file_in_that_size(codec: Codec) -> None:
    strip = window().strip[:5]
    back = through(strip, Coding(codec, Quality.COARSE))

    assert back.shape == strip.shape
    assert 0 < np.abs(back.astype(int) - strip).mean() < 40


def test_the_whole_picture_is_moved_alike() -> None:
    strip = window().strip[:2].astype(np.float32)
    moved = shifted(strip, np.array([0, 3], np.float32))

    assert np.array_equal(moved[0], strip[0])
    assert np.allclose(moved[1][:, 3:], strip[1][:, :-3], atol=1e-3)


def test_a_slide_does_not_flicker() -> None:
    """Between two pixels as sharp as on them (bilinear interpolation: 0.65)."""
    still = speckle((30, 120), grain_px=0.8).astype(np.float32)
    slide = np.linspace(0, 2, 41, dtype=np.float32)
    moved = move_along(np.repeat(still[None], len(slide), axis=0), np.repeat(slide[:, None], 120, axis=1))
    sharpness = np.abs(np.diff(moved[:, :, 10:-10], 2, axis=2)).mean(axis=(1, 2))

    assert sharpness.min() / sharpness.max() > 0.9
