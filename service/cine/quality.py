"""Can this clip be read at all, and how far can it be trusted? Each reason tells a sonographer what to do about it."""

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import Clip, ClipInfo
from service.cine.locate import Located
from service.cine.motion import Motion, wall_motion_px
from service.cine.overview import Overview
from service.cine.spec import InputSpec
from service.cine.survey import COLOUR_STEP, SurveyedClip
from service.findings import Quality, Reason, ReasonCode

MIN_FRAMES_PER_SECOND = 7.0
"""Distinct frames. Between two frames of a slower clip lung speckle has nothing left in common (real clips: 9-60)."""
MIN_STILLNESS = 0.05
"""Mean grey-level change between surveyed frames; a live picture shows its electronic noise (0.8 in the quietest real clip)."""
DARK_GREY_LEVEL = 24.0
"""Of the brightest hundredth of the picture (the darkest real clip with a pleura: 60)."""
COLOURED_SHARE = 0.35
"""Of the pixels. Text, a logo or a colour scale stay far below; colour Doppler boxes and camera pictures do not."""
MIN_PLEURA_CONFIDENCE = 0.35
MOVING_WALL_PX = 5.0
"""RMS shift of the wall in an eighth of a second: the picture runs away under the columns. Of the median column: a probe moves
them all, and two columns that lost their way (0.7 px in the median, 5.2 over all) had a still probe called moving."""
MIN_TRACKED_SHARE = 0.25


def judge_clip(clip: Clip, overview: Overview, spec: InputSpec) -> tuple[Reason, ...]:
    """What keeps a clip from being read before the pleura is even looked for."""
    reasons = [_too_short(clip.info, spec), _frozen(clip.info, overview), _slow(clip.info), _coloured(clip), _dark(overview)]
    return tuple(reason for reason in reasons if reason is not None)


def _too_short(info: ClipInfo, spec: InputSpec) -> Reason | None:
    if round(info.duration_s * spec.fps) >= spec.window_frames:
        return None
    frames = "1 frame" if info.num_frames == 1 else f"{info.num_frames} frames"
    return Reason(
        ReasonCode.TOO_SHORT,
        f"The clip lasts {info.duration_s:.2f} s ({frames}); at least {spec.window_s:.1f} s are needed. "
        "Record 4 s or more, to see a breath.",
    )


def _frozen(info: ClipInfo, overview: Overview) -> Reason | None:
    if info.num_frames > 1 and (info.is_duplicate[1:].all() or float(overview.change.mean()) < MIN_STILLNESS):
        return Reason(ReasonCode.FROZEN, "The picture does not change at all: this is a frozen image. Record a moving clip.")
    return None


def _slow(info: ClipInfo) -> Reason | None:
    distinct = int((~info.is_duplicate).sum())
    rate = info.distinct_fps
    if info.num_frames < 2 or distinct < 2 or rate >= MIN_FRAMES_PER_SECOND:
        return None
    return Reason(
        ReasonCode.FRAME_RATE_TOO_LOW,
        f"The clip shows {rate:.1f} different frames a second; at least {MIN_FRAMES_PER_SECOND:.0f} are needed. "
        "Reduce the depth, or export the clip at its full frame rate.",
    )


def _coloured(clip: Clip) -> Reason | None:
    levels = _first_colours(clip).astype(np.int16)
    if float(((levels.max(axis=2) - levels.min(axis=2)) > 40).mean()) <= COLOURED_SHARE:
        return None
    return Reason(
        ReasonCode.NOT_ULTRASOUND, "The picture is in colour, not a grey ultrasound image. Send the B-mode clip, without Doppler."
    )


def _first_colours(clip: Clip) -> NDArray[np.uint8]:
    if isinstance(clip, SurveyedClip):
        return clip.first_colours
    return next(clip.rgb_frames())[::COLOUR_STEP, ::COLOUR_STEP]


def _dark(overview: Overview) -> Reason | None:
    if float(np.percentile(overview.mean, 99)) >= DARK_GREY_LEVEL:
        return None
    return Reason(ReasonCode.TOO_DARK, "The picture is almost black. Raise the gain, or check the contact between probe and skin.")


def judge_location(located: Located) -> tuple[Reason, ...]:
    """What the search for the pleura says."""
    if located.sector is None:
        return (Reason(ReasonCode.NOT_ULTRASOUND, "No ultrasound image was found in the picture. Send the clip as the machine stored it."),)
    confidence = located.pleura.confidence if located.pleura else 0.0
    if located.plan is None or not any(patch.row >= 0 for patch in located.plan.patches) or confidence < MIN_PLEURA_CONFIDENCE:
        return (
            Reason(
                ReasonCode.NO_PLEURA,
                "No pleural line was found. Place the probe between two ribs, so that the bright line lies across the picture, "
                "or mark the region by hand.",
            ),
        )
    return ()


def doubt_location(located: Located) -> tuple[Reason, ...]:
    """What keeps a line that was found from being believed."""
    if located.pleura is None or located.pleura.is_plain:
        return ()
    return (
        Reason(
            ReasonCode.PLEURA_DOUBTFUL,
            "It is not sure that the line found is the pleura: there may be fluid or solid lung below it, or gas under the skin. "
            "Look at the line drawn, or mark the region by hand.",
        ),
    )


def judge_motion(motions: list[Motion], num_lung: int) -> tuple[Reason, ...]:
    """What tracking says of the whole clip: the probe ran away, or nothing could be followed.

    The first `num_lung` columns have lung below; the others are wall only.
    """
    tracked = np.concatenate([np.isfinite(m.relative_px[:, :num_lung]) for m in motions])
    reasons = []
    if float(tracked.mean()) < MIN_TRACKED_SHARE:
        reasons.append(
            Reason(
                ReasonCode.TRACKING_LOST, "Wall and lung could not be followed from frame to frame. Hold the probe still and record again."
            )
        )
    if wall_motion_px(motions) > MOVING_WALL_PX:
        reasons.append(Reason(ReasonCode.PROBE_MOVING, "The probe moves over the chest. Hold it still and record at least one breath."))
    return tuple(reasons)


def judge(located: Located, motions: list[Motion], reasons: tuple[Reason, ...]) -> Quality:
    """The clip's quality. Trust is the least of the pleura's confidence and the share of motion that could be followed."""
    open_to_doubt = {ReasonCode.PROBE_MOVING, ReasonCode.PLEURA_DOUBTFUL}
    assessable = bool(motions) and all(reason.code in open_to_doubt for reason in reasons)
    confidence = located.pleura.confidence if located.pleura else 0.0
    num_lung = len(located.plan.lung_columns) if located.plan else 0
    tracked = float(np.mean([np.isfinite(m.relative_px[:, :num_lung]).mean() for m in motions])) if motions else 0.0
    trust = min(confidence, tracked / 0.8) if assessable else 0.0
    return Quality(assessable, float(np.clip(trust, 0, 1)), reasons)
