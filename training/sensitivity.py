"""What a bundle sees of phantoms as they get worse, one thing at a time: read as serving reads uploads, held against exact truth.

pair of twins --simulate--> frames --effect--> Recording --analyse--> answer       one Observation for each setting
  (slides or not)             |                                          |
                              +--- truth: slide at each column ----------+--> measured against true
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.findings import Analysis
from service.loading import load_model
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reading import Saliency
from training.phantom import Phantom, PhantomSpec, random_spec, simulate
from training.recording.coding import Codec, Coding, Quality, coded
from training.recording.picture import amplified, noisy, zoomed
from training.recording.take import Recording
from training.recording.timing import at_rate, blended, dropped, repeated

Floats = NDArray[np.float64]

SLIDE_MM = 6.0
"""Of the phantoms all other axes are measured on: a quiet breath, end to end, at the side of the chest."""
CLIP_S = 4.0
LAG_S = 4 / 30
"""The time over which the service measures shifts, on its own clock of 30 fps."""


class Axis(StrEnum):
    """What is changed, and its unit."""

    SLIDE = "slide_mm"
    FRAME_RATE = "frame_rate_fps"
    COMPRESSION = "compression"
    ZOOM = "zoom"
    GAIN = "gain_db"
    TREMOR = "tremor_mm"
    ROCKING = "rocking_deg"
    NOISE = "noise_grey_levels"
    DROPPED = "dropped_share"
    REPEATED = "repeated_share"
    EXPORT_RATE = "export_rate_fps"
    BLENDED = "blended_rate_fps"


_SIMULATED = {Axis.SLIDE, Axis.FRAME_RATE, Axis.TREMOR, Axis.ROCKING}
"""What happens before the scanner's picture is made: each setting is a phantom of its own."""
_SLIDES_ONLY = {Axis.SLIDE}
"""Without a still twin: a slide of 0 is the twin of the others."""


@dataclass(frozen=True, slots=True)
class Setting:
    axis: Axis
    value: float | Coding

    def __str__(self) -> str:
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


def _settings(axis: Axis, *values: float) -> tuple[Setting, ...]:
    return tuple(Setting(axis, value) for value in values)


def _codings(*codecs: Codec) -> tuple[Setting, ...]:
    plain = Setting(Axis.COMPRESSION, Coding(Codec.NONE))
    return (plain, *(Setting(Axis.COMPRESSION, Coding(codec, quality)) for codec in codecs for quality in Quality))


@dataclass(frozen=True, slots=True)
class Design:
    """How many pairs of twins are read, and at which settings."""

    pairs: int
    settings: tuple[Setting, ...]


