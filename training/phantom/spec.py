"""What a phantom is made of: one frozen description, every quantity with its unit."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from training.phantom.motion import respiration
from training.phantom.pathology import Pathology
from training.phantom.unrest import Unrest
from training.recording.recorder import Recorder


class Obstruction(StrEnum):
    """What keeps the pleura from being seen at all."""

    NONE = "none"
    EMPHYSEMA = "emphysema"
    """Gas under the skin: a ragged bright line a few millimetres deep and dirty haze below it (E-lines)."""
    NO_CONTACT = "no_contact"
    """The probe is in the air: ring-down of the transducer and noise."""


@dataclass(frozen=True, slots=True)
class Rib:
    """A rib cut across: a bright curved surface and a shadow below it."""

    center_mm: float
    """Along the pleura, 0 at the middle of the picture, right positive."""
    half_width_mm: float
    depth_mm: float
    """Of the top of its surface, below the probe; shallower than the pleura."""


@dataclass(frozen=True, slots=True)
class BLine:
    """A vertical ray from the pleura to the end of the picture, moving with the lung."""

    center_mm: float
    width_mm: float
    """Standard deviation of its profile at the pleura."""
    level_db: float
    """At the pleura; 0 dB is a mirror's echo, the top of the grey scale at gain 0."""
    length_mm: float | None = None
    """Down to where it has faded; None: to the end of the picture. Short ones are comet tails, which healthy lungs show too."""
    of_wall: bool = False
    """It hangs on the parietal pleura and stays while the lung slides (Z-line): no sign of lung at the wall."""
    seen_at: tuple[float, float] | None = None
    """How full the lung is (0 end of expiration, 1 end of inspiration) while it can be seen; None: always, as a ray in the lung's haze.
    With a range it is a ray of its own, which also wipes out A-lines where it runs; (-inf, inf) for one that never goes."""

    def __post_init__(self) -> None:
        if self.seen_at is None:
            return
        if self.of_wall:
            raise ValueError("A Z-line hangs on the wall and is there in the whole breath; it cannot be seen in a part of it only.")
        if not self.seen_at[0] < self.seen_at[1]:
            raise ValueError(
                f"A ray is seen from one fullness of the lung to a greater one, not from {self.seen_at[0]:g} to {self.seen_at[1]:g}."
            )

    @property
    def is_b_line(self) -> bool:
        return self.length_mm is None and not self.of_wall


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """A lung-ultrasound clip to be simulated.

    Lateral places and movements are arc lengths at the depth of the pleura, in mm, 0 at the middle, right positive. Depths are below
    the probe's face, in mm. Levels are in dB after time-gain compensation, 0 being a mirror's echo.
    """

    # --- probe and picture ---
    probe: str = "convex"
    """"convex" (a fan) or "linear" (a rectangle)."""
    width_px: int = 640
    height_px: int = 480
    fps: float = 30.0
    duration_s: float = 3.0
    depth_mm: float = 120.0
    mm_per_px: float = 0.30
    top_px: float = 6.0
    """Row of the highest echo of the sector: the probe's face, for a convex probe at its corners."""
    inner_radius_mm: float = 55.0
    """Convex only: radius of the probe's face."""
    opening_deg: float = 62.0
    """Convex only: angle of the whole fan."""
    aperture_mm: float = 38.0
    """Linear only: width of the probe's face."""
    num_beams: int = 224
    num_depths: int = 440

    # --- chest wall ---
    skin_mm: float = 1.8
    fat_mm: float = 6.0
    muscle_mm: float = 8.0
    """What remains down to the pleura is intercostal muscle."""
    fibre_contrast_db: float = 5.0
    """Standard deviation of the muscles' striation."""
    fibre_length_mm: float = 9.0
    num_fasciae: int = 2
    """Bright continuous lines above the pleura, beside those between the layers."""
    fascia_db: float = -13.0
    wall_db: float = -31.0
    ribs: tuple[Rib, ...] = (Rib(-22.0, 7.0, 15.0), Rib(20.0, 7.0, 15.0))
    rib_shadow_db: float = -60.0
    rib_edge_mm: float = 2.5
    """Half the width over which a shadow's edge fades."""
    obstruction: Obstruction = Obstruction.NONE

    # --- pleura and below ---
    pleura_depth_mm: float = 24.0
    """On the middle line."""
    pleura_tilt_deg: float = 0.0
    """Positive: deeper on the right."""
    pleura_sag_mm: float = 1.5
    """How much deeper (shallower if negative) the pleura is at the picture's sides."""
    pleura_thickness_mm: float = 1.2
    """Full width at half maximum."""
    pleura_db: float = -7.0
    haze_db: float = -26.0
    """Of the lung's artefact speckle just below the pleura."""
    haze_decay_db_per_cm: float = 4.5
    mirror_db: float = -16.0
    """Of the wall repeated below the pleura, beside the wall itself."""
    num_a_lines: int = 2
    a_line_db: float = -20.0
    """Of the first; each further one is 6 dB weaker."""
    b_lines: tuple[BLine, ...] = ()

    # --- movement ---
    slide_mm: float = 8.0
    """Of the lung past the wall, from end of expiration to end of inspiration; 0: sliding is absent."""
    breaths_per_min: float = 18.0
    inspiration_fraction: float = 0.38
    pause_fraction: float = 0.15
    breath_phase: float = 0.0
    """0..1, where in a breath the clip begins; 0 is the start of inspiration."""
    lung_pulse_mm: float = 0.0
    """Of the heart's push on the lung; it stays where sliding is absent, except on the still side of a lung point (there is air)."""
    pulse_hz: float = 1.2
    wall_lateral_mm: float = 0.8
    """Of the wall past the probe with each breath."""
    wall_axial_mm: float = 0.6
    """Of the pleura away from the probe with each breath: the wall thickens, the skin stays."""
    wall_shear: float = 0.15
    """0..1, how much less the skin moves sideways than the wall at the pleura."""
    drift_mm: float = 1.0
    """Slow wandering of the probe along the chest, RMS; moves wall and lung together."""
    tremor_mm: float = 0.05
    """Fast trembling of the probe, RMS; moves wall and lung together."""
    out_of_plane: float = 0.25
    """RMS angle (rad) by which the picture's plane wanders through the scatterers: cos of a change is the speckle correlation left."""
    haze_decorrelation_mm: float = 15.0
    """Sliding by this much turns the haze's speckle by one radian: reverberation is not carried along unchanged."""
    lung_point_mm: float | None = None
    """Where sliding begins; None: the whole pleura does the same."""
    lung_point_travel_mm: float = 0.0
    """How far that place moves with each breath."""
    sliding_side: str = "right"
    """Of the lung point: "right" or "left"."""

    # --- scanner ---
    axial_psf_mm: float = 0.7
    """Full width at half maximum of the pulse."""
    lateral_psf_mm: float = 1.5
    """Full width at half maximum of the beam at its focus (at the pleura); wider above and below."""
    gain_db: float = 0.0
    dynamic_range_db: float = 60.0
    grey_gamma: float = 1.15
    """Of the grey curve: above 1 the dark half gets darker."""
    noise_db: float = -58.0
    """Electronic noise at the probe's face."""
    noise_rise_db_per_cm: float = 0.5
    """How fast time-gain compensation lifts the noise."""
    compounding: float = 1.0
    """0..1, how far each picture is the mean of two looks with independent speckle."""
    speckle_reduction: float = 0.6
    """0..1, how far the picture is smoothed after detection, as scanners do."""
    edge_loss_db: float = 10.0
    """Lost at the picture's sides, where the probe leaves the skin."""
    persistence: float = 0.25
    """0..1, weight of the frame before."""
    overlays: bool = False
    """Text, a ruler and a logo outside the sector."""

    # --- the second generation: what is not named is off ---
    unrest: Unrest = Unrest()
    pathology: Pathology = Pathology()
    recorder: Recorder = Recorder()
    """What storing, exporting and converting does to the clip: `recorded` makes it, `simulate` shows what the scanner showed."""

    def __post_init__(self) -> None:
        if self.probe not in ("linear", "convex"):
            raise ValueError(f'A phantom\'s probe is "linear" or "convex", not "{self.probe}".')
        if self.sliding_side not in ("left", "right"):
            raise ValueError(f'The sliding side of a lung point is "left" or "right", not "{self.sliding_side}".')
        if self.num_frames < 1:
            raise ValueError(f"A phantom needs at least one frame; {self.duration_s:g} s at {self.fps:g} fps has none.")
        if not self.skin_mm < self.pleura_depth_mm < self.depth_mm:
            raise ValueError(
                f"The pleura must lie between the skin ({self.skin_mm:g} mm) and the end of the picture ({self.depth_mm:g} mm), "
                f"not at {self.pleura_depth_mm:g} mm."
            )

    @property
    def num_frames(self) -> int:
        return round(self.duration_s * self.fps)

    @property
    def num_looks(self) -> int:
        """Looks with independent speckle that each picture is the mean of."""
        return 2 if self.compounding > 0 else 1

    @property
    def sliding(self) -> str:
        """What a reader should say: "present", "absent", "lung_point" or "not_assessable"."""
        if self.obstruction is not Obstruction.NONE or self.pathology.effusion_mm > 0:
            return "not_assessable"
        if self.slide_mm == 0:
            return "absent"
        return "present" if self.lung_point_mm is None else "lung_point"

    @property
    def signs(self) -> frozenset[str]:
        """Of "a_lines", "b_lines", "comet_tails", "lung_pulse", "consolidation" and "effusion", those that can be seen."""
        if self.obstruction is not Obstruction.NONE:
            return frozenset()
        shown = {
            "a_lines": self.num_a_lines > 0 and self.pathology.effusion_mm == 0,
            "b_lines": any(line.is_b_line for line in self.b_lines),
            "comet_tails": any(not line.is_b_line for line in self.b_lines),
            "lung_pulse": self.lung_pulse_mm > 0,
            "consolidation": bool(self.pathology.consolidations),
            "effusion": self.pathology.effusion_mm > 0,
        }
        return frozenset(name for name, is_shown in shown.items() if is_shown)


