"""A preset says everything a published model is trained with, and what is not a setting is told."""

from pathlib import Path

import pytest
import torch

from training.experiment import ExperimentError
from training.signs.networks import build_network, logits_of
from training.signs.preset import PRESETS, Preset, preset_names, read_preset


def changed(tmp_path: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = (PRESETS / f"{name}.toml").read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_read_and_its_network_built(name: str, quick: bool) -> None:
    preset = read_preset(name, quick=quick)
    with torch.device("meta"):
        network = build_network(preset)

    assert preset.name == name
    assert network.outputs[0] == "logits"


def test_the_published_settings_are_those_of_the_presets() -> None:
    blines, cmwru = read_preset("blines-c2d-lstm-a"), read_preset("cmwru")

    assert (blines.fit.learning_rate, blines.fit.batch_size, blines.fit.epochs, blines.fit.weight_decay) == (1e-4, 20, 60, 1e-5)
    assert (blines.network.dropout, blines.folds, blines.frames.run_shape) == (0.2, 5, (1, 30, 64, 64))
    assert 1 - blines.frames.stride_frames / blines.frames.num_frames == pytest.approx(0.2)
    assert (cmwru.loss.kind, cmwru.loss.alpha, cmwru.loss.gamma, cmwru.network.dropout) == ("focal", 0.8, 1.0, 0.65)
    assert (cmwru.fit.learning_rate, cmwru.fit.weight_decay, cmwru.fit.epochs, cmwru.fit.batch_size) == (1e-3, 1e-3, 16, 20)
    assert (cmwru.fit.gradient_clip, cmwru.fit.balance, cmwru.frames.run_shape) == (0.4, "drop", (1, 40, 256, 256))
    assert read_preset("rcm2d-small").fit.balance == "each_epoch"


def test_a_grid_changes_one_setting() -> None:
    preset = read_preset("cmwru")

    assert preset.with_value("dropout", 0.4).network.dropout == 0.4
    assert preset.with_value("gradient_clip", 0.1).fit.gradient_clip == 0.1
    assert preset.with_value("gamma", 2.0).loss.gamma == 2.0
    with pytest.raises(ExperimentError, match=r"^width is not a setting that a grid changes; there are dropout, gradient_clip, gamma\.$"):
        preset.with_value("width", 2.0)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("four-signs", ('kind = "softmax"', 'kind = "binary"'), "four_signs does not go with a loss of binary"),
        ("signs-small", ('kind = "binary"', 'kind = "softmax"'), "signs does not go with a loss of softmax"),
        ("signs-small", ('population = "mixed"\n', ""), "signs does not go with the textbook population"),
        ("four-signs", ("folds = 1", 'population = "mixed"\nfolds = 1'), "four_signs does not go with the mixed population"),
        ("signs-small", ("real_share = 0.3", "real_share = 1.0"), "Labelled clips are a share from 0 to below 1"),
        ("cmwra", ("flow_step = 1 ", "flow_step = 0 "), "The network cmwra takes flow, and no other does."),
        ("cmwra", ("flow_step = 1 ", "flow_step = 40 "), "In frames: A flow over 40 frames does not fit a run of 40."),
        ("cmwra", ("[fit]", "[fit.augment]\nmirror = 0.5\n[fit]"), "Flow is not augmented"),
        ("cmwru", ("folds = 1", 'raft = "raft.pth"\nfolds = 1'), "RAFT makes flow, and this network takes frames."),
        (
            "cmwru",
            ("dropout = 0.65", 'dropout = 0.65\nweights = "weights.pth"'),
            "Weights to begin from are of a resnet; this network is cmwru.",
        ),
        ("cmwru", ("gamma = 1.0", "gamma = -1.0"), "In loss: A focal loss has an alpha from 0 to 1 and a gamma of at least 0"),
        ("cmwru", ("turn = 0.5", "turn = 1.5"), "Shares of runs lie between 0 and 1"),
        (
            "cmwru",
            ("dropout = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]", "dropout = 0.4"),
            "each with an array of numbers; found dropout = 0.4.",
        ),
        ("cmwra", ("gamma = [", "dropout = [0.5]\ngamma = ["), "A grid of dropout needs a network that has some; cmwra has none."),
        ("four-signs", ("num_frames = 1", "num_frames = 2"), "A resnet looks at single frames; runs here have 2."),
        ("cmwru", ('name = "cmwru"', 'name = "../cmwru"'), "needed is such as four-signs: it names a folder."),
        ("cmwru", ("folds = 1", "folds = 2"), "2 folds leave none to validate on"),
        ("cmwru", ("phantom_s = 3.0", "phantom_s = 1.0"), "Clips of 1 s hold no run of 1.33333 s."),
        ("blines-c2d-a", ("mirror = 0.5", "mirrored = 0.5"), "fit.augment.mirrored is not a setting; is mirror meant?"),
        ("blines-c2d-a", ("epochs = 60", "epochs = 0"), "In fit: A fit needs epochs, threads and steps of at least 1"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, name: str, change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(ExperimentError) as error:
        read_preset(str(changed(tmp_path, name, change)))

    assert sentence in str(error.value)


@pytest.mark.parametrize("name", preset_names())
def test_a_network_is_the_same_after_its_weights_were_kept_its_normalisation_too(name: str) -> None:
    preset = read_preset(name, quick=True)
    torch.manual_seed(0)
    fitted, again = build_network(preset, mean=0.0 if preset.frames.is_flow else 31.0, scale=7.0).eval(), build_network(preset).eval()
    again.load_state_dict(fitted.state_dict())
    shape = preset.frames.run_shape if preset.frames.is_flow else preset.frames.run_shape[1:]
    given = 255 * torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        torch.testing.assert_close(logits_of(again(given)), logits_of(fitted(given)))


def test_a_variant_that_is_none_is_told(tmp_path: Path) -> None:
    preset: Preset = read_preset(str(changed(tmp_path, "blines-c2d-a", ('variant = "c2d+a"', 'variant = "c4d"'))))

    with pytest.raises(
        ExperimentError, match=r"^In network: There is no variant 'c4d'; there are c2d\+a, c3d\+a, c2d\+lstm, c2d\+lstm\+a\.$"
    ):
        build_network(preset)


def test_a_name_that_is_none_is_answered_with_those_there_are() -> None:
    with pytest.raises(ExperimentError, match=r"^There is no preset called 'blines'; there are blines-c2d-a, .*, or a file of your own\.$"):
        read_preset("blines")
