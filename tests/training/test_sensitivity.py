"""The curves are drawn from what serving says of phantoms, held against their truth."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.phantom.scenes import scene
from training.phantom import Adhesion, Pathology, simulate
from training.recording import Codec, Coding, Recording
from training.sensitivity import (
    FULL,
    QUICK,
    SLIDE_MM,
    Axis,
    ColumnReading,
    Observation,
    Setting,
    base_spec,
    changed,
    changed_spec,
    true_slide_px,
)
from training.sensitivity_cli import CURVES, draw_curves
from training.sensitivity_figures import bias_and_spread, figures_of
from training.sensitivity_report import document_of

STORE = Path(__file__).resolve().parents[2] / "model_store"


def observation(setting: Setting, *, slides: bool, probability: float | None, measured_px: float = 1.0) -> Observation:
    size = setting.value if setting.axis is Axis.SLIDE and isinstance(setting.value, float) else SLIDE_MM
    verdict = "not_assessable" if probability is None else "present" if probability > 0.8 else "absent"
    column = ColumnReading(true_px=2.0 if slides else 0.0, measured_px=measured_px, wall_px=0.2, tracking=0.9)
    return Observation(setting, 0, slides, size, 3 * size, 10 * size, verdict, probability, 0.1, (), (column,))


# --- what is changed ---


def test_the_twins_of_a_pair_are_one_patient_and_pairs_take_turns_between_probes() -> None:
    assert base_spec(1, 4) == base_spec(1, 4)
    assert [base_spec(1, pair).probe for pair in range(4)] == ["convex", "linear", "convex", "linear"]
    assert {base_spec(1, pair).slide_mm for pair in range(4)} == {SLIDE_MM}


@pytest.mark.parametrize(
    ("axis", "field"), [(Axis.SLIDE, "slide_mm"), (Axis.FRAME_RATE, "fps"), (Axis.TREMOR, "tremor_mm"), (Axis.ROCKING, "unrest")]
)
def test_what_is_scanned_is_changed_in_the_phantom_and_nothing_else_is(axis: Axis, field: str) -> None:
    spec = base_spec(1, 0)

    changed_to = changed_spec(spec, Setting(axis, 2.5))

    assert changed_to != spec
    assert replace(changed_to, **{field: getattr(spec, field)}) == spec


@pytest.mark.parametrize("axis", [axis for axis in Axis if axis not in (Axis.SLIDE, Axis.FRAME_RATE, Axis.TREMOR, Axis.ROCKING)])
def test_what_is_stored_is_changed_in_the_recording(axis: Axis) -> None:
    phantom = simulate(scene(duration_s=0.3))
    recording = Recording.at(phantom.frames, 30.0)
    value = Coding(Codec.MJPEG) if axis is Axis.COMPRESSION else {Axis.ZOOM: 1.3, Axis.DROPPED: 0.5, Axis.REPEATED: 0.5}.get(axis, 17.0)

    taken = changed(recording, Setting(axis, value), np.random.default_rng(0))

    assert changed_spec(phantom.spec, Setting(axis, value)) == phantom.spec
    assert taken.grey.shape != recording.grey.shape or not np.array_equal(taken.grey, recording.grey)


def test_every_axis_is_in_the_full_design_and_the_quick_one_is_a_part_of_its_axes() -> None:
    assert {setting.axis for setting in FULL.settings} == set(Axis)
    assert {setting.axis for setting in QUICK.settings} < set(Axis)


# --- what is true ---


def test_the_true_slide_is_the_shift_within_four_thirtieths_of_a_second() -> None:
    phantom = simulate(scene(duration_s=1.0, breaths_per_min=60.0))
    slide_px = phantom.truth.slide_px

    found = true_slide_px(phantom, 160.0, [(0.0, 1.0)])

    shifts = [slide_px[first + 4] - slide_px[first] for first in range(0, 26, 2)]
    assert found == pytest.approx(float(np.sqrt(np.mean(np.square(shifts)))), rel=0.03)


def test_a_lung_that_stretches_further_has_a_larger_true_slide_there() -> None:
    even, elastic = (simulate(scene(pathology=Pathology(elasticity=share))) for share in (0.0, 0.5))
    # 10.5 mm of 21 to the right of the middle: a quarter more.
    right_px = 159.5 + 10.5 / 0.2

    found = [true_slide_px(phantom, right_px, [(0.0, 0.5)]) or 0.0 for phantom in (even, elastic)]

    assert found[1] == pytest.approx(1.25 * found[0], rel=0.01)


def test_where_the_lung_sticks_the_true_slide_is_none() -> None:
    phantom = simulate(scene(pathology=Pathology(adhesions=(Adhesion(-8.0, 6.0),))))
    whole = [(0.0, 0.5)]

    # 0.2 mm a pixel, the middle at 159.5: -8 mm lies at 119.5, the adhesion's edge at 149.5.
    assert true_slide_px(phantom, 119.5, whole) == 0.0
    assert (true_slide_px(phantom, 200.0, whole) or 0) > 1.0


def test_at_a_moving_edge_no_one_truth_is_told() -> None:
    phantom = simulate(scene(duration_s=1.5, lung_point_mm=0.0, lung_point_travel_mm=6.0))

    assert true_slide_px(phantom, 159.5, [(0.0, 1.5)]) is None


# --- figures ---


def test_bias_is_the_median_and_spread_half_of_the_middle_two_thirds() -> None:
    columns = [ColumnReading(2.0, 2.0 + off, 0.1, 0.9) for off in (-0.5, 0.0, 0.5, 1.0, 1.5)]

    found = bias_and_spread(columns)

    assert (found["bias_px"], found["bias_percent"]) == (0.5, 25.0)
    # The 16th and 84th percentiles of five points lie 0.64 steps from the ends.
    assert found["spread_px"] == pytest.approx((1.18 - -0.18) / 2)


def test_an_axis_tells_sliding_and_still_apart() -> None:
    plain, coarse = (Setting(Axis.COMPRESSION, Coding(codec)) for codec in (Codec.NONE, Codec.GIF))
    read = [observation(plain, slides=True, probability=0.9), observation(plain, slides=False, probability=0.1)]
    read += [observation(coarse, slides=True, probability=None), observation(coarse, slides=False, probability=0.9, measured_px=0.7)]

    rows = figures_of(read)["axes"]["compression"]

    assert [row["setting"] for row in rows] == ["none", "gif usual"]
    assert [row["auroc"] for row in rows] == [1.0, None]
    assert [row["answered_share"] for row in rows] == [1.0, 0.5]
    assert [row["still_called_present"] for row in rows] == [0.0, 1.0]
    assert rows[1]["measured_at_rest_px"] == 0.7
    assert rows[0]["slide"]["bias_px"] == -1.0


def test_the_psychometric_curve_gives_sizes_in_mm_and_speeds() -> None:
    read = [observation(Setting(Axis.SLIDE, size), slides=True, probability=0.9 if size > 1.5 else 0.1) for size in (0.5, 1.0, 2.0, 4.0)]

    found = figures_of(read)["psychometric"]

    assert [row["called_present"] for row in found["rows"]] == [0.0, 0.0, 1.0, 1.0]
    assert found["thresholds"]["slide_mm"]["at_50_percent"] == pytest.approx(2**0.5, rel=0.01)
    assert found["thresholds"]["peak_mm_per_s"]["at_50_percent"] == pytest.approx(3 * 2**0.5, rel=0.01)


def test_where_everything_is_seen_there_is_no_smallest_size() -> None:
    read = [observation(Setting(Axis.SLIDE, size), slides=True, probability=0.9) for size in (1.0, 2.0)]

    assert figures_of(read)["psychometric"]["thresholds"]["slide_mm"] == {"at_50_percent": None, "at_90_percent": None}
    assert "not defined" in str(document_of({"bundle": "a:1", "pairs": 1, "seed": 0, **figures_of(read)}))


# --- as a user runs it ---


@pytest.mark.slow
def test_the_quick_curves_of_a_bundle_of_the_store(tmp_path: Path) -> None:
    name = next(STORE.glob("*/*/manifest.json")).parents[1].name

    page = draw_curves(STORE, name, tmp_path, quick=True, seed=11, counted=lambda words, pieces, total: pieces)

    figures = json.loads((tmp_path / CURVES).read_text())
    rows = figures["psychometric"]["rows"]
    assert page.read_text().startswith("<!")
    assert figures["bundle"].startswith(f"{name}:")
    assert rows[0]["probability"] < rows[-1]["probability"]
    assert rows[-1]["called_present"] == 1.0
    assert set(figures["axes"]) == {str(setting.axis) for setting in QUICK.settings} - {"slide_mm"}
    assert all(row["clips"] == 2 for rows in figures["axes"].values() for row in rows)
