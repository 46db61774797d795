"""Experiment files: everything is said, nothing is said that nobody reads."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from training.experiment import ExperimentError, FitSettings, from_table, read_experiment, with_changes

SHIPPED = Path(__file__).parents[2] / "training" / "experiments"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.name)
def test_the_shipped_experiments_are_read(path: Path) -> None:
    experiment = read_experiment(path)

    assert experiment.spec.patch_shape == (len(experiment.spec.bands), 60, 30, 30)
    assert FitSettings.from_json(experiment.fit.to_json()) == experiment.fit


def test_make_train_makes_the_shipped_kind() -> None:
    """Smaller and shorter, but the same input and the same network."""
    quick, default = (read_experiment(SHIPPED / f"{name}.toml") for name in ("quick", "default"))

    assert (quick.spec, quick.fit.model, quick.fit.augment) == (default.spec, default.fit.model, default.fit.augment)


def problem(tmp_path: Path, pattern: str, replacement: str) -> str:
    """What is said of the shipped experiment with one line changed."""
    text, times = re.subn(f"(?m)^{pattern}$", replacement, (SHIPPED / "default.toml").read_text())
    assert times == 1
    (tmp_path / "changed.toml").write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read_experiment(tmp_path / "changed.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "replacement", "sentence"),
    [
        ("epochs = .*", "epoch = 3", "fit.epoch is not a setting; is epochs meant?"),
        ("epochs = .*", "epochs = 3\ncolour = 1", "fit.colour is not a setting."),
        ("wall_gap_px = .*", "", "The experiment does not say spec.wall_gap_px."),
        ("epochs = .*", "epochs = 2.5", "fit.epochs is 2.5; needed is a whole number."),
        ("epochs = .*", "epochs = true", "fit.epochs is True; needed is a whole number."),
        ("learning_rate = .*", 'learning_rate = "small"', "fit.learning_rate is 'small'; needed is a number."),
        ("stabilised = .*", "stabilised = 1", "spec.stabilised is 1; needed is true or false."),
        ("model = .*", "model = 18", "fit.model is 18; needed is a text."),
        ("schedule = .*", 'schedule = "step"', 'fit.schedule is \'step\'; needed is "cosine" or "one_cycle".'),
        ("bands = .*", 'bands = ["lung", "liver"]', 'spec.bands[1] is \'liver\'; needed is "lung" or "wall".'),
        ("bands = .*", 'bands = "lung"', "spec.bands is 'lung'; needed is an array."),
        (r"\[fit.augment\]", "augment = 3\n[recipe.more]", "fit.augment is 3; needed is a table."),
        ("mirror = .*", "mirror = 2", "In fit.augment: Shares of patches lie between 0 and 1; mirror is 2 and reverse 0.5."),
        ("bands = .*", "bands = []", "In spec: An InputSpec names each of its bands once, and at least one."),
        ("version = .*", 'version = "new"', "In the experiment: Found name 'pleura-resnet3d-18' and version 'new'; needed are such as"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, pattern: str, replacement: str, sentence: str) -> None:
    assert sentence in problem(tmp_path, pattern, replacement)


def test_what_is_not_a_toml_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="The experiment cannot be read: No such file or directory."):
        read_experiment(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("epochs = ")
    with pytest.raises(ExperimentError, match=r"The experiment is not TOML: .* \(at end of document\)"):
        read_experiment(tmp_path / "broken.toml")


@dataclass(frozen=True)
class Inner:
    share: float


@dataclass(frozen=True)
class Recipe:
    slides_px: tuple[float, float]
    kinds: tuple[str, ...]
    inner: Inner
    probe: Literal["linear", "convex"] | None = None
    limit: int | None = None


def table(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_another_module_reads_its_own_table_the_same_way() -> None:
    read = from_table(Recipe, table('slides_px = [2, 25]\nkinds = ["mirror"]\nlimit = 3\ninner = {share = 1}'), "recipe")

    assert read == Recipe((2.0, 25.0), ("mirror",), Inner(1.0), None, 3)


def test_an_array_of_another_length_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"recipe.slides_px is \[2\]; needed is an array of 2."):
        from_table(Recipe, table("slides_px = [2]\nkinds = []\ninner = {share = 1}"), "recipe")


def test_what_is_given_on_the_command_line_is_checked_as_if_it_stood_in_the_file() -> None:
    settings = read_experiment(SHIPPED / "quick.toml").fit

    assert with_changes(settings, "fit", device="auto", num_threads=None).device == "auto"
    with pytest.raises(ExperimentError, match='fit.device is \'cuda:0\'; needed is "cpu" or "auto".'):
        with_changes(settings, "fit", device="cuda:0")
