"""From clips and phantoms to examples: every patch goes the way it goes in serving, up to the moment it is made to slide.

Real clips need no label: each window becomes twins of every base (`training.counterfactual`), and its own chest wall
is one more negative ("own_wall"). Phantoms bring speckle that changes as it moves, with exact truth.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.locate import locate
from service.cine.prepare import PreparedWindow, StripWindow, prepare_window, strip_windows
from service.cine.quality import doubt_location
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import WALL_ROW, Plan
from service.errors import RequestError
from service.manifest import LabelledClip
from training.counterfactual import Base, Twin, make_twins
from training.examples import ExampleWriter, Origin
from training.finish import draw_finish
from training.phantom.simulate import Phantom, recorded, simulate
from training.phantom.spec import Obstruction
from training.population import population
from training.regions import pleura_finder
from training.slide import MIN_SLIDE_RMS_PX, draw_shimmer, shift_rms

T = TypeVar("T")
R = TypeVar("R")

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
    is_plain: bool = True
    """False when it is not sure that the line is the pleura."""


def read_source(clip: Clip, spec: InputSpec, max_windows: int | None = None, region: str = "") -> Source | None:
    """The windows of a clip on its strip; None when there is no pleura, or not a window's worth of time.

    `region` is a manifest's: the polygon in which the pleura is looked for, "" for the whole picture. Raises: BadOption when it is none.
    """
    located = locate(clip, spec, find=pleura_finder(region))
    if located.grid is None or located.plan is None or not any(patch.row >= 0 for patch in located.plan.patches):
        return None
    windows = tuple(strip_windows(clip, located.grid, spec))
    if not windows:
        return None
    kept = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), max_windows or len(windows))).round().astype(int))
    return Source(located.grid, located.plan, tuple(windows[k] for k in kept), not doubt_location(located))


Example = tuple[NDArray[np.uint8], Origin]
"""A patch (C, T, h, w) and where it comes from."""


def add_clips(
    writer: ExampleWriter, clips: Iterable[LabelledClip], spec: InputSpec, settings: RecipeSettings, *, jobs: int = 1
) -> Iterator[str]:
    """Add the twins of every clip; yields a line on each, for a progress bar. A clip that cannot be read is passed over.

    The examples are the same for any number of `jobs` (processes).
    """
    for index, made in enumerate(_in_turn(partial(_examples_of_clip, spec=spec, settings=settings), list(enumerate(clips)), jobs)):
        if isinstance(made, str):
            yield f"clip {index}: passed over ({made})"
            continue
        for patch, origin in made:
            writer.add(patch, origin)
        yield f"clip {index}: {len(made)} examples"


def _in_turn(make: Callable[[T], R], pieces: Sequence[T], jobs: int) -> Iterator[R]:
    """`make` of each piece, in their order, by as many processes as asked."""
    if jobs == 1:
        yield from map(make, pieces)
        return
    # Spawned, not forked: OpenCV's and torch's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[R]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(make, piece))
            if len(waiting) > 2 * jobs:  # a clip's examples are up to 50 MB
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _examples_of_clip(numbered: tuple[int, LabelledClip], spec: InputSpec, settings: RecipeSettings) -> list[Example] | str:
    """All examples of one clip, or the code of the error that kept it from being read."""
    index, labelled = numbered
    try:
        source = read_source(open_clip(Path(labelled.file), DEFAULT_LIMITS), spec, settings.windows_per_clip, labelled.region)
    except RequestError as error:
        return error.code
    made: list[Example] = []
    for w, window in enumerate(source.windows if source is not None else ()):
        assert source is not None
        rng = np.random.default_rng([settings.seed, index, w])
        made += _examples_of_window(source, window, spec, settings, rng, labelled.patient, f"clip-{index}")
    return made


def _examples_of_window(
    source: Source,
    window: StripWindow,
    spec: InputSpec,
    settings: RecipeSettings,
    rng: np.random.Generator,
    patient: str,
    clip: str,
) -> Iterator[Example]:
    lung = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row >= 0])
    for base in Base:
        negative, positive = make_twins(window, source.grid, source.plan, base, spec.fps, rng)
        prepared = [prepare_window(twin.window, source.grid, source.plan, spec) for twin in (negative, positive)]
        for n in rng.permutation(lung)[: settings.pairs_per_window]:
            label = _label(positive, source.plan, int(n), spec.fps)
            if label is None:
                continue
            pair = f"{clip}-{window.start_frame}-{base}-{n}" if label else ""
            yield prepared[1].patches[n], Origin(label, patient, clip, base, pair, settings.seed)
            if label:
                yield prepared[0].patches[n], Origin(0.0, patient, clip, base, pair, settings.seed)
    walls = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row == WALL_ROW], dtype=int)
    if len(walls):
        # Through the same hands and files as the twins: a wall that alone was left as it is would be known by that.
        shimmer = draw_shimmer(len(window.strip), window.strip.shape[2], spec.fps, rng)
        strip = np.clip(np.rint(shimmer.of(window.strip.astype(np.float32))), 0, 255).astype(np.uint8)
        finished = draw_finish(strip.shape, rng)(replace(window, strip=strip))
        patches = prepare_window(finished, source.grid, source.plan, spec).patches
        for n in rng.permutation(walls)[: settings.walls_per_window]:
            yield patches[n], Origin(0.0, patient, clip, "own_wall", "", settings.seed)


def _label(twin: Twin, plan: Plan, n: int, fps: float) -> float | None:
    """Of one patch of the sliding twin: beside a lung point some patches do not slide, and some hold both."""
    x0 = plan.columns[plan.patches[n].column].x0
    slides = [shift_rms(twin.slide_px[:, x], fps) for x in (x0 + 4, x0 + plan.patch_px // 2, x0 + plan.patch_px - 5)]
    if min(slides) >= MIN_SLIDE_RMS_PX:
        return 1.0
    return 0.0 if max(slides) <= STILL_RMS_PX else None


def add_phantoms(writer: ExampleWriter, spec: InputSpec, settings: RecipeSettings, *, jobs: int = 1) -> Iterator[str]:
    """Add pairs of phantoms that differ in the slide alone; yields a line on each pair."""
    for index, made in enumerate(_in_turn(partial(_examples_of_phantoms, spec=spec, settings=settings), range(settings.phantoms), jobs)):
        for patch, origin in made:
            writer.add(patch, origin)
        yield f"phantom pair {index}: {len(made)} examples"


def _examples_of_phantoms(index: int, spec: InputSpec, settings: RecipeSettings) -> list[Example]:
    made: list[Example] = []
    for slides in (True, False):
        phantom = random_phantom(settings.seed, index, slides=slides)
        source = read_source(recorded(phantom), spec, 1)
        if source is None:
            continue
        rng = np.random.default_rng([settings.seed, index, slides])
        prepared = prepare_window(source.windows[0], source.grid, source.plan, spec)
        made += _examples_of_phantom(phantom, source, prepared, spec, settings, rng, f"phantom-{index}")
    return made


def random_phantom(seed: int, index: int, *, slides: bool, **fixed: object) -> Phantom:
    """One of a pair: the same seed and index give the same patient, probe and recorder, sliding or not.

    With a pleura, all of which slides or none, in its own size (the truth is told in pixels of the phantom), unless `fixed` says so.
    """
    settled: dict[str, object] = {"duration_s": 2.4, "lung_pulse_mm": 0.0, "lung_point_mm": None, "obstruction": Obstruction.NONE}
    spec = population(seed, index, slides=slides, **(settled | fixed))
    return simulate(replace(spec, recorder=replace(spec.recorder, zoom=1.0)), seed=seed * 100_003 + index)


def _examples_of_phantom(
    phantom: Phantom,
    source: Source,
    prepared: PreparedWindow,
    spec: InputSpec,
    settings: RecipeSettings,
    rng: np.random.Generator,
    name: str,
) -> Iterator[Example]:
    slides = true_slides(phantom, source, spec)
    lung = np.array([n for n, patch in enumerate(source.plan.patches) if patch.row >= 0])
    for n in rng.permutation(lung)[: settings.phantom_patches]:
        slide = slides[source.plan.patches[n].column]
        if slide >= MIN_SLIDE_RMS_PX or slide <= STILL_RMS_PX:
            label = float(slide >= MIN_SLIDE_RMS_PX)
            yield prepared.patches[n], Origin(label, name, name, "phantom", "", settings.seed)


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
    stretch = 1.0 if truth.slide_share is None else np.interp(at, line[:, 0], truth.slide_share.mean(axis=0))
    return np.where(share > 0.9, rms * stretch, np.where(share < 0.1, 0.0, np.nan))
