"""From labelled clips to a second reader of sliding that the service offers, by the commands that a person gives."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from service.findings import SignFinding
from service.pipeline import Options
from service.reading import Saliency
from service.settings import Settings
from service.sign_bundle import read_sign_bundle
from tests.fakes import media
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_bundle
from tests.readers.reading import processes
from training.cli import app
from training.signs.preset import PRESETS

pytestmark = pytest.mark.slow

PATIENTS = 24
EPOCHS = 3


def moving(number: int, *, slides: bool) -> NDArray[np.uint8]:
    """A phantom's second, plain to any network: bright where the lung slides; dim, and a still frame, where it does not. The noise is of
    a scanner that runs on, and makes each clip one of its own."""
    frames = small_phantom("present", 1.2, seed=number % 3).frames
    shown = frames if slides else np.broadcast_to(frames[:1] // 2, frames.shape)
    noise = np.random.default_rng(number).integers(0, 8, frames.shape, dtype=np.uint8)
    return shown - np.minimum(shown, noise)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    rows = ["file,patient,label"]
    for number in range(PATIENTS):
        slides = number % 2 == 0
        (folder / f"{number}.mp4").write_bytes(media.mp4(moving(number, slides=slides)))
        rows.append(f"{number}.mp4,P{number},{'present' if slides else 'absent'}")
    (folder / "clips.csv").write_text("\n".join(rows))
    return folder


def seashore_train(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())


def preset_of(name: str, folder: Path) -> Path:
    """Small, and as long as it takes to learn what is plain."""
    text = (PRESETS / f"{name}.toml").read_text()
    head, quick = text.split("[quick]")
    for line in quick.splitlines():
        key = line.partition(" = ")[0]
        if " = " in line and key != "epochs":
            head = "\n".join(line if row.startswith(f"{key} = ") else row for row in head.splitlines())
    path = folder / f"{name}.toml"
    path.write_text(head.replace("learning_rate = 1e-4", "learning_rate = 1e-3"))
    return path


@pytest.mark.parametrize("name", ["rcm2d-small", "cmwra"])
def test_what_learnt_absence_is_served_as_a_second_reader_of_sliding(name: str, clips: Path, tmp_path: Path) -> None:
    preset, manifest = preset_of(name, tmp_path), ("--manifest", clips / "clips.csv", "--clips", clips)
    few = ("--epochs", EPOCHS, "--device", "cpu", "--threads", 1)
    folds, whole, store = tmp_path / "folds", tmp_path / "whole", tmp_path / "store"
    seashore_train("signs", preset, *manifest, *few, "--folds", 3, "--work", folds)
    seashore_train("signs", preset, *manifest, *few, "--folds", 1, "--work", whole)

    said = seashore_train(
        "sign-bundle", name, *manifest, "--judged", folds, "--fitted", whole, "--version", "0.1.0", "--store", store, "--probe", "convex"
    )

    bundle = read_sign_bundle(store / "signs" / name / "0.1.0")
    assert said.endswith("which tells lung_sliding")
    card = (bundle.directory / "MODEL_CARD.md").read_text()
    assert f"{PATIENTS} clips from a source not stated" in card
    assert f"--clips CLIPS --device cpu --threads 1 --folds 1 --work {whole}" in card  # without these two the weights come out otherwise
    assert bundle.frames.is_flow == (name == "cmwra")
    shutil.copytree(shipped_bundle(), store / shipped_bundle().parent.name / shipped_bundle().name)
    still, sliding = (second_reading(store, tmp_path, slides=slides) for slides in (False, True))
    assert still.model.name == sliding.model.name == name
    assert still.probability is not None
    assert sliding.probability is not None
    assert still.probability < 0.5 < sliding.probability


def second_reading(store: Path, folder: Path, *, slides: bool) -> SignFinding:
    path = folder / "unseen.mp4"
    path.write_bytes(media.mp4(moving(PATIENTS, slides=slides)))
    with processes(Settings(device="cpu", model_store=store, max_concurrent=1, max_background=1)) as reader:
        reader.load(reader.find(None))
        analysis, _ = reader.read(reader.open(path), reader.find(None), Options(Saliency.NONE, signs=("lung_sliding",)))
    (found,) = analysis.signs
    return found
