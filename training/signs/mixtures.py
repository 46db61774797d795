"""Phantoms that show any of the four signs at once, or none, as patients' pictures do: what `training.signs.population` keeps apart.

Beside those, what real clips have and textbook phantoms lack: the lung's base (diaphragm, liver or spleen) in the picture whatever the
sign, B-lines as broad as an interspace that run into white haze, fluid of uneven depth with solid lung below it.
"""

from dataclasses import replace

import numpy as np

from training.phantom.pathology import Base, Consolidation
from training.phantom.spec import BLine, PhantomSpec, half_width_mm
from training.signs.population import clear_places, normal_spec, part_of_breath, with_a_lines

_STREAM = 10
"""Keeps these draws apart from those of the population of the same seed and index."""
_A_LINES, _B_LINES, _EFFUSION, _CONSOLIDATION, _BASE = 0.4, 0.4, 0.28, 0.33, 0.3
"""Share of the clips; A-lines and B-lines of those without fluid, which hides both."""
_ALWAYS = (-np.inf, np.inf)
_CLEAR_DB = 9.0
"""By which a B-line stands out of the haze around it."""


def mixed_spec(seed: int, index: int, *, comes_and_goes: bool = False, **fixed: object) -> PhantomSpec:
    """Clip `index`: each of the signs there or not, whatever the others. What is shown stands in `signs` of the spec.

    `comes_and_goes`: half of the B-lines are seen in a part of the breath alone, where the lung slides.
    """
    rng = np.random.default_rng([seed, index, _STREAM])
    spec = normal_spec(seed, index, **({"gain_db": float(rng.uniform(-9, 6)), "haze_decay_db_per_cm": float(rng.uniform(3, 10))} | fixed))
    has_fluid = rng.random() < _EFFUSION
    spec = replace(spec, pathology=replace(spec.pathology, base=_base(rng, spec) if rng.random() < _base_share(spec, has_fluid) else None))
    if has_fluid:
        spec = _with_fluid(rng, spec)
    elif rng.random() < _A_LINES:
        spec = with_a_lines(rng, spec)
    if rng.random() < _CONSOLIDATION:
        spec = _with_solid(rng, spec)
    if not has_fluid and rng.random() < _B_LINES:
        spec = replace(spec, b_lines=(*spec.b_lines, *_b_lines(rng, spec, comes_and_goes)))
    return spec


def _base_share(spec: PhantomSpec, has_fluid: bool) -> float:
    """Fluid gathers at the base; a linear probe hardly looks so deep."""
    return (2 * _BASE if has_fluid else _BASE) if spec.probe == "convex" else 0.0


def _base(rng: np.random.Generator, spec: PhantomSpec) -> Base:
    """Mostly a flank of the dome: its top is beside the picture."""
    half, room_mm = half_width_mm(spec), spec.depth_mm - spec.pleura_depth_mm
    return Base(
        center_mm=float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.3)) * half,
        half_width_mm=float(rng.uniform(0.3, 0.9)) * half,
        top_mm=float(rng.uniform(0.05, 0.5)) * room_mm,
        height_mm=float(rng.uniform(0.15, 0.6)) * room_mm,
        level_db=float(rng.uniform(-44, -28)),
        rim_db=float(rng.uniform(-16, -2)),
    )


def _with_fluid(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    """From a fifth of the room below the pleura to nearly all of it; no comet tails, which hang on lung at the wall."""
    room_mm = spec.depth_mm - spec.pleura_depth_mm
    fluid_mm, slope = float(rng.uniform(0.2, 0.8)) * room_mm, float(rng.choice([0.0, rng.uniform(-1, 1)]))
    echo = float(np.exp(rng.uniform(np.log(0.03), np.log(0.5))))
    fluid = replace(spec.pathology, effusion_mm=fluid_mm, effusion_slope=slope, effusion_echo=echo)
    return replace(spec, b_lines=(), num_a_lines=0, pathology=fluid)


def _with_solid(rng: np.random.Generator, spec: PhantomSpec) -> PhantomSpec:
    """From a small one below the pleura to a lobe, darker or brighter than what is around it."""
    half, room_mm = half_width_mm(spec), spec.depth_mm - spec.pleura_depth_mm
    solid = tuple(
        Consolidation(
            place,
            float(rng.uniform(0.2, 1.1)) * half,
            float(np.exp(rng.uniform(np.log(0.12), 0))) * room_mm,
            level_db=float(rng.uniform(-46, -30)),
            rim_db=float(rng.uniform(-4, 4)),
            bronchogram_db=float(rng.choice([0.0, rng.uniform(8, 18)])),
        )
        for place in clear_places(rng, spec, int(rng.choice([1, 1, 2])), within=0.5)
    )
    return replace(spec, pathology=replace(spec.pathology, consolidations=solid))


def _b_lines(rng: np.random.Generator, spec: PhantomSpec, comes_and_goes: bool) -> tuple[BLine, ...]:
    """Single rays, broad beams of light, or an interspace that is white all over."""
    half = half_width_mm(spec)
    count, narrowest, broadest = [(int(rng.integers(1, 6)), 0.015, 0.04), (int(rng.integers(1, 4)), 0.05, 0.15), (1, 0.25, 0.7)][
        rng.integers(3)
    ]
    # The broader, the fainter: white haze is no brighter than the wall.
    brightest_db = -12.0 if broadest < 0.1 else -16.0
    seen_at = _ALWAYS if rng.random() < 0.7 else None
    if comes_and_goes and spec.slide_mm > 0 and rng.random() < 0.5:
        seen_at = part_of_breath(rng)

    def line(place_mm: float) -> BLine:
        level_db = max(float(rng.uniform(-25, brightest_db)), spec.haze_db + _CLEAR_DB)
        return BLine(place_mm, float(rng.uniform(narrowest, broadest)) * half, level_db, seen_at=seen_at)

    return tuple(line(place) for place in clear_places(rng, spec, count))
