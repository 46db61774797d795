"""How the witnesses are weighed, and where the verdicts begin: on toy clips whose evidence is chosen."""

import numpy as np
import pytest

from service.cine.pooling import Calibration, Evidence, Summary, decide, logit_of, pool, sigmoid, summarise
from service.findings import Verdict
from training.calibrate import (
    MAX_FALSE_PRESENT,
    NARROWEST_BAND,
    WIDEST_BAND,
    CalibrationClip,
    CalibrationError,
    _balance,
    calibrate,
    conformal_limit,
    fit_weights,
)
from training.controls import Control, Seen

NAMES = ("model_logit", "model_past_wall", "log_slide", "log_slide_past_wall")


def evidence(
    lung_logit: float, lung_px: float, wall_logit: float = -2.0, wall_px: float = 0.3, *, right_px: float | None = None
) -> Evidence:
    """Two windows, four columns of one interspace, all alike; `right_px` is the slide of the two on the right."""
    shape = (2, 4)
    lung_sq = np.full(shape, lung_px**2)
    lung_sq[:, 2:] = (lung_px if right_px is None else right_px) ** 2
    return Evidence(
        lung_logit=np.full(shape, lung_logit),
        wall_logit=np.full(shape, wall_logit),
        lung_sq=lung_sq,
        wall_sq=np.full(shape, wall_px**2),
        tracking=np.ones(shape),
        interspace=np.zeros(4, np.int64),
    )


def clip_of(made: Evidence, slides: bool, patient: str, kind: str, *, is_doubted: bool = False) -> CalibrationClip:
    return CalibrationClip(Seen(made, is_doubted), slides, patient, kind, 4.0)


def toy_clips(num: int = 20, seed: int = 0, *, overlap: float = 0.0) -> list[CalibrationClip]:
    """Half slide by about 3 px and have logits about 3; half are controls of 0.3 px and -3. `overlap` draws both together."""
    rng = np.random.default_rng(seed)
    clips = []
    for k in range(num):
        slides = k % 2 == 0
        sign = (1 if slides else -1) * (1 - overlap)
        made = evidence(3 * sign + rng.normal(), float(np.exp(1.1 * sign + rng.normal(0, 0.3))), -3 + rng.normal(), 0.3)
        clips.append(clip_of(made, slides, f"P{k}", "as_is" if slides else ("locked" if k % 4 == 1 else "mirror")))
    return clips


PATCH_LOGITS, PATCH_LABELS = np.array([-4.0, -2.0, 2.0, 4.0] * 25), np.array([0.0, 0.0, 1.0, 1.0] * 25)


def calibrated(clips: list[CalibrationClip]) -> Calibration:
    noisy = np.where(np.arange(100) % 10 == 0, 1 - PATCH_LABELS, PATCH_LABELS)  # a tenth mislabelled, so that the scale is finite
    return calibrate(clips, PATCH_LOGITS, noisy)


def answers(clips: list[CalibrationClip], calibration: Calibration) -> list[Verdict]:
    pooled = [pool(clip.evidence, calibration) for clip in clips]
    return [decide(answer, calibration, 4.0) for answer in pooled if answer is not None]


def test_toy_clips_that_differ_in_everything_are_told_apart() -> None:
    clips = toy_clips()
    calibration = calibrated(clips)
    logits = [logit_of(summarise(clip.evidence), calibration) for clip in clips]

    assert min(logits[0::2]) > 0 > max(logits[1::2])
    assert answers(clips, calibration) == [Verdict.PRESENT, Verdict.ABSENT] * 10


@pytest.mark.parametrize("seed", range(5))
def test_no_weight_is_negative_though_the_noise_would_have_it_so(seed: int) -> None:
    """Of clips that hardly differ a free fit would give about half of the weights a minus."""
    clips = toy_clips(seed=seed, overlap=0.95)
    _, weights = fit_weights(clips)

    assert (weights >= 0).all()


def test_a_witness_that_says_the_opposite_gets_next_to_no_weight() -> None:
    """The model's logit is high where nothing slides; the measured slide is right."""
    clips = [clip_of(evidence(-3.0, 3.0, -3.0), True, "A", "as_is"), clip_of(evidence(3.0, 0.2, 3.0), False, "B", "wall")]
    _, weights = fit_weights(clips * 5)
    model_logit, _, log_slide, _ = weights

    assert model_logit < 0.02 < 0.5 < log_slide


def test_a_kind_of_control_counts_as_much_as_every_other_however_many_there_are() -> None:
    weights = _balance(["as_is", "wall", "wall", "wall", "mirror"], [True, False, False, False, False])

    assert weights.tolist() == pytest.approx([0.5, 0.25 / 3, 0.25 / 3, 0.25 / 3, 0.25])


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_the_bands_are_in_order_and_the_abstention_band_is_never_narrow(seed: int, overlap: float) -> None:
    calibration = calibrated(toy_clips(40, seed, overlap=overlap))

    assert (
        WIDEST_BAND[0] <= calibration.absent_below <= NARROWEST_BAND[0] < NARROWEST_BAND[1] <= calibration.present_above <= WIDEST_BAND[1]
    )
    assert 0.5 <= calibration.wall_control_above <= 0.9
    assert calibration.lung_point_contrast >= 1.0


