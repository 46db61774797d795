"""The size that is seen one time in two lies where one in two was seen."""

import numpy as np
import pytest

from training.psychometric import fit_psychometric


def test_it_finds_the_curve_the_answers_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    sizes = np.repeat([0.25, 0.5, 1, 2, 4, 8, 16], 300)
    seen = rng.random(len(sizes)) < 1 / (1 + np.exp(-1.5 * (np.log2(sizes) - 1)))

    fitted = fit_psychometric(sizes.tolist(), seen.tolist())

    assert fitted is not None
    assert fitted.size_at(0.5) == pytest.approx(2.0, rel=0.1)
    # log(9) / 1.5 doublings further.
    assert fitted.size_at(0.9) == pytest.approx(2 * 2 ** (np.log(9) / 1.5), rel=0.1)


def test_a_share_and_its_size_are_inverse() -> None:
    fitted = fit_psychometric([1, 1, 2, 2, 4, 4], [False, False, True, False, True, True])

    assert fitted is not None
    assert fitted.share_at(np.array([fitted.size_at(0.5), fitted.size_at(0.9)])).tolist() == pytest.approx([0.5, 0.9])
    assert fitted.size_at(0.5) == pytest.approx(2.0)


def test_where_all_small_ones_were_missed_and_all_large_ones_seen_the_half_lies_between() -> None:
    fitted = fit_psychometric([1, 1, 4, 4], [False, False, True, True])

    assert fitted is not None
    assert fitted.size_at(0.5) == pytest.approx(2.0)


@pytest.mark.parametrize("seen", [[True, True, True], [False, False, False], [True, True, False]])
def test_without_a_rise_there_is_no_curve(seen: list[bool]) -> None:
    assert fit_psychometric([1, 2, 4], seen) is None
