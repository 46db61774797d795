"""Clips -> runs of frames, once: simulated clips with exact labels, or labelled ones of a manifest.

The key of a clip's runs is of all that they depend on: the clip, its labels, how runs are made, and the code that makes them.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.flow import dis_flow, flow_steps
from service.cine.frame_runs import FrameRun, frame_runs
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.errors import RequestError
from service.manifest import Label, LabelledClip, Manifest
from training import population
from training.code_digest import code_digest
from training.phantom.simulate import recorded, simulate
from training.recipe import random_phantom
from training.signs import population as signs_population
from training.signs.population import SIGNS as FOUR_SIGNS
from training.signs.population import b_line_spec, sign_spec
from training.signs.preset import Preset
from training.signs.runs import UNKNOWN, ClipRuns, read_clip_runs, write_clip_runs

LEAST_FRAMES = 3
"""Of a run that must show B-lines for it to count as one that does: a tenth of a second. Runs with fewer are left out."""


class Source(Protocol):
    """A clip and what is known of it."""

    @property
    def patient(self) -> str: ...

    def identity(self) -> str:
        """Of all that its frames and labels depend on."""
        ...

    def open(self) -> tuple[Clip, "Truths"]:
        """Raises: RequestError."""
        ...


@dataclass(frozen=True, slots=True)
class Truths:
    """What is known of a clip. One row for all of it, or the frames that show the sign."""

    label: tuple[int, ...]
    """(K,)"""
    shown: NDArray[np.bool_] | None = None
    """(F,) of the frames that were simulated, at `fps`; None: nobody knows in which frames it is."""
    fps: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Clip `index` of the simulated ones: a patient of its own."""

    preset: Preset
    index: int

    @property
    def patient(self) -> str:
        return f"phantom-{self.index}"

    def identity(self) -> str:
        preset, code = self.preset, code_digest("training.phantom", "training.recording")
        return f"{preset.learns} {preset.fit.seed} {self.index} {preset.phantom_s} {code} {_own_code()}"

    def open(self) -> tuple[Clip, Truths]:
        preset, seed, fixed = self.preset, self.preset.fit.seed, {"duration_s": self.preset.phantom_s}
        number = seed * 100_003 + self.index
        if preset.learns == "sliding":
            slides = self.index % 2 == 0
            return recorded(random_phantom(seed, self.index, slides=slides, **fixed)), Truths((int(not slides),))
        if preset.learns == "four_signs":
            sign = FOUR_SIGNS[self.index % len(FOUR_SIGNS)]
            phantom = simulate(sign_spec(seed, self.index, sign, **fixed), seed=number)
            return recorded(phantom), Truths(tuple(int(sign == one) for one in preset.signs))
        spec = b_line_spec(seed, self.index, shown=self.index % 2 == 0, **fixed)
        phantom = simulate(spec, seed=number)
        return recorded(phantom), Truths((int(self.index % 2 == 0),), phantom.truth.b_line_frames, spec.fps)


@dataclass(frozen=True, slots=True, repr=False)
class Labelled:
    """A clip of a manifest."""

    clip: LabelledClip
    label: tuple[int, ...]

    @property
    def patient(self) -> str:
        return self.clip.patient

    def identity(self) -> str:
        with self.clip.file.open("rb") as content:
            return f"{hashlib.file_digest(content, 'sha256').hexdigest()} {self.clip.patient} {self.label}"

    def open(self) -> tuple[Clip, Truths]:
        return open_clip(self.clip.file, DEFAULT_LIMITS), Truths(self.label)


def simulated(preset: Preset) -> tuple[Simulated, ...]:
    return tuple(Simulated(preset, index) for index in range(preset.phantoms))


def labelled(preset: Preset, manifest: Manifest) -> tuple[Labelled, ...]:
    """The clips whose labels this preset can learn from: sliding said present or absent; signs stated; of the four signs just one."""
    known = ((clip, _label_of(preset, clip)) for clip in manifest)
    return tuple(Labelled(clip, label) for clip, label in known if label is not None)


def _label_of(preset: Preset, clip: LabelledClip) -> tuple[int, ...] | None:
    if preset.learns == "sliding":
        return {Label.PRESENT: (0,), Label.ABSENT: (1,)}.get(clip.label)
    if clip.signs is None:
        return None
    label = tuple(int(sign in clip.signs) for sign in preset.signs)
    return label if len(label) == 1 or sum(label) == 1 else None


def make_runs(preset: Preset, sources: Sequence[Source], folder: Path, *, num_processes: int = 1) -> Iterator[ClipRuns]:
    """Clip by clip, as they are done; one that was made before is not made again."""
    made = partial(_make, preset, folder)
    if num_processes == 1:
        yield from map(made, sources)
        return
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as processes:
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
    try:
        clip, truths = source.open()
        sector = find_sector(look_over(clip), clip.info.region)
        if sector is None:
            return ClipRuns(key, source.patient, (), (), (), "no_sector"), none
        runs = [(run, _frames_shown(run, clip, truths)) for run in frame_runs(clip, sector, preset.frames)]
    except RequestError as error:
        return ClipRuns(key, source.patient, (), (), (), error.code), none
    kept = [(run, shown, label) for run, shown in runs if (label := _run_label(truths, shown)) is not None]
    if not kept:
        return ClipRuns(key, source.patient, (), (), (), "too_short"), none
    given = np.stack([_given(preset, run) for run, _, _ in kept])
    starts_s, frame_labels = tuple(run.start_s for run, _, _ in kept), tuple(tuple(shown.tolist()) for _, shown, _ in kept)
    return ClipRuns(key, source.patient, starts_s, tuple(label for _, _, label in kept), frame_labels), given


def _frames_shown(run: FrameRun, clip: Clip, truths: Truths) -> NDArray[np.int64]:
    """(T,): whether each frame of the run shows the sign."""
    if truths.shown is None:
        return np.full(len(run.shown), UNKNOWN, np.int64)
    # A recording keeps the clock of the truth, whatever became of its frames.
    simulated_frame = np.floor(clip.info.times_s[run.shown] * truths.fps + 0.5).astype(np.int64)
    return truths.shown[np.clip(simulated_frame, 0, len(truths.shown) - 1)].astype(np.int64)


def _run_label(truths: Truths, shown: NDArray[np.int64]) -> tuple[int, ...] | None:
    """None: neither here nor there."""
    if truths.shown is None:
        return truths.label
    num_shown = int(shown.sum())
    return (1,) if num_shown >= min(LEAST_FRAMES, len(shown)) else (0,) if num_shown == 0 else None


def _given(preset: Preset, run: FrameRun) -> NDArray[np.generic]:
    if preset.inputs == "frames":
        return run.frames
    return flow_steps(run.frames, dis_flow(), preset.flow_step).astype(np.float16)


def _key(preset: Preset, source: Source) -> str:
    parts = (source.identity(), preset.frames.to_json(), preset.inputs, preset.flow_step, code_digest("service.cine"), _own_code())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


@cache
def _own_code() -> str:
    """Of what chooses phantoms, and of this file."""
    files = (Path(__file__), Path(signs_population.__file__), Path(population.__file__))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
