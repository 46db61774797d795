"""What an analysis answers: plain, frozen values that the API, the annotated clip and the report all read.

Every coordinate is in pixels of the uploaded frame (x right, y down, pixel centres at integers).
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Line = tuple[Point, Point]
"""From one point to another."""


class Verdict(StrEnum):
    """What is said of lung sliding, or of another sign. `indeterminate`: the picture was read and does not decide it."""

    PRESENT = "present"
    ABSENT = "absent"
    INDETERMINATE = "indeterminate"
    NOT_ASSESSABLE = "not_assessable"


class ReasonCode(StrEnum):
    """Why a clip cannot be assessed, or what lowers its quality. Stable and public."""

    TOO_SHORT = "too_short"
    FROZEN = "frozen"
    FRAME_RATE_TOO_LOW = "frame_rate_too_low"
    NO_PLEURA = "no_pleura"
    PLEURA_DOUBTFUL = "pleura_doubtful"
    PROBE_MOVING = "probe_moving"
    TOO_DARK = "too_dark"
    NOT_ULTRASOUND = "not_ultrasound"
    TRACKING_LOST = "tracking_lost"


@dataclass(frozen=True, slots=True)
class Reason:
    code: ReasonCode
    detail: str
    """One or two sentences a sonographer can act on."""


@dataclass(frozen=True, slots=True)
class Quality:
    assessable: bool
    probability: float
    """How far the picture can be trusted, 0..1 (the API calls it `score`)."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class ModelRef:
    name: str
    version: str
    sha256: str
    """Of `model.onnx`."""
    device: str
    """Where the patches were really classified: "cpu (OpenVINO)", "cuda:0 (ONNX Runtime)"."""


@dataclass(frozen=True, slots=True)
class ClipSummary:
    num_frames: int
    fps: float
    duration_s: float
    width: int
    height: int
    probe: str
    """"linear", "convex" or "unknown"."""
    mm_per_px: float | None


@dataclass(frozen=True, slots=True)
class LungSliding:
    probability: float | None
    """That sliding is PRESENT; None only when not assessable."""
    interval: tuple[float, float] | None
    """95 %, over the clip's windows and interspaces."""
    verdict: Verdict
    wall_control: float | None
    """The same model on the clip's own chest wall; high means the probe moved."""


@dataclass(frozen=True, slots=True)
class LungPoint:
    suspected: bool
    x_px: float | None


@dataclass(frozen=True, slots=True)
class Column:
    """One place along the pleura: how far the lung moved past the wall there."""

    x_px: float
    slide_px: float
    """RMS shift of the lung past the wall within 0.13 s, along the pleura, in pixels of the uploaded frame."""
    slide_mm: float | None
    wall_px: float
    """The same measure of wall past wall: what the measurement reads where nothing slides."""
    tracking: float
    """Tracking quality 0..1 (normalised cross-correlation)."""
    probability: float | None


@dataclass(frozen=True, slots=True)
class SlideOverTime:
    t_s: NDArray[np.float32]
    """(n,)"""
    px: NDArray[np.float32]
    """Shift of the lung past the wall within 0.13 s, median over the columns, (n,)."""


@dataclass(frozen=True, slots=True)
class TrackedMotion:
    """Where K places along the pleura went within 0.13 s, at P moments; positive is along the pleura to the right."""

    t_s: NDArray[np.float32]
    """Moment from which the shift is measured, (P,)."""
    wall_at: tuple[Point, ...]
    """Middle of the chest wall that was followed above each place, (K,)."""
    lung_at: tuple[Point, ...]
    """Middle of the lung that was followed below it, (K,)."""
    wall_px: NDArray[np.float32]
    """Shift in pixels of the uploaded frame; NaN where it could not be followed, (P, K)."""
    lung_px: NDArray[np.float32]
    """The same of the lung, (P, K)."""


@dataclass(frozen=True, slots=True)
class PleuraFinding:
    confidence: float
    line: tuple[Point, ...]
    """Left to right, of the clip's middle frame."""
    interspaces: tuple[tuple[float, float], ...]
    """(x0, x1) of each run of pleura between two rib shadows."""
    columns: tuple[Column, ...]
    slide_over_time: SlideOverTime
    motion: TrackedMotion


@dataclass(frozen=True, slots=True)
class PatchSaliency:
    """How much each pixel of one patch moved the answer: |gradient|, pooled over channels."""

    map: NDArray[np.float32]
    """0..1, largest over time, (h, w)."""
    time: NDArray[np.float32]
    """0..1, how much each frame mattered, (T,)."""


