"""The answer on the wire, field by field, built from `service.findings`. Nothing is decided here.

Coordinates are pixels of the uploaded frame (x right, y down); times are seconds from the clip's start.
"""

import base64
import math
from typing import Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service import findings
from service.evidence.words import INTENDED_USE
from service.telemetry import stages_ms

ProbeName = Literal["linear", "convex", "unknown"]
PROBES: dict[str, ProbeName] = {"linear": "linear", "convex": "convex"}
VerdictName = Literal["present", "absent", "indeterminate", "not_assessable"]
SignName = Literal["a_lines", "b_lines", "effusion", "consolidation", "fluid_or_solid", "lung_sliding"]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ModelSchema(_Schema):
    """The model that read the clip."""

    name: str
    version: str
    sha256: str = Field(description="Of the bundle's model.onnx.")
    device: str = Field(description="Where the patches were really classified.", examples=["cpu (OpenVINO)"])


class ClipSchema(_Schema):
    """The clip, as decoded; never as its header says."""

    frames: int
    fps: float
    duration_s: float
    width: int
    height: int
    probe: ProbeName
    mm_per_px: float | None


class ReasonSchema(_Schema):
    code: str = Field(description="Stable.", examples=["no_pleura"])
    detail: str = Field(description="What to do about it, in a sonographer's words.")


class QualitySchema(_Schema):
    assessable: bool
    score: float = Field(ge=0, le=1, description="How far the picture can be trusted.")
    reasons: list[ReasonSchema]


class LungSlidingSchema(_Schema):
    probability: float | None = Field(ge=0, le=1, description="That sliding is PRESENT; null only when not assessable.")
    interval: tuple[float, float] | None = Field(description="95 %, over the clip's windows and interspaces.")
    verdict: VerdictName
    wall_control: float | None = Field(
        description="The same model on the clip's own chest wall; high means that the probe moved. null where there is too little wall."
    )


class LungPointSchema(_Schema):
    """Part of the pleura slides and part does not; the verdict is then never "present"."""

    suspected: bool
    x_px: float | None


class ColumnSchema(_Schema):
    """What was measured at one place along the pleura."""

    x_px: float
    slide_px: float = Field(description="RMS shift of the lung past the wall within 0.13 s, px of the uploaded frame.")
    slide_mm: float | None
    wall_px: float = Field(description="The same of wall past wall: what is read where nothing slides.")
    tracking: float = Field(ge=0, le=1, description="Tracking quality.")
    probability: float | None


class SlideOverTimeSchema(_Schema):
    t_s: list[float]
    px: list[float]


class MotionSchema(_Schema):
    """Where places along the pleura went, from moment to moment. What is positive went along the pleura to the right."""

    t_s: list[float] = Field(description="Moments from which shifts are measured, within 0.13 s each.")
    wall_at: list[tuple[float, float]] = Field(description="Middle of the chest wall followed above each place.")
    lung_at: list[tuple[float, float]] = Field(description="Middle of the lung followed below each place.")
    wall_px: list[list[float | None]] = Field(description="One list a moment, one shift a place; null where it could not be followed.")
    lung_px: list[list[float | None]] = Field(description="The same of the lung.")


class PleuraSchema(_Schema):
    """The pleural line, of the clip's middle frame where it moves."""

    confidence: float = Field(ge=0, le=1)
    line: list[tuple[float, float]]
    interspaces: list[tuple[float, float]] = Field(description="[x0, x1] of each run of pleura between two rib shadows.")
    columns: list[ColumnSchema]
    slide_over_time: SlideOverTimeSchema
    motion: MotionSchema


class SaliencySchema(_Schema):
    """How much each pixel, and each frame, of one patch moved the answer."""

    map: str = Field(description="Greyscale PNG, h x w, base64; 255 where it mattered most.")
    time: list[float] = Field(description="0..1 for each of the T frames.")


class PatchSchema(_Schema):
    polygon: list[tuple[float, float]] = Field(min_length=4)
    box: tuple[float, float, float, float] = Field(description="The polygon's bounds: x0, y0, x1, y1.")
    row: int = Field(description="0 lies just below the pleural line.")
    column: int = Field(description="Counted along the pleura, from the left.")
    probability: float
    saliency: SaliencySchema | None


class WindowSchema(_Schema):
    """A run of consecutive frames."""

    start_s: float
    end_s: float
    probability: float | None
    patches: list[PatchSchema]


class SignReasonSchema(_Schema):
    code: Literal["too_short", "too_dark", "not_ultrasound", "outside_domain", "model_failed"]
    detail: str


class SignMomentSchema(_Schema):
    """One run of frames that the sign's model was shown."""

    start_s: float
    end_s: float
    probability: float
    attention: list[float] | None = Field(
        description="How much each of its frames counted, adding up to 1; null where the model does not say."
    )


