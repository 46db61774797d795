"""A bundle exported again: its answers to the byte, its gradients to rounding, and a new name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from service.bundle import SALIENCY, Bundle, read_bundle, write_bundle
from service.bundle_files import GOLDEN_ANSWER, GOLDEN_CLIP, MODEL, MODEL_CARD
from service.cine.reference import FEWEST_CLIPS
from service.engine.select import open_engine
from service.manifest import Label, LabelledClip, Manifest
from tests.fakes.inputs import MODEL_ALONE
from tests.fakes.media import mp4
from tests.fakes.phantoms import small_phantom
from tests.training.test_models import net
from tests.training.test_restore import SMALL
from training.cli import app
from training.export import ExportDisagrees, export, gradient_errors
from training.reexport import OtherClips, VersionTaken, reexport
from training.restore import restore

pytestmark = pytest.mark.slow
"""Every export takes 10 s."""

NAME = "resnet3d-18-changes"
SPEC = replace(SMALL, window_stride_frames=SMALL.window_frames)
"""Clips can be read with it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With ours:1.0.0, a net of width 2 that was never fitted."""
    graphs, store = tmp_path_factory.mktemp("graphs"), tmp_path_factory.mktemp("store")
    torch.manual_seed(0)
    export(net(NAME, channels=2, width=2), patch_shape=SPEC.patch_shape, directory=graphs)
    (graphs / "clip.mp4").write_bytes(b"a clip")
    write_bundle(
        store,
        name="ours",
        version="1.0.0",
        model_onnx=graphs / MODEL,
        saliency_onnx=graphs / SALIENCY,
        golden_clip=graphs / "clip.mp4",
        golden_answer=lambda _: {"verdict": "present"},
        model_card="# ours 1.0.0\n\n## What it is for\nLungs.\n",
        input_spec=SPEC,
        calibration=MODEL_ALONE,
        training={"clips": FEWEST_CLIPS, "fit": {"model": NAME, "width": 2}},
    )
    return store


@pytest.fixture(scope="module")
def again(store: Path) -> Bundle:
    return reexport(store, "ours:1.0.0", "1.0.1")


def test_what_decides_an_answer_is_copied(store: Path, again: Bundle) -> None:
    old = store / "ours" / "1.0.0"

    assert (again.name, again.version, again.directory) == ("ours", "1.0.1", store / "ours" / "1.0.1")
    assert (again.input_spec, again.calibration) == (SPEC, MODEL_ALONE)
    assert all((again.directory / file).read_bytes() == (old / file).read_bytes() for file in (MODEL, GOLDEN_CLIP, GOLDEN_ANSWER))


def test_the_new_saliency_graph_gives_the_old_ones_gradients(store: Path, again: Bundle) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SPEC.patch_shape)).astype(np.float32)
    folders = store / "ours" / "1.0.0", again.directory
    (logits, gradients), (logits_again, gradients_again) = (
        open_engine(folder / MODEL, folder / SALIENCY, device="onnx-cpu").logits_and_gradients(pixels) for folder in folders
    )

    assert np.allclose(logits, logits_again, atol=1e-5)
    assert gradient_errors(gradients_again, gradients).max() < 1e-4


def test_card_and_manifest_say_what_it_was_exported_from(again: Bundle) -> None:
    card = (again.directory / MODEL_CARD).read_text()

    assert card.startswith(f"# ours 1.0.1\n\nours:1.0.0, exported again: the same weights, `model.onnx` (sha256 {again.sha256[:12]})")
    assert card.endswith("\n\n## What it is for\nLungs.\n")
    assert again.training["exported_again"] == {"name": "ours", "version": "1.0.0", "sha256": again.sha256}
    assert again.training["clips"] == FEWEST_CLIPS
    assert again.input_statistics is None


def manifest_of(file: Path, num: int) -> Manifest:
    """So many clips that were learned from, and one that was held out."""
    clips = [LabelledClip(file, f"P{n}", Label.UNKNOWN, split="train", row=n) for n in range(num)]
    return Manifest((*clips, LabelledClip(file, "held out", Label.UNKNOWN, split="test", row=num)))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(mp4(small_phantom("present", 2.2).frames))
    return tmp_path / "clip.mp4"


def test_with_the_manifest_it_says_what_the_clips_were_like_that_it_learned_from(store: Path, clip: Path) -> None:
    measured = reexport(store, "ours:1.0.0", "1.1.0", manifest_of(clip, FEWEST_CLIPS))
    card = (measured.directory / MODEL_CARD).read_text()

    assert measured.input_statistics is not None
    assert measured.input_statistics.bins["frame_rate_fps"].counts == (FEWEST_CLIPS, 0)
    assert measured.model_onnx.read_bytes() == (store / "ours" / "1.0.0" / MODEL).read_bytes()
    assert f"What the {FEWEST_CLIPS} clips it learned from were like is in `manifest.json`" in card

    copied = reexport(store, "ours:1.1.0", "1.1.1")
    assert copied.input_statistics == measured.input_statistics


def test_other_clips_than_it_learned_from_are_refused(store: Path, clip: Path) -> None:
    with pytest.raises(OtherClips, match=f'^ours:1.0.0 learned from {FEWEST_CLIPS} clips; the manifest\'s part "train" has 3.$'):
        reexport(store, "ours:1.0.0", "1.2.0", manifest_of(clip, 3))


def test_clips_that_cannot_be_read_make_no_statistics(store: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    with pytest.raises(
        OtherClips, match=f"^Fewer than {FEWEST_CLIPS} of the manifest's clips could be read; their statistics would say nothing.$"
    ):
        reexport(store, "ours:1.0.0", "1.2.0", manifest_of(tmp_path / "broken.mp4", FEWEST_CLIPS))

    assert not (store / "ours" / "1.2.0").exists()


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1"])
def test_a_version_is_never_written_over(version: str, store: Path, again: Bundle) -> None:
    with pytest.raises(
        VersionTaken, match=f"^There is a bundle ours:{version} already and none is written over; --version must be another one.$"
    ):
        reexport(store, "ours:1.0.0", version)


def test_a_network_that_does_not_answer_as_the_bundle_does_is_not_written(
    store: Path, again: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed behind the back of `restore`, which would have seen it."""

    wrong = restore(read_bundle(again.directory))
    torch.nn.init.constant_(wrong.get_parameter("head.linear.bias"), 5.0)
    monkeypatch.setattr("training.reexport.restore", lambda _: wrong)
    with pytest.raises(ExportDisagrees, match="and torch differ by .* in a logit of model.onnx.$"):
        reexport(store, "ours:1.0.0", "1.0.2")

    assert not (store / "ours" / "1.0.2").exists()


def test_the_command_says_where_the_bundle_is_and_what_cannot_be_done(store: Path, again: Bundle) -> None:
    def ask(version: str) -> str:
        return CliRunner().invoke(app, ["reexport", "ours:1.0.0", "--version", version, "--store", str(store)]).output

    assert ask("1.0.3") == f"The bundle is in {store / 'ours' / '1.0.3'}\n"
    assert ask("1.0.0") == "There is a bundle ours:1.0.0 already and none is written over; --version must be another one.\n"