def random_spec(rng: np.random.Generator, **fixed: object) -> PhantomSpec:
    """A realistic phantom; `fixed` settles fields of PhantomSpec beforehand. Sliding is present unless `slide_mm=0` is fixed.

    Two specs drawn from equal generators, one of them with `slide_mm=0` fixed, are twins: all the rest is equal.
    """
    probe = str(fixed.get("probe", rng.choice(["convex", "convex", "linear"])))
    drawn = _linear(rng) if probe == "linear" else _convex(rng)
    drawn |= _movement(rng) | _scanner(rng)
    spec = replace(PhantomSpec(probe=probe), **(drawn | fixed))  # type: ignore[arg-type]
    is_cut = bool(rng.random() < 0.3)
    if "mm_per_px" not in fixed:
        spec = replace(spec, mm_per_px=fitting_scale(spec, is_cut))
    lateral = dict(ribs=_ribs(rng, spec), b_lines=_b_lines(rng, spec))
    spec = replace(spec, **{name: value for name, value in lateral.items() if name not in fixed})  # type: ignore[arg-type]
    return spec if "breath_phase" in fixed else replace(spec, breath_phase=_phase_that_moves(rng, spec))


def fitting_scale(spec: PhantomSpec, is_cut: bool = False) -> float:
    """mm per px at which the whole sector just fits the frame; `is_cut`: only its height does, the sides may be cut off."""
    if spec.probe == "linear":
        return max(spec.depth_mm / (spec.height_px - 2 * spec.top_px), spec.aperture_mm / (spec.width_px - 8))
    half = np.deg2rad(spec.opening_deg / 2)
    tall = (spec.depth_mm + spec.inner_radius_mm * float(1 - np.cos(half))) / (spec.height_px - 2 * spec.top_px)
    wide = 2 * (spec.inner_radius_mm + spec.depth_mm) * float(np.sin(half)) / (spec.width_px - 8)
    return tall if is_cut else max(tall, wide)