class SignFrameSchema(_Schema):
    """The frame that shows the sign best."""

    index: int = Field(ge=0, description="Of the uploaded clip, from 0.")
    t_s: float
    box: tuple[float, float, float, float] = Field(description="What of the frame the map covers: x0, y0, x1, y1.")
    map: str | None = Field(description="Where the model saw the sign: greyscale PNG, base64, coarse; null where the model does not say.")


class SignSchema(_Schema):
    """A sign beside sliding. It stands for itself: nothing is concluded from several."""

    sign: SignName = Field(description="fluid_or_solid: effusion or consolidation. lung_sliding: a second reader's, never the answer.")
    model: ModelSchema
    probability: float | None = Field(ge=0, le=1, description="That it is seen somewhere in the clip; null only when not assessable.")
    verdict: VerdictName
    reason: SignReasonSchema | None = Field(description="Why it cannot be assessed.")
    moments: list[SignMomentSchema]
    representative: SignFrameSchema | None = Field(description="null unless the sign may be there.")
    measured: str = Field(description="On what clips its model was measured, and how well it did.")


class TimingsSchema(_Schema):
    decode: float = Field(description="Opening the clip: every frame decoded once.")
    pleura: float = Field(description="Finding sector and pleura.")
    model: float = Field(description="The device's own time for patches that were only classified.")
    saliency: float = Field(description="The device's own time for patches that were explained; they are classified with it.")
    signs: float = Field(description="The device's own time for the signs that were asked for.")
    total: float = Field(description="From opening to answer. Stages overlap, so it is not their sum.")


class AnswerSchema(_Schema):
    """Does the lung slide? The answer for one clip, with its evidence."""

    id: str
    model: ModelSchema
    intended_use: str
    warnings: list[str]
    clip: ClipSchema
    quality: QualitySchema
    lung_sliding: LungSlidingSchema
    lung_point: LungPointSchema
    sector: list[tuple[float, float]] = Field(description="Outline of the echoes; empty when none were found.")
    pleura: PleuraSchema | None
    windows: list[WindowSchema]
    signs: list[SignSchema] = Field(description="Those that were asked for.")
    timings_ms: TimingsSchema


class ModelEntrySchema(_Schema):
    """One model of the store."""

    name: str
    version: str
    default: bool
    loaded: bool


class SignModelSchema(_Schema):
    """One model of signs beside sliding."""

    name: str
    version: str
    signs: list[str] = Field(description="Those that it tells.")
    loaded: bool = Field(
        description="False until the service has tried to load them; then those that could be are listed, and those that are tried again."
    )


class ModelsSchema(_Schema):
    models: list[ModelEntrySchema]
    signs: list[SignModelSchema] = Field(description="The models of signs beside sliding, which `signs=` asks.")


class StatusSchema(_Schema):
    status: Literal["ok", "ready"]


def answer_of(analysis: findings.Analysis) -> AnswerSchema:
    return AnswerSchema(
        id=analysis.id,
        model=_model_of(analysis.model),
        intended_use=INTENDED_USE,
        warnings=list(analysis.warnings),
        clip=_clip_of(analysis.clip),
        quality=_quality_of(analysis.quality),
        lung_sliding=_lung_sliding_of(analysis.lung_sliding),
        lung_point=LungPointSchema(suspected=analysis.lung_point.suspected, x_px=_px(analysis.lung_point.x_px)),
        sector=_points(analysis.sector),
        pleura=None if analysis.pleura is None else _pleura_of(analysis.pleura),
        windows=[_window_of(window) for window in analysis.windows],
        signs=[_sign_of(sign) for sign in analysis.signs],
        timings_ms=TimingsSchema(**{stage: round(ms, 1) for stage, ms in stages_ms(analysis.timings).items()}),
    )


def _model_of(model: findings.ModelRef) -> ModelSchema:
    return ModelSchema(name=model.name, version=model.version, sha256=model.sha256, device=model.device)


def _clip_of(clip: findings.ClipSummary) -> ClipSchema:
    return ClipSchema(
        frames=clip.num_frames,
        fps=round(clip.fps, 3),
        duration_s=round(clip.duration_s, 3),
        width=clip.width,
        height=clip.height,
        probe=PROBES.get(clip.probe, "unknown"),
        mm_per_px=None if clip.mm_per_px is None else round(clip.mm_per_px, 5),
    )


def _quality_of(quality: findings.Quality) -> QualitySchema:
    return QualitySchema(
        assessable=quality.assessable,
        score=_probability(quality.probability),
        reasons=[ReasonSchema(code=reason.code, detail=reason.detail) for reason in quality.reasons],
    )


def _lung_sliding_of(sliding: findings.LungSliding) -> LungSlidingSchema:
    interval = sliding.interval
    return LungSlidingSchema(
        probability=_probability(sliding.probability),
        interval=None if interval is None else (_probability(interval[0]), _probability(interval[1])),
        verdict=sliding.verdict.value,
        wall_control=_probability(sliding.wall_control),
    )


