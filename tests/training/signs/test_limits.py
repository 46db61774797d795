"""What is said of a sign keeps its promise to patients that it was not set on; and a coin is not offered."""

import numpy as np
import pytest

from service.sign_bundle import MAX_LOGIT, run_logits
from tests.fakes.sign_answers import sign_answers
from tests.fakes.signs import told
from training.signs.answers import NOT_KNOWN, SignAnswers
from training.signs.limits import ClipLogits, clips_of, limits_of, platt, told_of, worth_of
from training.signs.tellings import tellings


def clips(logit: list[float], label: list[int], patient: list[int] | None = None) -> ClipLogits:
    of = patient or list(range(len(logit)))
    return ClipLogits(np.array(logit), np.array(label), np.array([f"p{number}" for number in of]))


def offered(found: ClipLogits) -> bool:
    return worth_of(found, found, found).is_offered


def answers(logit: list[float], label: list[int], clip: list[int], patient: list[int]) -> SignAnswers:
    return SignAnswers(
        signs=("effusion", "b_lines"),
        label=np.stack([np.zeros(len(label), np.int64), label], axis=1),
        probability=1 / (1 + np.exp(-np.stack([np.zeros(len(logit)), logit], axis=1))),
        patient=np.array([f"p{number}" for number in patient]),
        clip=np.array([f"c{number}" for number in clip]),
        start_s=np.arange(len(logit), dtype=np.float64),
        fold=np.array(patient),
    )


def test_a_clip_is_the_mean_of_its_runs_logits_as_the_service_pools_them() -> None:
    said = answers([-2, 4, 1, 1, 1], [1, 1, 0, 0, NOT_KNOWN], [0, 0, 1, 1, 2], [0, 0, 1, 1, 2])

    found = clips_of(said, "b_lines")

    assert found.logit.tolist() == pytest.approx([1, 1])
    assert found.label.tolist() == [1, 0]
    assert found.patient.tolist() == ["p0", "p1"]


def test_a_clip_whose_runs_are_sure_to_the_last_digit_is_bounded_as_in_the_service() -> None:
    (of_clip,) = clips_of(answers([1000, -2], [1, 1], [0, 0], [0, 0]), "b_lines").logit

    assert of_clip == pytest.approx((MAX_LOGIT - 2) / 2)


EITHER = sign_answers(
    [[0, 1], [0, 1], [1, NOT_KNOWN], [0, 0], [0, NOT_KNOWN], [NOT_KNOWN, 0]],
    [[0.2, 0.6], [0.7, 0.1], [0.5, 0.9], [0.1, 0.2], [0.5, 0.5], [0.5, 0.5]],
    signs=("effusion", "consolidation"),
    clip="AABCDE",
    patient="AABCDE",
)


def test_fluid_or_solid_lung_is_there_when_either_is_and_not_there_only_when_both_are_known_not_to_be() -> None:
    found = clips_of(EITHER, "fluid_or_solid")

    assert (found.label.tolist(), found.patient.tolist()) == ([1, 1, 0], ["A", "B", "C"])
    assert len(clips_of(EITHER, "fluid_or_solid", stated_alone=True)) == 2


def test_fluid_or_solid_lung_is_pooled_as_the_service_pools_it() -> None:
    """By the service's own `Told`, from the logits that a graph would have given."""
    of_a = np.log(EITHER.probability[:2] / (1 - EITHER.probability[:2])).astype(np.float32)
    served = told("fluid_or_solid", *tellings(EITHER.signs)["fluid_or_solid"], scale=0.7, offset=-0.2)

    logit = clips_of(EITHER, "fluid_or_solid").logit[0]

    assert logit == pytest.approx((np.log(0.6 / 0.4) + np.log(0.7 / 0.3)) / 2)
    assert served.pooled(run_logits(of_a, served.outputs)) == pytest.approx(1 / (1 + np.exp(-(0.7 * logit - 0.2))), abs=1e-6)


def test_platt_finds_the_line_that_the_labels_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 8, 20_000)
    label = (rng.random(len(logit)) < 1 / (1 + np.exp(-(0.5 * logit - 1)))).astype(np.int64)

    scale, offset = platt(ClipLogits(logit, label, np.arange(len(logit)).astype(str)))

    assert (scale, offset) == (pytest.approx(0.5, abs=0.02), pytest.approx(-1, abs=0.07))


def test_platt_stays_finite_where_the_classes_are_apart() -> None:
    scale, offset = platt(clips([-400, -300, 300, 400], [0, 0, 1, 1]))

    assert 0 < scale < 1
    assert abs(offset) < 1


