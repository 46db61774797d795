"""The population holds the whole variety, and nothing but the slide tells its twins apart."""

from dataclasses import replace

import numpy as np
import pytest

from training.phantom import Obstruction, PhantomSpec, recorded, simulate
from training.population import population
from training.recording import Codec


def drawn(count: int = 150, **fixed: object) -> list[PhantomSpec]:
    return [population(3, index, **fixed) for index in range(count)]  # type: ignore[arg-type]


def test_the_same_seed_and_index_give_the_same_phantom() -> None:
    assert population(1, 2) == population(1, 2)
    assert len({population(1, index).pleura_depth_mm for index in range(10)} | {population(2, 0).pleura_depth_mm}) == 11


def test_twins_differ_in_nothing_but_the_slide_and_what_hangs_on_a_lung_point() -> None:
    for index in range(40):
        sliding, still = (population(3, index, slides=slides) for slides in (True, False))
        hung = dict(
            lung_point_mm=still.lung_point_mm,
            lung_point_travel_mm=still.lung_point_travel_mm,
            b_lines=still.b_lines,
        )

        assert still == replace(sliding, slide_mm=0.0, **hung)  # type: ignore[arg-type]
        assert sliding.slide_mm > 0


def test_one_in_two_slides() -> None:
    assert np.mean([spec.slide_mm > 0 for spec in drawn()]) == pytest.approx(0.5, abs=0.1)


def test_everything_a_clip_may_show_is_in_it() -> None:
    specs = drawn(400)

    assert {spec.probe for spec in specs} == {"linear", "convex"}
    assert min(spec.fps for spec in specs) == 9
    assert max(spec.fps for spec in specs) == 60
    assert {spec.recorder.coding.codec for spec in specs} == set(Codec) - {Codec.NONE}
    assert {"a_lines", "b_lines", "comet_tails", "lung_pulse", "consolidation", "effusion"} <= frozenset().union(*(s.signs for s in specs))
    assert {spec.sliding for spec in specs} == {"present", "absent", "lung_point", "not_assessable"}
    assert any(spec.obstruction is Obstruction.EMPHYSEMA for spec in specs)
    assert all(any(getattr(s.pathology, name) for s in specs) for name in ("adhesions", "roughness_mm", "neighbour", "elasticity"))
    assert all(
        any(getattr(s.unrest, name) for s in specs) for name in ("coughs_s", "rock_deg", "held_for_s", "gain_steps", "breath_irregularity")
    )


def test_the_still_side_of_a_lung_point_shows_no_ray_of_the_lung() -> None:
    points = [spec for spec in drawn(400, slides=True) if spec.lung_point_mm is not None]

    assert len(points) > 20
    assert all(line.of_wall for spec in points for line in spec.b_lines)


def test_what_is_fixed_stays() -> None:
    specs = drawn(20, slides=False, fps=30.0, probe="linear", b_lines=())

    assert {(spec.fps, spec.probe, spec.b_lines, spec.slide_mm) for spec in specs} == {(30.0, "linear", (), 0.0)}


def test_clips_of_any_length_can_be_drawn() -> None:
    assert {spec.duration_s for spec in drawn(30, duration_s=0.2)} == {0.2}


@pytest.mark.parametrize("index", range(6))
def test_a_phantom_of_the_population_can_be_simulated_and_recorded(index: int) -> None:
    small = dict(width_px=160, height_px=120, num_beams=64, num_depths=120, duration_s=0.5)
    spec = population(5, index)
    spec = replace(spec, mm_per_px=4 * spec.mm_per_px, **small)  # type: ignore[arg-type]

    phantom = simulate(spec, index)

    assert recorded(phantom).duration_s == pytest.approx(0.5, abs=0.06)
    assert phantom.frames.max() > 60
