"""A preset: one TOML file of `training/experiments/signs` that says everything a published model is trained with, and its reduced form.

name = "blines-c2d-lstm-a"
source = "..."                   what of all this is published, and what was chosen
learns = "b_lines"               whose label: b_lines, four_signs or sliding (absence is the positive then)
inputs = "frames"                or "flow"
folds = 5                        patient-wise; 1 is one split of 60:20:20
phantoms = 240                   simulated clips, where no manifest is given
[frames]                         how runs are made: service.cine.frame_spec.FrameSpec
[network] [loss] [fit] [fit.augment]
[grid]                           values of a setting that a published table compares
[quick]                          what differs in the reduced form, of minutes
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from service.cine.frame_spec import FrameSpec
from training.experiment import ExperimentError, from_table, read_toml

PRESETS = Path(str(files("training"))) / "experiments" / "signs"

Learns = Literal["b_lines", "four_signs", "sliding"]
SIGNS: Mapping[str, tuple[str, ...]] = {
    "b_lines": ("b_lines",),
    "four_signs": ("a_lines", "b_lines", "effusion", "consolidation"),
    "sliding": ("absent",),
}
"""What each logit stands for. Published models of sliding call its absence the positive."""


@dataclass(frozen=True, slots=True)
class Network:
    kind: Literal["blines", "resnet", "rcm2d-small", "cmwru", "cmwra"]
    variant: str = ""
    """Of "blines" and "resnet"."""
    width: int = 64
    """Of "resnet"."""
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Loss:
    kind: Literal["binary", "focal", "softmax"]
    alpha: float = 0.5
    """Focal: weight of the positives; 1 - alpha is that of the negatives."""
    gamma: float = 0.0
    """Focal: how much less counts what is right already."""


@dataclass(frozen=True, slots=True)
class FrameAugment:
    """Each with its share of the runs, alike for all frames of one. Left is right, but the pleura is up: nothing is turned over."""

    mirror: float = 0.0
    light: float = 0.0
    """Share whose brightness and contrast are changed."""
    brightness: float = 0.2
    """At most so much of the grey scale is added."""
    contrast: float = 1.25
    """Grey levels are stretched by a factor from 1/contrast to contrast."""
    turn: float = 0.0
    turn_deg: float = 10.0
    crop: float = 0.0
    crop_least: float = 0.85
    """Of the side that is left, which is enlarged to the whole."""

    @property
    def is_off(self) -> bool:
        return not any((self.mirror, self.light, self.turn, self.crop))


@dataclass(frozen=True, slots=True)
class SignFit:
    """How the network is fitted; the words are those of `training.experiment.FitSettings`."""

    epochs: int
    batch_size: int
    optimizer: Literal["adam", "adamw"]
    learning_rate: float
    weight_decay: float
    """"adam" adds it to the gradient (L2), "adamw" takes it off the weights."""
    seed: int
    augment: FrameAugment = FrameAugment()
    schedule: Literal["constant", "step", "cosine"] = "constant"
    step_epochs: int = 5
    step_factor: float = 0.5
    gradient_clip: float = 0.0
    balance: Literal["as_is", "drop", "each_epoch"] = "as_is"
    """Of two classes: as many of the larger as the smaller has, dropped once, or drawn anew each epoch."""
    patience_epochs: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "auto"] = "auto"
    num_threads: int = 2

    def __post_init__(self) -> None:
        if min(self.epochs, self.num_threads, self.step_epochs) < 1 or self.batch_size < 2:
            raise ValueError("A fit needs epochs, threads and steps of at least 1 and batches of at least 2.")
        if self.learning_rate <= 0 or min(self.weight_decay, self.gradient_clip, self.patience_epochs, self.seed) < 0:
            raise ValueError("A fit needs a learning rate above 0; decay, clip, patience and seed cannot be below 0.")

    @property
    def num_devices(self) -> int:
        return 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    source: str
    """What is published, and what is not and was chosen."""
    learns: Learns
    inputs: Literal["frames", "flow"]
    folds: int
    phantoms: int
    phantom_s: float
    frames: FrameSpec
    network: Network
    loss: Loss
    fit: SignFit
    flow_step: int = 1
    """Frames from one picture to the one that its flow leads to."""
    grid: Mapping[str, Any] | None = None
    """Setting -> values, such as {"dropout": [0.4, 0.5]}."""

    def __post_init__(self) -> None:
        if (self.loss.kind == "softmax") != (len(self.signs) > 1):
            raise ValueError(
                f"{len(self.signs)} signs do not go with a loss of {self.loss.kind}: one of several is told by softmax, one alone is not."
            )
        if (self.network.kind == "cmwra") != (self.inputs == "flow"):
            raise ValueError("The network cmwra takes flow, and no other does.")
        if self.inputs == "flow" and not self.fit.augment.is_off:
            raise ValueError("Flow is not augmented: a picture that is turned or mirrored moves another way.")
        if self.folds == 2 or self.folds < 1:
            raise ValueError(f"{self.folds} folds leave none to validate on; needed are 1 (one split of 60:20:20) or 3 and more.")
        if self.phantom_s < self.frames.run_s:
            raise ValueError(f"Clips of {self.phantom_s:g} s hold no run of {self.frames.run_s:g} s.")

    @property
    def signs(self) -> tuple[str, ...]:
        return SIGNS[self.learns]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def with_value(self, setting: str, value: float) -> "Preset":
        """With another value of a setting of its grid. Raises: ExperimentError for one that no grid changes."""
        if setting == "dropout":
            return replace(self, network=replace(self.network, dropout=value))
        if setting == "gradient_clip":
            return replace(self, fit=replace(self.fit, gradient_clip=value))
        if setting == "gamma":
            return replace(self, loss=replace(self.loss, gamma=value))
        raise ExperimentError(f"{setting} is not a setting that a grid changes; there are dropout, gradient_clip and gamma.")


def preset_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def read_preset(name: str, *, quick: bool = False) -> Preset:
    """One that ships, by its name, or a file of one's own. `quick`: its reduced form. Raises: ExperimentError."""
    path = PRESETS / f"{name}.toml"
    if not path.exists():
        path = Path(name)
    if not path.exists():
        raise ExperimentError(f"There is no preset called {name!r}; there are {', '.join(preset_names())}, or a file of your own.")
    table = read_toml(path)
    reduced = table.pop("quick", {})
    return from_table(Preset, _merged(table, reduced) if quick else table, "")


def _merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables within tables, value by value."""
    both = dict(table)
    for key, value in over.items():
        both[key] = _merged(both.get(key, {}), value) if isinstance(value, Mapping) else value
    return both
