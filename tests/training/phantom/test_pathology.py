"""Disease shows and hides what it should, and moves with what it hangs on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.training.phantom.scenes import alike, moved_mm, scene, strip
from training.phantom import Adhesion, Base, BLine, Consolidation, Neighbour, Organ, Pathology, simulate


def test_an_elastic_lung_slides_further_on_the_right() -> None:
    phantom = simulate(scene(pathology=Pathology(elasticity=0.5)))
    share, slid = phantom.truth.slide_share, phantom.truth.slide_mm[14] - phantom.truth.slide_mm[8]
    assert share is not None

    left, right = (moved_mm(phantom, 8, 14, 1.0, 9.0, *places) for places in ((-16.0, -6.0), (6.0, 16.0)))

    assert (share[0, 0], share[0, -1]) == (0.5, 1.5)
    # Half an arm's length, 11 mm of 21: shares of 0.74 and 1.26.
    assert left == pytest.approx(0.74 * slid, abs=0.25)
    assert right == pytest.approx(1.26 * slid, abs=0.25)


def test_where_the_lung_sticks_nothing_slides() -> None:
    phantom = simulate(scene(pathology=Pathology(adhesions=(Adhesion(-8.0, 6.0),))))
    mask, slid = phantom.truth.sliding_mask, phantom.truth.slide_mm[14] - phantom.truth.slide_mm[8]
    assert mask is not None

    stuck, free = (moved_mm(phantom, 8, 14, 1.0, 9.0, *places) for places in ((-13.0, -3.0), (4.0, 14.0)))

    assert stuck == pytest.approx(0, abs=0.1)
    assert free == pytest.approx(slid, abs=0.25)
    assert phantom.truth.sliding == "present"
    # 12 of 42 mm.
    assert 1 - mask.mean() == pytest.approx(12 / 42, abs=0.03)


def test_a_consolidation_is_dark_hides_the_mirror_and_moves_with_the_lung() -> None:
    spec = scene(num_a_lines=1, a_line_db=-10.0, haze_db=-30.0)
    phantom = simulate(replace(spec, pathology=Pathology(consolidations=(Consolidation(0.0, 7.0, 7.0),))))
    healthy = simulate(spec)

    inside, a_line = ((2.0, 4.0, -7.0, -4.0), (16.0, 18.0, -3.0, 3.0))
    assert strip(phantom, 0, *inside).mean() < 0.8 * strip(healthy, 0, *inside).mean()
    assert strip(phantom, 0, *a_line).max() < 0.8 * strip(healthy, 0, *a_line).max()
    slid = phantom.truth.slide_mm[14] - phantom.truth.slide_mm[8]
    assert moved_mm(phantom, 8, 14, 1.0, 9.0) == pytest.approx(slid, abs=0.3)
    assert "consolidation" in phantom.truth.signs


def test_a_consolidation_is_as_dark_as_it_is_told_and_air_in_its_bronchi_is_bright() -> None:
    told = dict(dark=dict(level_db=-48.0), grey=dict(level_db=-34.0), aired=dict(level_db=-48.0, bronchogram_db=20.0))
    solid = {name: Pathology(consolidations=(Consolidation(0.0, 14.0, 12.0, **given),)) for name, given in told.items()}
    inside = {name: strip(simulate(scene(duration_s=0.1, pathology=p)), 0, 2.0, 7.0, -7.0, 7.0) for name, p in solid.items()}

    assert inside["grey"].mean() > 1.5 * inside["dark"].mean()
    assert np.percentile(inside["aired"], 99) > 1.5 * np.percentile(inside["dark"], 99)
    assert np.median(inside["aired"]) < 1.2 * np.median(inside["dark"])


def test_fluid_is_dark_below_the_pleura_and_makes_sliding_a_question_without_an_answer() -> None:
    phantom = simulate(scene(pathology=Pathology(effusion_mm=8.0)))

    assert strip(phantom, 0, 2.0, 5.0).mean() < 0.2 * strip(phantom, 0, 11.0, 14.0).mean()
    assert phantom.truth.sliding == "not_assessable"
    assert phantom.truth.signs == {"effusion"}
    assert phantom.truth.pleura_px is not None
    assert phantom.truth.sliding_mask is not None
    assert not phantom.truth.sliding_mask.any()


def test_fluid_that_is_not_quite_clear_is_less_dark_and_slanting_fluid_is_deeper_on_one_side() -> None:
    clear, murky = (
        simulate(scene(duration_s=0.1, mirror_db=-20.0, pathology=Pathology(effusion_mm=8.0, effusion_echo=echo))) for echo in (0.02, 0.8)
    )
    slanting = simulate(scene(duration_s=0.1, pathology=Pathology(effusion_mm=8.0, effusion_slope=0.5)))

    assert strip(murky, 0, 2.0, 5.0).mean() > 2 * strip(clear, 0, 2.0, 5.0).mean() + 5
    # Half as much again at the right end of the picture, 21 mm from its middle: 4 to 12 mm.
    left, right = (0.1 * strip(slanting, 0, 0.0, 14.0, *places).mean(axis=1)[15:].argmax() + 1.5 for places in ((-11.0, -9.0), (9.0, 11.0)))
    assert right - left == pytest.approx(8.0 * 0.5 * 20 / 21, abs=0.8)


def test_fluid_cannot_lie_above_the_pleura() -> None:
    with pytest.raises(ValueError, match=r"^Fluid has a slope in -1\.\.1, or it would lie above the pleura; it cannot be 1\.5\.$"):
        Pathology(effusion_slope=1.5)


def test_the_base_is_a_bright_dome_over_an_organ_and_lung_beside_it_stays() -> None:
    spec = scene(duration_s=0.1, haze_db=-60.0, slide_mm=0.0)
    base = Base(center_mm=8.0, half_width_mm=6.0, top_mm=6.0, height_mm=12.0, level_db=-26.0, rim_db=-3.0)
    phantom, without = simulate(replace(spec, pathology=Pathology(base=base))), simulate(spec)

    top, flank = (strip(phantom, 0, 3.0, 20.0, *places).mean(axis=1) for places in ((7.0, 9.0), (11.0, 12.0)))
    # The diaphragm is as wavy as a hand draws it, 1.5 mm.
    assert 3.0 + 0.1 * top.argmax() == pytest.approx(6.0, abs=4.0)
    assert top.max() > 1.5 * top[-20:].mean()
    assert flank.argmax() > top.argmax() + 10
    assert strip(phantom, 0, 10.0, 14.0, 6.0, 10.0).mean() > strip(without, 0, 10.0, 14.0, 6.0, 10.0).mean() + 20
    assert strip(phantom, 0, 3.0, 14.0, -14.0, -6.0).mean() == pytest.approx(strip(without, 0, 3.0, 14.0, -14.0, -6.0).mean(), abs=3)
    assert phantom.truth.signs == without.truth.signs


def test_the_lung_behind_fluid_rises_and_sinks_with_the_breath() -> None:
    phantom = simulate(scene(duration_s=2.0, pathology=Pathology(effusion_mm=8.0)))

    surface_mm = [0.1 * strip(phantom, frame, 4.0, 12.0).mean(axis=1).argmax() for frame in (0, int(phantom.truth.slide_mm.argmax()))]

    assert surface_mm[0] - surface_mm[1] == pytest.approx(0.3 * 8.0, abs=0.5)


def test_the_heart_beats_beside_a_lung_that_does_not_slide() -> None:
    phantom = simulate(scene(slide_mm=0.0, pathology=Pathology(neighbour=Neighbour(Organ.HEART, 4.0, "right"))))
    visible = phantom.truth.visible
    assert visible is not None

    lung, heart = (alike(strip(phantom, 0, 2.0, 8.0, *places), strip(phantom, 7, 2.0, 8.0, *places)) for places in ((-14, 2), (6, 18)))

    assert lung > 0.99
    assert heart < 0.7
    # The lung ends at 4 of -21..21 mm.
    assert visible[0].mean() == pytest.approx(25 / 42, abs=0.03)
    assert phantom.truth.sliding == "absent"


def test_a_lung_curtain_goes_with_the_lung() -> None:
    phantom = simulate(scene(duration_s=1.5, pathology=Pathology(neighbour=Neighbour(Organ.LIVER, 0.0, "left"))))
    visible = phantom.truth.visible
    assert visible is not None

    edge_mm = 42 * (1 - visible.mean(axis=1)) - 21

    assert np.allclose(edge_mm, phantom.truth.slide_mm, atol=0.5)
    assert np.ptp(edge_mm) > 4
    assert np.array_equal(phantom.truth.sliding_mask, visible)


def test_a_comet_tail_ends_and_a_b_line_does_not() -> None:
    dark = dict(haze_db=-50.0, duration_s=0.1)
    tail, ray = (simulate(scene(b_lines=(BLine(0.0, 0.8, -10.0, length_mm=mm),), **dark)) for mm in (8.0, None))

    near, far = ((1.0, 3.0, -1.0, 1.0), (16.0, 20.0, -1.0, 1.0))
    assert strip(tail, 1, *near).mean() > 0.75 * strip(ray, 1, *near).mean()
    assert strip(tail, 1, *far).mean() < 0.4 * strip(ray, 1, *far).mean()
    assert (tail.truth.signs, ray.truth.signs) == ({"comet_tails"}, {"b_lines"})


@pytest.mark.parametrize(("of_wall", "goes_along"), [(True, False), (False, True)])
def test_a_z_line_stays_with_the_wall_and_a_comet_tail_goes_with_the_lung(of_wall: bool, goes_along: bool) -> None:
    phantom = simulate(scene(haze_db=-50.0, slide_mm=10.0, b_lines=(BLine(0.0, 0.6, -8.0, length_mm=15.0, of_wall=of_wall),)))

    middle_mm = [0.1 * float(np.average(np.arange(280), weights=strip(phantom, t, 2.0, 6.0).mean(axis=0) ** 4)) for t in (0, 14)]
    slid = phantom.truth.slide_mm[14] - phantom.truth.slide_mm[0]

    assert slid > 1.5
    assert middle_mm[1] - middle_mm[0] == pytest.approx(slid if goes_along else 0.0, abs=0.4)


def test_a_rough_pleura_is_as_ragged_as_the_truth_says() -> None:
    smooth, rough = (simulate(scene(duration_s=0.1, pathology=Pathology(roughness_mm=mm))).truth.pleura_px for mm in (0.0, 0.6))
    assert smooth is not None
    assert rough is not None

    added_px = rough[0, :, 1] - smooth[0, :, 1]

    assert added_px.std() == pytest.approx(0.6 / 0.2, rel=0.4)


def test_disease_leaves_the_wall_as_it_was() -> None:
    ill = Pathology(consolidations=(Consolidation(0.0, 7.0, 7.0),), effusion_mm=5.0)
    healthy, diseased = (simulate(scene(duration_s=0.1, speckle_reduction=0.0, pathology=p)) for p in (Pathology(), ill))

    assert np.array_equal(strip(healthy, 1, -12.0, -3.0), strip(diseased, 1, -12.0, -3.0))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Pathology(elasticity=1.0), "A lung's elasticity lies in -0.9..0.9; it cannot be 1."),
        (lambda: Neighbour(Organ.HEART, 0.0, "up"), 'An organ lies on the "left" or "right" of the lung\'s edge, not "up".'),
    ],
)
def test_an_impossible_disease_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        make()

    assert str(refused.value) == sentence
