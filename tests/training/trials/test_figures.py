"""Figures of rows made by hand."""

import json
import math

import pytest

from service.findings import Verdict
from tests.training.trials.rows import pair, row
from training.trials.answers import Kind
from training.trials.figures import conditions, controls, figures_of, judged, lung_points, targets, unchanged, whole


def test_twins_are_ranked_within_a_pair_and_over_all_clips() -> None:
    """0.3 against 0.4, 0.5 against 0.9: both pairs are in order, of the four comparisons 0.5 against 0.4 is wrong."""
    found = conditions([*pair(0.3, 0.4, 0), *pair(0.5, 0.9, 1)], 0)[0]

    assert (found["auroc"], found["twins_in_order"], found["clips"], found["patients"]) == (0.75, 1.0, 4, 2)
    assert found["answered"] == 0.25


def test_every_kind_and_condition_has_a_row_and_plain_ones_one_for_each_base() -> None:
    rows = [*pair(0.1, 0.9), *pair(0.1, 0.9, condition="9 fps"), *pair(0.1, 0.9, condition="9 fps", kind=Kind.PHANTOM_RATE)]

    assert [(r["kind"], r["condition"], r["base"]) for r in conditions(rows, 0)] == [
        ("counterfactual", "plain", ""),
        ("counterfactual", "9 fps", ""),
        ("counterfactual", "plain", "locked"),
        ("phantom_rate", "9 fps", ""),
    ]


def test_conditions_stand_in_the_order_of_what_is_done() -> None:
    names = ["gif fine", "12 fps", "9 fps", "plain"]
    rows = [row for name in names for row in pair(0.1, 0.9, condition=name)]

    assert [r["condition"] for r in conditions(rows, 0) if not r["base"]] == ["plain", "9 fps", "12 fps", "gif fine"]


def test_a_condition_under_which_nothing_can_be_read_has_no_auroc_and_counts_its_clips() -> None:
    found = conditions([row(None, slides=True), row(None, slides=False)], 0)[0]

    assert (found["clips"], found["read"], found["auroc"], found["interval"]) == (2, 0, None, [None, None])


def test_controls_are_held_against_the_sliding_twins_of_the_same_clips() -> None:
    rows = [*pair(0.95, 0.9), row(0.85, slides=False, kind=Kind.CONTROL, condition="mirror")]
    found = controls(rows, 0)[0]

    assert (found["control"], found["auroc"], found["called_present"], found["clips"]) == ("mirror", 1.0, 1.0, 1)


def test_opposite_verdicts_are_shares_of_all_and_of_the_answered() -> None:
    """Of five: one still lung called present, one sliding called absent, one right, one open, one not assessable."""
    rows = [row(0.9, slides=False), row(0.1, slides=True), row(0.9, slides=True), row(0.5, slides=True), row(None, slides=False)]
    found = whole(rows, 0)

    assert (found["opposite"], found["opposite_of_answered"], found["coverage"]) == (0.4, pytest.approx(2 / 3), 0.6)
    assert (found["false_present"], found["false_absent"]) == (0.5, pytest.approx(1 / 3))
    assert (found["clips"], found["read"]) == (5, 4)


def test_the_calibration_error_is_over_everything_that_got_a_probability() -> None:
    """Ten given 0.75 of which five slide are 0.25 off."""
    found = whole([row(0.75, slides=k < 5, number=k) for k in range(10)] + [row(None, slides=True)], 0)

    assert found["ece"] == pytest.approx(0.25)


def test_shuffled_frames_and_lung_points_are_not_counted_as_present_or_absent() -> None:
    rows = [row(0.9, slides=True, condition="shuffled"), row(0.9, kind=Kind.COMPOSITE, true=0.5), row(0.9), row(0.9, slides=True)]

    assert judged(rows) == rows[3:]


def test_a_clip_whose_answer_turns_round_backwards_is_counted() -> None:
    as_is = [row(0.9, kind=Kind.AS_IS, number=n) for n in (0, 1)]
    backwards = [row(p, kind=Kind.AS_IS, number=n, condition="reversed") for n, p in ((0, 0.1), (1, 0.85))]
    found = unchanged([*as_is, *backwards])[0]

    assert (found["opposite_verdict"], found["same_verdict"], found["clips"]) == (0.5, 0.5, 2)
    assert found["mean_change"] == pytest.approx((-0.8 - 0.05) / 2)


