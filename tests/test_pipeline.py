"""analyse(): phantoms go in, findings come out. The engine's answers are known, so that the rest can be told."""

import math
import threading
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.pooling import sigmoid
from service.engine.base import Task
from service.engine.batcher import Batcher
from service.engine.turn import Lane
from service.evidence import words
from service.evidence.saliency import SAMPLES_A_ROUND
from service.findings import Analysis, Arrays, PatchFinding, ReasonCode, Verdict
from service.model import LoadedModel
from service.pipeline import Options, Progress, Rows, analyse
from service.reading import Saliency
from tests.fakes.clip import MemoryClip
from tests.fakes.engine import LinearEngine
from tests.fakes.inputs import MODEL_ALONE, SLIDE_ALONE, SPEC, constant_engine, loaded_model, speckle
from tests.fakes.phantoms import frozen, preset_phantom
from training.array_clip import ArrayClip
from training.phantom import Phantom
from training.slide import shift_rms

DURATION_S = 2.5
"""75 frames: a window from 0 to 2 s, and one pulled back to end at 2.5 s."""
BREATH_S = 4.0
"""Long enough for a slide to be called absent."""
PLAIN = Options(saliency=Saliency.NONE)


def clip_of(phantom: Phantom) -> ArrayClip:
    return ArrayClip(phantom.frames, phantom.spec.fps)


def analysed(clip: Clip, model: LoadedModel, options: Options) -> tuple[Analysis, Arrays]:
    """With the arrays."""
    analysis, arrays = analyse(clip, model, options, keeps_arrays=True)
    assert arrays is not None
    return analysis, arrays


@cache
def read(
    name: str, logit: float = 2.0, options: Options = PLAIN, calibration: object = MODEL_ALONE, duration_s: float = DURATION_S
) -> tuple[Analysis, Arrays]:
    """A preset, as a model reads it that gives every patch `logit`."""
    return analysed(clip_of(preset_phantom(name, duration_s)), loaded_model(constant_engine(logit), calibration), options)  # type: ignore[arg-type]


def patches_of(analysis: Analysis, window: int = 0) -> tuple[PatchFinding, ...]:
    return analysis.windows[window].patches


# --- the answer ---


def test_the_models_logit_becomes_the_clips_probability() -> None:
    analysis, _ = read("linear_present", logit=2.0)

    assert analysis.lung_sliding.probability == pytest.approx(sigmoid(2.0))
    assert analysis.lung_sliding.verdict is Verdict.PRESENT
    assert [window.probability for window in analysis.windows] == pytest.approx([sigmoid(2.0)] * 2)
    assert {patch.probability for patch in patches_of(analysis)} == {sigmoid(2.0)}


def test_a_low_logit_is_absent() -> None:
    analysis, _ = read("linear_present", logit=-2.0, duration_s=BREATH_S)

    assert analysis.lung_sliding.verdict is Verdict.ABSENT
    assert analysis.warnings == ()


def test_in_a_clip_shorter_than_a_breath_a_low_logit_leaves_it_open_and_says_so() -> None:
    analysis, _ = read("linear_present", logit=-2.0)

    assert analysis.lung_sliding.verdict is Verdict.INDETERMINATE
    assert words.headline(analysis) == "Cannot tell: the clip is too short"
    assert [(reason.code, reason.detail) for reason in analysis.quality.reasons] == [
        (
            ReasonCode.TOO_SHORT,
            "Nothing slides in these 2.5 s, but sliding is only called absent from 3.5 s on: "
            "a shorter clip may have caught the pause between two breaths.",
        )
    ]


def test_what_the_model_says_of_the_wall_is_the_wall_control() -> None:
    assert read("linear_present", logit=2.0)[0].lung_sliding.wall_control == pytest.approx(sigmoid(2.0))


