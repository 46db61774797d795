"""The model card says what it must, whatever the figures are."""

import re
from pathlib import Path
from typing import Any

import pytest

from service.manifest import Label, LabelledClip
from tests.fakes.inputs import MODEL_ALONE
from training.card import write_card
from training.controls import Control
from training.experiment import read_experiment

EXPERIMENTS = Path(__file__).parents[2] / "training" / "experiments"
EXPERIMENT = read_experiment(EXPERIMENTS / "default.toml")
ROW = {
    "clips": 30,
    "auroc": 0.876,
    "interval": [0.8, 0.95],
    "model_alone": 0.7,
    "slide_alone": 0.85,
    "called_present": 0.1,
    "as_is_called_absent": 0.0,
}
FIGURES: dict[str, Any] = {
    "clips": 33,
    "controls": dict.fromkeys(("own_wall", *map(str, Control)), ROW),
    "verdicts": {"as_is_healthy": {"present": 20, "indeterminate": 9, "absent": 1}, "frozen": {"absent": 33}},
    "lung_point_composites": {"composites": 12, "found": 7, "median_error_share_of_width": 0.085},
    "phantoms": {
        "phantoms": 36,
        "pleura_median_error_px": 1.24,
        "sliding_auroc": 0.9912,
        "sliding_clips": 30,
        "lung_points": 5,
        "lung_points_found": 3,
        "lung_point_median_error_share_of_width": 0.06,
    },
}
BY = "CC BY 4.0 https://creativecommons.org/licenses/by/4.0/"
CLIPS = [LabelledClip(Path(f"{k}.mp4"), f"P{k}", Label.HEALTHY, source="jannisborn/covid19_ultrasound", licence=BY) for k in range(3)]
COMMAND = "seashore train all training/experiments/default.toml --manifest training/experiments/clips.csv --clips clips"
SECTIONS = ["What it is for", "What it is", "How it was made", "What it is worth", "What it does not know", "Data and attribution"]


def card(figures: dict[str, Any] = FIGURES, clips: list[LabelledClip] = CLIPS) -> str:
    return write_card(EXPERIMENT, MODEL_ALONE, figures, clips, COMMAND)


def section(text: str, name: str) -> str:
    return text.partition(f"## {name}\n")[2].partition("\n## ")[0]


def test_the_card_has_every_section_and_something_in_each() -> None:
    text = card()

    assert text.startswith(f"# {EXPERIMENT.name} {EXPERIMENT.version}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert min(len(section(text, name)) for name in SECTIONS) > 80


def test_the_card_says_what_was_never_measured() -> None:
    limits = section(card(), "What it does not know")

    assert "No clip with known absent sliding" in limits
    assert "sensitivity for real absence is therefore unknown" in " ".join(limits.split())
    assert "Absent sliding is not pneumothorax" in limits


def test_the_card_says_what_it_is_for_and_not_for() -> None:
    assert "not a medical device and not for diagnosis" in section(card(), "What it is for")


def test_the_command_and_the_seed_that_made_it_are_there() -> None:
    made = section(card(), "How it was made")

    assert f"    {COMMAND}\n" in made
    assert f"Seed {EXPERIMENT.fit.seed}, recipe {{'windows_per_clip': {EXPERIMENT.recipe['windows_per_clip']}," in made


def test_every_control_has_its_row() -> None:
    worth = section(card(), "What it is worth")

    for control in ("own_wall", *Control):
        assert f"| {control} | 30 | 0.88 (0.80-0.95) | 0.70 | 0.85 | 10% |" in worth


def test_verdicts_are_counted_in_words_and_what_was_never_said_is_0() -> None:
    worth = section(card(), "What it is worth")

    assert "| clip | present | indeterminate | absent | not_assessable |" in worth
    assert "| as_is_healthy | 20 | 9 | 1 | 0 |" in worth
    assert "| frozen | 0 | 0 | 33 | 0 |" in worth


def test_lung_points_and_phantoms_are_told_with_their_numbers() -> None:
    worth = section(card(), "What it is worth")

    assert "7 of 12 found, median error 8% of the pleura's width." in worth
    assert "Phantoms (36): pleura within 1.2 px (median), sliding AUROC 0.991 (30 clips), lung point found in 3 of 5," in worth


@pytest.mark.parametrize("undefined", [float("nan")])
def test_figures_that_are_not_defined_are_no_numbers_and_do_not_stop_the_card(undefined: float) -> None:
    nothing = dict.fromkeys(ROW, undefined) | {"clips": 0, "interval": [undefined, undefined]}
    unknown = {"composites": 0, "found": 0, "median_error_share_of_width": None}
    worth = section(card(FIGURES | {"controls": {"wall": nothing}, "lung_point_composites": unknown}), "What it is worth")

    assert "| wall | 0 | nan (nan-nan) |" in worth
    assert "0 of 0 found, median error unknown of the pleura's width." in worth


def test_the_calibration_is_written_out() -> None:
    what = section(card(), "What it is")

    assert "logit = +0.00 +1.00 model +0.00 model past wall +0.00 log slide +0.00 log slide past wall" in what
    assert "Present above 0.80, absent below 0.20; no verdict when the clip's own wall scores above 0.90" in what


def test_the_collection_is_named_where_clips_were_taken_from_it() -> None:
    data = section(card(), "Data and attribution")

    assert f"* 3 clips from jannisborn/covid19_ultrasound under {BY}" in data
    assert "Born et al. 2021, doi:10.3390/app11020672" in data
    assert "training/experiments/clips.csv" in data


def test_other_clips_are_not_said_to_be_of_the_collection() -> None:
    own = [LabelledClip(Path("a.mp4"), "P1", Label.PRESENT), LabelledClip(Path("b.mp4"), "P2", Label.ABSENT, source="our ward")]
    data = section(card(clips=own), "Data and attribution")

    assert "* 1 clips from a source not stated under a licence not stated" in data
    assert "* 1 clips from our ward under a licence not stated" in data
    assert "Born" not in data


def test_a_bundle_of_phantoms_alone_says_so() -> None:
    assert section(card(clips=[]), "Data and attribution").strip().startswith("No real clips.")


def test_no_patient_and_no_file_is_in_the_card() -> None:
    clips = [LabelledClip(Path("Mustermann.mp4"), "Mustermann", Label.PRESENT, notes="Mustermann")]

    assert "Mustermann" not in card(clips=clips)
