r"""A whole answer, made up but self-consistent: a convex clip with two interspaces, ten columns and two rows of patches.

             \        probe        /
              \___________________/            sector: a fan about (width / 2, -0.35 height)
             /                     \
            /    ribs'   shadow     \
           /  _______|  |_________   \         pleural line: an arc of the same centre
          /  /__/__/_|  |_\__\__\__\  \        row 0, columns 0-4 | columns 5-9
         /  /__/__/__|  |__\__\__\__\  \       row 1
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.evidence import saliency
from service.findings import (
    Analysis,
    Arrays,
    ClipSummary,
    Column,
    InputStatistics,
    LungPoint,
    LungSliding,
    ModelRef,
    PatchFinding,
    PatchSaliency,
    PleuraFinding,
    Point,
    Quality,
    Reason,
    ReasonCode,
    SignFinding,
    SignFrame,
    SignMoment,
    SignReason,
    SignReasonCode,
    SlideOverTime,
    Timings,
    TrackedMotion,
    Verdict,
    WindowFinding,
)

FPS = 30
FRAMES_PER_WINDOW = 60
PATCH_PX = 30
NUM_COLUMNS = 10
NUM_ROWS = 2
PROBABILITY = {Verdict.PRESENT: 0.93, Verdict.ABSENT: 0.07, Verdict.INDETERMINATE: 0.52}
INTERVAL = {Verdict.PRESENT: (0.85, 0.97), Verdict.ABSENT: (0.03, 0.15), Verdict.INDETERMINATE: (0.31, 0.74)}
INPUTS = InputStatistics(
    lung_grey=101.5,
    lung_contrast=30.0,
    wall_grey=120.0,
    frame_rate_fps=30.0,
    picture_scale=0.75,
    pleura_depth_share=0.2,
    wall_motion_px=1.5,
    slide_px=4.0,
    quality=0.9,
)
NO_PLEURA = Reason(ReasonCode.NO_PLEURA, "No pleural line was found. Turn the probe across two ribs and record again.")
PROBE_MOVING = Reason(ReasonCode.PROBE_MOVING, "The chest wall moves as much as the lung. Hold the probe still and record again.")


def example_analysis(
    width: int = 640,
    height: int = 480,
    num_windows: int = 2,
    verdict: Verdict = Verdict.PRESENT,
    *,
    lung_point: bool = False,
    reasons: tuple[Reason, ...] = (),
    mm_per_px: float | None = 0.25,
    with_saliency: bool = True,
    network: Verdict | None = None,
    wall_control: float | None = 0.12,
) -> tuple[Analysis, Arrays]:
    """A clip of `num_windows` x 60 frames at 30 fps (2 s each), read as `verdict`.

    `network` is what the patches say where that is not the verdict, which then rests on the slide.
    `lung_point` makes the left interspace slide and the right one not (the verdict becomes indeterminate).
    NOT_ASSESSABLE has no pleura, no windows, and the reason `no_pleura` unless others are given.
    """
    if lung_point:
        verdict = Verdict.INDETERMINATE
    fan = _Fan(width, height)
    if verdict is Verdict.NOT_ASSESSABLE:
        return _not_assessable(fan, num_windows, mm_per_px, reasons or (NO_PLEURA,)), _arrays(0, [], None)

    columns, patches = _column_probabilities(verdict, lung_point), _column_probabilities(network or verdict, lung_point)
    probabilities = [[_clip01(p + 0.02 * ((w + r) % 2)) for p in patches] for w in range(num_windows) for r in range(NUM_ROWS)]
    flat = [p for row in probabilities for p in row]
    gradients = _gradients(flat) if with_saliency else None
    saliencies = saliency.from_gradients(gradients) if gradients is not None else (None,) * len(flat)
    windows = tuple(_window(fan, w, probabilities, saliencies) for w in range(num_windows))
    if network is not None:
        windows = tuple(replace(window, probability=PROBABILITY[verdict]) for window in windows)
    analysis = Analysis(
        id="example",
        model=_model(),
        clip=_summary(fan, num_windows, mm_per_px),
        quality=Quality(assessable=True, probability=0.9 if not reasons else 0.6, reasons=reasons),
        lung_sliding=LungSliding(PROBABILITY[verdict], INTERVAL[verdict], verdict, wall_control),
        lung_point=LungPoint(suspected=lung_point, x_px=fan.at(0.5, 0.0)[0] if lung_point else None),
        sector=fan.outline(),
        pleura=_pleura(fan, columns, num_windows, mm_per_px),
        windows=windows,
        warnings=(),
        timings=Timings(decode_ms=120.0, pleura_ms=80.0, model_ms=310.0, saliency_ms=640.0, total_ms=1150.0),
        inputs=INPUTS,
    )
    return analysis, _arrays(num_windows, flat, gradients)


class _Fan:
    """Polar geometry: `at(u, v)` is u of the way along the pleura (0 left, 1 right), v rows of patches below it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.centre = (width / 2, -0.35 * height)
        self.top, self.pleura, self.bottom = 0.42 * height, 0.72 * height, 1.30 * height
        self.half_angle = min(math.radians(32), math.asin(min(0.95, 0.46 * width / self.bottom)))
        self.row = 0.13 * height

    def polar(self, angle: float, radius: float) -> Point:
        return self.centre[0] + radius * math.sin(angle), self.centre[1] + radius * math.cos(angle)

    def at(self, u: float, v: float) -> Point:
        return self.polar((2 * u - 1) * 0.85 * self.half_angle, self.pleura + v * self.row)

    def outline(self) -> tuple[Point, ...]:
        angles = [self.half_angle * a for a in np.linspace(-1, 1, 25).tolist()]
        return tuple([self.polar(a, self.top) for a in angles] + [self.polar(a, self.bottom) for a in reversed(angles)])

    def patch(self, column: int, row: int) -> tuple[Point, ...]:
        u0, u1 = _column_span(column)
        us = np.linspace(u0, u1, 5).tolist()
        return tuple([self.at(u, row) for u in us] + [self.at(u, row + 1) for u in reversed(us)])