def test_clips_told_apart_with_ease_get_the_narrowest_band() -> None:
    calibration = calibrated(toy_clips(40))

    assert (calibration.absent_below, calibration.present_above) == NARROWEST_BAND


def like_lungs(kind: str, num: int = 4, *, is_doubted: bool = False) -> list[CalibrationClip]:
    """Controls that slide like a lung, among twenty times as many that do not."""
    still = [clip_of(evidence(-3.0, 0.3, -3.0), False, "C", kind) for _ in range(20)]
    return still + [clip_of(evidence(3.0, 3.0, -3.0), False, "C", kind, is_doubted=is_doubted) for _ in range(num)]


def test_where_controls_look_like_lungs_present_is_said_only_when_it_is_plain() -> None:
    """Four of twenty-four of one kind slide like a lung: more than the one in twenty that may be called present."""
    calibration = calibrated(toy_clips(32) + like_lungs("locked"))

    assert MAX_FALSE_PRESENT < 4 / 24
    assert calibration.present_above > NARROWEST_BAND[1]


def test_a_control_that_serving_would_give_no_verdict_on_sets_no_limit() -> None:
    calibration = calibrated(toy_clips(32) + like_lungs("locked", is_doubted=True))

    assert calibration.present_above == NARROWEST_BAND[1]


def test_wall_from_further_along_counts_in_the_weights_and_sets_no_limit() -> None:
    calibration = calibrated(toy_clips(32) + like_lungs(Control.WALL))

    assert calibration.present_above == NARROWEST_BAND[1]
    assert calibration != calibrated(toy_clips(32))


@pytest.mark.parametrize(
    ("share", "limit"),
    [(0.5, 10.0), (0.1, 18.0), (0.05, 19.0), (0.01, 19.0)],
    ids=["half", "a tenth", "a twentieth: the largest of 19", "19 values cannot promise a hundredth"],
)
def test_the_limit_is_the_value_that_one_more_clip_exceeds_as_seldom_as_asked(share: float, limit: float) -> None:
    """1 .. 19: of twenty equally likely places for the next, one is above 19."""
    assert conformal_limit(np.arange(1.0, 20.0), share) == limit


def test_a_clip_that_says_nothing_is_left_out() -> None:
    silent = clip_of(evidence(float("nan"), 1.0), True, "X", "as_is")

    assert calibrated([*toy_clips(), silent]) == calibrated(toy_clips())


def test_a_patch_logit_is_scaled_to_what_it_is_worth() -> None:
    """Logits of -10 and 10 that are right in 9 of 10: log odds of 9, so a scale of log(9) / 10 and no offset."""
    logits = np.array([-10.0] * 50 + [10.0] * 50)
    labels = np.array(([0.0] * 9 + [1.0]) * 5 + ([1.0] * 9 + [0.0]) * 5)
    calibration = calibrate(toy_clips(), logits, labels)

    assert calibration.patch_scale == pytest.approx(np.log(9) / 10, rel=0.01)
    assert calibration.patch_offset == pytest.approx(0, abs=0.01)


def test_walls_of_healthy_clips_set_the_limit_of_the_wall_control() -> None:
    calibration = calibrated(toy_clips())
    wall = Summary(-3.0, -3.0, 0.3, 0.3)
    above = Summary(3.0, 3.0, 3.0, 3.0)

    assert sigmoid(logit_of(wall, calibration)) < calibration.wall_control_above
    assert sigmoid(logit_of(above, calibration)) > calibration.wall_control_above


def test_a_lung_that_slides_on_one_side_only_shows_more_contrast_than_the_limit() -> None:
    calibration = calibrated(toy_clips())
    both = Evidence(
        lung_logit=np.tile([3.0, 3.0, -3.0, -3.0], (2, 1)),
        wall_logit=np.full((2, 4), -3.0),
        lung_sq=np.tile(np.array([3.0, 3.0, 0.2, 0.2]) ** 2, (2, 1)),
        wall_sq=np.full((2, 4), 0.09),
        tracking=np.ones((2, 4)),
        interspace=np.zeros(4, np.int64),
    )
    answer = pool(both, calibration)

    assert answer is not None
    assert answer.lung_point_column == 1.5
    assert decide(answer, calibration, 4.0) is Verdict.INDETERMINATE


def test_a_calibration_is_written_and_read_as_it_is() -> None:
    calibration = calibrated(toy_clips())

    assert Calibration.from_json(calibration.to_json()) == calibration
    assert all(getattr(calibration, name) >= 0 for name in NAMES)


@pytest.mark.parametrize(("kept", "counts"), [(0, "10 slide and 0 do not"), (1, "0 slide and 10 do not")])
def test_one_class_alone_is_refused(kept: int, counts: str) -> None:
    clips = toy_clips()[kept::2]

    with pytest.raises(CalibrationError) as caught:
        calibrated(clips)
    assert str(caught.value) == (
        f"Of the validation clips and their controls that can be read, {counts}; calibration needs both: clips labelled present or healthy."
    )