@dataclass(frozen=True, slots=True)
class PatchFinding:
    polygon: tuple[Point, ...]
    """Outline on the uploaded frame, four corners or more (a patch of a convex clip has curved sides). It begins at the
    corner of the patch's pixel (0, 0) and goes along row 0 first."""
    row: int
    """0 lies just below the pleural line."""
    column: int
    """Counted along the pleura, from the left."""
    probability: float
    saliency: PatchSaliency | None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The polygon's bounds (x0, y0, x1, y1)."""
        xs, ys = zip(*self.polygon, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class WindowFinding:
    start_s: float
    end_s: float
    probability: float | None
    """None when no patch of this window could be tracked."""
    patches: tuple[PatchFinding, ...]


LABELLED_SIGNS = ("a_lines", "b_lines", "effusion", "consolidation")
"""The signs beside sliding that a manifest states and the simulator draws."""
FLUID_OR_SOLID = "fluid_or_solid"
"""Effusion or consolidation, either: labels mix the two, and the two together are told better than each."""
SECOND_READER = "lung_sliding"
"""Sliding once more, by a model of whole frames. Never the answer, which is `Analysis.lung_sliding`."""
TOLD_SIGNS = (*LABELLED_SIGNS, FLUID_OR_SOLID, SECOND_READER)
"""What a bundle of signs may tell, in the order in which it is always told."""
ALL_SIGNS = ("all",)
"""As they are asked for: all that there is a model for."""


class SignReasonCode(StrEnum):
    """Why a sign cannot be assessed. Stable and public; those that quality has too mean the same."""

    TOO_SHORT = "too_short"
    TOO_DARK = "too_dark"
    NOT_ULTRASOUND = "not_ultrasound"
    OUTSIDE_DOMAIN = "outside_domain"
    """Nobody has measured its model on clips like this one."""
    MODEL_FAILED = "model_failed"
    """Its model could not be run; sliding is answered all the same."""


@dataclass(frozen=True, slots=True)
class SignReason:
    code: SignReasonCode
    detail: str
    """A sentence or two."""


@dataclass(frozen=True, slots=True)
class SignMoment:
    """One run of frames that a sign's model was shown."""

    start_s: float
    end_s: float
    probability: float
    attention: NDArray[np.float32] | None
    """How much each of its frames counted, adding up to 1, (T,); None of a model that does not say."""


@dataclass(frozen=True, slots=True)
class SignFrame:
    """The frame that shows a sign best."""

    index: int
    """Of the uploaded clip, from 0."""
    t_s: float
    """When it is shown."""
    box: tuple[float, float, float, float]
    """What of the frame `map` covers: x0, y0, x1, y1, pixels of the uploaded frame."""
    map: NDArray[np.float32] | None
    """Where the model saw the sign, 0..1, coarse (h, w); None of a model that does not say."""


@dataclass(frozen=True, slots=True)
class SignFinding:
    """One sign beside sliding, or a second reading of sliding. It stands for itself; nothing is concluded from several."""

    sign: str
    """One of TOLD_SIGNS."""
    model: ModelRef
    probability: float | None
    """That it is seen somewhere in the clip; None only when not assessable."""
    verdict: Verdict
    reason: SignReason | None
    """Why it cannot be assessed."""
    moments: tuple[SignMoment, ...]
    representative: SignFrame | None
    """None unless the sign may be there."""
    measured: str
    """On what clips its model was measured, and how well it did: a sentence from its bundle."""

    @property
    def is_failed(self) -> bool:
        """Its model could not be run: it may be told at another time."""
        return self.reason is not None and self.reason.code is SignReasonCode.MODEL_FAILED


@dataclass(frozen=True, slots=True)
class Timings:
    """Stages overlap: `total_ms` is not their sum. `model_ms`, `saliency_ms` and `signs_ms` are the device's own time for this clip."""

    decode_ms: float
    pleura_ms: float
    model_ms: float
    saliency_ms: float
    total_ms: float
    signs_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """What one clip was like as the model got it; None where there was nothing to measure. Pixels are those of the strip."""

    lung_grey: float | None
    """Mean grey level of the lung's patches, 0..255."""
    lung_contrast: float | None
    """Standard deviation of those grey levels."""
    wall_grey: float | None
    """Mean grey level of the chest wall above them."""
    frame_rate_fps: float | None
    """Frames a second that differ from the one before, rounded: 29.97 and 30 are one frame rate."""
    picture_scale: float | None
    """Pixels of the uploaded frame that one pixel of the strip spans, to a hundredth: below 1 for a small picture."""
    pleura_depth_share: float | None
    """Of the depth that the picture shows."""
    wall_motion_px: float | None
    """RMS shift of the chest wall in 0.13 s: the probe's own, and the breath's."""
    slide_px: float | None
    """RMS shift of the lung past the wall in 0.13 s."""
    quality: float | None
    """How far the picture can be trusted, 0..1; 0 where it cannot be assessed."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The whole answer for one clip."""

    id: str
    model: ModelRef
    clip: ClipSummary
    quality: Quality
    lung_sliding: LungSliding
    lung_point: LungPoint
    sector: tuple[Point, ...]
    """Outline of the echoes; empty when none were found."""
    pleura: PleuraFinding | None
    windows: tuple[WindowFinding, ...]
    warnings: tuple[str, ...]
    timings: Timings
    inputs: InputStatistics | None = None
    """For the service's own metrics; None in an answer that was kept by a version which did not measure them."""
    signs: tuple[SignFinding, ...] = ()
    """Those that were asked for, in the order of TOLD_SIGNS."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Everything the model saw and said, for research (`Accept: application/x-npz`)."""

    patches: NDArray[np.uint8]
    """(N, C, T, h, w)"""
    logits: NDArray[np.float32]
    """Before calibration, (N,)."""
    gradients: NDArray[np.float32] | None
    """d logit / d grey level (N, C, T, h, w); None without saliency."""
    window: NDArray[np.int32]
    """Index into `Analysis.windows`, (N,)."""
    row: NDArray[np.int32]
    column: NDArray[np.int32]

    @classmethod
    def of_names(cls, named: dict[str, NDArray[Any]]) -> "Arrays":
        """The inverse of `by_name`."""
        gradients = named.get("gradients")
        return cls(**{name: array for name, array in named.items() if name != "gradients"}, gradients=gradients)

    def by_name(self) -> dict[str, NDArray[Any]]:
        """Those that there are."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in named.items() if array is not None}
