"""A network learns from others that were fitted to the same runs before it."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.signs.bars import small_preset
from tests.training.signs.killing import killed_after
from training.batches import Indices
from training.experiment import ExperimentError
from training.signs.fit import ask, fit_sign, load_sign
from training.signs.preset import PRESETS, Distil, Loss, Network, Preset, read_preset
from training.signs.runs import RunSet
from training.signs.teachers import Teachers
from training.trainer import BEST, LAST, RECORD, FitError

TAUGHT = replace(small_preset(epochs=4), distil=Distil(teachers=2, share=1.0))


class Says(nn.Module):
    """The same of every run."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([logits]))

    def forward(self, given: Tensor) -> Tensor:
        return self.logits.expand(len(given), -1)


@pytest.fixture(scope="module")
def taught(runs: RunSet, parts: Mapping[str, Indices], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit")
    fit_sign(TAUGHT, runs, parts, out, progress=False)
    return out


def test_teachers_say_the_mean_of_their_probabilities_and_learn_nothing() -> None:
    models = [Says(math.log(9)), Says(-math.log(4))]
    teachers = Teachers(models, Loss("binary"))
    logits = torch.zeros((3, 1), requires_grad=True)

    teachers.loss_of(logits, torch.zeros(3, 8)).backward()

    assert teachers.told(torch.zeros(3, 8))[:, 0].tolist() == pytest.approx([(0.9 + 0.2) / 2] * 3)
    assert logits.grad is not None
    assert logits.grad[:, 0].tolist() == pytest.approx([(0.5 - 0.55) / 3] * 3)
    assert [model.logits.grad for model in models] == [None, None]


@pytest.mark.parametrize(("kind", "told"), [("binary", 0.0), ("softmax", math.log(2))])
def test_who_says_what_the_teachers_say_is_nearest_to_them(kind: str, told: float) -> None:
    loss = Loss(kind)  # type: ignore[arg-type]
    teachers, given = Teachers([Says(told, told)], loss), torch.zeros(2, 4)

    at_them, beside = (float(teachers.loss_of(torch.tensor([row] * 2), given)) for row in ([told, told], [told, told + 1.0]))

    assert at_them == pytest.approx(math.log(2))
    assert beside > at_them


def test_a_network_that_heard_its_teachers_alone_tells_the_sign(taught: Path, runs: RunSet, parts: Mapping[str, Indices]) -> None:
    saved = load_sign(taught / BEST)

    told = ask(saved, runs, parts["test"])

    assert saved.preset == TAUGHT
    np.testing.assert_array_equal(told.probability[:, 0] > 0.5, runs.label[parts["test"], 0] == 1)


def test_teachers_are_fitted_to_the_same_clips_each_from_its_own_seed(taught: Path) -> None:
    records = {path.parent.name: json.loads(path.read_text()) for path in taught.rglob(RECORD)}
    student = records.pop(taught.name)

    assert {name: record["settings"]["seed"] for name, record in records.items()} == {"teacher-1": 2, "teacher-2": 3}
    assert {record["clips"] for record in records.values()} == {student["clips"]}
    assert [record["settings"]["distil.teachers"] for record in records.values()] == [0, 0]
    weights = [torch.load(taught / name / BEST, weights_only=True)["state_dict"] for name in (".", "teacher-1", "teacher-2")]
    assert weights[0].keys() == weights[1].keys()
    assert len({float(state[list(state)[-1]].sum()) for state in weights}) == 3


def test_a_finished_fit_is_not_done_again_and_one_with_other_teachers_is_refused(
    taught: Path, runs: RunSet, parts: Mapping[str, Indices]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in taught.rglob(BEST)}

    assert fit_sign(TAUGHT, runs, parts, taught, progress=False) == taught / BEST
    assert {path: path.stat().st_mtime_ns for path in taught.rglob(BEST)} == before
    with pytest.raises(
        FitError, match=r"^This folder holds another fit: distil\.teachers was 2 and is 3 now; distil\.share was 1\.0 and is 0\.5 now"
    ):
        fit_sign(replace(TAUGHT, distil=Distil(3, 0.5)), runs, parts, taught, progress=False)
    assert not (taught / "teacher-3").exists()


def test_a_killed_fit_goes_on_to_the_same_weights_whoever_was_being_fitted(
    taught: Path, runs: RunSet, parts: Mapping[str, Indices], tmp_path: Path
) -> None:
    with killed_after(6):  # four of the first teacher, two of the second
        fit_sign(TAUGHT, runs, parts, tmp_path, progress=False)
    assert not (tmp_path / LAST).exists()
    with killed_after(4):  # the other two of the second, two of the network
        fit_sign(TAUGHT, runs, parts, tmp_path, progress=False)
    assert (tmp_path / LAST).exists()

    fit_sign(TAUGHT, runs, parts, tmp_path, progress=False)

    whole, resumed = (torch.load(out / LAST, weights_only=True)["state_dict"] for out in (taught, tmp_path))
    for name in whole:
        torch.testing.assert_close(resumed[name], whole[name], rtol=0, atol=0)


def own(tmp_path: Path, table: str) -> Preset:
    path = tmp_path / "own.toml"
    text = (PRESETS / "four-signs-small.toml").read_text(encoding="utf-8")
    path.write_text(f"{text}\n{table}\n", encoding="utf-8")
    return read_preset(str(path))


def test_a_preset_names_its_teachers(tmp_path: Path) -> None:
    preset = own(tmp_path, '[distil]\nteachers = 2\n[distil.network]\nkind = "resnet"\nvariant = "resnet-34"')

    assert preset.teacher(2).network == Network("resnet", "resnet-34")
    assert preset.teacher(2).fit == replace(preset.fit, seed=preset.fit.seed + 2)
    assert preset.teacher(2).distil == Distil()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[distil]\nteachers = -1", "Teachers are 0 or more, their share above 0 and up to 1; found -1 and 0.5."),
        ("[distil]\nteachers = 1\nshare = 0.0", "Teachers are 0 or more, their share above 0 and up to 1; found 1 and 0."),
        ('[distil]\nteachers = 1\n[distil.network]\nkind = "cmwra"', "The network cmwra takes flow, and no other does."),
        ('[distil]\nteachers = 1\n[distil.network]\nkind = "resnet"\nweights = "x.pth"', "Teachers begin from no weights of a file."),
        ("[distil]\nteacher = 1", "distil.teacher is not a setting; is teachers meant?"),
    ],
)
def test_teachers_that_cannot_be_are_refused_in_a_sentence(tmp_path: Path, table: str, sentence: str) -> None:
    with pytest.raises(ExperimentError) as told:
        own(tmp_path, table)

    assert str(told.value).endswith(sentence)
