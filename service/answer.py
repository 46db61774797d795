"""From what was measured and pooled to the answer's words and pixels of the uploaded frame."""

import uuid

import numpy as np

from service.cine.clip import Clip
from service.cine.locate import Located
from service.cine.pooling import MIN_ABSENCE_S, Evidence, Pooled, decide, sigmoid
from service.cine.strip import StripGrid
from service.cine.tiling import Patch
from service.findings import (
    Analysis,
    ClipSummary,
    Column,
    LungPoint,
    LungSliding,
    PatchFinding,
    PleuraFinding,
    Point,
    Quality,
    Reason,
    ReasonCode,
    Timings,
    Verdict,
    WindowFinding,
)
from service.reading import Reading
from service.tracked import slide_over_time, tracked_motion

LINE_POINTS = 64
"""Points of the pleural line in the answer."""


def not_assessable(clip: Clip, located: Located, reading: Reading, quality: Quality, timings: Timings, mm_per_px: float | None) -> Analysis:
    """The answer when nothing can be said, with the reason."""
    reasons = quality.reasons or (Reason(ReasonCode.TRACKING_LOST, "The lung could not be followed long enough to say anything."),)
    return Analysis(
        id=uuid.uuid4().hex,
        model=reading.model.ref,
        clip=_summary(clip, located, mm_per_px),
        quality=Quality(False, 0.0, reasons),
        lung_sliding=LungSliding(None, None, Verdict.NOT_ASSESSABLE, None),
        lung_point=LungPoint(False, None),
        sector=located.sector.outline() if located.sector else (),
        pleura=None,
        windows=(),
        warnings=clip.info.warnings,
        timings=timings,
    )


def answer(
    clip: Clip,
    located: Located,
    reading: Reading,
    quality: Quality,
    evidence: Evidence,
    pooled: Pooled,
    timings: Timings,
    mm_per_px: float | None,
) -> Analysis:
    """The answer of a clip that was read."""
    verdict = decide(pooled, reading.model.bundle.calibration, clip.info.duration_s, is_doubted=bool(quality.reasons))
    summary = _summary(clip, located, mm_per_px)
    return Analysis(
        id=uuid.uuid4().hex,
        model=reading.model.ref,
        clip=summary,
        quality=_too_short_for_absence(clip, _with_moving_probe(quality, pooled, reading), pooled, reading),
        lung_sliding=LungSliding(pooled.probability, pooled.interval, verdict, pooled.wall_control),
        lung_point=_lung_point(pooled, located, reading),
        sector=located.sector.outline() if located.sector else (),
        pleura=_pleura(located, evidence, pooled, reading, summary.mm_per_px),
        windows=_windows(located, pooled, reading),
        warnings=clip.info.warnings,
        timings=timings,
    )


def _summary(clip: Clip, located: Located, mm_per_px: float | None) -> ClipSummary:
    info = clip.info
    stated = info.region.mm_per_px if info.region else None
    return ClipSummary(
        num_frames=info.num_frames,
        fps=info.fps,
        duration_s=info.duration_s,
        width=info.width,
        height=info.height,
        probe=located.sector.probe if located.sector else "unknown",
        mm_per_px=stated if mm_per_px is None else mm_per_px,
    )


def _with_moving_probe(quality: Quality, pooled: Pooled, reading: Reading) -> Quality:
    """A wall that seems to slide is a probe that moved: that reason comes first."""
    if pooled.wall_control is None or pooled.wall_control <= reading.model.bundle.calibration.wall_control_above:
        return quality
    if any(reason.code is ReasonCode.PROBE_MOVING for reason in quality.reasons):
        return quality
    moved = Reason(
        ReasonCode.PROBE_MOVING, "The chest wall itself seems to slide, so the probe moved. Hold it still and record at least one breath."
    )
    return Quality(quality.assessable, quality.probability, (moved, *quality.reasons))


def _too_short_for_absence(clip: Clip, quality: Quality, pooled: Pooled, reading: Reading) -> Quality:
    """Why a low probability is no verdict; last of the reasons, for whatever else is wrong keeps it open as well."""
    if clip.info.duration_s >= MIN_ABSENCE_S or pooled.probability >= reading.model.bundle.calibration.absent_below:
        return quality
    short = Reason(
        ReasonCode.TOO_SHORT,
        f"Nothing slides in these {clip.info.duration_s:.1f} s, but sliding is only called absent from {MIN_ABSENCE_S:.1f} s on: "
        "a shorter clip may have caught the pause between two breaths.",
    )
    return Quality(quality.assessable, quality.probability, (*quality.reasons, short))