def test_a_wall_that_seems_to_slide_leaves_it_open_and_says_that_the_probe_moved() -> None:
    analysis, _ = read("linear_present", logit=4.0)  # sigmoid(4) is above the wall control's limit of 0.9

    assert analysis.lung_sliding.verdict is Verdict.INDETERMINATE
    assert analysis.quality.assessable
    assert [(reason.code, reason.detail) for reason in analysis.quality.reasons] == [
        (
            ReasonCode.PROBE_MOVING,
            "The chest wall itself seems to slide, so the probe moved. Hold it still and record at least one breath.",
        )
    ]


def test_the_calibration_turns_patch_logits_into_probabilities() -> None:
    analysis, _ = read("linear_present", logit=2.0, calibration=replace(MODEL_ALONE, patch_scale=0.5, patch_offset=-1.0))

    assert {patch.probability for patch in patches_of(analysis)} == {sigmoid(0.5 * 2.0 - 1.0)}


def test_the_clip_and_the_model_are_named() -> None:
    analysis, _ = read("linear_present")

    assert (analysis.clip.num_frames, analysis.clip.fps, analysis.clip.duration_s) == (75, pytest.approx(30.0), 2.5)
    assert (analysis.clip.width, analysis.clip.height, analysis.clip.probe) == (640, 480, "linear")
    assert (analysis.model.name, analysis.model.version, analysis.model.device) == ("linear", "0.0.1", "cpu (fake)")
    assert len(analysis.id) == 32
    assert analysis.id != read("present")[0].id


# --- the measured slide ---


@pytest.mark.parametrize("name", ["linear_present", "present"])
def test_a_sliding_lung_is_measured_as_it_truly_moved(name: str) -> None:
    """Against the truth: RMS displacement in an eighth of a second, over the same two seconds."""
    phantom = preset_phantom(name, DURATION_S)
    truth = shift_rms(phantom.truth.slide_px, 30.0)
    pleura = read(name)[0].pleura
    assert pleura is not None

    slides = [column.slide_px for column in pleura.columns]

    assert np.median(slides) == pytest.approx(truth, rel=0.1)
    assert all(column.wall_px < 0.2 * truth for column in pleura.columns)
    assert all(0.8 < column.tracking <= 1.0 for column in pleura.columns)


def test_wall_and_lung_are_told_apart_at_every_place_and_moment() -> None:
    phantom = preset_phantom("linear_present", DURATION_S)
    pleura = read("linear_present")[0].pleura
    assert pleura is not None
    motion = pleura.motion

    at = np.rint(motion.t_s * 30).astype(int)
    truth = phantom.truth.slide_px[at + 4] - phantom.truth.slide_px[at]

    assert motion.wall_px.shape == motion.lung_px.shape == (len(motion.t_s), len(motion.wall_at)) == (len(at), len(motion.lung_at))
    assert np.nanmedian(np.abs(motion.wall_px)) < 0.4 * np.nanmedian(np.abs(motion.lung_px))  # the hand trembles
    past_wall = np.nanmedian(motion.lung_px - motion.wall_px, axis=1)
    assert np.corrcoef(past_wall, truth)[0, 1] > 0.98
    line = np.array(pleura.line)
    for (wall_x, wall_y), (lung_x, lung_y) in zip(motion.wall_at, motion.lung_at, strict=True):
        assert wall_x == pytest.approx(lung_x, abs=0.5)  # a linear probe: depth goes straight down
        assert wall_y < np.interp(wall_x, *line.T) < lung_y


@pytest.mark.parametrize(("name", "said"), [("linear_present", "present"), ("linear_absent", "absent"), ("present", "present")])
def test_by_the_measured_slide_alone_a_phantom_is_read_right(name: str, said: str) -> None:
    assert read(name, calibration=SLIDE_ALONE, duration_s=BREATH_S)[0].lung_sliding.verdict == said


