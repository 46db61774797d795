"""Answers of runs and of clips, written and read."""

from pathlib import Path

import pytest

from service.sign_bundle import Domain
from tests.fakes.sign_answers import of_one_sign, sign_answers
from training.signs.answers import OF_RUNS, SignAnswers


def test_a_clip_has_the_mean_of_its_runs_and_a_sign_that_is_in_any_of_them() -> None:
    pooled = of_one_sign([0, 1, 0], [0.25, 0.75, 0.1], clip="aab", patient="AAB", start_s=[1.0, 0.5, 0.0], fold=[1, 1, 0]).by_clip()

    assert pooled.clip.tolist() == ["a", "b"]
    assert pooled.probability.tolist() == [[0.5], [0.1]]
    assert pooled.label.tolist() == [[1], [0]]
    assert (pooled.patient.tolist(), pooled.start_s.tolist(), pooled.fold.tolist()) == (["A", "B"], [0.5, 0.0], [1, 0])


@pytest.mark.parametrize(("runs", "clip"), [([0, 0], 0), ([0, 1], 1), ([-1, 1], 1), ([-1, 0], -1), ([-1, -1], -1)])
def test_a_sign_is_not_in_a_clip_only_when_that_is_known_of_every_run(runs: list[int], clip: int) -> None:
    assert of_one_sign(runs, [0.5, 0.5], clip="aa", patient="AA").by_clip().label.tolist() == [[clip]]


def test_each_sign_of_a_clip_is_pooled_for_itself() -> None:
    given = sign_answers([[1, 0], [0, 0]], [[0.9, 0.2], [0.1, 0.4]], signs=("a_lines", "b_lines"), clip="aa", patient="AA")

    assert given.by_clip().label.tolist() == [[1, 0]]
    assert given.by_clip().probability[0].tolist() == pytest.approx([0.5, 0.3])


def test_runs_of_which_a_sign_is_not_known_are_not_judged_on() -> None:
    assert of_one_sign([1, -1, 0], [0.5] * 3).known("b_lines").tolist() == [0, 2]


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    attended, shown = [[0.75, 0.25], [0.5, 0.5]], [[1, -1], [0, 0]]
    given = of_one_sign(
        [1, 0], [0.9, 0.2], fold=[0, 1], attention=attended, frame_label=shown, probe=["convex", "linear"], distinct_fps=[25.0, 9.5]
    )
    given.write(tmp_path / "answers.npz")
    again = SignAnswers.read(tmp_path / "answers.npz")

    assert again.signs == ("b_lines",)
    for name in OF_RUNS:
        assert getattr(again, name).tolist() == getattr(given, name).tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["answers.npz"]


def test_without_attention_there_is_none_after_reading_either(tmp_path: Path) -> None:
    of_one_sign([1], [0.9]).write(tmp_path / "answers.npz")
    again = SignAnswers.read(tmp_path / "answers.npz")

    assert (again.attention, again.frame_label) == (None, None)


@pytest.mark.parametrize(("domain", "left"), [(Domain(("convex",), 8.0), [0]), (Domain(("convex", "linear"), 10.0), [0, 2])])
def test_of_a_domain_are_the_runs_of_its_probes_and_rates(domain: Domain, left: list[int]) -> None:
    given = of_one_sign([1, 0, 1], [0.9, 0.2, 0.6], probe=["convex", "linear", "linear"], distinct_fps=[25.0, 9.5, 30.0])

    assert given.of(domain).probability.tolist() == given.probability[left].tolist()


def test_they_show_how_many_they_are_and_nobodys_key() -> None:
    assert repr(of_one_sign([1, 0], [0.9, 0.2], clip="aa", patient="AA")) == "SignAnswers(b_lines: 2 runs of 1 clips)"


def test_half_valid_answers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"A label is neither 1 \(there\), 0 \(not there\) nor -1 \(not known\)."):
        of_one_sign([2], [0.5])
    with pytest.raises(ValueError, match="A probability is not a number from 0 to 1."):
        of_one_sign([1], [float("nan")])
    with pytest.raises(ValueError, match="The attention of a run is not a share of 1 for each frame."):
        of_one_sign([1], [0.5], attention=[[0.5, 0.4]])
    with pytest.raises(ValueError, match=r"Attention and labels of frames are \[\(1, 2\), \(1, 3\)\]; needed is one row a run, 1"):
        of_one_sign([1], [0.5], attention=[[0.5, 0.5]], frame_label=[[1, 1, 1]])
    with pytest.raises(ValueError, match="Of 2 runs there must be 2 patients, clips, starts and folds."):
        of_one_sign([1, 0], [0.5, 0.5], clip="abc")


def test_a_clip_of_two_patients_and_a_patient_of_two_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="A clip is of two patients."):
        of_one_sign([1, 0], [0.5, 0.5], clip="aa", patient="AB")
    with pytest.raises(ValueError, match="A patient was held out in two folds"):
        of_one_sign([1, 0], [0.5, 0.5], patient="AA", fold=[0, 1])
