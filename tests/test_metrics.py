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
    mcnemar_exact,
    paired_difference_interval,
    patient_draws,
    percentile_interval,
    precision_recall_points,
    reliability,
    risk_coverage,
    roc_points,
    share_interval,
    wilson_interval,
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


def test_a_draw_holds_as_many_patients_as_there_are_each_with_all_clips() -> None:
    draws = {tuple(drawn.tolist()) for drawn in patient_draws(["A", "B", "A"], seed=0, num=40)}

    # A has the clips 0 and 2, B the clip 1; two of the two are drawn.
    assert draws == {(0, 2, 0, 2), (0, 2, 1), (1, 0, 2), (1, 1)}


def test_the_middle_95_of_101_draws_are_the_interval() -> None:
    assert percentile_interval([float(k) for k in range(101)]) == pytest.approx((2.5, 97.5))
    assert percentile_interval([float(k) for k in range(101)], level=0.9) == pytest.approx((5, 95))


def test_draws_that_are_not_defined_are_left_out_until_they_are_half() -> None:
    assert percentile_interval([math.nan, 0.5, 0.5]) == (0.5, 0.5)
    assert all(map(math.isnan, percentile_interval([math.nan, 0.5])))
    assert all(map(math.isnan, percentile_interval([])))


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


def test_roc_points_go_from_nothing_called_to_everything_called() -> None:
    one_minus_specificity, sensitivity = roc_points([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8])

    assert one_minus_specificity.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert sensitivity.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]


def test_tied_probabilities_are_one_point_of_the_roc_curve() -> None:
    assert [points.tolist() for points in roc_points([0, 1, 1], [0.5, 0.5, 0.9])] == [[0.0, 0.0, 1.0], [0.0, 0.5, 1.0]]


def test_the_area_under_the_roc_points_is_the_auroc() -> None:
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(0, 2, 60), generator.integers(0, 9, 60) / 8

    assert np.trapezoid(*reversed(roc_points(labels, scores))) == pytest.approx(auroc(labels, scores))


def test_an_roc_curve_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="^There are 2 clips with sliding and 0 without; an ROC curve needs both.$"):
        roc_points([1, 1], [0.1, 0.2])


def test_precision_and_recall_as_the_threshold_falls() -> None:
    recall, precision = precision_recall_points([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.8])

    assert recall.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert precision.tolist() == pytest.approx([1.0, 1 / 2, 2 / 3, 2 / 4])
    with pytest.raises(ValueError, match="^There is no clip with sliding; precision and recall need one.$"):
        precision_recall_points([0], [0.1])


def test_the_share_interval_draws_patients_not_clips() -> None:
    # 99 clips of one patient hit, the one clip of another does not: half the draws hold only one of the two.
    assert share_interval([1] * 99 + [0], ["A"] * 99 + ["B"], seed=0) == (0.0, 1.0)


def test_the_share_interval_is_that_of_the_general_bootstrap() -> None:
    generator = np.random.default_rng(0)
    hits, patients = generator.integers(0, 2, 80), [str(k // 2) for k in range(80)]
    general = bootstrap_interval(lambda _, p: float(p.mean()), hits, hits.astype(float), patients, seed=1)

    assert share_interval(hits, patients, seed=1) == pytest.approx(general)


def test_the_share_of_no_clips_has_no_interval() -> None:
    assert all(map(math.isnan, share_interval([], [], seed=0)))
    with pytest.raises(ValueError, match=r"^There are hits of shape \(2,\) and 1 patients; one patient a clip is needed.$"):
        share_interval([1, 0], ["A"], seed=0)


def test_wilson_of_ten_out_of_ten_does_not_say_certain() -> None:
    # z² / (n + z²) = 3.84 / 13.84 below 1; Wilson 1927.
    low, high = wilson_interval(10, 10)

    assert (low, high) == (pytest.approx(1 - 3.8415 / 13.8415, abs=1e-4), 1.0)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 1 - low), abs=1e-9)
    assert wilson_interval(5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    assert all(map(math.isnan, wilson_interval(0, 0)))


def test_mcnemar_is_the_two_sided_binomial_test() -> None:
    assert mcnemar_exact(0, 5) == 2 / 32  # nobody, and all: twice (1/2)^5
    assert mcnemar_exact(1, 5) == 2 * (1 + 6) / 64
    assert mcnemar_exact(5, 1) == mcnemar_exact(1, 5)
    assert mcnemar_exact(3, 3) == 1.0
    assert mcnemar_exact(0, 0) == 1.0


def test_a_model_does_not_differ_from_itself_at_all() -> None:
    labels, scores = [0, 1, 0, 1, 1, 0], [0.1, 0.4, 0.5, 0.8, 0.3, 0.2]

    assert paired_difference_interval(auroc, labels, scores, scores, list("ABCDEF"), seed=0) == (0.0, 0.0)


def test_a_paired_difference_is_narrower_than_each_figure_alone() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 100)
    first = labels + generator.normal(0, 1.0, 100)
    second = first + generator.normal(0, 0.1, 100)
    patients = [str(k) for k in range(100)]
    low, high = paired_difference_interval(auroc, labels, first, second, patients, seed=0)
    alone = bootstrap_interval(auroc, labels, first, patients, seed=0)

    assert low < auroc(labels, first) - auroc(labels, second) < high
    assert high - low < (alone[1] - alone[0]) / 3
