"""A preset: one TOML file of `training/experiments/signs` that says everything a published model is trained with, and its reduced form.

name = "blines-c2d-lstm-a"
source = "..."                   what of all this is published, and what was chosen
learns = "b_lines"               whose label: b_lines, four_signs (one of them), signs (any), sliding (its absence is the positive)
folds = 5                        patient-wise; 1 is one split of 60:20:20
phantoms = 240                   simulated clips, where no manifest is given
real_share = 0.3                 and beside a manifest's clips, which are then this share of what is learnt from
[frames]                         how runs are made, of frames or of flow: service.cine.frame_spec.FrameSpec
[network] [loss] [fit] [fit.augment]
[distil] [distil.network]        networks that are fitted first, to the same patients, and learnt from beside the labels
[grid]                           values of a setting that a published table compares
[quick]                          what differs in the reduced form, of minutes
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from service.cine.frame_spec import FrameSpec
from service.findings import LABELLED_SIGNS
from training.experiment import ExperimentError, from_table, read_toml

PRESETS = Path(str(files("training"))) / "experiments" / "signs"

GRIDS = ("dropout", "gradient_clip", "gamma")
"""Settings that a grid may change."""
RAFT_LEAST_PX = 128
"""RAFT looks at an eighth of the picture, and at that halved four times."""

ABSENT = "absent"
"""Of sliding."""
Learns = Literal["b_lines", "four_signs", "signs", "sliding"]
SIGNS_OF: Mapping[str, tuple[str, ...]] = {
    "b_lines": ("b_lines",),
    "four_signs": LABELLED_SIGNS,
    "signs": LABELLED_SIGNS,
    "sliding": (ABSENT,),
}
"""What each logit stands for. As CMWRU has it, absence of sliding is the positive, of all three models of sliding."""


@dataclass(frozen=True, slots=True)
class Network:
    kind: Literal["blines", "resnet", "rcm2d-small", "cmwru", "cmwra"]
    variant: str = ""
    """Of "blines" and "resnet"."""
    width: int = 64
    """Of "resnet"."""
    channels: int = 16
    """Of "blines": of its first two convolutions; the other two have twice as many."""
    features: int = 256
    """Of "blines": of a frame."""
    dropout: float = 0.0
    weights: str = ""
    """Of "resnet": a file of torchvision's weights to begin from (training.signs.weights); "" begins from none."""