def test_shuffled_twins_are_held_against_their_own_class() -> None:
    rows = [*pair(0.1, 0.9), *pair(0.85, 0.5, condition="shuffled")]
    found = {r["slides"]: r for r in unchanged(rows)}

    assert found[False]["called_present"] == 1.0
    assert found[True]["mean_change"] == pytest.approx(-0.4)


def test_a_lung_point_is_found_off_by_a_share_of_the_width() -> None:
    rows = [row(0.5, kind=Kind.COMPOSITE, found=0.52, true=0.5), row(0.5, kind=Kind.COMPOSITE, found=0.6, true=0.5)]
    rows += [row(0.9, kind=Kind.COMPOSITE, true=0.5), row(None, kind=Kind.COMPOSITE)]
    found = lung_points(rows)["composite"]

    assert (found["clips"], found["found"], found["called_present"]) == (3, pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (found["median_error"], found["near"]) == (pytest.approx(0.06), 0.5)


def test_a_lung_point_suspected_where_there_is_none_is_a_false_alarm() -> None:
    rows = [*pair(0.1, 0.9), row(0.5, slides=True, found=0.3), row(0.5, slides=False, kind=Kind.CONTROL)]
    alarms = lung_points(rows)["false_alarms"]

    assert (alarms["all"]["suspected"], alarms["counterfactual"]["clips"], alarms["control"]["suspected"]) == (0.25, 3, 0.0)


def test_the_least_favourable_figure_decides_a_target() -> None:
    rows = [*pair(0.1, 0.9, condition="9 fps"), *pair(0.9, 0.1, condition="12 fps"), *pair(0.1, 0.9, condition="gif fine")]
    found = {target["what"]: target for target in figures_of(rows)["targets"]}

    assert (found["AUROC of twins at every frame rate, the least"]["found"], found["opposite verdicts, of all"]["is_met"]) == (0.0, False)
    assert found["AUROC of twins at every frame rate, the least"]["is_met"] is False
    assert found["AUROC of twins through every codec and quality, the least"]["is_met"] is True
    assert found["twins"]["is_met"] is False
    assert found["coverage"]["is_met"] is True


def test_what_was_not_tried_is_neither_met_nor_missed() -> None:
    assert {target["is_met"] for target in targets(figures_of([]))} == {None}


def test_a_target_exactly_reached_is_met() -> None:
    rows = [row(0.9, slides=True, number=n) for n in range(8)] + [row(0.5, slides=True, number=n) for n in (8, 9)]

    assert next(t for t in figures_of(rows)["targets"] if t["what"] == "coverage")["is_met"] is True


def test_a_clip_with_a_doubtful_pleura_counts_among_all_and_not_among_the_plain() -> None:
    rows = [row(0.9, slides=True), row(0.9, slides=True, is_plain=False, verdict=Verdict.INDETERMINATE)]
    found = {part["of"]: part["coverage"] for part in figures_of(rows)["whole"]}

    assert (found["all"], found["plain pleura"]) == (0.5, 1.0)


def test_controls_are_counted_beside_the_twins_and_not_among_them() -> None:
    """A control called present: of two twins none is opposite, of all three one is."""
    rows = [*pair(0.1, 0.9), row(0.9, slides=False, kind=Kind.CONTROL, condition="mirror")]
    found = {part["of"]: (part["clips"], part["opposite"]) for part in figures_of(rows)["whole"]}

    assert found["all"] == (2, 0.0)
    assert found["with controls"] == (3, pytest.approx(1 / 3))


def test_lung_points_suspected_in_real_clips_as_they_are_are_told_apart() -> None:
    """Whether there is one is not known, so that they are not among the false alarms."""
    rows = [row(0.5, kind=Kind.AS_IS, found=0.5), row(0.5, kind=Kind.AS_IS, found=0.5, condition="reversed"), row(0.9, slides=True)]
    alarms = lung_points(rows)["false_alarms"]

    assert (alarms["as_is"], alarms["all"]) == ({"clips": 1, "suspected": 1.0}, {"clips": 1, "suspected": 0.0})


def test_figures_are_plain_json_without_nan() -> None:
    rows = [*pair(0.1, 0.9), row(None, slides=True, kind=Kind.PHANTOM), row(0.9, kind=Kind.PHANTOM_POINT, true=0.4)]
    text = json.dumps(figures_of(rows), allow_nan=False)

    assert not math.isnan(json.loads(text)["rows"])
