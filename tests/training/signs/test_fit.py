"""A preset's network is fitted to runs of frames, goes on where it was stopped, and is asked of patients it has not seen."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.signs.bars import small_preset
from tests.training.signs.killing import killed_after
from training.batches import Indices
from training.curve import read_curve
from training.signs.fit import ask, fit_sign, load_sign
from training.signs.networks import build_network
from training.signs.preset import read_preset
from training.signs.runs import RunSet
from training.trainer import BEST, CURVE, FitError

PRESET = small_preset()


@pytest.fixture(scope="module")
def fitted(runs: RunSet, parts: Mapping[str, Indices], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit")
    fit_sign(PRESET, runs, parts, out, progress=False)
    return out


def test_a_checkpoint_of_before_the_runs_said_that_they_are_flow_is_still_read(tmp_path: Path) -> None:
    preset = read_preset("cmwra", quick=True)
    told = preset.to_json() | {"inputs": "flow", "flow_step": 1}
    del told["frames"]["flow_step"]
    weights = {f"model.{name}": value for name, value in build_network(preset).state_dict().items()}
    torch.save({"preset": told, "state_dict": weights, "epoch": 3}, tmp_path / BEST)

    assert load_sign(tmp_path / BEST).preset == preset


def test_a_bright_bar_is_learnt_and_told_of_patients_that_were_not_learnt_from(
    fitted: Path, runs: RunSet, parts: Mapping[str, Indices]
) -> None:
    told = ask(load_sign(fitted / BEST), runs, parts["test"])

    assert not set(runs.patient[parts["test"]]) & set(runs.patient[parts["train"]])
    np.testing.assert_array_equal(told.probability[:, 0] > 0.5, runs.label[parts["test"], 0] == 1)
    assert told.attention is not None
    np.testing.assert_allclose(told.attention.sum(axis=1), 1.0, atol=1e-6)
    assert told.attention.shape == (len(parts["test"]), 8)


def test_the_checkpoint_says_its_preset_and_the_curve_has_a_row_an_epoch(fitted: Path) -> None:
    saved = load_sign(fitted / BEST)

    assert saved.preset == PRESET
    assert [row["epoch"] for row in read_curve(fitted / CURVE)] == ["0", "1", "2", "3", "4", "5"]


def test_a_file_that_is_no_fitted_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("no network")
    torch.save({"preset": {"name": "x"}, "state_dict": {}}, tmp_path / "other.ckpt")

    for name in ("text.ckpt", "other.ckpt"):
        with pytest.raises(FitError, match=r"^This file is no network that `seashore train signs` has fitted, or another version has\.$"):
            load_sign(tmp_path / name)


def test_a_finished_fit_is_not_done_again(fitted: Path, runs: RunSet, parts: Mapping[str, Indices]) -> None:
    before = (fitted / BEST).stat().st_mtime_ns

    assert fit_sign(PRESET, runs, parts, fitted, progress=False) == fitted / BEST
    assert (fitted / BEST).stat().st_mtime_ns == before


def test_a_folder_of_another_fit_is_refused(fitted: Path, runs: RunSet, parts: Mapping[str, Indices]) -> None:
    with pytest.raises(FitError, match=r"^This folder holds another fit: epochs was 6 and is 7 now\. Remove it or name another folder\.$"):
        fit_sign(small_preset(epochs=7), runs, parts, fitted, progress=False)


def test_a_fit_that_was_killed_goes_on_to_the_same_weights(
    fitted: Path, runs: RunSet, parts: Mapping[str, Indices], tmp_path: Path
) -> None:
    with killed_after(3):
        fit_sign(PRESET, runs, parts, tmp_path, progress=False)

    fit_sign(PRESET, runs, parts, tmp_path, progress=False)

    whole, resumed = (torch.load(out / "last.ckpt", weights_only=True)["state_dict"] for out in (fitted, tmp_path))
    assert whole.keys() == resumed.keys()
    for name in whole:
        torch.testing.assert_close(resumed[name], whole[name], rtol=0, atol=0)


def test_one_class_alone_is_refused(runs: RunSet, parts: Mapping[str, Indices], tmp_path: Path) -> None:
    only = {"train": parts["train"][runs.label[parts["train"], 0] == 1], "validation": parts["validation"]}

    with pytest.raises(FitError, match=r"^The train part has runs of 1 class only; two are needed to tell apart\.$"):
        fit_sign(PRESET, runs, only, tmp_path, progress=False)
