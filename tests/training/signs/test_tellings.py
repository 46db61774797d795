"""What may be told of what was learnt, and that absent sliding becomes sliding."""

import numpy as np

from service.findings import LABELLED_SIGNS, TOLD_SIGNS
from tests.fakes.sign_answers import of_one_sign
from training.signs.answers import NOT_KNOWN
from training.signs.preset import SIGNS_OF
from training.signs.tellings import as_served, tellings


def test_each_sign_is_told_by_its_logit_and_fluid_or_solid_lung_by_two() -> None:
    assert tellings(LABELLED_SIGNS) == {
        "a_lines": (0,),
        "b_lines": (1,),
        "effusion": (2,),
        "consolidation": (3,),
        "fluid_or_solid": (2, 3),
    }
    assert tellings(("b_lines",)) == {"b_lines": (0,)}


def test_absence_is_turned_round_and_what_is_not_known_stays_so() -> None:
    served = as_served(of_one_sign([1, 0, NOT_KNOWN], [0.9, 0.2, 0.5], signs=("absent",)))

    assert (served.signs, served.label[:, 0].tolist()) == (("lung_sliding",), [0, 1, NOT_KNOWN])
    np.testing.assert_allclose(served.probability[:, 0], [0.1, 0.8, 0.5])


def test_other_answers_are_served_as_they_are() -> None:
    answers = of_one_sign([1, 0], [0.9, 0.2])

    assert as_served(answers) is answers


def test_whatever_a_preset_learns_the_service_has_a_word_for_it() -> None:
    for signs in SIGNS_OF.values():
        answers = of_one_sign([1, 0], [0.9, 0.2], signs=signs) if len(signs) == 1 else None
        assert set(tellings(signs if answers is None else as_served(answers).signs)) <= set(TOLD_SIGNS)
