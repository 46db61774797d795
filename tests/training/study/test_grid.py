"""The study as data: fifteen rows and a baseline, cut as published, and files that say what is run."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from training.experiment import ExperimentError
from training.models import build
from training.study.grid import BASELINE, EVERY_ROW, PATCH_SETS, ROWS, read_study, with_rows

EXPERIMENTS = Path(__file__).parents[3] / "training" / "study"


def test_three_networks_on_five_sets_are_fifteen_rows_and_the_baseline_is_the_sixteenth() -> None:
    assert [patches.name for patches in PATCH_SETS] == ["2_30x30", "all_30x30", "2_60x60", "all_60x60", "all_90x90"]
    assert len(ROWS) == len({row.name for row in ROWS}) == 15
    assert EVERY_ROW[-1] == BASELINE


def test_every_published_patch_is_one_channel_of_60_frames_below_the_line_and_not_stabilised() -> None:
    specs = [patches.spec for patches in PATCH_SETS]

    assert [spec.patch_shape for spec in specs] == [(1, 60, px, px) for px in (30, 30, 60, 60, 90)]
    assert {(spec.fps, spec.row_offset_px, spec.stabilised, spec.bands) for spec in specs} == {(30.0, 0, False, ("lung",))}


def test_all_rows_are_as_many_as_480_px_hold_and_at_most_15() -> None:
    assert [patches.num_rows for patches in PATCH_SETS] == [2, 15, 2, 8, 5]


def test_the_baseline_sees_64_frames_of_as_much_wall_as_lung() -> None:
    spec = BASELINE.patches.spec

    assert (spec.window_frames, spec.row_offset_px, spec.patch_px) == (64, -24, 48)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("resnet3d-18", 33.21e6), ("resnet3d-34", 63.52e6), ("resnet3d-50", 46.22e6), ("mmode-resnet-18", 11.18e6)],
)
def test_the_rows_have_the_published_parameter_counts(model: str, parameters: float) -> None:
    """With three channels, as the published nets have them; ours have one, which is less in the first layer alone."""
    assert model in {row.model for row in EVERY_ROW}
    assert sum(p.numel() for p in build(model, channels=3, width=64).parameters()) == pytest.approx(parameters, rel=1e-3)


def test_the_study_that_is_shipped_is_the_published_one() -> None:
    study = read_study(EXPERIMENTS / "study.toml")

    assert study.chosen() == EVERY_ROW
    assert (study.held_out_share, study.fit.width, study.fit.epochs, study.fit.batch_size) == (0.3, 64, 16, 32)
    assert (study.fit.optimizer, study.fit.constant_rate, study.fit.label_smoothing, study.fit.weight_decay) == ("adam", True, 0.0, 0.0)
    assert (study.fit.augment.mirror, study.fit.augment.gamma, study.fit.augment.gain, study.fit.augment.noise) == (0.0, 1.0, 1.0, 0.0)


def test_the_quick_study_has_two_rows_and_the_baseline() -> None:
    assert [row.model for row in read_study(EXPERIMENTS / "study_quick.toml").chosen()] == ["resnet3d-18", "resnet3d-50", "mmode-resnet-18"]


def test_rows_can_be_named() -> None:
    study = with_rows(read_study(EXPERIMENTS / "study.toml"), ("resnet3d-50_all_90x90",))

    assert [row.name for row in study.chosen()] == ["resnet3d-50_all_90x90"]
    assert with_rows(study, ()) == study


def test_a_row_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ExperimentError, match="There is no row called 'resnet3d-101_2_30x30'; there are resnet3d-18_2_30x30, "):
        with_rows(read_study(EXPERIMENTS / "study.toml"), ("resnet3d-101_2_30x30",))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"held_out_share": 1.0}, "A study needs a held-out share between 0 and 1, and a seed and failures of at least 0."),
        ({"phantom_s": 2.0}, "A study needs at least 4 phantoms, each of at least 2.13 s."),
        ({"phantoms": 3}, "A study needs at least 4 phantoms, each of at least 2.13 s."),
    ],
)
def test_a_study_that_cannot_be_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        replace(read_study(EXPERIMENTS / "study.toml"), **wrong)
