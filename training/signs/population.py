"""Phantoms for the signs around sliding: clips with and without B-lines, and clips of one leading sign each.

Drawn as `training.population` draws them, and twins: of one seed and index, clips differ in the sign and in nothing else (probe, wall,
ribs, depth, gain, movement, recorder). Each simulated clip is a patient of its own.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from service.findings import LABELLED_SIGNS
from training.phantom.pathology import Consolidation
from training.phantom.spec import BLine, Obstruction, PhantomSpec, Rib, half_width_mm
from training.population import FRAME_RATES_FPS, population

_STREAM = 8
"""Keeps these draws apart from those of the population of the same seed and index."""
_SLIDING_SHARE = 0.8
_COMING_AND_GOING_SHARE = 5 / 6
"""Of the clips with B-lines whose lung slides, so two in three of all: lung that does not move with the breath does not open with it."""
_CONFLUENT_SHARE = 0.25
_ALWAYS = (-np.inf, np.inf)
_CLEAR_DB = 8.0
"""By which a B-line stands out of the haze around it."""
_PLAIN_DB = 11.0
"""The same of an A-line and of solid lung, which have haze behind them in all their length."""
_DARKEST_DB, _FAINT_DB, _GREY_DB = -47.0, -42.0, -37.0
"""Of solid lung; of haze that nothing can be told from by being darker; of solid lung in such haze."""


def b_line_spec(seed: int, index: int, *, shown: bool | None = None, **fixed: object) -> PhantomSpec:
    """Clip `index`: with B-lines (None: one in two), 1 to 4 of them or confluent, most of them coming and going with the breath.

    The same with and without: up to three A-lines, comet tails, Z-lines, a rough pleura, heart or liver beside the lung. Which frames
    show a B-line is in the truth of the simulated clip. `fixed` settles fields of PhantomSpec beforehand.
    """
    common, coin, drawing = np.random.default_rng([seed, index, _STREAM]).spawn(3)
    is_shown = bool(coin.random() < 0.5) if shown is None else shown
    spec = _clip(seed, index, common, fixed)
    tails = _tails(spec)
    return replace(spec, b_lines=(*tails, *_b_lines(drawing, spec)) if is_shown else tails)


def normal_spec(seed: int, index: int, **fixed: object) -> PhantomSpec:
    """Aerated lung without any of LABELLED_SIGNS. It may have comet tails, as healthy lungs do."""
    spec = _clip(seed, index, np.random.default_rng([seed, index, _STREAM]).spawn(1)[0], fixed)
    return replace(spec, b_lines=_tails(spec), num_a_lines=0, pathology=replace(spec.pathology, neighbour=None))


def sign_spec(seed: int, index: int, sign: str, **fixed: object) -> PhantomSpec:
    """The normal clip `index` with one of LABELLED_SIGNS, as clear as in a textbook, and without the others."""
    if sign not in _SHOWING:
        raise ValueError(f'A sign is one of {", ".join(LABELLED_SIGNS)}, not "{sign}".')
    return _SHOWING[sign](np.random.default_rng([seed, index, _STREAM + 1]), normal_spec(seed, index, **fixed))


def _clip(seed: int, index: int, rng: np.random.Generator, fixed: dict[str, object]) -> PhantomSpec:
    """All but the signs: aerated lung from 3 to 6 s, deep enough for two A-lines, its sides in contact, the gain not too low."""
    drawn: dict[str, object] = {
        "fps": float(rng.choice([rate for rate in FRAME_RATES_FPS if rate >= 15])),
        "duration_s": float(rng.uniform(3, 6)),
        # A sign at a side that has lost contact is not seen, whatever the truth says.
        "edge_loss_db": float(rng.uniform(0, 12)),
        # Who looks for a sign turns the gain up until the lung can be seen.
        "gain_db": float(rng.uniform(-3, 4)),
        "obstruction": Obstruction.NONE,
        "lung_point_mm": None,
        "lung_point_travel_mm": 0.0,
    }
    slides = bool(rng.random() < _SLIDING_SHARE)
    held = _held(population(seed, index, slides=slides, **(drawn | fixed)))
    spec = population(seed, index, slides=slides, **(held | drawn | fixed))
    ribs = spec.ribs if "ribs" in fixed else _about_the_middle(rng, spec)
    return replace(spec, ribs=ribs, pathology=replace(spec.pathology, consolidations=(), effusion_mm=0.0))


def _held(spec: PhantomSpec) -> dict[str, object]:
    """How whoever looks for a sign holds and sets the probe: squarely on the pleura, and deep enough."""
    return {
        "depth_mm": max(spec.depth_mm, 3.2 * spec.pleura_depth_mm),
        "pleura_sag_mm": min(spec.pleura_sag_mm, 0.12 * half_width_mm(spec)),
    }


def _about_the_middle(rng: np.random.Generator, spec: PhantomSpec) -> tuple[Rib, ...]:
    """The ribs, moved until an interspace lies near the middle of the picture: so a probe is held to look for a sign."""
    half, aside = half_width_mm(spec), float(rng.uniform(-0.1, 0.1))
    centers = sorted(rib.center_mm for rib in spec.ribs)
    gaps = [(left + right) / 2 for left, right in zip(centers, centers[1:], strict=False)]
    if not gaps:
        # A single rib goes to its side of the picture.
        gaps = [center - float(np.copysign(0.75 * half, center)) for center in centers]
    moved_mm = aside * half - min(gaps, key=abs, default=0.0)
    return tuple(replace(rib, center_mm=rib.center_mm + moved_mm) for rib in spec.ribs)


def _tails(spec: PhantomSpec) -> tuple[BLine, ...]:
    return tuple(line for line in spec.b_lines if not line.is_b_line)


# --- B-lines ---


def _b_lines(rng: np.random.Generator, spec: PhantomSpec) -> tuple[BLine, ...]:
    comes_and_goes = spec.slide_mm > 0 and rng.random() < _COMING_AND_GOING_SHARE
    seen_at = part_of_breath(rng) if comes_and_goes else _ALWAYS
    if rng.random() < _CONFLUENT_SHARE:
        return _confluent(rng, spec, seen_at)
    is_alike = rng.random() < 0.7
    places = clear_places(rng, spec, int(rng.integers(1, 5)))
    return tuple(_line(rng, spec, place, seen_at if is_alike or not comes_and_goes else part_of_breath(rng)) for place in places)


def part_of_breath(rng: np.random.Generator) -> tuple[float, float]:
    """Towards inspiration or towards expiration, and never so far that a shallow breath would not reach it."""
    turn = float(rng.uniform(0.35, 0.65))
    return (turn, np.inf) if rng.random() < 0.5 else (-np.inf, turn)


def _line(rng: np.random.Generator, spec: PhantomSpec, place_mm: float, seen_at: tuple[float, float]) -> BLine:
    widest = 2.0 if spec.probe == "convex" else 1.0
    width_mm = float(rng.uniform(0.4, 1)) * widest
    return BLine(place_mm - _slid_mm(spec, seen_at), width_mm, _level_db(rng, spec, -21.0, -12.0), seen_at=seen_at)


def _confluent(rng: np.random.Generator, spec: PhantomSpec, seen_at: tuple[float, float]) -> tuple[BLine, ...]:
    """Rays so close that they run into one broad beam of light."""
    middle = float(clear_places(rng, spec, 1)[0])
    count, widest = int(rng.integers(4, 9)), 2.0 if spec.probe == "convex" else 1.0
    gaps_mm = rng.uniform(1.1, 1.9, count) * widest
    places = middle + np.cumsum(gaps_mm) - gaps_mm.sum() / 2
    return tuple(_line(rng, spec, float(place), seen_at) for place in places)


def clear_places(rng: np.random.Generator, spec: PhantomSpec, count: int, within: float = 0.75) -> list[float]:
    """Along the pleura, where the lung is seen: not behind a rib, not where heart or liver lies; `within` a share of half the picture."""
    half = half_width_mm(spec)
    places = np.linspace(-within * half, within * half, 61)
    clear = np.ones(len(places), np.bool_)
    for rib in spec.ribs:
        clear &= np.abs(places - rib.center_mm) > rib.half_width_mm + spec.rib_edge_mm
    neighbour = spec.pathology.neighbour
    if neighbour is not None:
        side = 1 if neighbour.side == "right" else -1
        clear &= side * (neighbour.edge_mm - places) > 0.15 * half
    chosen = rng.choice(places[clear] if clear.any() else places, count)
    return [float(place) for place in chosen]


def _slid_mm(spec: PhantomSpec, seen_at: tuple[float, float]) -> float:
    """How far the lung lies from its mean place in the middle of the time in which a ray is seen."""
    low, high = np.clip(seen_at, 0, 1)
    return float(spec.slide_mm * ((low + high) / 2 - 0.5))


def _level_db(rng: np.random.Generator, spec: PhantomSpec, faintest: float, brightest: float) -> float:
    return float(max(rng.uniform(faintest, brightest), spec.haze_db + _CLEAR_DB))


# --- one leading sign ---


def with_a_lines(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    """A smooth pleura, and its echo two or three times again, the first of them clear of the haze that is left there."""
    haze_db = spec.haze_db - spec.haze_decay_db_per_cm * spec.pleura_depth_mm / 10
    return replace(
        spec,
        num_a_lines=int(rng.integers(2, 4)),
        a_line_db=float(max(rng.uniform(-18, -10), haze_db + _PLAIN_DB)),
        pathology=replace(spec.pathology, roughness_mm=0.0),
    )


def _with_b_lines(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    """Three or more in one interspace or picture, or confluent: what is called an interstitial syndrome."""
    if rng.random() < 0.4:
        return replace(spec, b_lines=(*spec.b_lines, *_confluent(rng, spec, _ALWAYS)))
    places = clear_places(rng, spec, int(rng.integers(3, 6)))
    return replace(spec, b_lines=(*spec.b_lines, *(_line(rng, spec, place, _ALWAYS) for place in places)))


def _with_effusion(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    room_mm = spec.depth_mm - spec.pleura_depth_mm
    return replace(spec, b_lines=(), pathology=replace(spec.pathology, effusion_mm=float(rng.uniform(0.25, 0.55)) * room_mm))


def _with_consolidation(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    """A broad one about the middle of the picture, in one of three beside another."""
    places = [*clear_places(rng, spec, 1, within=0.3), *clear_places(rng, spec, int(rng.choice([0, 0, 1])))]
    solid = tuple(_consolidation(rng, spec, place) for place in places)
    return replace(spec, b_lines=(), pathology=replace(spec.pathology, consolidations=solid))


def _consolidation(rng: np.random.Generator, spec: PhantomSpec, place_mm: float) -> Consolidation:
    """Grey as tissue: darker than the haze that it takes the place of, or lighter where there is hardly any; never as dark as fluid."""
    depth_mm = float(rng.uniform(0.25, 0.6)) * (spec.depth_mm - spec.pleura_depth_mm)
    haze_db = spec.haze_db - spec.haze_decay_db_per_cm * depth_mm / 2 / 10
    return Consolidation(
        place_mm,
        float(rng.uniform(0.4, 0.75)) * half_width_mm(spec),
        depth_mm,
        level_db=max(haze_db - _PLAIN_DB, _DARKEST_DB) if haze_db > _FAINT_DB else _GREY_DB,
        rim_db=float(rng.uniform(0, 4)),
        bronchogram_db=float(rng.choice([0.0, rng.uniform(8, 16)])),
    )


_SHOWING: dict[str, Callable[[np.random.Generator, PhantomSpec], PhantomSpec]] = {
    "a_lines": with_a_lines,
    "b_lines": _with_b_lines,
    "effusion": _with_effusion,
    "consolidation": _with_consolidation,
}
