"""Every reason a clip may not be read for, reached by a clip made by code, and its sentence."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.locate import Located, locate
from service.cine.motion import Motion, Shifts
from service.cine.overview import look_over
from service.cine.prepare import prepare_window, strip_windows
from service.cine.quality import MIN_PLEURA_CONFIDENCE, doubt_location, judge, judge_clip, judge_location, judge_motion
from service.findings import Reason, ReasonCode
from tests.fakes.clip import MemoryClip
from tests.fakes.inputs import SPEC, speckle
from tests.fakes.phantoms import frozen, preset_phantom
from training.array_clip import ArrayClip

SHAPE = (240, 320)


def live(num_frames: int, fps: float = 30.0) -> MemoryClip:
    """Flickering speckle all over the picture."""
    return MemoryClip(list(speckle((num_frames, *SHAPE))), [n / fps for n in range(num_frames)], num_frames / fps)


def reasons_of(clip: Clip) -> dict[ReasonCode, str]:
    return {reason.code: reason.detail for reason in judge_clip(clip, look_over(clip), SPEC)}


# --- before the pleura is looked for ---


def test_two_seconds_of_live_picture_can_be_read() -> None:
    assert reasons_of(live(60)) == {}


def test_a_clip_shorter_than_a_window_is_too_short() -> None:
    assert reasons_of(live(30)) == {
        ReasonCode.TOO_SHORT: "The clip lasts 1.00 s (30 frames); at least 2.0 s are needed. Record 4 s or more, to see a breath."
    }


def test_a_single_frame_is_too_short() -> None:
    assert reasons_of(live(1)) == {
        ReasonCode.TOO_SHORT: "The clip lasts 0.03 s (1 frame); at least 2.0 s are needed. Record 4 s or more, to see a breath."
    }


FROZEN = "The picture does not change at all: this is a frozen image. Record a moving clip."


def test_a_frozen_clip_is_told_by_its_repeated_frames() -> None:
    assert reasons_of(ArrayClip(frozen(preset_phantom("present", 2.5)), 30.0)) == {ReasonCode.FROZEN: FROZEN}


def test_a_frozen_clip_is_told_by_its_stillness() -> None:
    assert reasons_of(MemoryClip(list(np.repeat(speckle((1, *SHAPE)), 60, axis=0)))) == {ReasonCode.FROZEN: FROZEN}


def test_five_frames_a_second_are_too_few() -> None:
    assert reasons_of(live(20, fps=5.0)) == {
        ReasonCode.FRAME_RATE_TOO_LOW: "The clip shows 5.0 different frames a second; at least 7 are needed. "
        "Reduce the depth, or export the clip at its full frame rate."
    }


def test_repeated_frames_do_not_raise_the_frame_rate() -> None:
    found = reasons_of(ArrayClip(np.repeat(speckle((10, *SHAPE)), 6, axis=0), 30.0))

    assert "shows 5.0 different frames a second" in found[ReasonCode.FRAME_RATE_TOO_LOW]


def test_seven_frames_a_second_are_enough() -> None:
    assert reasons_of(live(14, fps=7.0)) == {}


def test_a_picture_in_colour_is_not_grey_ultrasound() -> None:
    red = [np.stack([frame, frame // 4, frame // 4], axis=2) for frame in speckle((60, *SHAPE))]

    assert reasons_of(MemoryClip(red)) == {
        ReasonCode.NOT_ULTRASOUND: "The picture is in colour, not a grey ultrasound image. Send the B-mode clip, without Doppler."
    }


def test_a_colour_scale_beside_the_picture_does_no_harm() -> None:
    grey = [np.repeat(frame[..., None], 3, axis=2) for frame in speckle((60, *SHAPE))]
    for frame in grey:
        frame[:, :40] = (255, 0, 0)  # an eighth of the picture

    assert reasons_of(MemoryClip(grey)) == {}


def test_an_almost_black_picture_is_too_dark() -> None:
    dim = MemoryClip(list(speckle((60, *SHAPE)) // 12))  # 128 / 12 = 11 grey levels on average

    assert reasons_of(dim) == {
        ReasonCode.TOO_DARK: "The picture is almost black. Raise the gain, or check the contact between probe and skin."
    }


def test_every_reason_that_holds_is_given() -> None:
    assert list(reasons_of(MemoryClip([np.zeros(SHAPE, np.uint8)] * 30))) == [
        ReasonCode.TOO_SHORT,
        ReasonCode.FROZEN,
        ReasonCode.TOO_DARK,
    ]


# --- after the search for the pleura ---


@cache
def located() -> Located:
    return locate(ArrayClip(preset_phantom("linear_present", 2.5).frames, 30.0), SPEC)


NO_PLEURA = (
    Reason(
        ReasonCode.NO_PLEURA,
        "No pleural line was found. Place the probe between two ribs, so that the bright line lies across the picture, "
        "or mark the region by hand.",
    ),
)


def test_a_pleura_that_was_found_is_no_reason() -> None:
    assert judge_location(located()) == ()


def test_a_picture_without_echoes_is_not_ultrasound() -> None:
    assert judge_location(locate(MemoryClip([np.zeros(SHAPE, np.uint8)] * 3), SPEC)) == (
        Reason(ReasonCode.NOT_ULTRASOUND, "No ultrasound image was found in the picture. Send the clip as the machine stored it."),
    )


def without_pleura() -> Iterator[Located]:
    found = located()
    assert found.pleura is not None
    assert found.plan is not None
    yield replace(found, pleura=None, grid=None, plan=None)
    yield replace(found, pleura=replace(found.pleura, confidence=MIN_PLEURA_CONFIDENCE - 0.01))
    yield replace(found, plan=replace(found.plan, patches=()))
    yield replace(found, plan=replace(found.plan, patches=tuple(patch for patch in found.plan.patches if patch.row < 0)))


@pytest.mark.parametrize("at", range(4), ids=["none found", "not sure enough", "no patch fits", "wall alone fits"])
def test_no_pleura_says_what_to_do(at: int) -> None:
    assert judge_location(list(without_pleura())[at]) == NO_PLEURA


# --- after the motion was measured ---


def motions(wall_px: float, lung_tracking: NDArray[np.float32]) -> list[Motion]:
    """One window; the wall of every column moves `wall_px` in an eighth of a second. `lung_tracking` (P, K)."""
    wall = np.full(lung_tracking.shape, wall_px, np.float32)
    tracked = np.full(lung_tracking.shape, 0.9, np.float32)
    pairs, columns = lung_tracking.shape
    return [Motion(np.arange(pairs), 60 * np.arange(columns), Shifts(wall, 0 * wall, tracked), Shifts(wall, 0 * wall, lung_tracking))]


def tracked(share: float) -> NDArray[np.float32]:
    """Ten pairs of ten columns."""
    return np.where(np.arange(100) < 100 * share, 0.9, 0.1).astype(np.float32).reshape(10, 10)


TRACKING_LOST = Reason(
    ReasonCode.TRACKING_LOST, "Wall and lung could not be followed from frame to frame. Hold the probe still and record again."
)
PROBE_MOVING = Reason(ReasonCode.PROBE_MOVING, "The probe moves over the chest. Hold it still and record at least one breath.")


def test_a_quarter_of_the_motion_must_be_followed() -> None:
    assert judge_motion(motions(0.0, tracked(0.24)), 10) == (TRACKING_LOST,)
    assert judge_motion(motions(0.0, tracked(0.26)), 10) == ()


def test_columns_without_lung_need_not_be_followed() -> None:
    lung = tracked(1.0)
    lung[:, 2:] = 0.1  # two columns of lung, eight of wall alone

    assert judge_motion(motions(0.0, lung), 2) == ()
    assert judge_motion(motions(0.0, lung), 10) == (TRACKING_LOST,)


def test_a_wall_that_runs_away_is_a_moving_probe() -> None:
    assert judge_motion(motions(4.9, tracked(1.0)), 10) == ()
    assert judge_motion(motions(-5.1, tracked(1.0)), 10) == (PROBE_MOVING,)


def test_columns_that_lost_their_way_are_no_moving_probe() -> None:
    (read,) = motions(0.0, tracked(1.0))
    read.wall.along_px[:, :4] = 16.0  # 4 of 10 columns; the RMS over all of them would be 10 px

    assert judge_motion([read], 10) == ()
    read.wall.along_px[:, :6] = 16.0
    assert judge_motion([read], 10) == (PROBE_MOVING,)


def test_a_clip_of_noise_in_which_nothing_can_be_followed() -> None:
    found = located()
    assert found.grid is not None
    assert found.plan is not None
    clip = MemoryClip(list(speckle((60, 480, 640), grain_px=0.5)))

    read = [prepare_window(window, found.grid, found.plan, SPEC).motion for window in strip_windows(clip, found.grid, SPEC)]

    assert judge_motion(read, len(found.plan.lung_columns)) == (TRACKING_LOST,)


def test_a_clip_that_is_swept_over_the_chest_is_a_moving_probe() -> None:
    found, still = located(), preset_phantom("linear_present", 2.5).frames[30]
    assert found.grid is not None
    assert found.plan is not None
    clip = MemoryClip([np.roll(still, 2 * n, axis=1) for n in range(60)])  # 2 px a frame, 8 px in an eighth of a second

    read = [prepare_window(window, found.grid, found.plan, SPEC).motion for window in strip_windows(clip, found.grid, SPEC)]

    assert judge_motion(read, len(found.plan.lung_columns)) == (PROBE_MOVING,)


# --- what keeps it from being believed ---

PLEURA_DOUBTFUL = Reason(
    ReasonCode.PLEURA_DOUBTFUL,
    "It is not sure that the line found is the pleura: there may be fluid or solid lung below it, or gas under the skin. "
    "Look at the line drawn, or mark the region by hand.",
)


@pytest.mark.parametrize(("is_plain", "said"), [(True, ()), (False, (PLEURA_DOUBTFUL,))])
def test_a_line_that_is_not_plain_is_doubted(is_plain: bool, said: tuple[Reason, ...]) -> None:
    found = located()
    assert found.pleura is not None

    assert doubt_location(replace(found, pleura=replace(found.pleura, is_plain=is_plain))) == said


# --- how far it can be trusted ---


def sure(confidence: float, num_lung: int = 10) -> Located:
    """`num_lung` columns, of which `tracked` follows what it says."""
    found = located()
    assert found.pleura is not None
    assert found.plan is not None
    columns = tuple(found.plan.columns[0] for _ in range(num_lung))
    return replace(found, pleura=replace(found.pleura, confidence=confidence), plan=replace(found.plan, columns=columns))


def test_trust_is_the_pleuras_confidence_when_most_of_the_motion_was_followed() -> None:
    assert judge(sure(0.7), motions(0.0, tracked(0.9)), ()).probability == 0.7


def test_trust_is_less_when_motion_was_lost() -> None:
    assert judge(sure(0.9), motions(0.0, tracked(0.4)), ()).probability == pytest.approx(0.4 / 0.8)


@pytest.mark.parametrize("reason", [PROBE_MOVING, PLEURA_DOUBTFUL], ids=lambda reason: str(reason.code))
def test_a_moving_probe_or_a_doubtful_line_is_told_and_does_not_keep_a_clip_from_being_read(reason: Reason) -> None:
    found = judge(sure(0.7), motions(6.0, tracked(1.0)), (reason,))

    assert found.assessable
    assert found.reasons == (reason,)


@pytest.mark.parametrize("reasons", [(TRACKING_LOST,), (PROBE_MOVING, TRACKING_LOST)])
def test_any_other_reason_does(reasons: tuple[Reason, ...]) -> None:
    found = judge(sure(0.7), motions(0.0, tracked(1.0)), reasons)

    assert (found.assessable, found.probability, found.reasons) == (False, 0.0, reasons)


def test_a_clip_without_a_window_cannot_be_assessed() -> None:
    assert not judge(sure(0.7), [], ()).assessable


def test_every_reason_is_reached_above() -> None:
    codes = {TRACKING_LOST.code, PROBE_MOVING.code, PLEURA_DOUBTFUL.code, *(reason.code for reason in NO_PLEURA)}
    codes |= {ReasonCode.TOO_SHORT, ReasonCode.FROZEN, ReasonCode.FRAME_RATE_TOO_LOW, ReasonCode.NOT_ULTRASOUND, ReasonCode.TOO_DARK}

    assert codes == set(ReasonCode)
