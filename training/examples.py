"""Examples: what a recipe makes and a fit reads. Patches in shards on disk, and beside each where it comes from.

    examples/
      index.json            the InputSpec and the number of examples
      examples.csv          label, patient, clip, kind, pair, seed: one row an example
      patches-00000.npy     uint8 (n, C, T, h, w)
      patches-00001.npy     ...

A folder of this name is complete: it is written beside and renamed when it is done.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.cine.spec import InputSpec
from service.errors import BadBundle
from training.shards import Shards, ShardWriter, map_shards

INDEX, TABLE = "index.json", "examples.csv"
EXAMPLES_PER_SHARD = 2048
"""About 220 MB at (2, 60, 30, 30)."""


class ExamplesError(ValueError):
    """These examples cannot be written, read or put together."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one example comes from and what was done to it."""

    label: float
    """1 when the lung slides in it, 0 when not."""
    patient: str
    """Of the real clip, or a name of its own for a phantom. Never shown."""
    clip: str
    kind: str
    """Which counterfactual: the same for both twins ("mirror", "locked", ...)."""
    pair: str
    """Twins, alike in all but the slide, share it; empty for an example without a twin."""
    seed: int
    """What it can be made again from."""

    def __post_init__(self) -> None:
        if self.label not in (0.0, 1.0):
            raise ExamplesError(f"The label of an example is {self.label:g}; it must be 1 (slides) or 0 (does not).")
        if not self.patient:
            raise ExamplesError("An example has no patient; without one the split cannot keep patients apart.")


_COLUMNS = tuple(column.name for column in fields(Origin))


class ExampleWriter:
    """Writes examples one by one, holding none of them; a context. Nothing is left of a context that raised.

    Raises: ExamplesError when the folder is there already.
    """

    def __init__(self, folder: Path, spec: InputSpec, *, examples_per_shard: int = EXAMPLES_PER_SHARD) -> None:
        if folder.exists():
            raise ExamplesError("There is already something in the place of these examples; remove it or name another folder.")
        self._folder = folder
        self._spec = spec
        self._examples_per_shard = examples_per_shard
        self._partial = folder.with_name(folder.name + ".partial")
        self._shards = ShardWriter(self._partial, spec.patch_shape, per_shard=examples_per_shard)

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)  # of a run that was killed
        self._partial.mkdir(parents=True)
        self._table_file = (self._partial / TABLE).open("w", newline="", encoding="utf-8")
        self._table = csv.writer(self._table_file)
        self._table.writerow(_COLUMNS)
        return self

    def add(self, patch: NDArray[np.uint8], origin: Origin) -> None:
        """One patch (C, T, h, w) of grey levels, as the spec says. Raises: ExamplesError."""
        if patch.shape != self._spec.patch_shape or patch.dtype != np.uint8:
            raise ExamplesError(
                f"A patch is {patch.dtype} {patch.shape}; the spec of these examples says {self._spec.dtype} {self._spec.patch_shape}."
            )
        self._shards.add(patch)
        self._table.writerow(astuple(origin))

    def __len__(self) -> int:
        return len(self._shards)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._table_file.close()
        self._shards.close()
        if kind is not None:
            shutil.rmtree(self._partial)
            return
        index = {"spec": self._spec.to_json(), "num_examples": len(self._shards), "examples_per_shard": self._examples_per_shard}
        (self._partial / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        self._partial.rename(self._folder)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ExampleSet:
    """Examples on disk, any number of them; only those taken are in memory."""

    spec: InputSpec
    label: NDArray[np.float32]
    """1 slides, 0 does not, (N,)."""
    patient: NDArray[np.str_]
    clip: NDArray[np.str_]
    kind: NDArray[np.str_]
    pair: NDArray[np.str_]
    """Twins share it, nobody else; "" is nobody's twin."""
    seed: NDArray[np.int64]
    fingerprint: str
    """Changes with anything in the table or the spec."""
    shards: Shards
    """Of patches (n, C, T, h, w)."""

    def __len__(self) -> int:
        return len(self.label)

    def take(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The patches at `indices`, in that order, (n, C, T, h, w)."""
        return self.shards.take(indices)

    def __repr__(self) -> str:
        return f"ExampleSet({(len(self), *self.spec.patch_shape)} uint8)"


def read_examples(*folders: Path) -> ExampleSet:
    """The examples of one folder, or of several as one set. Raises: ExamplesError, also when their specs differ."""
    if not folders:
        raise ExamplesError("No folder of examples was named.")
    specs = [_read_spec(_read_index(folder)) for folder in folders]
    for spec in specs[1:]:
        _check_same_spec(specs[0], spec)
    origins = [origin for number, folder in enumerate(folders) for origin in _read_table(folder, f"{number}/" if len(folders) > 1 else "")]
    maps = tuple(shard for folder in folders for shard in _open_shards(folder, specs[0]))
    shards = Shards(maps, tuple(map(len, maps)))
    if not origins or len(shards) != len(origins):
        raise ExamplesError(f"There are {len(origins)} examples in the table and {len(shards)} patches; one each is needed.")
    _check_twins(origins)
    return ExampleSet(
        spec=specs[0],
        label=np.array([origin.label for origin in origins], np.float32),
        patient=np.array([origin.patient for origin in origins]),
        clip=np.array([origin.clip for origin in origins]),
        kind=np.array([origin.kind for origin in origins]),
        pair=np.array([origin.pair for origin in origins]),
        seed=np.array([origin.seed for origin in origins], np.int64),
        fingerprint=_fingerprint(folders),
        shards=shards,
    )


def _read_index(folder: Path) -> Mapping[str, object]:
    try:
        index: Mapping[str, object] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExamplesError("This folder holds no finished examples; `seashore train examples` makes them.") from None
    return index


def _read_spec(index: Mapping[str, object]) -> InputSpec:
    try:
        return InputSpec.from_json(index["spec"])  # type: ignore[arg-type]
    except (BadBundle, KeyError):
        raise ExamplesError("These examples were made by another version: their spec cannot be read. Make them again.") from None


def _check_same_spec(first: InputSpec, second: InputSpec) -> None:
    ours, theirs = first.to_json(), second.to_json()
    differ = [f"{name} is {ours[name]} in one and {theirs[name]} in another" for name in ours if ours[name] != theirs[name]]
    if differ:
        raise ExamplesError(f"These examples were made to different specs: {'; '.join(differ)}. One model takes one.")


def _read_table(folder: Path, prefix: str) -> Iterator[Origin]:
    """`prefix` keeps apart twins of different folders that happen to be numbered alike."""
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            pair = prefix + row["pair"] if row["pair"] else ""
            yield Origin(float(row["label"]), row["patient"], row["clip"], row["kind"], pair, int(row["seed"]))


def _open_shards(folder: Path, spec: InputSpec) -> Iterator[NDArray[np.uint8]]:
    for shard in map_shards(folder):
        if shard.dtype != np.uint8 or shard.shape[1:] != spec.patch_shape:
            raise ExamplesError(f"A shard holds {shard.dtype} patches of {shard.shape[1:]}; its spec says uint8 of {spec.patch_shape}.")
        yield shard


def _check_twins(origins: Sequence[Origin]) -> None:
    """Twins of two patients could be pulled apart by a split, and with them what they are there for."""
    owner: dict[str, str] = {}
    for origin in origins:
        if origin.pair and owner.setdefault(origin.pair, origin.patient) != origin.patient:
            raise ExamplesError("Twins (examples of one pair) are of two patients; they must come from one clip.")


def _fingerprint(folders: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for name in (INDEX, TABLE):
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()
