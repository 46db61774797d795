"""Motion counterfactuals: from one real strip both classes, so that texture cannot tell them apart.

A twin pair shares wall, lung texture, noise, decorrelation, probe motion and compression. The negative's lung is bound
to the chest wall; the positive's is the same with a slide added along the pleura:

    base lung        locked    the lung's own texture, slowly changing, carried by the wall's tracked motion
                     mirror    the wall mirrored in the pleural line: below an airless pleura the picture is that
                     wall      real wall video from further along the same clip ("wall-wall")
    + slide 0   -> negative
    + slide s(t) -> positive, or a lung point when it begins at a column

Whatever is done to one class is done to the other with amplitude zero; a first study that broke this rule scored 0.98
on flawed data and 0.86 on clean.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.motion import measure_motion, wall_path
from service.cine.prepare import StripWindow
from service.cine.strip import StripGrid
from service.cine.tiling import Column, Plan
from training.finish import carry, draw_finish, move_along
from training.slide import brightness, draw_pulse, draw_renewal, draw_shimmer, draw_slide, elsewhere

Floats = NDArray[np.float32]

PLEURA_HALF_WIDTH_PX = 3
"""The visceral pleura is part of the bright line and slides with the lung: the lung begins this far above row 0."""
SEAM_FADE_PX = 40


class Base(StrEnum):
    LOCKED = "locked"
    MIRROR = "mirror"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Twin:
    """One window made to slide or not."""

    window: StripWindow
    slide_px: Floats
    """Displacement of the lung past the wall, (T, columns); all zero for a negative."""


def make_twins(window: StripWindow, grid: StripGrid, plan: Plan, base: Base, fps: float, rng: np.random.Generator) -> tuple[Twin, Twin]:
    """(negative, positive) of one real window. They differ in the slide and in nothing else."""
    strip, zero_row = window.strip, grid.zero_row
    carried = carry_by_wall(window, grid, plan, fps)
    lung = base_lung(strip, grid, base, carried, rng)
    slide = draw_slide(len(strip), strip.shape[2], fps, rng)
    # Half a pixel off at most, as the moving lung is at nearly all times: interpolation blurs, and must not tell the twins apart.
    place = draw_pulse(len(strip), fps, rng)[:, None] + np.float32(rng.uniform(-0.5, 0.5))
    renewal, shimmer = draw_renewal(rng), draw_shimmer(len(strip), strip.shape[2], fps, rng)
    finish = draw_finish(strip.shape, rng)
    twins = []
    for displacement in (np.zeros_like(slide), slide):
        # Both renew alike, as the slide of the one would have it: renewed with its own slide, the still twin was known by its
        # unchanging speckle, and a network that had learned that told real lungs from their controls worse (docs/model-log.md).
        moved = move_along(renewal.of(lung, slide), displacement + place)
        composite = join(strip, shimmer.of(moved), zero_row)
        twins.append(Twin(finish(StripWindow(window.start_frame, composite, window.taken_s)), displacement))
    return twins[0], twins[1]


def carry_by_wall(window: StripWindow, grid: StripGrid, plan: Plan, fps: float) -> Floats:
    """Where the wall carries each strip column at each frame, (T, columns, 2): along and down, px."""
    centres = from_left(plan).centres
    motion = measure_motion(window.strip, window.taken_s, grid.zero_row, grid.first_row, centres)
    path = wall_path(motion.wall, motion.pair_frames, len(window.strip), fps)
    columns = np.arange(window.strip.shape[2])
    return np.stack([[np.interp(columns, centres, frame[:, axis]) for frame in path] for axis in (0, 1)], axis=-1).astype(np.float32)


def from_left(plan: Plan) -> Plan:
    """Its columns from left to right, none nearer than half a patch to the one before, and no patches.

    In a plan the columns that are wall only come last, wherever they lie, and may lie 3 px beside another; the wall's motion between
    columns can only be told from neighbours, at a distance. Taken as they come, the lung was torn in 16 of 43 real clips.
    """
    kept: list[Column] = []
    for column in sorted(plan.columns, key=lambda column: column.x0):
        if not kept or column.x0 - kept[-1].x0 >= plan.patch_px // 2:
            kept.append(column)
    return replace(plan, columns=tuple(kept), patches=())


def base_lung(strip: NDArray[np.uint8], grid: StripGrid, base: Base, carried: Floats, rng: np.random.Generator) -> Floats:
    """Lung rows that move with the wall and not past it, (T, rows, columns)."""
    first = grid.zero_row - PLEURA_HALF_WIDTH_PX
    own = strip[:, first:].astype(np.float32)
    wall = strip[:, min(grid.first_row, grid.zero_row - 8) : grid.zero_row].astype(np.float32)
    match base:
        case Base.LOCKED:
            return carry(_changing_texture(own, carried, rng), carried)
        case Base.MIRROR:
            return _like(_mirrored_wall(wall, own.shape[1], rng), own)
        case Base.WALL:
            return _like(_wall_from_along(wall, own.shape[1], rng), own)


def carry_still(lung: Floats, carried: Floats) -> Floats:
    """One still of the lung (rows, columns), carried by the wall (T, columns, 2): nothing in it moves past the wall, (T, rows, columns).

    The purest wall-locked lung: not even its speckle changes.
    """
    return carry(np.repeat(lung[None], len(carried), axis=0), carried)


def _changing_texture(lung: Floats, carried: Floats, rng: np.random.Generator) -> Floats:
    """One still of the lung whose speckle fades into that of other places: it changes, and goes nowhere.

    Not into the speckle of other moments: those of a lung that slid are the same texture further along, so that fading one into the
    other was a slide after all (stills of a sliding phantom, faded so, were called present).
    """
    num_frames = len(lung)
    at = int(rng.integers(num_frames))
    # Brought to where the wall was in the window's middle, from where the wall carries it.
    still = carry(lung[at : at + 1], -carried[at : at + 1])
    smooth = brightness(still)
    speckle = np.concatenate([still, *(elsewhere(still, int(by)) for by in _apart(rng))]) - smooth
    weights = _fading(num_frames, rng)
    # Averaging independent speckle flattens it; dividing by the weights' norm keeps its contrast.
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return np.asarray(smooth + np.tensordot(weights, speckle, axes=1), dtype=np.float32)


def _apart(rng: np.random.Generator) -> tuple[int, int]:
    """Two places along the pleura whose speckle has nothing in common with that here, nor with each other's, px."""
    return int(rng.integers(40, 80)), -int(rng.integers(40, 80))