def half_width_mm(spec: PhantomSpec) -> float:
    """Half the picture's width along the pleura."""
    if spec.probe == "linear":
        return spec.aperture_mm / 2
    return (spec.inner_radius_mm + spec.pleura_depth_mm) * float(np.deg2rad(spec.opening_deg / 2))


def _convex(rng: np.random.Generator) -> dict[str, object]:
    skin, fat, muscle, intercostal = rng.uniform(1.2, 2.5), rng.uniform(2, 10), rng.uniform(3, 10), rng.uniform(5, 9)
    pleura = skin + fat + muscle + intercostal
    return dict(
        depth_mm=max(rng.uniform(80, 150), 2.6 * pleura),
        inner_radius_mm=rng.uniform(45, 62),
        opening_deg=rng.uniform(54, 70),
        skin_mm=skin,
        fat_mm=fat,
        muscle_mm=muscle,
        pleura_depth_mm=pleura,
        pleura_tilt_deg=rng.normal(0, 3.5),
        # A pleura as round as the probe's face has no sag; a flat one lies some 10 mm deeper at the sides of the fan.
        pleura_sag_mm=rng.uniform(-2, 9),
        pleura_thickness_mm=rng.uniform(0.9, 1.8),
        fibre_length_mm=rng.uniform(5, 14),
        axial_psf_mm=rng.uniform(0.5, 0.85),
        lateral_psf_mm=rng.uniform(1.1, 2.2),
        rib_edge_mm=rng.uniform(1.5, 5),
        haze_decay_db_per_cm=rng.uniform(2, 9),
        noise_rise_db_per_cm=rng.uniform(0.2, 0.9),
    )