def test_the_slide_over_time_is_that_of_the_phantom() -> None:
    phantom = preset_phantom("linear_present", DURATION_S)
    pleura = read("linear_present")[0].pleura
    assert pleura is not None
    times, px = pleura.slide_over_time.t_s, pleura.slide_over_time.px

    at = np.rint(times * 30).astype(int)
    truth = phantom.truth.slide_px[at + 4] - phantom.truth.slide_px[at]  # over the four frames that a pair spans

    assert np.all(np.diff(times) > 0)
    assert (times[0], float(times[-1])) == (0.0, pytest.approx(69 / 30))  # the pairs of 15..74 begin at 15 + 0, 2, ... 54
    assert np.corrcoef(px, truth)[0, 1] > 0.98
    assert np.abs(px - truth).max() < 1.5


def test_millimetres_are_stated_where_the_scale_is_known() -> None:
    without, with_scale = read("linear_present")[0].pleura, read("linear_present", options=replace(PLAIN, mm_per_px=0.1))[0].pleura
    assert without is not None
    assert with_scale is not None

    assert {column.slide_mm for column in without.columns} == {None}
    assert [column.slide_mm for column in with_scale.columns] == pytest.approx([0.1 * column.slide_px for column in with_scale.columns])


def test_a_lung_point_is_found_within_a_patch_of_its_place() -> None:
    phantom = preset_phantom("lung_point", DURATION_S)
    analysis, _ = read("lung_point", calibration=SLIDE_ALONE)
    truth = phantom.truth.lung_point_x_px

    assert analysis.lung_point.suspected
    assert analysis.lung_sliding.verdict is Verdict.INDETERMINATE
    assert analysis.lung_point.x_px == pytest.approx(truth, abs=25)


def test_where_all_columns_agree_no_lung_point_is_suspected() -> None:
    lung_point = read("linear_present", calibration=SLIDE_ALONE)[0].lung_point

    assert (lung_point.suspected, lung_point.x_px) == (False, None)


# --- places on the frame ---


def test_the_line_is_the_phantoms_pleura() -> None:
    truth, pleura = preset_phantom("linear_present", DURATION_S).truth.pleura_middle_px, read("linear_present")[0].pleura
    assert truth is not None
    assert pleura is not None
    x, y = np.array(pleura.line).T

    assert len(pleura.line) == 64
    assert np.all(np.diff(x) > 0)
    assert np.median(np.abs(y - np.interp(x, truth[:, 0], truth[:, 1]))) < 3.0


@pytest.mark.parametrize("name", ["linear_present", "present"])
def test_patches_hang_from_the_pleural_line(name: str) -> None:
    """Row 0 begins 4 px of the strip above the line, row 1 thirty lower."""
    analysis, _ = read(name)
    assert analysis.pleura is not None
    x, y = np.array(analysis.pleura.line).T
    strip_px = 450 / 480 if name == "linear_present" else 400 / 480  # the phantoms' echoes are 450 and 400 px deep

    for patch in patches_of(analysis):
        top_x, top_y = patch.polygon[1]  # the middle of its upper side
        below_line = top_y - float(np.interp(top_x, x, y))
        assert below_line == pytest.approx(strip_px * (-4.5 + 30 * patch.row), abs=4)


def test_polygons_begin_at_the_upper_left_corner_and_run_along_row_zero() -> None:
    for patch in patches_of(read("linear_present")[0]):
        (x0, y0), _, (x2, y2), (x3, y3), _, (x5, y5) = patch.polygon
        assert x0 < x2
        assert x5 < x3
        assert y0 < y5
        assert y2 < y3


def test_polygons_are_as_large_as_patches_and_lie_side_by_side() -> None:
    analysis, _ = read("linear_present")
    side_px = 30 * 450 / 480

    areas = [cv2.contourArea(np.array(patch.polygon, np.float32)) for patch in patches_of(analysis)]
    top = [patch for patch in patches_of(analysis) if patch.row == 0]

    assert areas == pytest.approx([side_px**2] * len(areas), rel=0.05)
    for left, right in zip(top, top[1:], strict=False):
        assert math.dist(left.polygon[2], right.polygon[0]) < 3