def test_one_more_patient_is_called_wrongly_with_a_chance_of_at_most_a_tenth() -> None:
    """Many draws of a few patients: the promise is of the next one."""
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(400):
        without, withal = rng.normal(-1, 1, 20), rng.normal(1, 1, 20)
        found = limits_of(ClipLogits(np.concatenate([without, withal]), np.repeat([0, 1], 20), np.arange(40).astype(str)))
        wrong.append((rng.normal(-1, 1) > found.above, rng.normal(1, 1) < found.below))

    assert (np.mean(wrong, axis=0) < 0.13).all()
    assert (np.mean(wrong, axis=0) > 0.05).all()


def test_a_patient_counts_by_the_clip_that_says_it_most() -> None:
    """Of nine patients without it the tenth may lie anywhere; of one more whose other clips are low, above the highest clip."""
    eight = clips([1.0] * 8 + [5, 5], [0] * 8 + [1, 1])
    ten = clips([-1.0] * 9 + [-9, 2, 5], [0] * 11 + [1], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10])

    assert limits_of(eight).above == np.inf
    assert limits_of(ten).above == 2


def test_limits_that_reach_over_each_other_meet_half_way() -> None:
    found = limits_of(clips([*range(-10, 0), *range(1, 11)], [0] * 10 + [1] * 10))

    assert found.above == found.below == 0


def test_a_sign_that_is_told_apart_is_offered_with_what_it_is_worth() -> None:
    number = list(range(24))
    said = answers([*range(-12, 0), *range(1, 13)], [0] * 12 + [1] * 12, number, number)

    told, worth = told_of(said, said, "b_lines", "clips")

    assert worth.is_offered
    assert (worth.auroc, worth.num_clips, worth.num_patients, worth.num_there) == (1.0, 24, 24, 12)
    for word in (worth.present, worth.absent):
        assert word.right == word.said > 0
        assert word.served_right == word.served_said > 0
        assert word.may_be_said
    assert (told.sign, told.outputs) == ("b_lines", (1,))
    assert told.absent_below == told.present_above == pytest.approx(0.5, abs=0.2)
    assert told.measured.startswith("24 clips of 24 patients, none learnt from: AUROC 1.00 (1.00-1.00);")


def test_a_coin_is_not_offered() -> None:
    rng = np.random.default_rng(1)

    assert not offered(ClipLogits(rng.normal(size=40), rng.integers(0, 2, 40), np.arange(40).astype(str)))


def test_who_is_only_called_healthy_proves_nothing() -> None:
    """The healthy of one hospital lie far from the sick of another; among the sick, the sign is told by chance."""
    logit, label = [*([-9.0] * 20), *([1.0, -1.0] * 12)], [*([0] * 20), *([0] * 12), *([1] * 12)]
    patient = np.arange(44)
    said = SignAnswers(
        signs=("a_lines", "b_lines"),
        label=np.stack([np.repeat([NOT_KNOWN, 0], [20, 24]), label], axis=1),
        probability=1 / (1 + np.exp(-np.stack([logit, logit], axis=1))),
        patient=patient.astype(str),
        clip=patient.astype(str),
        start_s=np.zeros(44),
        fold=patient,
    )

    told, worth = told_of(said, said, "b_lines", "clips")

    assert worth.interval[0] > 0.5 > worth.stated_interval[0]
    assert not worth.is_offered
    assert "AUROC 0.81 (" in told.measured
    assert ", 0.50 (" in told.measured


def test_a_sign_of_few_patients_is_not_offered() -> None:
    assert not offered(clips([*range(-30, 0), *range(1, 10)], [0] * 30 + [1] * 9))


def test_a_word_that_is_often_wrong_is_never_said() -> None:
    """A rare sign: one patient in ten without it is more than have it and are called so."""
    rng = np.random.default_rng(2)
    logit, label = np.concatenate([rng.normal(-1, 1, 100), rng.normal(0.7, 1, 12)]), np.repeat([0, 1], [100, 12])
    number = list(range(112))
    said = answers(logit.tolist(), label.tolist(), number, number)

    told, worth = told_of(said, said, "b_lines", "clips")

    assert worth.is_offered
    assert not worth.present.may_be_said
    assert told.present_above == 1.0
    assert 0 < told.absent_below < 0.5


@pytest.mark.parametrize(("num_wrong", "is_said"), [(1, True), (2, False), (4, True)])
def test_a_word_that_the_very_network_in_the_bundle_gets_wrong_is_never_said(num_wrong: int, is_said: bool) -> None:
    """Networks of folds may be less sure than the one that is served. Of fewer than five clips nothing follows."""
    number = list(range(24))
    judged = answers([*range(-12, 0), *range(1, 13)], [0] * 12 + [1] * 12, number, number)
    num_right = 0 if num_wrong == 4 else 10
    served = answers([9.0] * (num_wrong + num_right), [0] * num_wrong + [1] * num_right, *[number[: num_wrong + num_right]] * 2)

    told, worth = told_of(judged, served, "b_lines", "clips")

    assert (told.present_above < 1) is worth.present.may_be_said is is_said
    assert worth.absent.may_be_said
    assert ("by this network in 10 of 12)" in told.measured) is not is_said
