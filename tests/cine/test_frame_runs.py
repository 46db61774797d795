"""Runs of whole frames: cut to the sector, resized, over the whole clip."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.frame_cut import cut_to
from service.cine.frame_runs import frame_runs
from service.cine.frame_spec import FrameSpec
from service.cine.overview import look_over
from service.cine.sector import Sector, find_sector
from service.errors import BadBundle
from tests.fakes.phantoms import small_phantom
from training.array_clip import ArrayClip

SPEC = FrameSpec(fps=30.0, num_frames=30, stride_frames=24, side_px=16, dtype="uint8")


def rectangle(height: int, width: int, box: tuple[int, int, int, int]) -> Sector:
    x0, y0, x1, y1 = box
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return Sector("linear", None, (x0, x1 - 1), (y0, y1 - 1), mask)


def test_a_frame_is_cut_to_the_sector_and_resized() -> None:
    frame = np.zeros((40, 60), np.uint8)
    frame[10:30, 20:40] = 100
    frame[:5] = 255  # a name above the picture

    cut = cut_to(rectangle(40, 60, (20, 10, 40, 30)), 4)

    np.testing.assert_array_equal(cut(frame), np.full((4, 4), 100))


def test_what_is_beside_the_fan_is_black_also_inside_its_box() -> None:
    phantom = small_phantom("present", 1.0)
    clip = ArrayClip(phantom.frames, 30.0)
    sector = find_sector(look_over(clip))
    assert sector is not None
    assert sector.probe == "convex"

    cut = cut_to(sector, 64)(np.full(phantom.frames.shape[1:], 200, np.uint8))

    assert cut[0, 0] == cut[0, -1] == 0
    assert cut[32, 32] == 200


def test_a_second_begins_every_0_8_s_and_the_last_is_pulled_back_to_the_end() -> None:
    grey = np.repeat(np.arange(70, dtype=np.uint8)[:, None, None], 32 * 32, axis=1).reshape(70, 32, 32)
    clip, sector = ArrayClip(grey, 30.0), rectangle(32, 32, (0, 0, 32, 32))

    runs = list(frame_runs(clip, sector, SPEC))

    assert [round(run.start_s, 3) for run in runs] == [0.0, 0.8, 1.333]
    assert [(int(run.given[0, 0, 8, 8]), int(run.given[0, -1, 8, 8])) for run in runs] == [(0, 29), (24, 53), (40, 69)]
    assert [(int(run.shown[0]), int(run.shown[-1])) for run in runs] == [(0, 29), (24, 53), (40, 69)]


def test_a_slow_clip_repeats_its_frames() -> None:
    clip = ArrayClip(np.zeros((10, 32, 32), np.uint8), 10.0)

    (run,) = frame_runs(clip, rectangle(32, 32, (0, 0, 32, 32)), SPEC)

    assert run.shown.tolist() == [frame for frame in range(10) for _ in range(3)]


def test_a_run_of_flow_is_how_far_the_pixels_of_the_square_move() -> None:
    speckle = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 200), dtype=np.uint8), (0, 0), 2.0)
    grey = np.stack([speckle[:, 60 - k : 124 - k] for k in range(8)])
    spec = FrameSpec(30.0, 8, 8, 64, "uint8", flow_step=2)

    (run,) = frame_runs(ArrayClip(grey, 30.0), rectangle(64, 64, (0, 0, 64, 64)), spec)

    assert (run.given.shape, run.given.dtype, spec.run_bytes) == (spec.run_shape, np.float32, run.given.nbytes)
    assert spec.run_shape == (2, 6, 64, 64)
    assert np.median(run.given, axis=(1, 2, 3)) == pytest.approx([2, 0], abs=0.1)
    assert run.shown.tolist() == list(range(8))
    np.testing.assert_array_equal(run.given, run.given.astype(np.float16))  # as training keeps it


def test_the_flow_may_be_made_by_another() -> None:
    def field(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((2, *before.shape), 3.0, np.float32)

    spec = FrameSpec(30.0, 4, 4, 16, "uint8", flow_step=1)
    (run,) = frame_runs(ArrayClip(np.zeros((4, 32, 32), np.uint8), 30.0), rectangle(32, 32, (0, 0, 32, 32)), spec, field)

    assert (run.given == 3).all()


def test_a_clip_shorter_than_a_run_gives_none() -> None:
    clip = ArrayClip(np.zeros((29, 32, 32), np.uint8), 30.0)

    assert list(frame_runs(clip, rectangle(32, 32, (0, 0, 32, 32)), SPEC)) == []


def test_a_spec_is_the_same_after_it_was_written_and_one_that_nobody_can_read_is_told() -> None:
    assert FrameSpec.from_json(SPEC.to_json()) == SPEC
    assert FrameSpec.from_json({name: value for name, value in SPEC.to_json().items() if name != "flow_step"}) == SPEC
    with pytest.raises(BadBundle, match="input_spec is not one this version can read"):
        FrameSpec.from_json(SPEC.to_json() | {"colour": True})


def test_runs_that_would_leave_frames_out_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Runs of 30 frames that begin every 31 would leave frames out\.$"):
        FrameSpec(30.0, 30, 31, 64, "uint8")
    with pytest.raises(ValueError, match="must be positive"):
        FrameSpec(30.0, 30, 30, 0, "uint8")


@pytest.mark.parametrize("step", [-1, 30])
def test_a_flow_that_does_not_fit_its_run_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=rf"^A flow over {step} frames does not fit a run of 30\.$"):
        FrameSpec(30.0, 30, 30, 64, "uint8", flow_step=step)