def test_what_a_polygon_shows_is_the_patch() -> None:
    """The patch's middle pixel of the middle frame is the frame's pixel at the polygon's middle."""
    frame = cv2.GaussianBlur(preset_phantom("linear_present", DURATION_S).frames[30], (0, 0), 1.5)
    analysis, arrays = read("linear_present")

    shown = [cv2.GaussianBlur(patch[0, 30], (0, 0), 1.5)[15, 15] for patch in arrays.patches[arrays.window == 0]]
    there = [frame[round(float(y)), round(float(x))] for x, y in (np.mean(patch.polygon, axis=0) for patch in patches_of(analysis))]

    assert np.corrcoef(shown, there)[0, 1] > 0.95


def test_interspaces_columns_and_sector_lie_on_the_frame() -> None:
    analysis, _ = read("present")
    assert analysis.pleura is not None

    assert all(0 <= x <= 639 and 0 <= y <= 479 for x, y in analysis.sector)
    assert all(0 <= x0 < x1 <= 639 for x0, x1 in analysis.pleura.interspaces)
    for column in analysis.pleura.columns:
        assert any(x0 <= column.x_px <= x1 for x0, x1 in analysis.pleura.interspaces)


# --- windows and arrays ---


def test_windows_are_given_in_seconds_of_the_clip() -> None:
    assert [(window.start_s, window.end_s) for window in read("linear_present")[0].windows] == [(0.0, 2.0), (0.5, 2.5)]


def test_arrays_hold_every_patch_of_every_window() -> None:
    analysis, arrays = read("linear_present", logit=2.0)
    per_window = len(patches_of(analysis))

    assert arrays.patches.shape == (2 * per_window, 2, 60, 30, 30)
    assert arrays.logits.tolist() == [2.0] * (2 * per_window)
    assert arrays.window.tolist() == [0] * per_window + [1] * per_window
    listed = [(patch.row, patch.column) for window in analysis.windows for patch in window.patches]
    assert list(zip(arrays.row.tolist(), arrays.column.tolist(), strict=True)) == listed


def test_two_rows_are_read_below_the_pleura_and_more_when_all_are_asked_for() -> None:
    two, all_ = read("linear_present")[0], read("linear_present", options=replace(PLAIN, rows=Rows.ALL))[0]

    assert {patch.row for patch in patches_of(two)} == {0, 1}
    assert {patch.row for patch in patches_of(all_)} == set(range(max(patch.row for patch in patches_of(all_)) + 1))
    assert max(patch.row for patch in patches_of(all_)) > 5


# --- saliency ---


def spot_engine(logit: float = 0.0) -> LinearEngine:
    """Looks at one pixel of the lung (channel 0), at frame 20, row 5, column 7; and at another of the wall, twice as hard."""
    weights = np.zeros(SPEC.patch_shape, np.float32)
    weights[0, 20, 5, 7] = 1e-3
    weights[1, 40, 25, 3] = 2e-3
    return LinearEngine(weights, logit)


def explained(kind: Saliency) -> tuple[Analysis, Arrays, LinearEngine]:
    engine = spot_engine()
    analysis, arrays = analysed(clip_of(preset_phantom("linear_present", DURATION_S)), loaded_model(engine), Options(saliency=kind))
    return analysis, arrays, engine


def test_without_saliency_no_gradient_is_asked_for() -> None:
    analysis, arrays, engine = explained(Saliency.NONE)

    assert engine.batch_sizes == []
    assert arrays.gradients is None
    assert {patch.saliency for patch in patches_of(analysis)} == {None}


@pytest.mark.parametrize("kind", [Saliency.VANILLA, Saliency.SMOOTHGRAD])
def test_saliency_shows_the_pixel_of_the_lung_that_the_model_looks_at(kind: Saliency) -> None:
    analysis, _, _ = explained(kind)

    for window in analysis.windows:
        for patch in window.patches:
            assert patch.saliency is not None
            assert patch.saliency.map.shape == (30, 30)
            assert patch.saliency.time.shape == (60,)
            assert np.unravel_index(patch.saliency.map.argmax(), (30, 30)) == (5, 7)
            assert patch.saliency.time.argmax() == 20
            assert 0 <= patch.saliency.map.min() <= patch.saliency.map.max() <= 1


