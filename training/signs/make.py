"""Clips -> runs of frames, once: what a network is given, and what is true of it.

The key of a clip's runs is of all that they depend on: the clip, its labels, how runs are made, and the code that makes them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.flow import FlowField
from service.cine.frame_runs import FrameRun, Given, frame_runs
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.cine.walk import taken_s
from service.errors import RequestError
from training.code_digest import code_digest
from training.signs.answers import NOT_KNOWN
from training.signs.preset import Preset
from training.signs.runs import ClipRuns, read_clip_runs, write_clip_runs
from training.signs.sources import Source, Truths, digest_of

LEAST_FRAMES = 3
"""Of a run that must show B-lines for it to count as one that does: a tenth of a second. Runs with fewer are left out."""
_CLOCK_TOLERANCE = 1e-3
"""Of a frame: times are floating-point numbers."""


def make_runs(preset: Preset, sources: Sequence[Source], folder: Path, *, num_processes: int = 1) -> Iterator[ClipRuns]:
    """Clip by clip, as they are done; one that was made before is not made again."""
    made = partial(_make, preset, folder)
    if num_processes == 1:
        yield from map(made, sources)
        return
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as processes:
        yield from processes.map(made, sources)


def _make(preset: Preset, folder: Path, source: Source) -> ClipRuns:
    key = _key(preset, source)
    known = read_clip_runs(folder, key)
    if known is None:
        known, given = _runs_of(preset, source, key)
        write_clip_runs(folder, known, given)
    return known


def _runs_of(preset: Preset, source: Source, key: str) -> tuple[ClipRuns, NDArray[np.generic]]:
    none = np.empty(0, np.uint8)

    def passed_over(reason: str, num_unclear: int = 0) -> tuple[ClipRuns, NDArray[np.generic]]:
        return ClipRuns(key, source.patient, (), (), (), source.part, num_unclear, reason), none

    try:
        clip, truths = source.open()
        sector = find_sector(look_over(clip), clip.info.region)
        if sector is None:
            return passed_over("no_sector")
        runs = frame_runs(clip, sector, preset.frames, _field(preset.raft))
        seen = [(run.start_s, _frames_shown(run, taken_s(clip.info), truths), _kept(run.given)) for run in runs]
    except RequestError as error:
        return passed_over(error.code)
    labels = [_run_label(truths, shown) for _, shown, _ in seen]
    num_unclear = labels.count(None)
    kept = [(*run, label) for run, label in zip(seen, labels, strict=True) if label is not None]
    if not kept:
        return passed_over("unclear" if seen else "too_short", num_unclear)
    starts_s, shown, given, known = zip(*kept, strict=True)
    frame_labels = tuple(tuple(frames.tolist()) for frames in shown)
    found = ClipRuns(
        key,
        source.patient,
        starts_s,
        known,
        frame_labels,
        source.part,
        num_unclear,
        probe=sector.probe,
        distinct_fps=clip.info.distinct_fps,
    )
    return found, np.stack(given)


def _frames_shown(run: FrameRun, taken: NDArray[np.float64], truths: Truths) -> NDArray[np.int64]:
    """(T,): whether each frame of the run shows the sign."""
    if truths.shown is None:
        return np.full(len(run.shown), NOT_KNOWN, np.int64)
    # A recording keeps the clock of the truth, whatever became of its frames: on the screen is the last frame begun by then.
    drawn = np.floor(taken[run.shown] * truths.fps + _CLOCK_TOLERANCE).astype(np.int64)
    return truths.shown[np.clip(drawn, 0, len(truths.shown) - 1)].astype(np.int64)


def _run_label(truths: Truths, shown: NDArray[np.int64]) -> tuple[int, ...] | None:
    """None: neither here nor there."""
    if truths.shown is None:
        return truths.label
    num_shown = int(shown.sum())
    return (1,) if num_shown >= min(LEAST_FRAMES, len(shown)) else (0,) if num_shown == 0 else None


def _kept(given: Given) -> NDArray[np.generic]:
    """Frames (T, h, w); flow (2, steps, h, w) as float16, to which it was rounded."""
    return given[0] if given.dtype == np.uint8 else given.astype(np.float16)


@cache
def _field(raft: str) -> FlowField | None:
    """None: the service's own."""
    if not raft:
        return None
    from training.raft import raft_flow  # torch takes seconds to load, and no other clip has a use for it

    return raft_flow(Path(raft))


def _key(preset: Preset, source: Source) -> str:
    raft = _digest(preset.raft) if preset.raft else ""
    parts = (source.identity(), preset.frames.to_json(), raft, code_digest("service.cine"), _own_code())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


@cache
def _digest(file: str) -> str:
    return digest_of(Path(file))


@cache
def _own_code() -> str:
    return digest_of(Path(__file__)) + digest_of(Path(__file__).parents[1] / "raft.py")