def _column_span(column: int) -> tuple[float, float]:
    """Columns 0-4 fill 0.05..0.45 of the pleura, columns 5-9 fill 0.55..0.95; the rib's shadow lies between."""
    left = 0.05 + 0.08 * column + (0.1 if column >= NUM_COLUMNS // 2 else 0.0)
    return left, left + 0.08


def _column_probabilities(verdict: Verdict, lung_point: bool) -> list[float]:
    if lung_point:
        return [0.93] * (NUM_COLUMNS // 2) + [0.08] * (NUM_COLUMNS // 2)
    middle = PROBABILITY[verdict]
    return [_clip01(middle + 0.02 * (c % 3 - 1)) for c in range(NUM_COLUMNS)]


def _clip01(probability: float) -> float:
    return round(min(0.99, max(0.01, probability)), 3)


def _gradients(probabilities: list[float]) -> NDArray[np.float32]:
    """(N, 1, T, h, w): a bright spot below the patch's top edge that comes and goes with the breath."""
    y, x = np.mgrid[0:PATCH_PX, 0:PATCH_PX].astype(np.float32)
    breath = (0.2 + 0.8 * np.sin(np.linspace(0, np.pi, FRAMES_PER_WINDOW)) ** 2).astype(np.float32)
    gradients = np.empty((len(probabilities), 1, FRAMES_PER_WINDOW, PATCH_PX, PATCH_PX), np.float32)
    for n, probability in enumerate(probabilities):
        spot = np.exp(-((x - 8 - 14 * (n % 2)) ** 2 + (y - 8) ** 2) / 60)
        gradients[n, 0] = 1e-3 * (2 * probability - 1) * breath[:, None, None] * spot
    return gradients


def _window(fan: _Fan, index: int, probabilities: list[list[float]], saliencies: tuple[PatchSaliency | None, ...]) -> WindowFinding:
    patches = []
    for row in range(NUM_ROWS):
        for column in range(NUM_COLUMNS):
            line = index * NUM_ROWS + row
            saliency_here = saliencies[line * NUM_COLUMNS + column]
            patches.append(PatchFinding(fan.patch(column, row), row, column, probabilities[line][column], saliency_here))
    seconds = FRAMES_PER_WINDOW / FPS
    probability = float(np.median([p.probability for p in patches]))
    return WindowFinding(index * seconds, (index + 1) * seconds, probability, tuple(patches))


def _pleura(fan: _Fan, probabilities: list[float], num_windows: int, mm_per_px: float | None) -> PleuraFinding:
    us = [(a + b) / 2 for a, b in map(_column_span, range(NUM_COLUMNS))]
    slides = [0.8 + 5.2 * p for p in probabilities]
    columns = tuple(
        Column(fan.at(u, 0)[0], s, s * mm_per_px if mm_per_px else None, wall_px=0.7, tracking=0.95 - 0.06 * (c % 4), probability=p)
        for c, (u, s, p) in enumerate(zip(us, slides, probabilities, strict=True))
    )
    t_s = np.arange(0, num_windows * FRAMES_PER_WINDOW / FPS, 0.1, dtype=np.float32)
    px = (1.4 * np.median(slides) * np.sin(2 * np.pi * t_s / 3.0)).astype(np.float32)
    interspaces = ((fan.at(0.05, 0)[0], fan.at(0.45, 0)[0]), (fan.at(0.55, 0)[0], fan.at(0.95, 0)[0]))
    line = tuple(fan.at(u, 0) for u in np.linspace(0, 1, 41).tolist())
    return PleuraFinding(0.88, line, interspaces, columns, SlideOverTime(t_s, px), _motion(fan, us, t_s, px))


def _motion(fan: _Fan, us: list[float], t_s: NDArray[np.float32], px: NDArray[np.float32]) -> TrackedMotion:
    """The wall rests, the lung goes as the curve says; the last place is lost all along."""
    lung = np.tile(px[:, None], (1, len(us)))
    lung[:, -1] = np.nan
    at = [tuple(fan.at(u, depth) for u in us) for depth in (-0.5, 0.5)]
    return TrackedMotion(t_s, at[0], at[1], np.zeros_like(lung), lung)


def _arrays(num_windows: int, probabilities: list[float], gradients: NDArray[np.float32] | None) -> Arrays:
    n = len(probabilities)
    p = np.array(probabilities, np.float32)
    per_window = NUM_ROWS * NUM_COLUMNS
    rng = np.random.default_rng(0)
    return Arrays(
        patches=rng.integers(0, 256, (n, 1, FRAMES_PER_WINDOW, PATCH_PX, PATCH_PX), dtype=np.uint8),
        logits=np.log(p / (1 - p)),
        gradients=gradients,
        window=np.repeat(np.arange(num_windows, dtype=np.int32), per_window),
        row=np.tile(np.repeat(np.arange(NUM_ROWS, dtype=np.int32), NUM_COLUMNS), num_windows),
        column=np.tile(np.arange(NUM_COLUMNS, dtype=np.int32), NUM_ROWS * num_windows),
    )


def _not_assessable(fan: _Fan, num_windows: int, mm_per_px: float | None, reasons: tuple[Reason, ...]) -> Analysis:
    return Analysis(
        id="example",
        model=_model(),
        clip=_summary(fan, num_windows, mm_per_px),
        quality=Quality(assessable=False, probability=0.2, reasons=reasons),
        lung_sliding=LungSliding(None, None, Verdict.NOT_ASSESSABLE, None),
        lung_point=LungPoint(suspected=False, x_px=None),
        sector=fan.outline(),
        pleura=None,
        windows=(),
        warnings=(),
        timings=Timings(decode_ms=120.0, pleura_ms=80.0, model_ms=0.0, saliency_ms=0.0, total_ms=200.0),
        inputs=replace(INPUTS, lung_grey=None, lung_contrast=None, wall_grey=None, wall_motion_px=None, slide_px=None, quality=0.0),
    )


def six_signs(width: int = 640, height: int = 480, seconds: int = 4) -> tuple[SignFinding, ...]:
    """All that may be told, each with a sentence of its own: `example_signs`, fluid or solid lung present, a second reader who sees none
    slide."""
    four = example_signs(width, height, seconds)
    a_lines, b_lines, effusion, _ = four
    either = replace(effusion, sign="fluid_or_solid", probability=0.86, verdict=Verdict.PRESENT, measured=MEASURED)
    second = ModelRef("rcm2d-small", "1.0.0", "r" * 64, "cpu (OpenVINO)")
    still = replace(b_lines, sign="lung_sliding", model=second, probability=0.07, verdict=Verdict.ABSENT, representative=None)
    own = (replace(found, measured=MEASURED.replace("86", f"{86 + k}")) for k, found in enumerate((*four, either, still)))
    return tuple(own)


def _model() -> ModelRef:
    return ModelRef(name="resnet3d18-w16", version="0.1.0", sha256="0" * 64, device="cpu (OpenVINO)")


def _summary(fan: _Fan, num_windows: int, mm_per_px: float | None) -> ClipSummary:
    num_frames = num_windows * FRAMES_PER_WINDOW
    return ClipSummary(num_frames, float(FPS), num_frames / FPS, fan.width, fan.height, "convex", mm_per_px)


MEASURED = (
    "86 public POCUS clips of 37 patients, none learnt from: AUROC 0.93 (0.84-0.98), 0.92 (0.80-0.98) without those only called healthy; "
    '"present" was right in 21 of 23, "absent" was right in 41 of 44.'
)
"""As long as a bundle's own sentence."""


def example_signs(width: int = 640, height: int = 480, seconds: int = 4) -> tuple[SignFinding, ...]:
    """All four: A-lines absent, B-lines present with their attention, effusion open, consolidation outside its model's domain."""
    attention = np.exp(-(((np.arange(15, dtype=np.float32) - 9) / 3) ** 2))
    attention /= attention.sum()
    beats = tuple(SignMoment(0.8 * k, 0.8 * k + 1, (0.55, 0.93, 0.88, 0.4)[k % 4], attention) for k in range(seconds))
    frames = tuple(SignMoment(0.2 * k, 0.2 * k + 0.2, 0.45 + 0.1 * (k % 3), None) for k in range(5 * seconds))
    box = (0.1 * width, 0.05 * height, 0.9 * width, 0.95 * height)
    seen = np.outer(np.hanning(7), np.hanning(7)).astype(np.float32)
    of_frames, of_seconds = (ModelRef(name, "1.0.0", name[0] * 64, "cpu (OpenVINO)") for name in ("signs-small", "blines-small"))
    outside = SignReason(SignReasonCode.OUTSIDE_DOMAIN, "Its model was measured on clips of convex probes alone; this one is linear.")
    measured = "47 public clips of 30 patients: AUROC 0.85 (0.70-0.95)."
    return (
        SignFinding("a_lines", of_frames, 0.08, Verdict.ABSENT, None, frames, None, measured),
        SignFinding("b_lines", of_seconds, 0.91, Verdict.PRESENT, None, beats, SignFrame(42, 1.4, box, None), measured),
        SignFinding("effusion", of_frames, 0.52, Verdict.INDETERMINATE, None, frames, SignFrame(60, 2.0, box, seen), measured),
        SignFinding("consolidation", of_frames, None, Verdict.NOT_ASSESSABLE, outside, (), None, measured),
    )
