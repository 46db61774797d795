"""From clips and phantoms to examples: every patch goes the way it goes in serving, up to the moment it is made to slide.

Real clips need no label: each window becomes twins of every base (`training.counterfactual`), and its own chest wall
is one more negative ("own_wall"). Phantoms bring speckle that changes as it moves, with exact truth.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.locate import locate
from service.cine.prepare import PreparedWindow, StripWindow, prepare_window, strip_windows
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import WALL_ROW, Plan
from service.errors import RequestError
from service.manifest import LabelledClip
from training.array_clip import ArrayClip
from training.counterfactual import MIN_SLIDE_RMS_PX, Base, Twin, make_twins, shift_rms
from training.examples import ExampleWriter, Origin
from training.phantom.simulate import Phantom, simulate
from training.phantom.spec import random_spec

STILL_RMS_PX = 0.05
"""A patch whose lung moves less than this past the wall is a negative; between it and MIN_SLIDE_RMS_PX it is neither."""


@dataclass(frozen=True, slots=True)
class RecipeSettings:
    """How many examples of what. No defaults: experiments/*.toml say it."""

    windows_per_clip: int
    """At most, spread over the clip."""
    pairs_per_window: int
    """Twin patches kept of each base."""
    walls_per_window: int
    phantoms: int
    """Pairs of phantoms, one that slides and its twin that does not."""
    phantom_patches: int
    """Kept of each phantom."""
    seed: int


@dataclass(frozen=True, slots=True)
class Source:
    """One clip, located and read."""

    grid: StripGrid
    plan: Plan
    windows: tuple[StripWindow, ...]


def read_source(clip: Clip, spec: InputSpec, max_windows: int | None = None) -> Source | None:
    """The windows of a clip on its strip; None when there is no pleura, or not a window's worth of time."""
    located = locate(clip, spec)
    if located.grid is None or located.plan is None or not any(patch.row >= 0 for patch in located.plan.patches):
        return None
    windows = tuple(strip_windows(clip, located.grid, spec))
    if not windows:
        return None
    kept = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), max_windows or len(windows))).round().astype(int))
    return Source(located.grid, located.plan, tuple(windows[k] for k in kept))


def add_clips(writer: ExampleWriter, clips: Iterable[LabelledClip], spec: InputSpec, settings: RecipeSettings) -> Iterator[str]:
    """Add the twins of every clip; yields a line on each, for a progress bar. A clip that cannot be read is passed over."""
    for index, labelled in enumerate(clips):
        try:
            source = read_source(open_clip(Path(labelled.file), DEFAULT_LIMITS), spec, settings.windows_per_clip)
        except RequestError as error:
            yield f"clip {index}: passed over ({error.code})"
            continue
        before = len(writer)
        if source is not None:
            for w, window in enumerate(source.windows):
                rng = np.random.default_rng([settings.seed, index, w])
                _add_window(writer, source, window, spec, settings, rng, labelled.patient, f"clip-{index}")
        yield f"clip {index}: {len(writer) - before} examples"


def _add_window(
    writer: ExampleWriter,
    source: Source,
    window: StripWindow,
    spec: InputSpec,
    settings: RecipeSettings,
    rng: np.random.Generator,
    patient: str,
    clip: str,
) -> None:
    lung = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row >= 0])
    for base in Base:
        negative, positive = make_twins(window, source.grid, source.plan, base, spec.fps, rng)
        prepared = [prepare_window(twin.window, source.grid, source.plan, spec) for twin in (negative, positive)]
        for n in rng.permutation(lung)[: settings.pairs_per_window]:
            label = _label(positive, source.plan, int(n), spec.fps)
            if label is None:
                continue
            pair = f"{clip}-{window.start_frame}-{base}-{n}" if label else ""
            writer.add(prepared[1].patches[n], Origin(label, patient, clip, base, pair, settings.seed))
            if label:
                writer.add(prepared[0].patches[n], Origin(0.0, patient, clip, base, pair, settings.seed))
    walls = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row == WALL_ROW], dtype=int)
    if len(walls):
        patches = prepare_window(window, source.grid, source.plan, spec).patches
        for n in rng.permutation(walls)[: settings.walls_per_window]:
            writer.add(patches[n], Origin(0.0, patient, clip, "own_wall", "", settings.seed))


def _label(twin: Twin, plan: Plan, n: int, fps: float) -> float | None:
    """Of one patch of the sliding twin: beside a lung point some patches do not slide, and some hold both."""
    x0 = plan.columns[plan.patches[n].column].x0
    slides = [shift_rms(twin.slide_px[:, x], fps) for x in (x0 + 4, x0 + plan.patch_px // 2, x0 + plan.patch_px - 5)]
    if min(slides) >= MIN_SLIDE_RMS_PX:
        return 1.0
    return 0.0 if max(slides) <= STILL_RMS_PX else None


def add_phantoms(writer: ExampleWriter, spec: InputSpec, settings: RecipeSettings) -> Iterator[str]:
    """Add pairs of phantoms that differ in the slide alone; yields a line on each pair."""
    for index in range(settings.phantoms):
        before = len(writer)
        for slides in (True, False):
            phantom = random_phantom(settings.seed, index, slides=slides)
            source = read_source(ArrayClip(phantom.frames, phantom.spec.fps), spec, 1)
            if source is None:
                continue
            rng = np.random.default_rng([settings.seed, index, slides])
            prepared = prepare_window(source.windows[0], source.grid, source.plan, spec)
            _add_phantom(writer, phantom, source, prepared, spec, settings, rng, f"phantom-{index}")
        yield f"phantom pair {index}: {len(writer) - before} examples"


def random_phantom(seed: int, index: int, *, slides: bool, **fixed: object) -> Phantom:
    """One of a pair: the same seed and index give the same patient and probe, sliding or not."""
    fixed = {"duration_s": 2.4, "lung_pulse_mm": 0.0} | fixed | ({} if slides else {"slide_mm": 0.0})
    return simulate(random_spec(np.random.default_rng([seed, index]), **fixed), seed=seed * 100_003 + index)


def _add_phantom(
    writer: ExampleWriter,
    phantom: Phantom,
    source: Source,
    prepared: PreparedWindow,
    spec: InputSpec,
    settings: RecipeSettings,
    rng: np.random.Generator,
    name: str,
) -> None:
    slides = true_slides(phantom, source, spec)
    lung = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row >= 0])
    for n in rng.permutation(lung)[: settings.phantom_patches]:
        slide = slides[source.plan.patches[n].column]
        if slide >= MIN_SLIDE_RMS_PX or slide <= STILL_RMS_PX:
            label = float(slide >= MIN_SLIDE_RMS_PX)
            writer.add(prepared.patches[n], Origin(label, name, name, "phantom", "", settings.seed))


def true_slides(phantom: Phantom, source: Source, spec: InputSpec) -> NDArray[np.float64]:
    """RMS shift in LAG_S of the lung past the wall at each column, by the phantom's truth, px of the strip, (K,)."""
    truth = phantom.truth
    line, mask = truth.pleura_middle_px, truth.sliding_mask
    if line is None or mask is None:
        return np.full(len(source.plan.lung_columns), np.nan)
    seconds = np.arange(len(phantom.frames)) / phantom.spec.fps
    ticks = np.arange(spec.window_frames) / spec.fps
    moved = np.interp(ticks, seconds, truth.slide_px) / source.grid.px_per_strip_px
    rms = shift_rms(moved, spec.fps)
    at = [source.grid.to_frame(float(centre), 0.0)[0] for centre in source.plan.centres[: len(source.plan.lung_columns)]]
    share = np.interp(at, line[:, 0], mask.mean(axis=0))
    return np.where(share > 0.9, rms, np.where(share < 0.1, 0.0, np.nan))
