"""What the service and a reader process say to each other.

A reader has had a stranger's clip in its hands. What it says is therefore JSON and plain arrays, which can only be values; pickle,
which can make whoever hears it do anything, goes the other way alone.
"""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.turn import Answer
from service.evidence.identity import Identity
from service.evidence.rendition import Marks
from service.findings import Analysis, Line
from service.pipeline import Options
from service.readers.wire import MAX_BUFFERS, Buffer, Wire
from service.shelf import ModelEntry

LARGE_BYTES = 2**16
DTYPES = ("uint8", "int32", "float32")


# -- to the reader -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """The clip's file, which is handed over open, as the first one: a reader can open none by itself."""

    is_unhurried: bool
    """It may be as long as a job's."""


SLIDING = ""
"""Whose patches are asked about, where they are not those of a model of signs."""


@dataclass(frozen=True, slots=True)
class ReadSign:
    """A model of signs that is asked about the same clip."""

    entry: ModelEntry
    fingerprint: str
    device: str
    signs: tuple[str, ...]
    """Which of those that it tells."""


@dataclass(frozen=True, slots=True)
class Read:
    clip: File
    entry: ModelEntry
    fingerprint: str
    """Of the bundle that will answer. A reader that finds another in the store refuses."""
    device: str
    """Where the patches will be classified."""
    options: Options
    keeps_arrays: bool
    signs: tuple[ReadSign, ...] = ()


@dataclass(frozen=True, slots=True)
class Annotate:
    """What is drawn goes to the second file; as with all that draw."""

    clip: File
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class Report:
    clip: File
    analysis: Analysis
    analysed_at: datetime
    identity: Identity | None
    show_outside_region: bool


@dataclass(frozen=True, slots=True)
class Render:
    """The index comes back with `done`."""

    clip: File
    marks: Marks | None = None


@dataclass(frozen=True, slots=True)
class Mmode:
    """The strip comes back with `done`."""

    clip: File
    line: Line


Order = Read | Annotate | Report | Render | Mmode


@dataclass(frozen=True, slots=True)
class Answered:
    """What the device says of the patches that were asked about."""

    number: int
    answer: Answer | None
    """None of a model of signs that could not be run."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody waits any more for what is being done."""


Said = Order | Answered | Drop | dict[str, Any]
"""The dictionary is the settings, before all else."""


# -- from the reader --------------------------------------------------------------------------------------------------

READY, TOLD, ASKED, DONE, REFUSED, BROKEN, SPENT = "ready", "told", "asked", "done", "refused", "broken", "spent"
MEMORY, OUTPUT, TIME, CALL, ROOM = "memory", "output", "time", "call", "room"
"""The limits of a cage. Whoever runs into one of the last two can say nothing any more."""


class Garbled(Exception):
    """What was heard is no word of a reader."""


@dataclass(frozen=True, slots=True)
class Word:
    """`ready` for orders; `told` how far it is; `asked` the device; of an order `done`, `refused` (an error of ours), `broken` (a bug),
    `spent` (it has run into a limit of its cage)."""

    kind: str
    fields: dict[str, Any]
    """Anything that JSON can say."""
    arrays: dict[str, NDArray[Any]]


def order(wire: Wire, said: Said, files: Sequence[int] = ()) -> None:
    """To a reader, with open files. Raises: OSError."""
    beside: list[Buffer] = []

    def is_within(buffer: pickle.PickleBuffer) -> bool:
        """Large arrays go beside the header, uncopied; the hundreds of small ones that an analysis has, within it."""
        array = np.frombuffer(buffer.raw(), np.uint8)
        if len(array) < LARGE_BYTES or len(beside) == MAX_BUFFERS:
            return True
        beside.append(array)
        return False

    wire.send(pickle.dumps(said, protocol=5, buffer_callback=is_within), beside, files)


def obey(wire: Wire) -> tuple[Any, list[int]]:
    """In a reader: what it is told, and the files that come with it. Raises: OSError."""
    header, buffers, files = wire.receive_with_files()
    return pickle.loads(header, buffers=buffers), files


def say(wire: Wire, kind: str, fields: dict[str, Any] | None = None, arrays: dict[str, NDArray[Any]] | None = None) -> None:
    """From a reader. Raises: OSError."""
    plain = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    shapes = [[name, array.dtype.name, *array.shape] for name, array in plain.items()]
    wire.send(json.dumps([kind, fields or {}, shapes]).encode(), [array.reshape(-1).view(np.uint8) for array in plain.values()])


def hear(wire: Wire) -> Word:
    """From a reader: what it says. Raises: OSError; Garbled."""
    header, buffers = wire.receive()
    try:
        kind, fields, shapes = json.loads(header)
        arrays = {str(name): _array(buffer, dtype, shape) for buffer, (name, dtype, *shape) in zip(buffers, shapes, strict=True)}
        return Word(str(kind), dict(fields), arrays)
    except (ValueError, TypeError, RecursionError) as error:
        raise Garbled from error


def _array(buffer: Buffer, dtype: str, shape: list[int]) -> NDArray[Any]:
    if dtype not in DTYPES or any(type(side) is not int or side < 0 for side in shape):
        raise Garbled
    return buffer.view(dtype).reshape(shape)
