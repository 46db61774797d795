"""Figures by patch and by clip, small enough to check in the head."""

from pathlib import Path

import numpy as np
import pytest

from training.study.figures import Answers, written
from training.study.published import PUBLISHED, SLIPS, published


def answers() -> Answers:
    """Two clips of two patients: one slides (three patches, mean 0.6), one does not (two patches, mean 0.3)."""
    return Answers(
        np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.6, 0.3, 0.6, 0.0]), np.array(["A"] * 3 + ["B"] * 2), np.array(["a"] * 3 + ["b"] * 2)
    )


def test_a_clip_has_the_mean_of_its_patches() -> None:
    pooled = answers().by_clip()

    assert pooled.clip.tolist() == ["a", "b"]
    assert pooled.probability.tolist() == pytest.approx([0.6, 0.3])
    assert (pooled.label.tolist(), pooled.patient.tolist()) == ([1, 0], ["A", "B"])


def test_by_patch_two_of_three_and_one_of_two_are_right() -> None:
    figures = answers().figures()

    assert [figures[name][0] for name in ("sensitivity", "specificity", "accuracy", "f1")] == pytest.approx([2 / 3, 1 / 2, 3 / 5, 4 / 6])
    assert figures["balanced_accuracy"][0] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_by_clip_both_are_right() -> None:
    figures = answers().by_clip().figures()

    assert [figures[name][0] for name in ("sensitivity", "specificity", "accuracy", "f1", "auroc")] == [1.0] * 5


def test_the_interval_is_over_patients_and_lies_about_the_value() -> None:
    patients = np.array([f"P{k}" for k in range(20)])
    right = np.where(np.arange(20) < 15, 0.9, 0.1)  # 15 of 20
    value, low, high = Answers(np.ones(20, np.int64), right, patients, patients).figures()["accuracy"]

    assert (value, low, high) == pytest.approx((0.75, 0.55, 0.95), abs=0.06)


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    answers().write(tmp_path / "answers.npz")
    again = Answers.read(tmp_path / "answers.npz")

    assert again.clip.tolist() == answers().clip.tolist()
    assert again.probability.tolist() == answers().probability.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["answers.npz"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.912, 0.85, 0.963], "0.91 [0.85, 0.96]"),
        ([float("nan"), 0.0, 1.0], "–"),
        ([0.5, float("nan"), float("nan")], "0.50 (no interval)"),
    ],
)
def test_a_figure_is_written_with_its_interval(values: list[float], text: str) -> None:
    assert written(values) == text


def test_a_figure_is_written_to_as_many_digits_as_asked() -> None:
    assert written([0.9126, 0.85, 0.9634], digits=3) == "0.913 [0.850, 0.963]"


def test_what_is_not_at_hand_is_none() -> None:
    assert published("resnet3d-18_2_30x30", "accuracy", "patch") is None


def test_a_doubtful_figure_is_the_tables_and_marked() -> None:
    sensitivity = published("mmode-resnet-18_mmode_64", "sensitivity", "patch")

    assert sensitivity is not None
    assert (sensitivity.value, sensitivity.is_doubtful) == (0.86, True)


def test_every_published_figure_names_its_source_and_every_slip_what_is_taken() -> None:
    assert all(figure.where and 0 <= figure.value <= 1 for figure in PUBLISHED)
    assert any("0.9193" in slip.found and "0.8913" in slip.found for slip in SLIPS)
    assert all(slip.taken for slip in SLIPS)