def test_smoothgrad_asks_for_noisy_copies_until_the_map_has_settled() -> None:
    """This engine's gradient is the same whatever the noise: the second round shows it."""
    _, arrays, vanilla = explained(Saliency.VANILLA)
    _, _, smooth = explained(Saliency.SMOOTHGRAD)

    assert sum(vanilla.batch_sizes) == len(arrays.logits)
    assert sum(smooth.batch_sizes) == 2 * SAMPLES_A_ROUND * len(arrays.logits)


def test_gradients_are_the_engines() -> None:
    _, arrays, engine = explained(Saliency.VANILLA)
    assert arrays.gradients is not None

    assert arrays.gradients.shape == arrays.patches.shape
    assert np.array_equal(arrays.gradients[0], engine.weights)


# --- a region drawn by hand ---

REGION = ((150.0, 250.0), (450.0, 250.0), (450.0, 400.0), (150.0, 400.0))


def test_the_line_lies_inside_the_region_and_is_believed() -> None:
    analysis, _ = read("linear_present", options=replace(PLAIN, region=REGION))
    assert analysis.pleura is not None

    assert all(240 <= y <= 410 for _, y in analysis.pleura.line)
    assert analysis.pleura.confidence == 1.0


def test_patches_stay_inside_the_region() -> None:
    for patch in patches_of(read("linear_present", options=replace(PLAIN, region=REGION))[0]):
        x0, _, x1, _ = patch.box
        assert 148 <= x0 < x1 <= 452


def test_a_region_off_the_picture_is_no_pleura() -> None:
    off = ((700.0, 10.0), (800.0, 10.0), (800.0, 90.0))
    assert [reason.code for reason in read("linear_present", options=replace(PLAIN, region=off))[0].quality.reasons] == [
        ReasonCode.NO_PLEURA
    ]


# --- not assessable ---


class NeverAsked(LinearEngine):
    """An engine for clips that are not read."""

    def __init__(self) -> None:
        super().__init__(np.zeros(SPEC.patch_shape, np.float32))

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError("the engine was asked")


def black() -> Clip:
    return MemoryClip([np.zeros((240, 320), np.uint8)] * 75)


def short() -> Clip:
    return ArrayClip(preset_phantom("linear_present", DURATION_S).frames[:45], 30.0)


def still() -> Clip:
    return ArrayClip(frozen(preset_phantom("linear_present", DURATION_S)), 30.0)


def slow() -> Clip:
    return ArrayClip(preset_phantom("linear_present", DURATION_S).frames[::6], 5.0)


@pytest.mark.parametrize(
    ("clip", "codes"),
    [
        (black, [ReasonCode.FROZEN, ReasonCode.TOO_DARK]),
        (short, [ReasonCode.TOO_SHORT]),
        (still, [ReasonCode.FROZEN]),
        (slow, [ReasonCode.FRAME_RATE_TOO_LOW]),
    ],
    ids=["black", "short", "frozen", "slow"],
)
def test_what_cannot_be_read_is_answered_with_the_reasons(clip: object, codes: list[ReasonCode]) -> None:
    analysis, arrays = analysed(clip(), loaded_model(NeverAsked()), Options())  # type: ignore[operator]

    sliding = analysis.lung_sliding
    assert (sliding.verdict, sliding.probability, sliding.interval, sliding.wall_control) == (Verdict.NOT_ASSESSABLE, None, None, None)
    assert (analysis.quality.assessable, analysis.quality.probability) == (False, 0.0)
    assert [reason.code for reason in analysis.quality.reasons] == codes
    assert (analysis.pleura, analysis.windows, analysis.lung_point.suspected) == (None, (), False)
    assert arrays.patches.shape == (0, 2, 60, 30, 30)
    assert len(arrays.logits) == len(arrays.window) == len(arrays.row) == len(arrays.column) == 0


