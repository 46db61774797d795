"""Hard controls: clips in which nothing slides, made from real ones, and composites with a lung point.

A model is believed when it tells a healthy clip from each of these, not from its frozen twin alone: nets that did that
at 0.99 still called the chest wall sliding.

    own_wall   the clip's chest wall, read as if it were lung (what every answer carries as `wall_control`)
    wall       wall video from further along in the lung's place
    mirror     the wall's mirror image below the line: what an airless pleura shows
    locked     the lung's own texture, slowly changing, carried by the wall's tracked motion
    pulsing    the same, its brightness beating as a heart does beside a lung
    shaken     one still, moved as a whole by a hand's tremor
    frozen     one still, with electronic noise
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service.cine.pooling import Evidence, gather
from service.cine.prepare import StripWindow, prepare_window
from service.cine.quality import judge_motion
from service.cine.spec import InputSpec
from service.cine.strip import StripGrid
from service.cine.tiling import Plan
from service.engine.base import Engine
from training.counterfactual import Base, base_lung, carry_by_wall, join
from training.finish import tremble
from training.recipe import Source
from training.slide import Shimmer

Floats = NDArray[np.float32]

NOISE_GREY_LEVELS = 3.0
"""Electronic noise of the made-up pictures; a still without any would be told by that alone."""


PULSE, HEART_HZ = 0.15, (1.0, 2.0)
"""Share of the brightness, and how often. Chosen so that an eye sees it at a glance; measured on nothing."""


class Control(StrEnum):
    WALL = "wall"
    MIRROR = "mirror"
    LOCKED = "locked"
    PULSING = "pulsing"
    SHAKEN = "shaken"
    FROZEN = "frozen"


def make_control(source: Source, control: Control, fps: float, rng: np.random.Generator) -> Source:
    """The same clip with nothing sliding in it."""
    still = source.windows[len(source.windows) // 2].strip[source.windows[0].strip.shape[0] // 2]
    windows = tuple(_control_window(source, window, still, control, fps, rng) for window in source.windows)
    return replace(source, windows=windows)


def _control_window(
    source: Source,
    window: StripWindow,
    still: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    control: Control,
    fps: float,
    rng: np.random.Generator,
) -> StripWindow:
    if control in (Control.SHAKEN, Control.FROZEN):
        stills = np.repeat(still[None], len(window.strip), axis=0)
        strip = tremble(stills, rng) if control is Control.SHAKEN else stills.astype(np.float32)
        noisy = strip + rng.normal(0, NOISE_GREY_LEVELS, strip.shape)
    else:
        base = {Control.WALL: Base.WALL, Control.MIRROR: Base.MIRROR}.get(control, Base.LOCKED)
        carried = carry_by_wall(window, source.grid, source.plan, fps)
        lung = base_lung(window.strip, source.grid, base, carried, rng)
        if control is Control.PULSING:
            lung = _pulsing(lung, window, rng)
        lung += rng.normal(0, NOISE_GREY_LEVELS, lung.shape).astype(np.float32)
        noisy = join(window.strip, lung, source.grid.zero_row).astype(np.float64)
    return StripWindow(window.start_frame, np.clip(np.rint(noisy), 0, 255).astype(np.uint8), window.taken_s)


def _pulsing(lung: Floats, window: StripWindow, rng: np.random.Generator) -> Floats:
    beat = PULSE * np.sin(2 * np.pi * rng.uniform(*HEART_HZ) * (window.taken_s + rng.random()))
    return Shimmer(np.repeat(beat[:, None], lung.shape[2], axis=1).astype(np.float32), is_offset=False).of(lung)


def make_lung_point(sliding: Source, still: Source, share: float) -> tuple[Source, float]:
    """Two clips side by side: `sliding` on the left up to `share` of the width, `still` on the right.

    Returns the composite and the column of the strip where the lung point lies.
    """
    rows = min(len(sliding.grid.x), len(still.grid.x))
    width = min(sliding.grid.num_columns, still.grid.num_columns)
    split = round(share * width)
    zero = min(sliding.grid.zero_row, still.grid.zero_row)
    windows = []
    for a, b in zip(sliding.windows, still.windows, strict=False):
        left = a.strip[:, sliding.grid.zero_row - zero :][:, :rows, :split]
        right = b.strip[:, still.grid.zero_row - zero :][:, :rows, split:width]
        rows = min(left.shape[1], right.shape[1])
        windows.append(StripWindow(a.start_frame, np.concatenate([left[:, :rows], right[:, :rows]], axis=2), a.taken_s))
    grid = StripGrid(
        x=sliding.grid.x[:rows, :width],
        y=sliding.grid.y[:rows, :width],
        zero_row=zero,
        px_per_strip_px=sliding.grid.px_per_strip_px,
        interspaces=((0, split), (split, width)),
        is_echo=np.ones((rows, width), np.bool_),
    )
    return Source(grid, sliding.plan, tuple(windows)), float(split)


@dataclass(frozen=True, slots=True)
class Seen:
    """What serving would make of a clip's windows."""

    evidence: Evidence
    is_doubted: bool
    """The line may not be the pleura, the probe moves, or nothing could be followed: then serving gives no verdict."""


def see(source: Source, engine: Engine, spec: InputSpec, plan: Plan | None = None) -> Seen:
    plan = plan or source.plan
    prepared = [prepare_window(window, source.grid, plan, spec) for window in source.windows]
    motions = [window.motion for window in prepared]
    evidence = gather(plan, motions, [engine.logits(window.patches) for window in prepared])
    return Seen(evidence, not source.is_plain or bool(judge_motion(motions, len(plan.lung_columns))))


def read_evidence(source: Source, engine: Engine, spec: InputSpec, plan: Plan | None = None) -> Evidence:
    """What serving would measure and pool for these windows."""
    return see(source, engine, spec, plan).evidence


def each_control(source: Source, fps: float, seed: int) -> Iterator[tuple[Control, Source]]:
    for index, control in enumerate(Control):
        yield control, make_control(source, control, fps, np.random.default_rng([seed, index]))