def _fading(num_frames: int, rng: np.random.Generator) -> Floats:
    """Weights of three textures at each frame, (T, 3); in a quarter of cases only the first is ever seen."""
    if rng.random() < 0.25:
        return np.tile(np.array([1, 0, 0], np.float32), (num_frames, 1))
    phase = 2 * np.pi * (np.arange(num_frames) / (rng.uniform(0.7, 6.0) * num_frames) + rng.random())
    return np.stack([1 + np.cos(phase), 1 + np.cos(phase + 2.1), 1 + np.cos(phase + 4.2)], axis=1).astype(np.float32)


def _mirrored_wall(wall: Floats, num_rows: int, rng: np.random.Generator) -> Floats:
    """The wall seen in the mirror of the pleura, again and again, fainter each time, under a haze."""
    rows = np.arange(num_rows) - PLEURA_HALF_WIDTH_PX
    source = wall.shape[1] - 1 - _bounce(np.abs(rows), wall.shape[1])
    fade = np.exp(-np.maximum(rows, 0) / rng.uniform(40, 200)).astype(np.float32)
    mirrored = (wall[:, source] * fade[None, :, None]).astype(np.float32)
    smear = float(rng.uniform(0.3, 2.0))
    return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigmaX=smear, sigmaY=0.01), dtype=np.float32) for frame in mirrored])


def _bounce(distance: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Folded back and forth into 0..length-1."""
    folded = distance % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _wall_from_along(wall: Floats, num_rows: int, rng: np.random.Generator) -> Floats:
    """Real wall video from a place 2-4 columns further along, as lung."""
    by = int(rng.choice([-1, 1]) * rng.integers(50, 120)) if wall.shape[2] > 160 else 0
    # Around the end, not mirrored in it: mirrored wall moves the other way, which is a slide of twice the wall's motion. Where
    # the ends meet, the wall right above is faded in: a seam that stays while both sides move is tracked as anything.
    seam = np.abs(np.arange(wall.shape[2]) - by % wall.shape[2])
    own = np.clip(1 - seam / SEAM_FADE_PX, 0, 1).astype(np.float32)
    moved = own * wall + (1 - own) * np.roll(wall, by, axis=2)
    return np.asarray(moved[:, wall.shape[1] - 1 - _bounce(np.arange(num_rows), wall.shape[1])])


def _like(texture: Floats, lung: Floats) -> Floats:
    """Brightness and contrast of `texture`, row by row, as in `lung`: neither must tell the base."""
    mean, spread = lung.mean(axis=(0, 2), keepdims=True), lung.std(axis=(0, 2), keepdims=True)
    own_mean, own_spread = texture.mean(axis=(0, 2), keepdims=True), texture.std(axis=(0, 2), keepdims=True)
    return np.asarray((texture - own_mean) * np.clip(spread / (own_spread + 1), 0.2, 3.0) + mean, dtype=np.float32)


def join(strip: NDArray[np.uint8], lung: Floats, zero_row: int) -> NDArray[np.uint8]:
    """The strip with its lung rows replaced, feathered over three rows above the line."""
    first = zero_row - PLEURA_HALF_WIDTH_PX
    out = strip.astype(np.float32)
    weight = np.clip((np.arange(lung.shape[1]) + 1) / (PLEURA_HALF_WIDTH_PX + 1), 0, 1).astype(np.float32)[None, :, None]
    out[:, first:] = weight * lung + (1 - weight) * out[:, first:]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