def _lung_point(pooled: Pooled, located: Located, reading: Reading) -> LungPoint:
    if pooled.lung_point_column is None or located.grid is None or located.pleura is None or not located.pleura.is_plain:
        return LungPoint(False, None)  # on a doubtful line a border is more likely that of two tissues
    centres = reading.plan.centres[: len(reading.plan.lung_columns)]
    strip_column = float(np.interp(pooled.lung_point_column, np.arange(len(centres)), centres))
    return LungPoint(True, located.grid.to_frame(strip_column, 0.0)[0])


def _pleura(located: Located, evidence: Evidence, pooled: Pooled, reading: Reading, mm_per_px: float | None) -> PleuraFinding | None:
    if located.grid is None or located.pleura is None:
        return None
    grid = located.grid
    line = tuple(grid.to_frame(column, 0.0) for column in np.linspace(0, grid.num_columns - 1, LINE_POINTS))
    motion = tracked_motion(grid, reading)
    return PleuraFinding(
        confidence=located.pleura.confidence,
        line=line,
        interspaces=tuple((grid.to_frame(a, 0.0)[0], grid.to_frame(b - 1, 0.0)[0]) for a, b in grid.interspaces),
        columns=_columns(grid, evidence, pooled, reading, mm_per_px),
        slide_over_time=slide_over_time(motion),
        motion=motion,
    )


def _columns(grid: StripGrid, evidence: Evidence, pooled: Pooled, reading: Reading, mm_per_px: float | None) -> tuple[Column, ...]:
    """One for every column in which the lung could be followed."""
    slide_px = _rms(evidence.lung_sq) * grid.px_per_strip_px
    wall_px = _rms(evidence.wall_sq) * grid.px_per_strip_px
    return tuple(
        Column(
            x_px=grid.to_frame(float(centre), 0.0)[0],
            slide_px=float(slide_px[k]),
            slide_mm=None if mm_per_px is None else float(slide_px[k]) * mm_per_px,
            wall_px=float(np.nan_to_num(wall_px[k])),
            tracking=float(np.clip(np.mean(evidence.tracking[:, k]), 0, 1)),
            probability=pooled.column_probabilities[k],
        )
        for k, centre in enumerate(reading.plan.centres[: len(slide_px)])
        if np.isfinite(slide_px[k])
    )


def _rms(mean_squares: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Over the windows, (W, K) -> (K,); NaN where no window says anything."""
    seen = np.isfinite(mean_squares)
    total = np.where(seen, mean_squares, 0.0).sum(axis=0)
    return np.sqrt(np.where(seen.any(axis=0), total / np.maximum(seen.sum(axis=0), 1), np.nan))


def _windows(located: Located, pooled: Pooled, reading: Reading) -> tuple[WindowFinding, ...]:
    grid, lung = located.grid, [patch for patch in reading.plan.patches if patch.row >= 0]
    if grid is None:
        return ()
    is_lung = [patch.row >= 0 for patch in reading.plan.patches]
    polygons = [_polygon(grid, reading, patch) for patch in lung]
    calibration = reading.model.bundle.calibration
    saliencies = reading.saliencies()
    found = []
    for w, (start_s, end_s) in enumerate(reading.spans_s):
        logits = reading.logits[w][is_lung]
        patches = tuple(
            PatchFinding(
                polygon=polygons[n],
                row=patch.row,
                column=patch.column,
                probability=sigmoid(calibration.patch_scale * float(logits[n]) + calibration.patch_offset),
                saliency=saliencies[w][n] if saliencies else None,
            )
            for n, patch in enumerate(lung)
        )
        found.append(WindowFinding(start_s, end_s, pooled.window_probabilities[w], patches))
    return tuple(found)


def _polygon(grid: StripGrid, reading: Reading, patch: Patch) -> tuple[Point, ...]:
    """The patch's outline on the frame: from the corner of its pixel (0, 0) along row 0, three points a side."""
    left = reading.plan.columns[patch.column].x0 - 0.5
    top, size = patch.y0 - 0.5, reading.plan.patch_px
    across = (left, left + size / 2, left + size)
    return tuple([grid.to_frame(x, top) for x in across] + [grid.to_frame(x, top + size) for x in reversed(across)])