def _pleura_of(pleura: findings.PleuraFinding) -> PleuraSchema:
    return PleuraSchema(
        confidence=_probability(pleura.confidence),
        line=_points(pleura.line),
        interspaces=_points(pleura.interspaces),
        columns=[_column_of(column) for column in pleura.columns],
        slide_over_time=SlideOverTimeSchema(
            t_s=_rounded(pleura.slide_over_time.t_s, 3),
            px=_rounded(pleura.slide_over_time.px, 3),
        ),
        motion=_motion_of(pleura.motion),
    )


def _motion_of(motion: findings.TrackedMotion) -> MotionSchema:
    return MotionSchema(
        t_s=_rounded(motion.t_s, 3),
        wall_at=_points(motion.wall_at),
        lung_at=_points(motion.lung_at),
        wall_px=_shifts(motion.wall_px),
        lung_px=_shifts(motion.lung_px),
    )


def _shifts(shifts: NDArray[np.float32]) -> list[list[float | None]]:
    """To a hundredth of a pixel; JSON knows no NaN."""
    return [[round(shift, 2) if math.isfinite(shift) else None for shift in moment] for moment in shifts.tolist()]


def _column_of(column: findings.Column) -> ColumnSchema:
    return ColumnSchema(
        x_px=_px(column.x_px),
        slide_px=round(float(column.slide_px), 3),
        slide_mm=None if column.slide_mm is None else round(float(column.slide_mm), 3),
        wall_px=round(float(column.wall_px), 3),
        tracking=_probability(column.tracking),
        probability=_probability(column.probability),
    )


def _window_of(window: findings.WindowFinding) -> WindowSchema:
    return WindowSchema(
        start_s=round(window.start_s, 3),
        end_s=round(window.end_s, 3),
        probability=_probability(window.probability),
        patches=[_patch_of(patch) for patch in window.patches],
    )


def _patch_of(patch: findings.PatchFinding) -> PatchSchema:
    x0, y0, x1, y1 = patch.box
    return PatchSchema(
        polygon=_points(patch.polygon),
        box=(_px(x0), _px(y0), _px(x1), _px(y1)),
        row=patch.row,
        column=patch.column,
        probability=_probability(patch.probability),
        saliency=None if patch.saliency is None else _saliency_of(patch.saliency),
    )


def _sign_of(found: findings.SignFinding) -> SignSchema:
    reason, best = found.reason, found.representative
    return SignSchema(
        sign=found.sign,  # type: ignore[arg-type]  # a bundle of another sign is refused when it is read
        model=_model_of(found.model),
        probability=_probability(found.probability),
        verdict=found.verdict.value,
        reason=None if reason is None else SignReasonSchema(code=reason.code.value, detail=reason.detail),
        moments=[_moment_of(moment) for moment in found.moments],
        representative=None if best is None else _sign_frame_of(best),
        measured=found.measured,
    )


def _moment_of(moment: findings.SignMoment) -> SignMomentSchema:
    return SignMomentSchema(
        start_s=round(moment.start_s, 3),
        end_s=round(moment.end_s, 3),
        probability=_probability(moment.probability),
        attention=None if moment.attention is None else _rounded(moment.attention, 4),
    )


def _sign_frame_of(best: findings.SignFrame) -> SignFrameSchema:
    x0, y0, x1, y1 = best.box
    seen = None if best.map is None else grey_png(best.map)
    return SignFrameSchema(index=best.index, t_s=round(best.t_s, 3), box=(_px(x0), _px(y0), _px(x1), _px(y1)), map=seen)


def _saliency_of(saliency: findings.PatchSaliency) -> SaliencySchema:
    return SaliencySchema(map=grey_png(saliency.map), time=_rounded(saliency.time, 4))


def grey_png(picture: NDArray[np.float32]) -> str:
    """A picture of 0..1 (h, w) as a base64 greyscale PNG of 0..255."""
    levels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    _, png = cv2.imencode(".png", levels)
    return base64.b64encode(png.tobytes()).decode("ascii")


def _rounded(values: NDArray[np.float32], digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]


def _points(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    return [(_px(x), _px(y)) for x, y in points]


@overload
def _px(value: float) -> float: ...
@overload
def _px(value: None) -> None: ...
@overload
def _px(value: float | None) -> float | None: ...
def _px(value: float | None) -> float | None:
    """A coordinate to a hundredth of a pixel."""
    return None if value is None else round(float(value), 2)


@overload
def _probability(value: float) -> float: ...
@overload
def _probability(value: None) -> None: ...
@overload
def _probability(value: float | None) -> float | None: ...
def _probability(value: float | None) -> float | None:
    """Four digits: more than any clip can tell."""
    return None if value is None else round(float(value), 4)
