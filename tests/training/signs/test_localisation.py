"""Four runs of four frames, written out.

attention  .4 .4 .1 .1    points at the first two frames; the representative one is the first

shows       1  1  0  0    overlap 2/2
            0  1  1  0            1/3
            0  0  1  1            0/4
            1  1  1  1            2/4
"""

import pytest

from tests.fakes.sign_answers import frame_answers, of_one_sign
from training.signs.answers import SignAnswers
from training.signs.localisation import ALL, COMES_AND_GOES, EVERY_FRAME, FIGURES, Localised

SHOWN = [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]]


def answers(label: list[int], frame_label: list[list[int]]) -> SignAnswers:
    return of_one_sign(label, [0.9] * len(label), attention=[[0.4, 0.4, 0.1, 0.1]] * len(label), frame_label=frame_label)


def localised(given: SignAnswers) -> Localised:
    found = Localised.of(given)
    assert found is not None
    return found


def values(given: Localised, row: str) -> list[float]:
    return [given.figures()[row, name].value for name in FIGURES]


def test_the_overlap_is_intersection_over_union() -> None:
    assert localised(answers([1] * 4, SHOWN)).overlap.tolist() == pytest.approx([1, 1 / 3, 0, 1 / 2])


def test_of_all_runs_three_overlap_by_a_third_or_more_and_two_show_it_in_the_representative_frame() -> None:
    assert values(localised(answers([1] * 4, SHOWN)), ALL) == [3 / 4, 3 / 4, 3 / 4, 2 / 4, 2 / 4]


def test_where_the_sign_comes_and_goes_the_run_that_shows_it_throughout_does_not_count() -> None:
    assert values(localised(answers([1] * 4, SHOWN)), COMES_AND_GOES) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1 / 3, 1 / 3])


def test_pointing_at_every_frame_overlaps_by_the_share_of_frames_that_show_it() -> None:
    """By a half in each of the three, and any frame shows it in a half of the cases."""
    assert values(localised(answers([1] * 4, SHOWN)), EVERY_FRAME) == [1, 1, 1, 1, 1 / 2]


def test_runs_without_the_sign_in_any_frame_or_with_frames_not_known_are_left_out() -> None:
    given = answers([1, 0, 1, 1], [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, -1, 0]])

    assert localised(given).patient.tolist() == ["P0"]


def test_an_overlap_of_two_frames_in_five_is_at_least_0_4() -> None:
    given = of_one_sign([1], [0.9], attention=[[0.5, 0.5, 0, 0, 0]], frame_label=[[1] * 5])

    assert values(localised(given), ALL) == [1, 1, 1, 1, 1]


def test_without_attention_or_known_frames_or_with_several_signs_there_is_nothing_to_say() -> None:
    assert Localised.of(of_one_sign([1], [0.9], attention=[[1.0]])) is None
    assert Localised.of(of_one_sign([1], [0.9], frame_label=[[1]])) is None
    assert Localised.of(frame_answers("AA BB")) is None