def _linear(rng: np.random.Generator) -> dict[str, object]:
    skin, fat, muscle, intercostal = rng.uniform(1.0, 1.8), rng.uniform(1.5, 6), rng.uniform(3, 8), rng.uniform(4, 7)
    pleura = skin + fat + muscle + intercostal
    return dict(
        depth_mm=max(rng.uniform(32, 55), 2.0 * pleura),
        aperture_mm=rng.uniform(36, 50),
        skin_mm=skin,
        fat_mm=fat,
        muscle_mm=muscle,
        pleura_depth_mm=pleura,
        pleura_tilt_deg=rng.normal(0, 2.5),
        pleura_sag_mm=rng.uniform(-1.0, 1.5),
        pleura_thickness_mm=rng.uniform(0.4, 0.9),
        fibre_length_mm=rng.uniform(3, 9),
        axial_psf_mm=rng.uniform(0.2, 0.36),
        lateral_psf_mm=rng.uniform(0.4, 0.8),
        rib_edge_mm=rng.uniform(0.6, 2),
        haze_decay_db_per_cm=rng.uniform(3, 8),
        noise_rise_db_per_cm=rng.uniform(0.5, 2.5),
    )


def _movement(rng: np.random.Generator) -> dict[str, object]:
    return dict(
        slide_mm=float(np.exp(rng.uniform(np.log(2.0), np.log(20.0)))),
        breaths_per_min=rng.uniform(12, 25),
        inspiration_fraction=rng.uniform(0.3, 0.45),
        pause_fraction=rng.uniform(0.0, 0.3),
        lung_pulse_mm=float(rng.choice([0.0, 0.0, 0.0, 0.2, 0.4])),
        pulse_hz=rng.uniform(1.0, 2.0),
        wall_lateral_mm=rng.uniform(0.0, 2.0),
        wall_axial_mm=rng.uniform(0.0, 1.2),
        wall_shear=rng.uniform(0.0, 0.4),
        drift_mm=rng.uniform(0.0, 2.0),
        tremor_mm=rng.uniform(0.0, 0.12),
        out_of_plane=rng.uniform(0.05, 0.6),
        haze_decorrelation_mm=rng.uniform(6, 30),
    )


