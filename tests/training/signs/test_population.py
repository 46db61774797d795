"""Clips with and without a sign are twins, and what they show is in their truth."""

from dataclasses import replace

import numpy as np
import pytest

from training.phantom import Phantom, PhantomSpec, Rib, simulate
from training.signs.population import LABELLED_SIGNS, b_line_spec, normal_spec, sign_spec

COARSE = dict(width_px=64, height_px=48, num_beams=48, num_depths=90)


def coarse(spec: PhantomSpec, seed: int, **changes: object) -> Phantom:
    return simulate(replace(spec, mm_per_px=10 * spec.mm_per_px, **(COARSE | changes)), seed)  # type: ignore[arg-type]


def test_the_same_seed_and_index_give_the_same_clip_and_another_index_another() -> None:
    assert b_line_spec(1, 2) == b_line_spec(1, 2)
    assert sign_spec(1, 2, "effusion") == sign_spec(1, 2, "effusion")
    assert len({normal_spec(1, index).pleura_depth_mm for index in range(10)} | {normal_spec(2, 0).pleura_depth_mm}) == 11


def test_clips_with_and_without_b_lines_differ_in_the_b_lines_alone() -> None:
    for index in range(30):
        shown, hidden = (b_line_spec(3, index, shown=shown) for shown in (True, False))

        assert hidden == replace(shown, b_lines=tuple(line for line in shown.b_lines if not line.is_b_line))
        assert any(line.is_b_line for line in shown.b_lines)


def test_clips_of_one_sign_differ_from_the_normal_one_in_what_makes_the_sign() -> None:
    told = {"a_lines": ("num_a_lines", "a_line_db", "pathology"), "b_lines": ("b_lines",)}
    for index in range(10):
        normal = normal_spec(3, index)
        for sign in LABELLED_SIGNS:
            changed = told.get(sign, ("b_lines", "pathology"))
            spec = sign_spec(3, index, sign)
            assert normal == replace(spec, **{name: getattr(normal, name) for name in changed})  # type: ignore[arg-type]


def test_one_clip_has_one_leading_sign() -> None:
    for index in range(30):
        assert {sign: sign_spec(4, index, sign).signs & set(LABELLED_SIGNS) for sign in LABELLED_SIGNS} == {
            sign: {sign} for sign in LABELLED_SIGNS
        }
        assert not normal_spec(4, index).signs & set(LABELLED_SIGNS)


def test_the_middle_of_the_picture_lies_between_ribs_and_ribs_that_are_told_stay() -> None:
    free = [all(abs(rib.center_mm) > rib.half_width_mm for rib in normal_spec(4, index).ribs) for index in range(40)]

    assert sum(free) >= 36
    assert any(normal_spec(4, index).ribs for index in range(40))
    assert normal_spec(4, 1, ribs=(Rib(0.0, 5.0, 9.0),)).ribs == (Rib(0.0, 5.0, 9.0),)


def test_a_sign_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match='^A sign is one of a_lines, b_lines, effusion, consolidation, not "pleura".$'):
        sign_spec(1, 1, "pleura")


def test_one_in_two_clips_has_b_lines_two_in_three_of_these_come_and_go_and_the_others_have_what_is_like_them() -> None:
    specs = [b_line_spec(5, index) for index in range(120)]
    shown = [spec for spec in specs if "b_lines" in spec.signs]
    changing = [spec for spec in shown if any(line.seen_at not in (None, (-np.inf, np.inf)) for line in spec.b_lines)]
    hidden = [spec for spec in specs if "b_lines" not in spec.signs]

    assert len(shown) / len(specs) == pytest.approx(1 / 2, abs=0.12)
    assert len(changing) / len(shown) == pytest.approx(2 / 3, abs=0.15)
    assert {spec.num_a_lines for spec in hidden} == {spec.num_a_lines for spec in shown} == {0, 1, 2, 3}
    assert all(any(line.of_wall is of_wall for spec in hidden for line in spec.b_lines) for of_wall in (True, False))


def test_clips_are_3_to_6_s_long_and_have_15_frames_a_second_or_more_unless_told_otherwise() -> None:
    specs = [b_line_spec(6, index) for index in range(60)]

    assert min(spec.fps for spec in specs) == 15
    assert min(spec.duration_s for spec in specs) >= 3
    assert 5 < max(spec.duration_s for spec in specs) <= 6
    assert {
        (spec.duration_s, spec.fps) for spec in (b_line_spec(6, 1, duration_s=1.0, fps=9.0), normal_spec(6, 1, duration_s=1.0, fps=9.0))
    } == {(1.0, 9.0)}


def test_most_clips_with_b_lines_show_them_in_some_frames_and_those_that_come_and_go_not_in_all() -> None:
    shares = {index: coarse(b_line_spec(7, index, shown=True), index, fps=5.0).truth.b_line_frames.mean() for index in range(24)}
    changing = [0 < share < 1 for share in shares.values()]

    assert sum(share > 0 for share in shares.values()) >= 23
    assert 8 <= sum(changing) <= 20


def test_clips_without_b_lines_have_no_labelled_frame() -> None:
    assert not any(coarse(b_line_spec(7, index, shown=False), index, fps=5.0).truth.b_line_frames.any() for index in range(8))
