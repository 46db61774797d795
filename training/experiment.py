"""An experiment: one TOML file that says everything a bundle is trained with. What is not in it is not a default somewhere.

    name = "pleura-resnet3d-18"      the bundle's
    version = "1.0.0"
    [spec]                           how patches are made: service.cine.spec.InputSpec
    [recipe]                         which examples are made: read by training.recipe
    [fit]                            how the network is fitted
    [fit.augment]                    what is changed on the way

Every key is read by somebody, and none is left out unless its field has a default.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from service.cine.spec import InputSpec

T = TypeVar("T")


class ExperimentError(ValueError):
    """The file does not say what is needed, or says what nobody reads."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How often, and how far at most."""

    mirror: float
    """Share of patches mirrored left to right. The probe's marker may point either way, and either side may be filmed."""
    reverse: float
    """Share of patches run backwards. Breathing in, backwards, is breathing out."""
    gamma: float
    """Grey levels are raised to a power from 1/gamma to gamma; 1 is off. Scanners map echoes to grey by different curves."""
    gain: float
    """Grey levels are multiplied by a factor from 1/gain to gain; 1 is off. The operator turns the gain to taste."""
    noise: float
    """Standard deviation, up to this many grey levels, of noise that is new in every frame. Deep and weak echoes are noisy."""

    def __post_init__(self) -> None:
        if not (0 <= self.mirror <= 1 and 0 <= self.reverse <= 1):
            raise ValueError(f"Shares of patches lie between 0 and 1; mirror is {self.mirror:g} and reverse {self.reverse:g}.")
        if self.gamma < 1 or self.gain < 1 or self.noise < 0:
            raise ValueError(f"Found gamma {self.gamma:g}, gain {self.gain:g}, noise {self.noise:g}; needed are at least 1, 1 and 0.")


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What is fitted and how. No defaults: experiments/*.toml say it. (Those at the end say what every older file meant.)"""

    model: str
    """A name of `training.models`."""
    width: int
    epochs: int
    batch_size: int
    learning_rate: float
    """The highest it gets to."""
    weight_decay: float
    """Of the optimizer; not of biases and batch-norm."""
    schedule: Literal["cosine", "one_cycle"]
    label_smoothing: float
    """0.1 makes the targets 0.05 and 0.95; the validation loss is without."""
    gradient_clip: float
    """Greatest norm of a step's gradient; 0 is off."""
    validation_share: float
    """Of the patients."""
    patience_epochs: int
    """Epochs without a lower validation loss after which it stops; 0 never does."""
    seed: int
    precision: Literal["float32", "bfloat16"]
    """bfloat16 is a third faster on CPUs that have it, and rounds to 3 digits while training."""
    device: Literal["cpu", "auto"]
    """On the CPU the same settings give the same weights, bit for bit, on the same machine and number of threads."""
    num_threads: int
    num_workers: int
    """Processes that read batches; 0 reads in this one, which costs a hundredth of a step."""
    augment: AugmentSettings
    optimizer: Literal["adamw", "adam"] = "adamw"
    constant_rate: bool = False
    """The learning rate throughout, in the place of the schedule."""
    num_devices: int = 1
    """Of one machine, by DDP: each takes its part of every batch, so that a step means the same."""

    def __post_init__(self) -> None:
        if min(self.width, self.epochs, self.num_threads) < 1 or self.batch_size < 2:
            raise ValueError("A fit needs a width, epochs and threads of at least 1 and batches of at least 2.")
        if not 1 <= self.num_devices <= self.batch_size // 2:
            raise ValueError(
                f"Found {self.num_devices} devices and batches of {self.batch_size}; needed are 1 or more, each with 2 patches of a batch."
            )
        if not (self.learning_rate > 0 and 0 <= self.label_smoothing < 1 and 0 < self.validation_share < 1):
            raise ValueError("A fit needs a learning rate above 0, smoothing from 0 to below 1 and a validation share between 0 and 1.")
        if min(self.weight_decay, self.gradient_clip, self.patience_epochs, self.num_workers, self.seed) < 0:
            raise ValueError("Weight decay, gradient clip, patience, workers and seed of a fit cannot be below 0.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FitSettings":
        return cls(**(dict(values) | {"augment": AugmentSettings(**values["augment"])}))


@dataclass(frozen=True, slots=True)
class Experiment:
    name: str
    """Of the bundle: model_store/<name>/<version>/."""
    version: str
    spec: InputSpec
    recipe: Mapping[str, Any]
    """As it stands in the file; `training.recipe` reads it with `from_table`."""
    fit: FitSettings

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.name) or not re.fullmatch(r"\d+(\.\d+)*", self.version):
            raise ValueError(f"Found name {self.name!r} and version {self.version!r}; needed are such as pleura-resnet3d-18 and 1.0.0.")


def read_experiment(path: Path) -> Experiment:
    """Raises: ExperimentError, naming the key."""
    return from_table(Experiment, read_toml(path), "")


def read_toml(path: Path) -> dict[str, Any]:
    """The file's table, not yet looked into. Raises: ExperimentError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExperimentError(f"The experiment cannot be read: {error.strerror or 'unknown reason'}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExperimentError(f"The experiment is not TOML: {error}.") from None


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a TOML table called `where` ("fit.augment"; "" is the whole file), each value of its field's type.

    Whole numbers serve as numbers, arrays as tuples, tables as mappings or dataclasses. A key is left out only where the
    field has a default. Raises: ExperimentError for a key that is missing or that nobody reads, and for a value of
    another type, or one the dataclass refuses.
    """
    hints = get_type_hints(kind)
    columns = {column.name: column for column in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in columns:
            near = get_close_matches(key, columns, 1)
            raise ExperimentError(f"{_key(where, key)} is not a setting{f'; is {near[0]} meant?' if near else '.'}")
    missing = [
        name for name, column in columns.items() if name not in table and column.default is MISSING and column.default_factory is MISSING
    ]
    if missing:
        raise ExperimentError(f"The experiment does not say {', '.join(_key(where, name) for name in missing)}.")
    values = {key: _value(hints[key], value, _key(where, key)) for key, value in table.items()}
    try:
        return kind(**values)
    except ExperimentError:
        raise
    except ValueError as error:
        raise ExperimentError(f"In {where or 'the experiment'}: {error}") from None


def with_changes(settings: T, where: str, **given: object) -> T:
    """The settings with what was given (not None) in its place, checked as if it stood in the file. Raises: ExperimentError."""
    changes = {name: value for name, value in given.items() if value is not None}
    asked = {column.name: getattr(settings, column.name) for column in fields(settings)}  # type: ignore[arg-type]
    hints = get_type_hints(type(settings))
    changed = asked | {name: _value(hints[name], value, _key(where, name)) for name, value in changes.items()}
    try:
        return type(settings)(**changed)
    except ValueError as error:
        raise ExperimentError(f"In {where}: {error}") from None


def _key(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as a `hint`. Raises: ExperimentError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_table(hint, value, where)  # type: ignore[arg-type]
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list) and (arguments[-1] is ... or len(arguments) == len(value)):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        return tuple(_value(kind, item, f"{where}[{k}]") for k, (kind, item) in enumerate(zip(kinds, value, strict=True)))
    if origin in (Union, UnionType):
        (inner,) = [kind for kind in arguments if kind is not NoneType]
        return _value(inner, value, where)
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return value
    raise ExperimentError(f"{where} is {value!r}; needed is {_words(hint)}.")


def _words(hint: Any) -> str:
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if hint in plain:
        return plain[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f'"{choice}"' for choice in arguments)
    if origin is tuple:
        return "an array" if arguments[-1] is ... else f"an array of {len(arguments)}"
    if origin in (Union, UnionType):
        return " or ".join(_words(kind) for kind in arguments if kind is not NoneType)
    return "a table"
