"""The published figures: each with its source, and what they say of each other."""

import pytest

from training.signs import confusion, figures, localisation
from training.signs.preset import preset_names
from training.signs.published import MODELS, OTHER_READING, PUBLISHED, SLIPS, model_of, published

SIGNS = ("a_lines", "b_lines", "effusion", "consolidation")


def value(preset: str, figure: str, row: str = "") -> float:
    found = published(preset, figure, row)
    assert found is not None
    return found.value


def test_every_figure_is_a_share_of_a_known_preset_and_figure_with_its_source() -> None:
    names = {*figures.BINARY, *confusion.FIGURES, *localisation.FIGURES}

    assert all(0 <= found.value <= 1 and found.where for found in PUBLISHED)
    assert {found.preset for found in PUBLISHED} <= set(MODELS)
    assert {found.figure for found in PUBLISHED} <= names


def test_no_figure_is_there_twice() -> None:
    assert len({(found.preset, found.figure, found.row) for found in PUBLISHED}) == len(PUBLISHED)


def test_every_preset_that_ships_has_a_name_for_its_report() -> None:
    assert set(preset_names()) == set(MODELS)


def test_a_preset_of_ones_own_is_called_by_its_name_and_has_nothing_beside_it() -> None:
    assert (model_of("mine").words, model_of("mine").whose, published("mine", "f1")) == ("mine", "nothing published", None)


def test_the_small_net_stands_beside_the_published_large_one() -> None:
    assert published("four-signs-small", "kappa", "macro") == published("four-signs", "kappa", "macro")


def test_what_is_not_at_hand_is_none() -> None:
    assert published("cmwra", "accuracy") is None
    assert published("blines-c2d-a", "representative") is None


@pytest.mark.parametrize("figure", ["precision", "recall"])
def test_the_published_total_of_the_four_signs_is_a_macro_mean(figure: str) -> None:
    """0.9099 is the mean of the precisions, and so is a precision; 0.9070 is that of the recalls."""
    mean = sum(value("four-signs", figure, sign) for sign in SIGNS) / 4

    assert value("four-signs", figure, "macro") == pytest.approx(mean, abs=1e-4)


def test_the_published_total_f1_is_not_the_mean_of_the_four_signs() -> None:
    pairs = [(value("four-signs", "precision", sign), value("four-signs", "recall", sign)) for sign in SIGNS]
    mean = sum(2 * precision * recall / (precision + recall) for precision, recall in pairs) / 4

    assert mean == pytest.approx(0.9075, abs=1e-4)
    assert value("four-signs", "f1", "macro") == 0.9050


def test_the_other_reading_swaps_precision_and_accuracy() -> None:
    precision, accuracy = (value("four-signs", figure, "macro") for figure in ("precision", "accuracy"))

    assert (OTHER_READING["precision"], OTHER_READING["accuracy"]) == (accuracy, precision)


def test_the_three_figures_of_cmwru_go_together_where_one_run_in_five_does_not_slide() -> None:
    assert (value("cmwru", "recall"), value("cmwru", "specificity")) == (16 / 20, 51 / 80)
    assert value("cmwru", "accuracy") == (16 + 51) / 100


def test_every_doubtful_figure_has_a_slip_that_says_what_is_taken() -> None:
    doubtful = {MODELS[found.preset].whose for found in PUBLISHED if found.is_doubtful}

    assert doubtful == {slip.source for slip in SLIPS}
    assert all(slip.taken for slip in SLIPS)
