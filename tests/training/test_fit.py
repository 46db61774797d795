"""Fitting: a moving square is told from a still one, patients stay apart, and a stopped fit goes on as if unbroken."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from service.cine.spec import InputSpec
from service.metrics import auroc
from training.batches import ExampleBatches, RunningBatches, TwinBatches, number_pairs
from training.curve import Curve, read_curve
from training.examples import ExampleSet, ExampleWriter, Origin, read_examples
from training.experiment import AugmentSettings, FitSettings
from training.fit import FitError, fit, load_fitted, predict_logits, read_validation, split_examples
from training.splits import PatientInTwoParts
from training.task import Judged, grey_levels

SPEC = InputSpec(
    fps=30,
    window_frames=16,
    window_stride_frames=8,
    picture_depth_px=480,
    patch_px=12,
    column_stride_px=12,
    row_offset_px=0,
    bands=("lung",),
    wall_gap_px=0,
    stabilised=True,
    dtype="uint8",
)
SETTINGS = FitSettings(
    model="resnet3d-18",
    width=4,
    epochs=3,
    batch_size=16,
    learning_rate=0.004,
    weight_decay=0.01,
    schedule="cosine",
    label_smoothing=0.0,
    gradient_clip=1.0,
    validation_share=0.25,
    patience_epochs=0,
    seed=0,
    precision="float32",
    device="cpu",
    num_threads=1,
    num_workers=0,
    augment=AugmentSettings(mirror=0.5, reverse=0.5, gamma=1.2, gain=1.2, noise=2.0),
)


def square(position: float, rng: np.random.Generator, *, slides: bool) -> NDArray[np.uint8]:
    """A bright square of 4 px on grey, still or moving to and fro by 3 px, (1, 16, 12, 12)."""
    patch = np.full(SPEC.patch_shape, 60, np.uint8)
    path = 3 * np.sin(np.arange(16) * 2 * np.pi / 16 + rng.uniform(0, 6)) if slides else np.zeros(16)
    for t, shift in enumerate(path):
        x = int(round(position + shift))
        patch[0, t, 4:8, x : x + 4] = 200
    return patch


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> ExampleSet:
    """Eight patients of 16 pairs: the same square, moving in one twin and still in the other."""
    folder = tmp_path_factory.mktemp("fit") / "examples"
    rng = np.random.default_rng(0)
    with ExampleWriter(folder, SPEC, examples_per_shard=100) as writer:
        for number in range(128):
            position, patient, kind = rng.uniform(3, 5), f"P{number % 8}", ("mirror", "locked")[number % 2]
            for label in (0, 1):
                patch = square(position, rng, slides=bool(label))
                writer.add(patch, Origin(label, patient, f"clip {number % 8}", kind, f"{number}", number))
    return read_examples(folder)


@pytest.fixture(scope="module")
def fitted(examples: ExampleSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unbroken fit of three epochs."""
    out = tmp_path_factory.mktemp("fit") / "unbroken"
    fit(examples, SETTINGS, out, progress=False)
    return out


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_fitted(checkpoint).model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first | second)


def test_a_moving_square_is_told_from_a_still_one_of_patients_never_seen(examples: ExampleSet, fitted: Path) -> None:
    held_out = read_validation(fitted)
    logits = predict_logits(load_fitted(fitted / "best.ckpt").model, examples, held_out)

    assert auroc(examples.label[held_out], logits) > 0.95


def test_two_of_eight_patients_are_held_out(examples: ExampleSet, fitted: Path) -> None:
    held_out = read_validation(fitted)

    assert len(held_out) == 2 * 32
    assert len(set(examples.patient[held_out])) == 2


def test_the_curve_has_a_row_an_epoch_with_every_kind(fitted: Path) -> None:
    rows = read_curve(fitted / "curve.csv")

    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert list(rows[0]) == [
        *("epoch", "train_loss", "val_loss", "val_auroc", "val_twins", "val_auroc/locked", "val_auroc/mirror"),
        *("learning_rate", "seconds"),
    ]
    assert float(rows[-1]["val_auroc/mirror"]) > 0.95
    assert float(rows[-1]["learning_rate"]) < 0.05 * SETTINGS.learning_rate


