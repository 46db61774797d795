"""From an opened clip to windows of the strip and their patches, holding one window."""

import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import ClipInfo
from service.cine.prepare import StripWindow, num_windows, prepare_window, strip_windows
from service.cine.retime import retime
from service.cine.tiling import plan_patches
from tests.fakes.clip import MemoryClip
from tests.fakes.inputs import SPEC, flat_grid, of_spec, speckle
from training.array_clip import ArrayClip

GRID = flat_grid(64, 30, 34, ((0, 64),))


def numbered(num_frames: int, times_s: list[float] | None = None, duration_s: float | None = None) -> MemoryClip:
    """Every pixel of frame n is n."""
    return MemoryClip([np.full((64, 64), n % 256, np.uint8) for n in range(num_frames)], times_s, duration_s)


def windows_of(clip: MemoryClip | ArrayClip) -> list[StripWindow]:
    return list(strip_windows(clip, GRID, SPEC))


# --- windows ---


def test_five_seconds_are_three_windows_the_last_pulled_back_to_the_end() -> None:
    windows = windows_of(numbered(150))

    assert [window.start_frame for window in windows] == [0, 60, 90]
    assert windows[2].strip[:, 0, 0].tolist() == list(range(90, 150))


@pytest.mark.parametrize(("num_frames", "fps"), [(60, 30.0), (61, 30.0), (121, 60.0), (150, 25.0), (47, 15.0), (200, 29.97)])
def test_windows_show_every_tick(num_frames: int, fps: float) -> None:
    clip = numbered(num_frames, [n / fps for n in range(num_frames)], num_frames / fps)
    ticks = retime(clip.info.times_s, clip.info.duration_s, 30.0)

    shown = {}
    for window in windows_of(clip):
        shown |= {window.start_frame + at: int(level) for at, level in enumerate(window.strip[:, 0, 0])}

    assert shown == dict(enumerate(ticks.tolist()))


def test_windows_may_overlap() -> None:
    windows = list(strip_windows(numbered(120), GRID, of_spec(window_stride_frames=30)))

    assert [window.start_frame for window in windows] == [0, 30, 60]
    assert [window.strip[0, 0, 0] for window in windows] == [0, 30, 60]


def test_a_clip_shorter_than_a_window_has_none() -> None:
    assert windows_of(numbered(59)) == []
    assert num_windows(numbered(59).info, SPEC) == 0


def test_the_number_of_windows_is_known_beforehand() -> None:
    assert num_windows(numbered(150).info, SPEC) == len(windows_of(numbered(150))) == 3


# --- when each frame was taken ---


def test_at_ten_frames_a_second_each_time_is_shown_three_times() -> None:
    (window,) = windows_of(numbered(20, [n / 10 for n in range(20)], 2.0))

    assert window.strip[:, 0, 0].tolist() == [n for n in range(20) for _ in range(3)]
    assert window.taken_s.tolist() == [n / 10 for n in range(20) for _ in range(3)]


def test_uneven_times_are_kept_as_they_are() -> None:
    """30 frames a second for a second, then 10."""
    times_s = [n / 30 for n in range(30)] + [1 + n / 10 for n in range(10)]

    (window,) = windows_of(numbered(40, times_s, 2.0))

    assert window.taken_s[:30].tolist() == times_s[:30]
    assert window.taken_s[30:].tolist() == [time for time in times_s[30:] for _ in range(3)]


def test_a_frame_repeated_by_a_converter_keeps_its_first_time() -> None:
    """15 frames a second stored as 30: every second frame repeats the one before."""
    frames = np.repeat(speckle((30, 64, 64)), 2, axis=0)

    (window,) = windows_of(ArrayClip(frames, 30.0))

    assert window.taken_s == pytest.approx([n / 15 for n in range(30) for _ in range(2)])


# --- memory ---


class Counted:
    """Counts arrays that are alive."""

    def __init__(self) -> None:
        self.alive = self.most = 0

    def watch(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(array, self._gone)
        return array

    def _gone(self) -> None:
        self.alive -= 1


class Stream:
    """A clip whose frames are made when they are asked for."""

    def __init__(self, num_frames: int) -> None:
        times_s = np.arange(num_frames) / 30
        self.info = ClipInfo(times_s, num_frames / 30, 64, 64, np.zeros(num_frames, np.bool_), "stream", None, ())
        self.counted = Counted()

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        for n in range(self.info.num_frames):
            yield self.counted.watch(np.full((64, 64), n % 256, np.uint8))

    rgb_frames = frames


def test_a_minute_of_clip_is_read_with_two_frames_alive() -> None:
    clip = Stream(1800)

    num = sum(1 for _ in strip_windows(clip, GRID, SPEC))

    assert num == 30
    assert clip.counted.most <= 2


def test_a_minute_of_clip_is_read_with_one_window_of_strips_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    strips, remap = Counted(), cv2.remap
    monkeypatch.setattr(cv2, "remap", lambda *args, **kwargs: strips.watch(remap(*args, **kwargs)))

    for _ in strip_windows(Stream(1800), GRID, SPEC):
        pass

    assert strips.most <= SPEC.window_frames + 2


# --- patches ---


def test_a_window_becomes_patches_and_motion() -> None:
    grid = flat_grid(200, 50, 70, ((0, 200),))
    plan = plan_patches(grid, SPEC, num_rows=2)
    window = StripWindow(90, np.repeat(speckle((1, 120, 200)), 60, axis=0), np.arange(90, 150) / 30)

    prepared = prepare_window(window, grid, plan, SPEC)

    assert (prepared.start_s, prepared.end_s) == (3.0, 5.0)
    assert prepared.patches.shape == (len(plan.patches), 2, 60, 30, 30)
    assert prepared.patches.dtype == np.uint8
    assert prepared.motion.centres.tolist() == plan.centres.tolist()


def test_a_patch_keeps_its_wall_still_and_shows_what_moves_past_it() -> None:
    """Wall and lung drift together by 3 px a second: stabilised, neither moves; as it is, both do."""
    grid = flat_grid(200, 50, 70, ((0, 200),))
    wide = speckle((120, 220))
    strip = np.stack([wide[:, 10 - n // 10 : 210 - n // 10] for n in range(60)])  # one pixel every ten frames
    window = StripWindow(0, strip, np.arange(60) / 30)

    def change(stabilised: bool) -> float:
        spec = of_spec(stabilised=stabilised)
        plan = plan_patches(grid, spec, num_rows=1)
        patches = prepare_window(window, grid, plan, spec).patches.astype(float)
        return float(np.abs(patches[:, :, -1] - patches[:, :, 0]).mean())

    assert change(stabilised=True) < 0.4 * change(stabilised=False)