def test_a_clip_in_which_nothing_can_be_followed_is_not_assessable() -> None:
    first = preset_phantom("linear_present", DURATION_S).frames[0]
    noise = np.where(first > 0, speckle((75, *first.shape), grain_px=0.5), np.uint8(0))

    analysis, arrays = analysed(ArrayClip(noise, 30.0), loaded_model(constant_engine(2.0)), replace(PLAIN, region=REGION))

    assert analysis.lung_sliding.verdict is Verdict.NOT_ASSESSABLE
    assert [reason.code for reason in analysis.quality.reasons] == [ReasonCode.TRACKING_LOST]
    assert len(arrays.logits) > 0  # it was read, and the arrays still show what was seen


# --- time and progress ---


def test_timings_are_parts_of_the_whole() -> None:
    clip = clip_of(preset_phantom("linear_present", DURATION_S))
    timings = analyse(clip, loaded_model(constant_engine(2.0)), Options(), decode_ms=40.0)[0].timings

    parts = (timings.decode_ms, timings.pleura_ms, timings.model_ms, timings.saliency_ms)
    assert timings.decode_ms == 40.0
    assert all(part > 0 for part in parts)
    assert sum(parts) <= timings.total_ms


def steps_of(progress: Progress | None = None) -> list[tuple[float, str]]:
    steps: list[tuple[float, str]] = []
    clip = clip_of(preset_phantom("linear_present", DURATION_S))
    analyse(clip, loaded_model(constant_engine(2.0)), PLAIN, on_progress=progress or (lambda share, stage: steps.append((share, stage))))
    return [
        step for step, before in zip(steps, [None, *steps], strict=False) if step != before
    ]  # said again while the device is waited for


def test_progress_runs_from_nothing_to_all() -> None:
    assert steps_of() == [(0.0, "pleura"), (0.1, "model"), (pytest.approx(0.55), "model"), (1.0, "done")]


def test_a_caller_can_stop_the_work() -> None:
    class Stopped(Exception):
        pass

    def stop(share: float, stage: str) -> None:
        if stage == "model":
            raise Stopped

    with pytest.raises(Stopped):
        steps_of(stop)


# --- the device is shared ---


class GatedEngine(LinearEngine):
    """Answers nothing before `gate` is open."""

    def __init__(self) -> None:
        super().__init__(np.zeros(SPEC.patch_shape, np.float32))
        self.gate = threading.Event()
        self.num_batches = 0

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.num_batches += 1
        assert self.gate.wait(10)
        return super().logits(patches)


def test_a_reading_that_is_stopped_while_it_waits_for_the_device_frees_it_within_a_batch() -> None:
    engine = GatedEngine()
    batcher = Batcher(engine)
    model = replace(loaded_model(engine), engine=batcher)

    class Gone(Exception):
        pass

    def is_wanted(share: float, stage: str) -> None:
        if engine.num_batches:
            raise Gone

    with pytest.raises(Gone):
        analyse(clip_of(preset_phantom("linear_present", DURATION_S)), model, PLAIN, on_progress=is_wanted)

    engine.gate.set()
    with batcher.turn() as turn:
        turn.ask(Task.CLASSIFY, np.zeros((1, *SPEC.patch_shape), np.uint8)).result(5)
    assert engine.num_batches == 2  # the one that ran when it was stopped, and this


def test_a_job_and_a_bedside_clip_are_read_with_the_same_answer() -> None:
    clip = clip_of(preset_phantom("linear_present", DURATION_S))
    model = loaded_model(constant_engine(2.0))

    interactive, background = (analyse(clip, model, PLAIN, lane=lane)[0].lung_sliding for lane in Lane)

    assert interactive == background
    assert interactive.probability == pytest.approx(sigmoid(2.0))
