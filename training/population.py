"""The phantoms a model is trained and judged on: the whole variety, with sliding drawn apart from everything else.

Sliding and not sliding come from one distribution of all that is not sliding, so nothing but the slide can tell them apart:
`population(seed, index, slides=True)` and `slides=False` are twins.
"""

from dataclasses import replace

import numpy as np

from training.phantom.pathology import Adhesion, Consolidation, Neighbour, Organ, Pathology
from training.phantom.spec import BLine, Obstruction, PhantomSpec, half_width_mm, random_spec
from training.phantom.unrest import GainStep, Unrest
from training.recording.recorder import draw_recorder

FRAME_RATES_FPS = (9.0, 12.0, 15.0, 18.0, 20.0, 24.0, 25.0, 30.0, 30.0, 30.0, 40.0, 50.0, 60.0)
_LUNG_POINT_SHARE = 0.12
_EMPHYSEMA_SHARE = 0.03
_OUT_OF_PLANE = (0.2, 1.1)
"""Real walls correlate by 0.95 with themselves an eighth of a second later (median of 15 clips); phantoms of `random_spec` do by 0.99."""


def population(seed: int, index: int, *, slides: bool | None = None, **fixed: object) -> PhantomSpec:
    """Phantom `index` of a population; `fixed` settles fields of PhantomSpec, `slides` whether it slides (None: one in two does).

    The same seed and index give the same spec. Those that slide may have a lung point; simulate with `seed * 100_003 + index`.
    """
    base, coin, restless, ailing, recording = np.random.default_rng([seed, index]).spawn(5)
    does_slide = bool(coin.random() < 0.5) if slides is None else slides
    has_point = bool(coin.random() < _LUNG_POINT_SHARE)
    drawn: dict[str, object] = {"fps": float(base.choice(FRAME_RATES_FPS)), "duration_s": 4.0}
    spec = random_spec(base, **(drawn | fixed))
    point = float(coin.uniform(-0.35, 0.35)) * half_width_mm(spec)
    spec = _settled(spec, fixed, unrest=draw_unrest(restless, spec.duration_s), recorder=draw_recorder(recording))
    spec = _settled(spec, fixed, out_of_plane=restless.uniform(*_OUT_OF_PLANE))
    spec = _settled(spec, fixed, pathology=draw_pathology(ailing, spec), obstruction=_obstruction(ailing))
    spec = _settled(spec, fixed, b_lines=(*spec.b_lines, *_comet_tails(ailing, spec)), pleura_thickness_mm=_thickness(ailing, spec))
    if not does_slide:
        return _settled(spec, fixed, slide_mm=0.0)
    if not has_point:
        return spec
    # Rays of the lung over air would give the still side away, and there is no lung pulse through air.
    clear = tuple(line for line in spec.b_lines if line.of_wall)
    return _settled(spec, fixed, lung_point_mm=point, lung_point_travel_mm=float(coin.uniform(0, 4)), b_lines=clear)


def draw_unrest(rng: np.random.Generator, duration_s: float) -> Unrest:
    """Two in five recordings are quiet; in the others one thing or another happens."""
    if rng.random() < 0.4:
        return Unrest(turnover_rad_per_s=rng.uniform(0, 0.8))
    return Unrest(
        breath_irregularity=float(rng.choice([0.0, rng.uniform(0, 0.7)])),
        held_from_s=rng.uniform(0, duration_s),
        held_for_s=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.1, 0.4) * duration_s])),
        coughs_s=(rng.uniform(0, duration_s),) if rng.random() < 0.15 else (),
        cough_mm=rng.uniform(1.0, 4.0),
        rock_deg=float(rng.choice([0.0, rng.uniform(0, 1.5)])),
        turnover_rad_per_s=rng.uniform(0, 3.0),
        gain_steps=(GainStep(rng.uniform(0, duration_s), rng.uniform(-8, 8)),) if rng.random() < 0.15 else (),
    )


def draw_pathology(rng: np.random.Generator, spec: PhantomSpec) -> Pathology:
    half = half_width_mm(spec)
    elasticity = rng.uniform(-0.4, 0.4)
    if rng.random() < 0.6:
        return Pathology(elasticity=elasticity)
    return Pathology(
        elasticity=elasticity,
        adhesions=(Adhesion(rng.uniform(-half, half), rng.uniform(0.1, 0.4) * half),) if rng.random() < 0.15 else (),
        roughness_mm=float(rng.choice([0.0, rng.uniform(0.1, 0.5)])),
        consolidations=tuple(_consolidation(rng, half, spec) for _ in range(int(rng.choice([0, 0, 1, 2])))),
        effusion_mm=rng.uniform(2, 0.5 * (spec.depth_mm - spec.pleura_depth_mm)) if rng.random() < 0.08 else 0.0,
        neighbour=_neighbour(rng, half) if rng.random() < 0.3 else None,
    )


def _consolidation(rng: np.random.Generator, half_mm: float, spec: PhantomSpec) -> Consolidation:
    return Consolidation(rng.uniform(-half_mm, half_mm), rng.uniform(0.1, 0.35) * half_mm, rng.uniform(0.05, 0.3) * spec.pleura_depth_mm)


def _neighbour(rng: np.random.Generator, half_mm: float) -> Neighbour:
    """On one side, with at least half of the picture left to the lung."""
    side = str(rng.choice(["left", "right"]))
    return Neighbour(Organ(rng.choice(list(Organ))), (1 if side == "right" else -1) * rng.uniform(0.1, 0.7) * half_mm, side)


def _comet_tails(rng: np.random.Generator, spec: PhantomSpec) -> tuple[BLine, ...]:
    half, widest = half_width_mm(spec), 1.5 if spec.probe == "convex" else 0.7
    count = int(rng.choice([0, 0, 0, 1, 3]))
    return tuple(
        BLine(
            rng.uniform(-half, half),
            rng.uniform(0.4, 1) * widest,
            rng.uniform(-24, -14),
            length_mm=rng.uniform(5, 25),
            of_wall=bool(rng.random() < 0.5),
        )
        for _ in range(count)
    )


def _thickness(rng: np.random.Generator, spec: PhantomSpec) -> float:
    """One rough pleura in two is thick as well."""
    thicker = rng.uniform(1.5, 3.0) if rng.random() < 0.5 else 1.0
    return spec.pleura_thickness_mm * (thicker if spec.pathology.roughness_mm > 0 else 1.0)


def _obstruction(rng: np.random.Generator) -> Obstruction:
    return Obstruction.EMPHYSEMA if rng.random() < _EMPHYSEMA_SHARE else Obstruction.NONE


def _settled(spec: PhantomSpec, fixed: dict[str, object], **drawn: object) -> PhantomSpec:
    """The spec with what was drawn, as far as it was not settled beforehand."""
    return replace(spec, **{name: value for name, value in drawn.items() if name not in fixed})  # type: ignore[arg-type]
