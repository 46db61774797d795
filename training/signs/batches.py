"""Batches of runs for fitting: shuffled from the seed and the epoch alone, the classes balanced as the preset says."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from training.batches import Indices
from training.signs.runs import RunSet


class RunBatch(NamedTuple):
    given: Tensor
    """What the network is given, (n, ...)."""
    label: Tensor
    """float32 (n, K)"""


class _Batches(Sampler[list[int]], ABC):
    """What is left of the last batch is left out when it is less than half of one, or a single run, as its batch statistics would be
    of too few.
    """

    def __init__(self, batch_size: int, seed: int) -> None:
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    @property
    @abstractmethod
    def num(self) -> int:
        """Of the runs in an epoch."""

    @abstractmethod
    def _chosen(self) -> NDArray[np.intp]:
        """The runs of this epoch, (num,)."""

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, also the first one after a resume."""
        self._epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self.num, self._batch_size)
        return whole + int(whole == 0 or (2 * rest >= self._batch_size and rest > 1))

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._chosen())
        for k in range(len(self)):
            yield order[k * self._batch_size : (k + 1) * self._batch_size].tolist()


class BalancedBatches(_Batches):
    """Indices 0..n-1 of runs whose classes are `kinds` (n,).

    "as_is": every one once an epoch. "drop": as many of each class as the smallest has, the same ones each epoch. "each_epoch":
    as many, drawn anew each epoch, so that all of the larger class are seen in the end (RCM2d_Small).
    """

    def __init__(self, kinds: NDArray[np.str_], batch_size: int, seed: int, balance: Literal["as_is", "drop", "each_epoch"]) -> None:
        super().__init__(batch_size, seed)
        self._members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
        self._balance = balance

    @property
    def num(self) -> int:
        sizes = [len(members) for members in self._members]
        return sum(sizes) if self._balance == "as_is" else min(sizes) * len(sizes)

    def _chosen(self) -> NDArray[np.intp]:
        if self._balance == "as_is":
            return np.concatenate(self._members)
        drawn = np.random.default_rng([self._seed, 1, self._epoch if self._balance == "each_epoch" else 0])
        least = min(len(members) for members in self._members)
        return np.concatenate([drawn.permutation(members)[:least] for members in self._members])


class BesideBatches(_Batches):
    """Indices 0..n-1 of phantoms' runs, and of patients' where `is_real` (n,): every phantom once an epoch, and so many runs of patients
    that they are `real_share` of all. Each patient counts alike, whatever the number and the length of their clips.
    """

    def __init__(self, patients: NDArray[np.str_], is_real: NDArray[np.bool_], batch_size: int, seed: int, real_share: float) -> None:
        super().__init__(batch_size, seed)
        self._simulated = np.flatnonzero(~is_real)
        self._of_patients = [np.flatnonzero(is_real & (patients == patient)) for patient in np.unique(patients[is_real])]
        self._num_real = round(len(self._simulated) * real_share / (1 - real_share))

    @property
    def num(self) -> int:
        return len(self._simulated) + self._num_real

    def _chosen(self) -> NDArray[np.intp]:
        drawn = np.random.default_rng([self._seed, 1, self._epoch])
        patients = drawn.integers(len(self._of_patients), size=self._num_real)
        return np.concatenate([self._simulated, [drawn.choice(self._of_patients[patient]) for patient in patients]]).astype(np.intp)


class RunBatches(Dataset[RunBatch]):
    """The runs at `indices`, read a batch at a time."""

    def __init__(self, runs: RunSet, indices: Indices) -> None:
        self._runs = runs
        self._indices = indices
        self._label = torch.from_numpy(runs.label[indices].astype(np.float32))

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, batch: list[int]) -> RunBatch:
        given = torch.from_numpy(self._runs.given.take(self._indices[batch]))
        return RunBatch(given.float() if given.dtype == torch.float16 else given, self._label[batch])


def load_run_batches(dataset: RunBatches, batches: Sampler[list[int]]) -> DataLoader[RunBatch]:
    # batch_size=None: the sampler's lists go to the dataset whole.
    return DataLoader(dataset, batch_size=None, sampler=batches)