def test_the_best_checkpoint_is_of_the_lowest_validation_loss(fitted: Path) -> None:
    losses = [float(row["val_loss"]) for row in read_curve(fitted / "curve.csv")]

    assert load_fitted(fitted / "best.ckpt").epoch == int(np.argmin(losses))


def test_what_was_fitted_comes_back_with_its_spec_and_settings(fitted: Path) -> None:
    back = load_fitted(fitted / "best.ckpt")

    assert (back.spec, back.settings) == (SPEC, SETTINGS)
    assert not back.model.training


class CtrlC(Curve):
    """Sends the process a real SIGINT in the middle of epoch 1: no thread that watches the clock."""

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.current_epoch == 1:
            signal.raise_signal(signal.SIGINT)


def test_a_fit_stopped_by_ctrl_c_goes_on_to_the_same_weights(
    examples: ExampleSet, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stopped"
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born ignoring it
    with monkeypatch.context() as patched:
        patched.setattr("training.trainer.Curve", CtrlC)
        with pytest.raises(FitError, match=r"^The fit was stopped in epoch 1; the same call goes on from there.$"):
            fit(examples, SETTINGS, out, progress=False)
    signal.signal(signal.SIGINT, handler)
    stopped_after = len(read_curve(out / "curve.csv"))
    fit(examples, SETTINGS, out, progress=False)

    assert stopped_after == 1
    assert [row["epoch"] for row in read_curve(out / "curve.csv")] == ["0", "1", "2"]
    assert same(weights(out / "last.ckpt"), weights(fitted / "last.ckpt"))


def test_a_finished_fit_is_not_done_again(examples: ExampleSet, fitted: Path) -> None:
    before = (fitted / "last.ckpt").stat().st_mtime_ns

    assert fit(examples, replace(SETTINGS, num_threads=2), fitted, progress=False) == fitted / "best.ckpt"
    assert (fitted / "last.ckpt").stat().st_mtime_ns == before


def test_a_fit_is_not_gone_on_with_under_other_settings(examples: ExampleSet, fitted: Path) -> None:
    with pytest.raises(
        FitError, match="This folder holds another fit: learning_rate was 0.004 and is 0.001 now. Remove it or name another"
    ):
        fit(examples, replace(SETTINGS, learning_rate=0.001), fitted, progress=False)


def test_a_fit_is_not_gone_on_with_on_other_parts(examples: ExampleSet, fitted: Path) -> None:
    other = split_examples(examples, replace(SETTINGS, seed=5))

    with pytest.raises(FitError, match="This folder holds another fit: the parts are not the same."):
        fit(examples, SETTINGS, fitted, parts=other, progress=False)


def test_a_patient_in_both_parts_is_refused(examples: ExampleSet, tmp_path: Path) -> None:
    parts = {"train": np.arange(0, 200), "validation": np.arange(200, 256)}

    with pytest.raises(PatientInTwoParts, match="8 patients are both in train and in validation; none may be."):
        fit(examples, SETTINGS, tmp_path, parts=parts, progress=False)


def test_a_part_of_one_class_is_refused(examples: ExampleSet, tmp_path: Path) -> None:
    parts = split_examples(examples, SETTINGS)
    still = parts["validation"][examples.label[parts["validation"]] == 0]

    with pytest.raises(FitError, match="The validation part has 0 examples that slide and 32 that do not; both are needed."):
        fit(examples, SETTINGS, tmp_path, parts=parts | {"validation": still}, progress=False)


def test_a_loss_that_is_not_a_number_ends_the_fit(examples: ExampleSet, tmp_path: Path) -> None:
    settings = replace(SETTINGS, learning_rate=1e30, gradient_clip=0.0, epochs=1)

    with pytest.raises(FitError, match=r"The loss is not a number after \d+ steps; a learning_rate below 1e\+30 may help."):
        fit(examples, settings, tmp_path, progress=False)


def test_one_cycle_bfloat16_a_worker_smoothing_patience_and_a_progress_bar_fit_too(examples: ExampleSet, tmp_path: Path) -> None:
    settings = replace(SETTINGS, schedule="one_cycle", precision="bfloat16", num_workers=1, label_smoothing=0.1, patience_epochs=1)
    best = fit(examples, replace(settings, epochs=8), tmp_path / "fit")

    assert len(predict_logits(load_fitted(best).model, examples)) == 256
    assert json.loads((tmp_path / "fit" / "fit.json").read_text())["finished"]


def test_the_first_layer_normalises_by_the_training_part(examples: ExampleSet, fitted: Path) -> None:
    mean, scale = grey_levels(examples, np.arange(256), seed=0)

    # 16 of 144 pixels at 200, the others at 60: mean 60 + 140 / 9, variance 140^2 * 1/9 * 8/9.
    assert mean == pytest.approx([75.6], abs=0.1)
    assert scale == pytest.approx([44.0], abs=0.1)
    assert weights(fitted / "best.ckpt")["normalise.mean"].item() == pytest.approx(75.6, abs=0.1)


def test_twins_are_in_one_batch_and_every_example_comes_once_an_epoch() -> None:
    batches = TwinBatches(np.repeat(np.arange(20), 2), batch_size=8, seed=0)
    drawn = list(batches)

    assert len(drawn) == len(batches) == 5
    assert sorted(index for batch in drawn for index in batch) == list(range(40))
    assert all({index // 2 for index in batch if index % 2} == {index // 2 for index in batch if not index % 2} for batch in drawn)


def test_an_epoch_has_its_own_order_and_the_same_again_after_a_resume() -> None:
    batches, again = (TwinBatches(np.repeat(np.arange(20), 2), batch_size=8, seed=0) for _ in range(2))
    first = list(batches)
    batches.set_epoch(1)
    again.set_epoch(1)

    assert list(batches) != first
    assert list(batches) == list(again)


def test_less_than_half_a_batch_is_left_out_at_the_end_unless_it_is_all_there_is() -> None:
    sizes = {num: [len(batch) for batch in TwinBatches(np.arange(num), 8, 0)] for num in (3, 8, 11, 12, 16)}

    assert sizes == {3: [3], 8: [8], 11: [8], 12: [8, 4], 16: [8, 8]}


def test_running_batches_hold_everything_in_order() -> None:
    assert list(RunningBatches(5, 2)) == [[0, 1], [2, 3], [4]]


def test_examples_without_a_twin_have_a_number_of_their_own() -> None:
    assert len(set(number_pairs(np.array(["a", "", "b", "", "a"])).tolist())) == 4


def test_a_batch_is_read_in_its_order(examples: ExampleSet) -> None:
    dataset = ExampleBatches(examples, np.array([7, 3, 200]))
    batch = dataset[[2, 0]]

    assert batch.label.tolist() == [0.0, 1.0]
    assert np.array_equal(batch.patches.numpy(), examples.take(np.array([200, 7])))


def judged(labels: list[int], kinds: str, pairs: list[str]) -> Judged:
    return Judged(np.array(labels, np.float32), np.array(list(kinds)), np.array(pairs))


def test_auroc_is_said_of_each_kind_and_a_kind_of_one_class_is_held_against_the_other_class() -> None:
    part = judged([0, 1, 0, 1, 0], "aabbc", [""] * 5)

    # c's one negative, 0.35, lies below b's positive 0.9 and above a's 0.3.
    assert part.auroc_by_kind(np.array([0.1, 0.3, 0.95, 0.9, 0.35])) == {"a": 1.0, "b": 0.0, "c": 0.5}


def test_twins_in_order_is_the_share_of_pairs_whose_sliding_twin_scores_higher() -> None:
    part = judged([0, 1, 1, 0, 1], "aaaaa", ["p", "p", "q", "q", ""])

    assert part.twins_in_order(np.array([0.1, 0.3, 0.1, 0.3, 0.0])) == 0.5
    assert np.isnan(judged([0, 1], "aa", ["", ""]).twins_in_order(np.array([0.0, 1.0])))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"epochs": 0}, "A fit needs a width, epochs and threads of at least 1 and batches of at least 2."),
        ({"validation_share": 1.0}, "smoothing from 0 to below 1 and a validation share between 0 and 1."),
        ({"weight_decay": -0.1}, "Weight decay, gradient clip, patience, workers and seed of a fit cannot be below 0."),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(SETTINGS, **wrong)
