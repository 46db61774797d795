"""Batches of examples for fitting: twins side by side, in an order drawn from the seed and the epoch alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from training.examples import ExampleSet

Indices = NDArray[np.intp]


class Batch(NamedTuple):
    patches: Tensor
    """uint8 (n, C, T, h, w)"""
    label: Tensor
    """1 slides, 0 does not, float32 (n,)."""
    pair: Tensor
    """Number of the pair; twins share it, int64 (n,)."""


class TwinBatches(Sampler[list[int]]):
    """Training batches of indices: shuffled pair by pair, so that a step sees the slide differ and the texture not.

    Every index comes once an epoch; what is left of the last batch is left out when it is less than half of one, as its
    batch statistics would be of too few. Only twins in groups of odd size can be parted, at a batch's edge.
    Of several devices each takes its own run of every batch.
    """

    def __init__(self, pair: NDArray[np.int64], batch_size: int, seed: int, *, device: int = 0, num_devices: int = 1) -> None:
        """`pair` (n,) numbers the pairs of the examples 0..n-1."""
        self._device, self._num_devices = device, num_devices
        order = np.argsort(pair, kind="stable")
        self._groups = np.split(order, np.flatnonzero(np.diff(pair[order])) + 1)
        self._num = len(pair)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, also the first one after a resume."""
        self._epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._num, self._batch_size)
        return whole + int(whole == 0 or 2 * rest >= self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        shuffled = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._groups))
        order = np.concatenate([self._groups[k] for k in shuffled])
        for k in range(len(self)):
            batch = order[k * self._batch_size : (k + 1) * self._batch_size]
            yield np.array_split(batch, self._num_devices)[self._device].tolist()


class RunningBatches(Sampler[list[int]]):
    """Batches of the examples 0..n-1 as they come."""

    def __init__(self, num: int, batch_size: int) -> None:
        self._starts = range(0, num, batch_size)
        self._num, self._batch_size = num, batch_size

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        for start in self._starts:
            yield list(range(start, min(start + self._batch_size, self._num)))


class ExampleBatches(Dataset[Batch]):
    """The examples at `indices`, read a batch at a time: one copy out of the memory map, no collating."""

    def __init__(self, examples: ExampleSet, indices: Indices) -> None:
        self._examples = examples
        self._indices = indices
        self._label = torch.from_numpy(examples.label[indices])
        self.pair = number_pairs(examples.pair[indices])

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, batch: list[int]) -> Batch:
        patches = torch.from_numpy(self._examples.take(self._indices[batch]))
        return Batch(patches, self._label[batch], torch.from_numpy(self.pair[batch]))


def number_pairs(names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Pair names -> numbers, twins the same; each nameless example gets a number of its own."""
    known, number = np.unique(names, return_inverse=True)
    alone = names == ""
    number = number.astype(np.int64)
    number[alone] = len(known) + np.arange(alone.sum())
    return number


def load_batches(dataset: ExampleBatches, batches: Sampler[list[int]], num_workers: int) -> DataLoader[Batch]:
    # batch_size=None: the sampler's lists go to the dataset whole.
    return DataLoader(dataset, batch_size=None, sampler=batches, num_workers=num_workers, persistent_workers=num_workers > 0)
