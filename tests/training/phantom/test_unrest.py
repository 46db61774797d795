"""What disturbs a recording changes what it should, and never the slide that is true."""

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from tests.training.phantom.scenes import alike, moved_mm, scene, strip
from training.phantom import GainStep, Unrest, simulate
from training.phantom.motion import Motion, draw_motion
from training.phantom.presets import PRESETS
from training.phantom.simulate import Scanner
from training.phantom.spec import PhantomSpec

BUNDLES = Path(__file__).resolve().parents[3] / "model_store"


def motion_of(spec: PhantomSpec) -> Motion:
    return draw_motion(spec, np.random.default_rng(0), np.random.default_rng(1))


def test_the_golden_clip_of_a_bundle_is_still_what_the_simulator_draws() -> None:
    """Everything of the second generation is off unless asked for, and draws from sources of chance of its own."""
    with av.open(str(next(BUNDLES.glob("*/*/golden.mp4")))) as container:
        stored = np.stack([frame.to_ndarray(format="gray") for frame in islice(container.decode(video=0), 3)])

    drawn = np.stack(list(islice(Scanner(PRESETS["present"], 3).frames(), 3)))

    assert np.abs(drawn.astype(int) - stored).mean() < 3


def test_a_lung_stands_still_while_the_breath_is_held() -> None:
    motion = motion_of(scene(duration_s=3.0, unrest=Unrest(held_from_s=1.0, held_for_s=1.0)))

    assert np.ptp(motion.slide_mm[30:60]) == 0
    assert np.ptp(motion.slide_mm[:30]) > 1
    assert np.ptp(motion.slide_mm[60:]) > 1


def test_after_a_held_breath_breathing_goes_on_where_it_stopped() -> None:
    held, free = (motion_of(scene(duration_s=3.0, unrest=Unrest(held_from_s=1.0, held_for_s=s))).slide_mm for s in (1.0, 0.0))

    assert np.allclose(held[60:], free[30:60])


def test_irregular_breaths_differ_and_regular_ones_do_not() -> None:
    even, uneven = (
        motion_of(scene(duration_s=8.0, breaths_per_min=30.0, unrest=Unrest(breath_irregularity=i))).slide_mm for i in (0.0, 1.0)
    )

    assert np.allclose(even[:60], even[60:120])
    assert np.abs(uneven[:60] - uneven[60:120]).max() > 1


def test_a_cough_moves_wall_and_lung_together_and_adds_no_slide() -> None:
    quiet, coughing = (simulate(scene(unrest=Unrest(coughs_s=coughs, cough_mm=3.0))) for coughs in ((), (0.2,)))

    assert np.allclose(quiet.truth.slide_mm, coughing.truth.slide_mm)
    assert np.ptp(quiet.truth.wall_mm[:, 0]) == 0
    assert np.ptp(coughing.truth.wall_mm[:, 0]) > 1.5
    wall, lung = (moved_mm(coughing, 6, 7, *band) for band in ((-6.0, -1.0), (1.0, 8.0)))
    slid = coughing.truth.slide_mm[7] - coughing.truth.slide_mm[6]
    assert wall == pytest.approx(coughing.truth.wall_mm[7, 0] - coughing.truth.wall_mm[6, 0], abs=0.3)
    assert lung - wall == pytest.approx(slid, abs=0.3)


def test_a_rocking_probe_moves_deep_echoes_further_and_adds_no_slide() -> None:
    phantom = simulate(scene(slide_mm=0.0, duration_s=1.0, unrest=Unrest(rock_deg=3.0)))
    rocked = phantom.truth.wall_mm[:, 0]
    low, high = int(rocked.argmin()), int(rocked.argmax())

    at_pleura, deep = (moved_mm(phantom, low, high, *band) for band in ((-1.0, 2.0), (12.0, 15.0)))

    assert phantom.truth.slide_rms_mm == 0
    assert at_pleura == pytest.approx(rocked[high] - rocked[low], abs=0.3)
    # Turning about the skin: the pleura lies 17 mm deep, the other strip 17 + 13.5.
    assert deep / at_pleura == pytest.approx(30.5 / 17, abs=0.3)


def test_a_rocking_probe_tilts_the_pleura() -> None:
    truth = simulate(scene(duration_s=1.0, unrest=Unrest(rock_deg=3.0))).truth
    assert truth.pleura_px is not None

    deeper_right_px = truth.pleura_px[:, -1, 1] - truth.pleura_px[:, 0, 1]

    # 42 mm of probe, 0.2 mm a pixel: one degree is 3.7 px between its ends.
    assert np.ptp(deeper_right_px) > 10


def test_the_lungs_speckle_changes_by_itself_and_the_wall_stays() -> None:
    phantom = simulate(scene(slide_mm=0.0, unrest=Unrest(turnover_rad_per_s=3.0)))

    wall, lung = (min(alike(strip(phantom, 0, *band), strip(phantom, t, *band)) for t in range(15)) for band in ((-8.0, -2.0), (2.0, 12.0)))

    assert wall > 0.99
    assert lung < 0.6
    assert phantom.truth.slide_rms_mm == 0


def test_turning_up_the_gain_brightens_and_moves_nothing() -> None:
    even, stepped = (simulate(scene(unrest=Unrest(gain_steps=steps))) for steps in ((), (GainStep(0.25, 6.0),)))

    assert np.array_equal(even.frames[:7], stepped.frames[:7])
    # 6 dB of 60 on 255 grey levels are 25 levels, before the curve of greys.
    wall = (strip(phantom, 10, -8.0, -2.0).mean() for phantom in (even, stepped))
    assert -np.subtract(*wall) == pytest.approx(25, abs=6)
    assert np.array_equal(even.truth.lung_mm, stepped.truth.lung_mm)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"breath_irregularity": 1.5}, "The irregularity of breaths lies in 0..1; it cannot be 1.5."),
        ({"held_for_s": -1.0}, "A breath cannot be held for -1 s."),
    ],
)
def test_impossible_unrest_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        Unrest(**wrong)  # type: ignore[arg-type]

    assert str(refused.value) == sentence