FULL = Design(
    6,
    (
        *_settings(Axis.SLIDE, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 16.0, 24.0),
        *_settings(Axis.FRAME_RATE, 9.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0),
        *_codings(Codec.H264, Codec.MPEG4, Codec.MPEG2, Codec.MJPEG, Codec.GIF),
        *_settings(Axis.ZOOM, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
        *_settings(Axis.GAIN, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0),
        *_settings(Axis.TREMOR, 0.0, 0.05, 0.1, 0.2, 0.4),
        *_settings(Axis.ROCKING, 0.0, 0.5, 1.0, 2.0, 4.0),
        *_settings(Axis.NOISE, 0.0, 4.0, 8.0, 16.0, 32.0),
        *_settings(Axis.DROPPED, 0.0, 0.1, 0.2, 0.4),
        *_settings(Axis.REPEATED, 0.0, 0.1, 0.2, 0.4),
        *_settings(Axis.EXPORT_RATE, 10.0, 15.0, 25.0, 60.0),
        *_settings(Axis.BLENDED, 20.0, 25.0, 50.0),
    ),
)
QUICK = Design(
    1,
    (
        *_settings(Axis.SLIDE, 0.5, 2.0, 8.0),
        *_settings(Axis.FRAME_RATE, 9.0),
        Setting(Axis.COMPRESSION, Coding(Codec.NONE)),
        Setting(Axis.COMPRESSION, Coding(Codec.H264, Quality.COARSE)),
        *_settings(Axis.ZOOM, 0.8, 1.0),
        *_settings(Axis.NOISE, 0.0, 16.0),
    ),
)


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """One place along the pleura: RMS shift within `LAG_S`, px of the frame."""

    true_px: float
    measured_px: float
    wall_px: float
    tracking: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One clip read at one setting."""

    setting: Setting
    pair: int
    slides: bool
    slide_mm: float
    """Peak to peak, as far as the clip shows it."""
    peak_mm_per_s: float
    peak_px_per_s: float
    verdict: str
    probability: float | None
    wall_control: float | None
    reasons: tuple[str, ...]
    columns: tuple[ColumnReading, ...]


def observe(bundle: Path, design: Design, seed: int, *, processes: int = 1) -> Iterator[tuple[Observation, ...]]:
    """Read every phantom of the design; one tuple a twin as it is done, `2 * design.pairs` in all, in order."""
    jobs = [(bundle, design.settings, seed, pair, slides) for pair in range(design.pairs) for slides in (True, False)]
    if processes == 1:
        yield from (_observe_twin(*job) for job in jobs)
        return
    # Not forked: a fork copies the runtime's locks in whatever state its threads have left them.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_observe_twin, *zip(*jobs, strict=True))


def base_spec(seed: int, pair: int) -> PhantomSpec:
    """The patient and probe of a pair; convex and linear in turn. No lung pulse, so that the still twin does not move at all."""
    probe = ("convex", "linear")[pair % 2]
    rng = np.random.default_rng([seed, pair])
    return random_spec(rng, probe=probe, fps=30.0, duration_s=CLIP_S, lung_pulse_mm=0.0, slide_mm=SLIDE_MM)


def _observe_twin(bundle: Path, settings: Sequence[Setting], seed: int, pair: int, slides: bool) -> tuple[Observation, ...]:
    model, spec = _model(bundle), base_spec(seed, pair)
    spec = spec if slides else replace(spec, slide_mm=0.0)
    number = seed * 100_003 + pair
    base = simulate(spec, number)
    wanted = [setting for setting in settings if slides or setting.axis not in _SLIDES_ONLY]
    return tuple(_observe(setting, base if setting.axis not in _SIMULATED else None, spec, number, pair, model) for setting in wanted)


@cache
def _model(bundle: Path) -> LoadedModel:
    """Opened once in each process."""
    return load_model(bundle, "cpu")


def _observe(setting: Setting, base: Phantom | None, spec: PhantomSpec, number: int, pair: int, model: LoadedModel) -> Observation:
    phantom = simulate(changed_spec(spec, setting), number) if base is None else base
    recording = changed(Recording.at(phantom.frames, phantom.spec.fps), setting, np.random.default_rng([number, 1]))
    analysis, _ = analyse(recording, model, Options(saliency=Saliency.NONE))
    speed = np.abs(np.gradient(phantom.truth.slide_mm, 1 / phantom.spec.fps)).max()
    zoom = setting.value if setting.axis is Axis.ZOOM and isinstance(setting.value, float) else 1.0
    return Observation(
        setting=setting,
        pair=pair,
        slides=phantom.spec.slide_mm > 0,
        slide_mm=float(np.ptp(phantom.truth.slide_mm)),
        peak_mm_per_s=float(speed),
        peak_px_per_s=float(speed) / phantom.truth.mm_per_px * zoom,
        verdict=str(analysis.lung_sliding.verdict),
        probability=analysis.lung_sliding.probability,
        wall_control=analysis.lung_sliding.wall_control,
        reasons=tuple(str(reason.code) for reason in analysis.quality.reasons),
        columns=tuple(_columns(phantom, analysis, zoom)),
    )


def changed_spec(spec: PhantomSpec, setting: Setting) -> PhantomSpec:
    """The phantom at this setting, where the setting is of what is scanned."""
    match setting:
        case Setting(Axis.SLIDE, float(slide_mm)):
            return replace(spec, slide_mm=slide_mm)
        case Setting(Axis.FRAME_RATE, float(fps)):
            return replace(spec, fps=fps)
        case Setting(Axis.TREMOR, float(tremor_mm)):
            return replace(spec, tremor_mm=tremor_mm)
        case Setting(Axis.ROCKING, float(rock_deg)):
            return replace(spec, unrest=replace(spec.unrest, rock_deg=rock_deg))
    return spec


def changed(recording: Recording, setting: Setting, rng: np.random.Generator) -> Recording:
    """The recording at this setting, where the setting is of what was stored."""
    match setting:
        case Setting(Axis.COMPRESSION, Coding() as coding):
            return coded(recording, coding)
        case Setting(Axis.ZOOM, float(factor)) if factor != 1:
            return zoomed(recording, factor)
        case Setting(Axis.GAIN, float(gain_db)):
            return amplified(recording, gain_db)
        case Setting(Axis.NOISE, float(grey_levels)) if grey_levels > 0:
            return noisy(recording, grey_levels, rng)
        case Setting(Axis.DROPPED, float(share)):
            return dropped(recording, share, rng)
        case Setting(Axis.REPEATED, float(share)):
            return repeated(recording, share, rng)
        case Setting(Axis.EXPORT_RATE, float(fps)):
            return at_rate(recording, fps)
        case Setting(Axis.BLENDED, float(fps)):
            return blended(recording, fps)
    return recording


def _columns(phantom: Phantom, analysis: Analysis, zoom: float) -> Iterator[ColumnReading]:
    """What was measured at each column against what was true there; columns that see two truths are left out."""
    if analysis.pleura is None:
        return
    middle_px = (phantom.spec.width_px - 1) / 2
    for column in analysis.pleura.columns:
        true_px = true_slide_px(phantom, middle_px + (column.x_px - middle_px) / zoom, [(w.start_s, w.end_s) for w in analysis.windows])
        if true_px is not None:
            yield ColumnReading(zoom * true_px, column.slide_px, column.wall_px, column.tracking)


def true_slide_px(phantom: Phantom, x_px: float, windows: Sequence[tuple[float, float]]) -> float | None:
    """RMS shift of the lung past the wall within LAG_S at this place, over the windows as the service takes them, px of the frame.

    None where no pleura can be seen, or where the lung slides in some frames and not in others.
    """
    truth, line = phantom.truth, phantom.truth.pleura_middle_px
    if line is None or truth.sliding_mask is None or truth.slide_share is None or not windows:
        return None
    slides, share = (float(np.interp(x_px, line[:, 0], values.mean(axis=0))) for values in (truth.sliding_mask, truth.slide_share))
    if 0.1 < slides < 0.9:
        return None
    squares = [np.mean(_shifts_px(phantom, start_s, end_s) ** 2) for start_s, end_s in windows]
    return share * float(np.sqrt(np.mean(squares))) if slides >= 0.9 else 0.0


def _shifts_px(phantom: Phantom, start_s: float, end_s: float) -> Floats:
    """Of every pair of frames the service compares in one window."""
    first_s = np.arange(start_s, end_s - LAG_S - 1e-6, 2 / 30)
    clock_s = np.arange(len(phantom.frames)) / phantom.spec.fps
    after, before = (np.interp(at, clock_s, phantom.truth.slide_px) for at in (first_s + LAG_S, first_s))
    return np.asarray(after - before, np.float64)
