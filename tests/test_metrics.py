"""The figures, with values that can be worked out by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics import (
    Abstention,
    Counts,
    abstain,
    auroc,
    bootstrap_interval,
    brier,
    calibration_error,
    count,
    log_loss,
    reliability,
    risk_coverage,
)


def test_auroc_of_a_perfect_order_is_1_of_the_reverse_0() -> None:
    assert auroc([0, 0, 1], [0.1, 0.2, 0.3]) == 1.0
    assert auroc([1, 1, 0], [0.1, 0.2, 0.3]) == 0.0


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    # 0.4 beats 0.1 only, 0.8 beats both: three of four pairs.
    assert auroc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8]) == 0.75


def test_a_tie_counts_half() -> None:
    assert auroc([0, 1], [0.5, 0.5]) == 0.5
    assert auroc([0, 1, 1], [0.5, 0.5, 0.9]) == 0.75
    assert auroc([0, 0, 1, 1], [0.2, 0.5, 0.5, 0.5]) == 0.75  # 0.2 is beaten twice, 0.5 is tied twice: (2 + 2 / 2) of 4


def test_auroc_equals_counting_every_pair_whatever_the_ties() -> None:
    generator = np.random.default_rng(0)
    for n in range(2, 30):
        labels, scores = generator.integers(0, 2, n), generator.integers(0, 5, n) / 4
        present, absent = scores[labels == 1], scores[labels == 0]
        pairs = [(p > a) + 0.5 * (p == a) for p in present for a in absent]

        assert math.isnan(auroc(labels, scores)) if not pairs else auroc(labels, scores) == pytest.approx(np.mean(pairs))


def test_auroc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(auroc([1, 1], [0.1, 0.2]))
    assert math.isnan(auroc([], []))


def test_counts_and_what_follows_from_them() -> None:
    counts = count([1, 1, 1, 0, 0], [0.9, 0.5, 0.4, 0.6, 0.1], threshold=0.5)

    assert counts == Counts(true_present=2, false_present=1, true_absent=1, false_absent=1)
    assert counts.accuracy == 3 / 5
    assert counts.sensitivity == 2 / 3
    assert counts.specificity == 1 / 2
    assert counts.precision == 2 / 3
    assert counts.f1 == 2 / 3


def test_a_sensitivity_without_positives_is_not_a_number() -> None:
    counts = count([0, 0], [0.9, 0.1], threshold=0.5)

    assert math.isnan(counts.sensitivity)
    assert counts.specificity == 0.5


def test_abstaining_leaves_the_band_out_and_counts_the_rest() -> None:
    # Answered: 0.1 (right), 0.2 (wrong), 0.7 (right: the upper edge is an answer). Not: 0.3 (the lower edge) and 0.5.
    answers = abstain([0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.7], absent_below=0.3, present_from=0.7)

    assert answers == Abstention(Counts(true_present=1, false_present=0, true_absent=1, false_absent=1), num_clips=5)
    assert answers.coverage == 3 / 5
    assert answers.risk == 1 / 3


def test_a_clip_that_could_not_be_assessed_is_covered_by_no_answer() -> None:
    answers = abstain([1, 1], [math.nan, 0.9], absent_below=0.4, present_from=0.6)

    assert (answers.coverage, answers.risk) == (0.5, 0.0)
    assert math.isnan(abstain([1], [math.nan], absent_below=0.4, present_from=0.6).risk)


def test_a_band_without_width_answers_everything() -> None:
    assert abstain([1, 0], [0.5, 0.49], absent_below=0.5, present_from=0.5).coverage == 1.0


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="The band runs from 0.7 to 0.3; its lower edge must not be above its upper."):
        abstain([1], [0.5], absent_below=0.7, present_from=0.3)


def test_risk_falls_as_clips_near_the_middle_are_left_out() -> None:
    coverage, risk = risk_coverage([1, 0, 1, 1], [0.9, 0.2, 0.4, 0.55])

    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == [0.0, 0.0, 1 / 3, 1 / 4]


def test_clips_equally_near_the_middle_are_answered_together() -> None:
    coverage, risk = risk_coverage([1, 1, 1], [0.9, 0.4, 0.6])

    assert coverage.tolist() == [1 / 3, 1.0]
    assert risk.tolist() == [0.0, 1 / 3]


def test_brier_is_the_mean_squared_distance() -> None:
    assert brier([1, 0], [0.5, 0.5]) == 0.25
    assert brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)


def test_log_loss_of_always_a_half_is_log_2() -> None:
    assert log_loss([1, 0, 1], [0.5, 0.5, 0.5]) == pytest.approx(math.log(2))


def test_log_loss_of_a_sure_error_is_large_and_finite() -> None:
    assert log_loss([1], [0.0]) == pytest.approx(16.1, abs=0.1)


def test_reliability_bins_hold_every_clip_once_and_the_last_takes_in_1() -> None:
    low, high = reliability([0, 1, 1, 1], [0.0, 0.4, 0.5, 1.0], num_bins=2)

    assert (low.low, low.high, low.num_clips, low.mean_probability, low.share_present) == (0.0, 0.5, 2, 0.2, 0.5)
    assert (high.low, high.high, high.num_clips, high.mean_probability, high.share_present) == (0.5, 1.0, 2, 0.75, 1.0)


def test_an_empty_bin_is_there_and_says_nothing() -> None:
    empty = reliability([1], [0.9], num_bins=2)[0]

    assert empty.num_clips == 0
    assert math.isnan(empty.mean_probability)
    assert math.isnan(empty.share_present)


def test_calibration_error_weighs_bins_by_their_clips() -> None:
    # Two clips at 0.2 of which one slides: 0.3 away. Two at 0.75, both sliding: 0.25 away.
    assert calibration_error(reliability([0, 1, 1, 1], [0.0, 0.4, 0.5, 1.0], num_bins=2)) == pytest.approx(0.275)


def accuracy(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    return count(labels, probabilities, 0.5).accuracy


def test_one_patient_gives_an_interval_of_no_width() -> None:
    """All of his clips are drawn every time, however many there are."""
    assert bootstrap_interval(accuracy, [1, 1, 0, 0], [0.9, 0.1, 0.1, 0.1], ["A"] * 4, seed=0, num=50) == (0.75, 0.75)


def test_clips_of_one_patient_are_drawn_together() -> None:
    # Patient A is always right, B always wrong: the drawn accuracy is 0, 1/2 or 1, whatever the number of clips.
    seen = set()

    def noted(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
        seen.add(accuracy(labels, probabilities))
        return accuracy(labels, probabilities)

    interval = bootstrap_interval(noted, [1] * 6, [0.9] * 3 + [0.1] * 3, ["A"] * 3 + ["B"] * 3, seed=0, num=200)

    assert seen == {0.0, 0.5, 1.0}
    assert interval == (0.0, 1.0)


def test_clips_of_many_patients_give_a_narrower_interval_than_the_same_clips_of_few() -> None:
    labels, probabilities = [1] * 40, ([0.9] * 3 + [0.1]) * 10
    many = bootstrap_interval(accuracy, labels, probabilities, [str(k) for k in range(40)], seed=0, num=300)
    few = bootstrap_interval(accuracy, sorted(labels), sorted(probabilities), [str(k // 10) for k in range(40)], seed=0, num=300)

    # Standard deviation of a share of 3/4 in 40 independent clips: 0.07, so plus or minus 0.13.
    assert many == pytest.approx((0.61, 0.89), abs=0.04)
    assert few[1] - few[0] > 2 * (many[1] - many[0])


def test_the_same_seed_gives_the_same_interval() -> None:
    given = [0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8], ["A", "B", "C", "D"]

    assert bootstrap_interval(auroc, *given, seed=1, num=100) == bootstrap_interval(auroc, *given, seed=1, num=100)


def test_too_few_of_one_class_to_draw_from_gives_no_interval() -> None:
    """One present among two: half of the draws lack a class."""
    low, high = bootstrap_interval(auroc, [0, 1], [0.1, 0.9], ["A", "B"], seed=0, num=100)

    assert math.isnan(low) == math.isnan(high)
    assert all(math.isnan(v) for v in bootstrap_interval(auroc, [1, 1], [0.1, 0.9], ["A", "B"], seed=0, num=10))


def test_what_would_give_a_meaningless_figure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) and probabilities of \(3,\); one of each a clip is needed."):
        auroc([0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="A label is neither 0 nor 1; clips of unknown label must be left out."):
        brier([2], [0.5])
    with pytest.raises(ValueError, match="A probability is NaN; clips without an answer must be left out"):
        brier([1], [math.nan])
    with pytest.raises(ValueError, match="There are 2 labels and 1 patients; one patient a label is needed."):
        bootstrap_interval(auroc, [0, 1], [0.1, 0.2], ["A"], seed=0)
