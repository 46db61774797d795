"""Arrays of one shape, any number of them, in files `patches-00000.npy`, `patches-00001.npy`, ... that are mapped, not loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Array = NDArray[Any]

_OPEN_FILES = 256


class ShardWriter:
    """Writes arrays one by one into a folder that is there, holding none of them; `close` ends it."""

    def __init__(self, folder: Path, shape: tuple[int, ...], *, per_shard: int, dtype: str = "|u1") -> None:
        self._folder = folder
        self._shape = shape
        self._dtype = dtype
        self._per_shard = per_shard
        self._shard: BinaryIO | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, array: Array) -> None:
        """Of the shape and the type said beforehand, which the caller has checked."""
        if self._count % self._per_shard == 0:
            self._next()
        assert self._shard is not None
        self._shard.write(np.ascontiguousarray(array).data)
        self._count += 1

    def close(self) -> None:
        if self._shard is not None:
            # numpy leaves room in the header for the first axis to grow, so the count can be written when it is known.
            self._shard.seek(0)
            self._write_header((self._count - 1) % self._per_shard + 1)
            self._shard.close()
            self._shard = None

    def _next(self) -> None:
        self.close()
        self._shard = (self._folder / f"patches-{self._count // self._per_shard:05d}.npy").open("wb")
        self._write_header(0)

    def _write_header(self, num: int) -> None:
        assert self._shard is not None
        npy.write_array_header_1_0(self._shard, {"descr": self._dtype, "fortran_order": False, "shape": (num, *self._shape)})


class MappedFiles(Sequence[Array]):
    """Files of arrays, mapped when they are asked for; of those only a few are open at a time, for a process may not have many."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._map = lru_cache(_OPEN_FILES)(map_file)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: Any) -> Any:
        return self._map(self._paths[number])


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Shards:
    """Memory maps (n, *shape), one after the other."""

    maps: Sequence[Array]
    counts: tuple[int, ...]
    """How many arrays each has."""

    def __len__(self) -> int:
        return sum(self.counts)

    def take(self, indices: NDArray[np.intp]) -> Array:
        """The arrays at `indices`, in that order, (n, *shape); there is at least one map."""
        out = np.empty((len(indices), *self.maps[0].shape[1:]), self.maps[0].dtype)
        ends = np.cumsum(self.counts)
        holders = np.searchsorted(ends, indices, side="right")
        for place, (holder, index) in enumerate(zip(holders, indices, strict=True)):
            out[place] = self.maps[holder][index - ends[holder]]  # negative: counted from the shard's end
        return out


def map_file(path: Path) -> Array:
    return np.asanyarray(np.load(path, mmap_mode="r"))


def map_shards(folder: Path) -> Sequence[Array]:
    """The files of a folder in order, not yet looked into."""
    return [map_file(path) for path in sorted(folder.glob("patches-*.npy"))]
