"""How whoever reads clips stands just now: its models, and the processes that it reads them in. Plain values, for an administrator."""

from dataclasses import dataclass
from enum import StrEnum


class Presence(StrEnum):
    """Where one bundle of the store stands."""

    LOADED = "loaded"
    LOADING = "loading"
    NOT_ASKED = "not_asked"
    """Nobody has asked for it yet: it is loaded when somebody does."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class BatchCount:
    """Batches of one kind that a device has done since its model was loaded."""

    task: str
    """"classify" or "explain"."""
    patches: int
    """In each of them."""
    largest: int
    """As many as a batch of this kind may hold."""
    count: int
    device_s: float
    """All of them together, shared out to the device's streams."""


@dataclass(frozen=True, slots=True)
class DeviceStanding:
    """How a device is busy with one model's patches."""

    backlog_s: float
    """So long it will take for what waits."""
    longest_batch_s: float
    """How long the batch that was begun first has been with it; 0 where none is."""
    batches: tuple[BatchCount, ...]


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """One bundle of the store."""

    name: str
    version: str
    is_default: bool
    presence: Presence
    sha256: str
    """Of its model, as its manifest states it; "" where the manifest cannot be read."""
    device: str = ""
    """Where it really runs; "" unless it is loaded here."""
    precision: str = ""
    """What it is really calculated in; "" unless it is loaded here."""
    code: str = ""
    """Of the error for which it was refused; of a model of signs also of what befell its device."""
    detail: str = ""
    """That error's sentence."""
    work: DeviceStanding | None = None
    """What its device does; None unless it is loaded here."""


@dataclass(frozen=True, slots=True)
class SignStanding:
    """One model of signs beside sliding."""

    model: ModelStanding
    signs: tuple[str, ...]
    """Those that it tells; none where its manifest cannot be read."""


@dataclass(frozen=True, slots=True)
class ProcessesStanding:
    """The reader processes of this machine."""

    size: int
    """At most so many."""
    started: int
    alive: int
    busy: int
    lost: int
    """So many since the start have died, or had to be ended, over their work or between two clips."""


@dataclass(frozen=True, slots=True)
class ReaderStanding:
    models: tuple[ModelStanding, ...]
    """By name, the newest version first."""
    processes: ProcessesStanding | None = None
    """None where clips are not read in processes of this machine."""
    signs: tuple[SignStanding, ...] = ()
    """By name: of each the version that is offered, or will be."""
