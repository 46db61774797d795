"""Clips and patches that several files of these tests use, made once a run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.cine.spec import InputSpec
from service.manifest import Label, LabelledClip, Manifest
from tests.fakes.phantoms import small_phantom
from training.examples import ExampleWriter, Origin, read_examples
from training.experiment import AugmentSettings, FitSettings
from training.study.clips import FITTED, JUDGED, StudyClip, labelled_clips
from training.study.grid import PatchSet, Row, Study, read_study
from training.study.run import RowInput

EXPERIMENTS = Path(__file__).parents[3] / "training" / "study"
SMALL = PatchSet("small", InputSpec(30.0, 16, 8, 480, 12, 12, 0, ("lung",), 0, False, "uint8"), 1)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A clip that slides and one that does not, of two patients, 2.5 s, and a healthy one that is no clip at all."""
    folder = tmp_path_factory.mktemp("study")
    files = [folder / "a.mp4", folder / "b.mp4", folder / "c.mp4"]
    small_phantom("present", 2.5).write(files[0])
    small_phantom("absent", 2.5).write(files[1])
    files[2].write_text("no clip")
    labels = (Label.PRESENT, Label.ABSENT, Label.HEALTHY)
    return Manifest(tuple(LabelledClip(file, f"P{k}", label, row=k + 2) for k, (file, label) in enumerate(zip(files, labels, strict=True))))


@pytest.fixture(scope="session")
def clips(manifest: Manifest) -> tuple[StudyClip, ...]:
    return labelled_clips(manifest, healthy_is_present=False)


@pytest.fixture
def study() -> Study:
    """The quick study with a fit of a second: of squares, as `given` holds them."""
    quick = read_study(EXPERIMENTS / "study_quick.toml")
    augment = AugmentSettings(mirror=0.0, reverse=0.0, gamma=1.0, gain=1.0, noise=0.0)
    fit: FitSettings = replace(quick.fit, width=2, epochs=3, batch_size=16, num_threads=1, augment=augment)
    return replace(quick, fit=fit)


@pytest.fixture(scope="session")
def row() -> Row:
    return Row("resnet3d-18", SMALL)


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> RowInput:
    """Eight patients of 32 patches: a square that moves for every other patient, and one that does not."""
    folder = tmp_path_factory.mktemp("study") / "squares"
    rng = np.random.default_rng(0)
    with ExampleWriter(folder, SMALL.spec) as writer:
        for number in range(256):
            patient, slides = number % 8, number % 2
            patch = rng.integers(40, 60, SMALL.spec.patch_shape).astype(np.uint8)
            for t in range(16):
                x = 4 + slides * round(3 * np.sin(2 * np.pi * t / 16))
                patch[0, t, 4:8, x : x + 4] = 200
            writer.add(patch, Origin(slides, f"P{patient}", f"clip {patient}", "labelled", "", 0))
    examples = read_examples(folder)
    judged = np.isin(examples.patient, ["P6", "P7"])
    return RowInput((folder,), examples, {FITTED: np.flatnonzero(~judged), JUDGED: np.flatnonzero(judged)})