def _scanner(rng: np.random.Generator) -> dict[str, object]:
    return dict(
        num_fasciae=int(rng.integers(1, 7)),
        fascia_db=rng.uniform(-22, -10),
        wall_db=rng.uniform(-36, -27),
        fibre_contrast_db=rng.uniform(3, 7),
        pleura_db=rng.uniform(-13, -4),
        haze_db=rng.uniform(-34, -22),
        mirror_db=rng.uniform(-26, -10),
        num_a_lines=int(rng.integers(0, 4)),
        a_line_db=rng.uniform(-27, -14),
        rib_shadow_db=rng.uniform(-75, -48),
        gain_db=rng.uniform(-8, 4),
        dynamic_range_db=rng.uniform(54, 72),
        grey_gamma=rng.uniform(0.9, 1.6),
        noise_db=rng.uniform(-66, -54),
        compounding=float(rng.choice([0.0, 1.0, 1.0])),
        speckle_reduction=rng.uniform(0.1, 1.0),
        edge_loss_db=rng.uniform(0, 40),
        persistence=float(rng.choice([0.0, 0.2, 0.35, 0.5])),
        overlays=bool(rng.random() < 0.5),
    )


def _ribs(rng: np.random.Generator, spec: PhantomSpec) -> tuple[Rib, ...]:
    half = half_width_mm(spec)
    spacing, center = rng.uniform(24, 36), rng.uniform(-15, 15)
    depth = rng.uniform(0.5, 0.75) * spec.pleura_depth_mm
    # Two thirds of clips look across ribs; in the rest the probe lies along one interspace.
    if rng.random() < 1 / 3:
        return ()
    centers = [center + k * spacing for k in range(-4, 5)]
    width = rng.uniform(4.5, 8.0)
    return tuple(Rib(float(c), float(width), float(depth)) for c in centers if abs(c) < half + width)


def _b_lines(rng: np.random.Generator, spec: PhantomSpec) -> tuple[BLine, ...]:
    half = half_width_mm(spec)
    num = int(rng.choice([0, 0, 0, 1, 2, 4]))
    widest = 2.0 if spec.probe == "convex" else 1.0
    lines = [BLine(float(rng.uniform(-half, half)), float(rng.uniform(0.4, 1) * widest), float(rng.uniform(-25, -15))) for _ in range(num)]
    if spec.lung_point_mm is None:
        return tuple(lines)
    # A B-line needs the lung at the wall, so there is none on the still side of a lung point.
    clear_mm = spec.slide_mm + spec.lung_point_travel_mm + widest
    sign = 1 if spec.sliding_side == "right" else -1
    return tuple(line for line in lines if sign * (line.center_mm - spec.lung_point_mm) > clear_mm)


def _phase_that_moves(rng: np.random.Generator, spec: PhantomSpec) -> float:
    """A start at which the clip sees at least 60 % of a breath's excursion, so that the label can be read off the clip."""
    times_s = np.arange(spec.num_frames) / spec.fps
    phases = rng.permutation(np.linspace(0, 1, 24, endpoint=False))
    seen = [float(np.ptp(respiration(times_s, replace(spec, breath_phase=float(p))))) for p in phases]
    wanted = min(0.6, max(seen))
    return next(float(p) for p, excursion in zip(phases, seen, strict=True) if excursion >= wanted)
