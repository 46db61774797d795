"""Phantoms that show any of the four signs at once: each sign whatever the others, and what hides one hides it in the truth."""

import numpy as np
import pytest

from training.phantom import PhantomSpec
from training.signs.mixtures import mixed_spec
from training.signs.population import LABELLED_SIGNS


@pytest.fixture(scope="module")
def specs() -> list[PhantomSpec]:
    return [mixed_spec(7, index) for index in range(300)]


def test_the_same_seed_and_index_give_the_same_clip() -> None:
    assert mixed_spec(1, 2) == mixed_spec(1, 2)
    assert mixed_spec(1, 2, duration_s=0.4).duration_s == 0.4


def test_each_sign_is_in_a_quarter_of_the_clips_or_more_and_many_show_several_or_none(specs: list[PhantomSpec]) -> None:
    shown = np.array([[sign in spec.signs for sign in LABELLED_SIGNS] for spec in specs])

    assert (shown.mean(axis=0) > 0.2).all()
    assert (shown.mean(axis=0) < 0.45).all()
    assert (shown.sum(axis=1) > 1).mean() > 0.2
    assert (shown.sum(axis=1) == 0).mean() > 0.1


def test_lung_below_fluid_has_neither_a_lines_nor_b_lines(specs: list[PhantomSpec]) -> None:
    wet = [spec for spec in specs if "effusion" in spec.signs]

    assert all(not spec.signs & {"a_lines", "b_lines"} for spec in wet)
    assert any("consolidation" in spec.signs for spec in wet)
    assert len({spec.pathology.effusion_echo for spec in wet}) == len(wet)


def test_the_lungs_base_says_nothing_of_the_signs_but_lies_below_fluid_more_often(specs: list[PhantomSpec]) -> None:
    convex = [spec for spec in specs if spec.probe == "convex"]
    dry, wet = ([s.pathology.base is not None for s in convex if ("effusion" in s.signs) is is_wet] for is_wet in (False, True))

    assert 0.15 < np.mean(dry) < 0.45
    assert 0.4 < np.mean(wet) < 0.8
    assert all(spec.pathology.base is None for spec in specs if spec.probe == "linear")


def test_b_lines_are_there_in_the_whole_breath_unless_they_are_asked_to_come_and_go(specs: list[PhantomSpec]) -> None:
    def parts(of: list[PhantomSpec]) -> list[tuple[float, float] | None]:
        return [line.seen_at for spec in of for line in spec.b_lines if line.is_b_line]

    going = parts([mixed_spec(7, index, comes_and_goes=True) for index in range(150)])

    assert set(parts(specs)) == {None, (-np.inf, np.inf)}
    assert 0.05 < np.mean([part not in (None, (-np.inf, np.inf)) for part in going]) < 0.6


def test_some_b_lines_are_as_broad_as_an_interspace_and_all_stand_out_of_the_haze(specs: list[PhantomSpec]) -> None:
    lines = [(line, spec) for spec in specs for line in spec.b_lines if line.is_b_line]

    assert max(line.width_mm for line, spec in lines if spec.probe == "convex") > 15
    assert all(line.level_db >= spec.haze_db + 9 for line, spec in lines)
