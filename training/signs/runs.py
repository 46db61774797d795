"""Runs of frames on disk, clip by clip: what is looked at, and what is true of it.

clips/<key>.npy     what the network is given: uint8 (n, T, h, w), or float16 (n, 2, steps, h, w) of flow
clips/<key>.json    patient, labels, beginnings, and which frames show the sign; or why the clip gave none
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.records import partial_of, write_json
from training.shards import MappedFiles, Shards

BESIDE = "beside"
"""The part of phantoms that stand beside labelled clips."""


class NoRuns(ValueError):
    """No clip gave anything to learn from."""


@dataclass(frozen=True, slots=True)
class ClipRuns:
    """What one clip gave."""

    key: str
    patient: str
    starts_s: tuple[float, ...]
    labels: tuple[tuple[int, ...], ...]
    """(n, K): 1 the sign is there, 0 it is not, NOT_KNOWN."""
    frame_labels: tuple[tuple[int, ...], ...]
    """(n, T): 1 it is seen in this frame, 0 it is not, NOT_KNOWN."""
    part: str = ""
    """Where a manifest itself deals its patients: "train", "validation" or "test"; BESIDE."""
    num_unclear: int = 0
    """Runs that show the sign for a moment only: neither here nor there, and left out."""
    reason: str = ""
    """Why there are none."""
    probe: str = ""
    """As its sector was found to be."""
    distinct_fps: float = 0.0
    """Different frames a second."""

    def __len__(self) -> int:
        return len(self.starts_s)


def write_clip_runs(folder: Path, runs: ClipRuns, given: NDArray[Any]) -> None:
    """Whole or not at all; `given` is what the network is given, (n, ...)."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(runs):
        path = folder / f"{runs.key}.npy"
        partial = partial_of(path)
        np.save(partial, given)
        partial.replace(path)
    write_json(folder / f"{runs.key}.json", asdict(runs))


def read_clip_runs(folder: Path, key: str) -> ClipRuns | None:
    """None: not made yet."""
    path = folder / f"{key}.json"
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    pairs = {name: tuple(map(tuple, told[name])) for name in ("labels", "frame_labels")}
    return ClipRuns(**(told | pairs | {"starts_s": tuple(told["starts_s"])}))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RunSet:
    """Runs of many clips; only those taken are in memory. There is at least one."""

    given: Shards
    label: NDArray[np.int64]
    """(n, K)"""
    frame_label: NDArray[np.int64]
    """(n, T)"""
    patient: NDArray[np.str_]
    clip: NDArray[np.str_]
    part: NDArray[np.str_]
    start_s: NDArray[np.float64]
    probe: NDArray[np.str_]
    """Of its clip, as is `distinct_fps`, (n,)."""
    distinct_fps: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def kinds(self) -> NDArray[np.str_]:
        """One word for all labels of a run: what is spread evenly over the parts."""
        return np.array(["".join(map(str, row)) for row in self.label])


def open_runs(folder: Path, clips: Iterable[ClipRuns]) -> RunSet:
    """Raises: NoRuns."""
    used: Sequence[ClipRuns] = [clip for clip in clips if len(clip)]
    if not used:
        raise NoRuns("No clip gave a run of frames: all are too short, or no echoes were found in them.")
    return RunSet(
        given=Shards(MappedFiles([folder / f"{clip.key}.npy" for clip in used]), tuple(map(len, used))),
        label=np.array([row for clip in used for row in clip.labels], np.int64),
        frame_label=np.array([row for clip in used for row in clip.frame_labels], np.int64),
        patient=np.array([clip.patient for clip in used for _ in clip.labels]),
        clip=np.array([clip.key for clip in used for _ in clip.labels]),
        part=np.array([clip.part for clip in used for _ in clip.labels]),
        start_s=np.array([start_s for clip in used for start_s in clip.starts_s]),
        probe=np.array([clip.probe for clip in used for _ in clip.labels]),
        distinct_fps=np.array([clip.distinct_fps for clip in used for _ in clip.labels]),
    )
