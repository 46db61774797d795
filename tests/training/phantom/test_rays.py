"""B-lines that come and go with the breath: seen when the truth says so, and nothing else changes."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.training.phantom.scenes import scene, strip
from training.phantom import BLine, Consolidation, Neighbour, Obstruction, Organ, Pathology, Phantom, PhantomSpec, Rib, simulate
from training.phantom.simulate import Scanner

INSPIRED = (0.5, np.inf)
"""The upper half of a breath."""
ALWAYS = (-np.inf, np.inf)


def ray(center_mm: float = 0.0, seen_at: tuple[float, float] | None = INSPIRED, **others: float) -> BLine:
    return BLine(center_mm, 0.8, -8.0, seen_at=seen_at, **others)


def breath(*lines: BLine, **changes: object) -> PhantomSpec:
    """One breath of 3 s, in and out alike and no pause, 36 frames, the first half a frame into it; the lung slides 3 mm."""
    one: dict[str, object] = dict(
        duration_s=3.0, fps=12.0, breaths_per_min=20.0, inspiration_fraction=0.5, pause_fraction=0.0, breath_phase=1 / 72, slide_mm=3.0
    )
    return scene(b_lines=lines, haze_db=-45.0, **(one | changes))


def brightness(phantom: Phantom, frame: int, from_mm: float = 2.0, to_mm: float = 20.0) -> float:
    """Grey level below the pleura, where the lung's middle is in this frame."""
    at_mm = float(phantom.truth.slide_mm[frame])
    return float(strip(phantom, frame, from_mm, to_mm, at_mm - 0.5, at_mm + 0.5).mean())


def labels(*lines: BLine, **changes: object) -> list[bool]:
    coarse: dict[str, object] = dict(width_px=32, height_px=24, mm_per_px=1.5, num_beams=64, num_depths=60)
    return simulate(breath(*lines, **(coarse | changes))).truth.b_line_frames.tolist()


def test_a_line_seen_in_the_upper_half_of_the_breath_is_labelled_in_half_of_the_frames() -> None:
    assert labels(ray()) == [9 <= frame < 27 for frame in range(36)]
    assert labels(ray(seen_at=None)) == [True] * 36
    assert labels(ray(), ray(seen_at=(-np.inf, 0.5))) == [True] * 36


def test_where_a_line_comes_and_goes_it_is_bright_below_the_pleura_in_the_labelled_frames_only() -> None:
    phantom = simulate(breath(ray()))
    grey = np.array([brightness(phantom, frame) for frame in range(36)])
    seen = phantom.truth.b_line_frames

    assert np.median(grey[seen]) > 3 * np.median(grey[~seen])
    # One frame before it comes and one after it has gone it is half there.
    assert grey[10:26].min() > 1.5 * np.delete(grey, np.s_[7:29]).max()


def test_a_line_that_comes_and_goes_reaches_the_end_of_the_picture_and_goes_with_the_lung() -> None:
    phantom = simulate(breath(ray(seen_at=ALWAYS), slide_mm=8.0))

    middle_mm = [0.1 * float(np.average(np.arange(280), weights=strip(phantom, t, 18.0, 24.0).mean(axis=0) ** 4)) for t in (0, 9, 18)]

    slid_mm = phantom.truth.slide_mm[[0, 9, 18]]
    assert slid_mm == pytest.approx([-4.0, 0.35, 4.0], abs=0.05)
    assert np.array(middle_mm) - 14.0 == pytest.approx(slid_mm, abs=0.5)


def test_a_line_behind_a_rib_is_in_no_frame_and_one_beside_it_in_those_that_bring_it_out() -> None:
    ribs = (Rib(0.0, 5.0, 11.0),)

    assert not any(labels(ray(seen_at=ALWAYS), ribs=ribs))
    # Its side has half the amplitude of its middle 0.94 mm out, so it looks out from behind the rib when it has gone 0.06 mm.
    assert labels(ray(4.0, ALWAYS), ribs=ribs, slide_mm=8.0) == [9 <= frame < 27 for frame in range(36)]


def test_a_line_is_seen_only_where_lung_lies_at_the_wall() -> None:
    assert not any(labels(ray(-10.0, ALWAYS), lung_point_mm=0.0))
    assert all(labels(ray(10.0, ALWAYS), lung_point_mm=0.0))
    assert not any(labels(ray(10.0, ALWAYS), pathology=Pathology(neighbour=Neighbour(Organ.HEART, 0.0, "right"))))
    assert not any(labels(ray(40.0, ALWAYS)))
    assert not any(labels(ray(), obstruction=Obstruction.EMPHYSEMA))


def test_comet_tails_and_z_lines_are_no_b_lines() -> None:
    assert not any(labels(BLine(0.0, 0.8, -8.0, length_mm=12.0), BLine(3.0, 0.8, -8.0, of_wall=True), ray(5.0, ALWAYS, length_mm=9.0)))


def test_in_an_uneven_lung_the_label_is_of_the_place_that_the_line_has_come_to() -> None:
    """Stretched by half at the side, a line 14 mm out goes 1.33 times as far as the lung in the middle: here to 14 +- 5.3 mm."""
    stretched = Pathology(elasticity=0.5)

    assert all(labels(ray(14.0, ALWAYS), pathology=stretched, slide_mm=8.0))
    assert not all(labels(ray(17.0, ALWAYS), pathology=stretched, slide_mm=8.0))


def test_a_line_that_never_comes_changes_no_pixel() -> None:
    spec, never = breath(duration_s=0.2), breath(ray(seen_at=(5.0, 6.0)), duration_s=0.2)

    assert np.array_equal(simulate(spec).frames, simulate(never).frames)
    assert not simulate(never).truth.b_line_frames.any()
    assert Scanner(spec, 0).tissue.rays == ()


def test_a_b_line_wipes_out_the_a_line_while_it_is_there() -> None:
    phantom = simulate(breath(ray(seen_at=INSPIRED), num_a_lines=1, a_line_db=-8.0, slide_mm=0.0))

    without, beside = (strip(phantom, frame, 14.0, 20.0, -0.5, 0.5).mean(axis=1) for frame in (0, 18))

    # The first A-line lies 17 mm below the pleura. Where the ray runs nothing stands out there any more.
    assert without[25:35].max() > 3 * np.median(without)
    assert beside[25:35].max() < 1.5 * np.median(beside)


def test_a_ray_begins_below_what_is_solid() -> None:
    solid = Pathology(consolidations=(Consolidation(0.0, 8.0, 10.0),))
    with_solid, without = (simulate(breath(ray(seen_at=ALWAYS), pathology=p, duration_s=0.1)) for p in (solid, Pathology()))

    assert brightness(with_solid, 0, 2.0, 7.0) < 0.7 * brightness(without, 0, 2.0, 7.0)
    assert brightness(with_solid, 0, 14.0, 20.0) == pytest.approx(brightness(without, 0, 14.0, 20.0), rel=0.2)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: BLine(0.0, 1.0, -9.0, of_wall=True, seen_at=INSPIRED),
            "A Z-line hangs on the wall and is there in the whole breath; it cannot be seen in a part of it only.",
        ),
        (lambda: ray(seen_at=(0.5, 0.5)), "A ray is seen from one fullness of the lung to a greater one, not from 0.5 to 0.5."),
    ],
)
def test_an_impossible_ray_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        make()

    assert str(refused.value) == sentence