@dataclass(frozen=True, slots=True)
class Loss:
    kind: Literal["binary", "focal", "softmax"]
    alpha: float = 0.5
    """Focal: weight of the positives; 1 - alpha is that of the negatives."""
    gamma: float = 0.0
    """Focal: how much less counts what is right already."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.gamma < 0:
            raise ValueError(f"A focal loss has an alpha from 0 to 1 and a gamma of at least 0; found {self.alpha:g} and {self.gamma:g}.")


@dataclass(frozen=True, slots=True)
class Distil:
    """Teachers that the network learns from beside the labels (training.signs.teachers)."""

    teachers: int = 0
    """So many, each from a seed of its own, fitted as the network itself is."""
    share: float = 0.5
    """Of the loss, that to what they say; the rest is that to the labels."""
    network: Network | None = None
    """Theirs; the preset's own unless given."""

    def __post_init__(self) -> None:
        if self.teachers < 0 or not 0 < self.share <= 1:
            raise ValueError(f"Teachers are 0 or more, their share above 0 and up to 1; found {self.teachers} and {self.share:g}.")


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
    zoom: float = 0.0
    """Share that is seen as with another depth and width of the picture, each by itself, and a little aslant."""
    scanner: float = 0.0
    """Share that is shown as another scanner would: its grey curve, its gain by depth, its sharpness, its noise."""

    def __post_init__(self) -> None:
        shares = self._shares
        if not all(0 <= share <= 1 for share in shares) or not 0 < self.crop_least <= 1 or self.contrast < 1:
            raise ValueError("Shares of runs lie between 0 and 1, what a crop leaves above 0 and up to 1, and contrast is at least 1.")

    @property
    def is_off(self) -> bool:
        return not any(self._shares)

    @property
    def _shares(self) -> tuple[float, ...]:
        return self.mirror, self.light, self.turn, self.crop, self.zoom, self.scanner


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
    folds: int
    phantoms: int
    phantom_s: float
    frames: FrameSpec
    network: Network
    loss: Loss
    fit: SignFit
    population: Literal["textbook", "mixed"] = "textbook"
    """The phantoms: one leading sign each, as clear as in a textbook, or any of the four at once (training.signs.mixtures)."""
    real_share: float = 0.0
    """Of what is learnt from, the manifest's clips', where there is one, patients alike; the rest are the preset's phantoms, which nothing
    is judged on. 0: no phantom stands beside labelled clips."""
    distil: Distil = Distil()
    raft: str = ""
    """A checkpoint of RAFT to take the flow by (training.raft); "" takes DIS."""
    grid: Mapping[str, Any] | None = None
    """Setting -> values, such as {"dropout": [0.4, 0.5]}."""

    def __post_init__(self) -> None:
        for wrong in self._wrongs():
            raise ValueError(wrong)

    def _wrongs(self) -> Iterator[str]:
        """What does not go together."""
        kind, frames = self.network.kind, self.frames
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.name):
            yield f"Found name {self.name!r}; needed is such as four-signs: it names a folder."
        if (self.loss.kind == "softmax") != (self.learns == "four_signs"):
            yield f"{self.learns} does not go with a loss of {self.loss.kind}: softmax tells one of four signs, and nothing else does."
        if not 0 <= self.real_share < 1:
            yield f"Labelled clips are a share from 0 to below 1 of what is learnt from beside phantoms; found {self.real_share:g}."
        if self.learns != "b_lines" and (self.learns == "signs") != (self.population == "mixed"):
            yield f"{self.learns} does not go with the {self.population} population: mixed phantoms show any of the four signs at once."
        if self.folds == 2 or self.folds < 1:
            yield f"{self.folds} folds leave none to validate on; needed are 1 (one split of 60:20:20) or 3 and more."
        if self.phantom_s < frames.run_s:
            yield f"Clips of {self.phantom_s:g} s hold no run of {frames.run_s:g} s."
        if kind == "resnet" and frames.num_frames != 1:
            yield f"A resnet looks at single frames; runs here have {frames.num_frames}."
        if self.network.weights and kind != "resnet":
            yield f"Weights to begin from are of a resnet; this network is {kind}."
        if self.distil.network and self.distil.network.weights:
            yield "Teachers begin from no weights of a file."
        if self.distil.teachers:
            self.teacher(1)  # raises for a network that these runs are not made for
        yield from self._wrongs_of_flow()
        for setting, values in (self.grid or {}).items():
            if setting not in GRIDS or not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
                yield f"A grid is of {', '.join(GRIDS)}, each with an array of numbers; found {setting} = {values!r}."
            if setting == "dropout" and kind in ("resnet", "cmwra"):
                yield f"A grid of dropout needs a network that has some; {kind} has none."

    def _wrongs_of_flow(self) -> Iterator[str]:
        frames, is_flow = self.frames, self.frames.is_flow
        if (self.network.kind == "cmwra") != is_flow:
            yield "The network cmwra takes flow, and no other does."
        if self.raft and not is_flow:
            yield "RAFT makes flow, and this network takes frames."
        if self.raft and (frames.side_px < RAFT_LEAST_PX or frames.side_px % 8):
            yield f"RAFT takes frames of {RAFT_LEAST_PX} px and more, in steps of 8; these have {frames.side_px}."
        if is_flow and not self.fit.augment.is_off:
            yield "Flow is not augmented: a picture that is turned or mirrored moves another way."

    @property
    def signs(self) -> tuple[str, ...]:
        return SIGNS_OF[self.learns]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def teacher(self, number: int) -> "Preset":
        """How the teacher of this number, from 1, is fitted: as the network itself, from another seed, and taught by none."""
        fit = replace(self.fit, seed=self.fit.seed + number)
        return replace(self, network=self.distil.network or self.network, fit=fit, distil=Distil())

    def with_value(self, setting: str, value: float) -> "Preset":
        """With another value of a setting of its grid. Raises: ExperimentError for one that no grid changes."""
        if setting == "dropout":
            return replace(self, network=replace(self.network, dropout=value))
        if setting == "gradient_clip":
            return replace(self, fit=replace(self.fit, gradient_clip=value))
        if setting == "gamma":
            return replace(self, loss=replace(self.loss, gamma=value))
        raise ExperimentError(f"{setting} is not a setting that a grid changes; there are {', '.join(GRIDS)}.")


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
