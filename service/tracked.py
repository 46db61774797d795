"""Where chest wall and lung went from moment to moment, on the uploaded frame: what the measured slide is made of."""

import numpy as np
from numpy.typing import NDArray

from service.cine.motion import BAND_PX, LUNG_GAP_PX, MIN_TRACKING, WALL_GAP_PX, Shifts
from service.cine.strip import StripGrid
from service.findings import SlideOverTime, TrackedMotion
from service.reading import Reading


def tracked_motion(grid: StripGrid, reading: Reading) -> TrackedMotion:
    """Every pair of frames once: windows overlap where the last one was pulled back."""
    fps, count = reading.model.bundle.input_spec.fps, len(reading.plan.lung_columns)
    wall: dict[int, NDArray[np.float32]] = {}
    lung: dict[int, NDArray[np.float32]] = {}
    for (start_s, _), motion in zip(reading.spans_s, reading.motions, strict=True):
        of_wall, of_lung = _seen(motion.wall, count), _seen(motion.lung, count)
        for p, frame in enumerate(motion.pair_frames):
            moment = round(start_s * fps) + int(frame)
            wall.setdefault(moment, of_wall[p])
            lung.setdefault(moment, of_lung[p])
    moments = sorted(wall)
    centres = reading.plan.centres[:count]
    return TrackedMotion(
        t_s=np.array([moment / fps for moment in moments], np.float32),
        wall_at=tuple(grid.to_frame(float(centre), -(WALL_GAP_PX + BAND_PX / 2)) for centre in centres),
        lung_at=tuple(grid.to_frame(float(centre), LUNG_GAP_PX + BAND_PX / 2) for centre in centres),
        wall_px=_stack([wall[moment] for moment in moments], count) * np.float32(grid.px_per_strip_px),
        lung_px=_stack([lung[moment] for moment in moments], count) * np.float32(grid.px_per_strip_px),
    )


def slide_over_time(motion: TrackedMotion) -> SlideOverTime:
    """Lung past wall, median over the columns; moments at which no column was followed are left out."""
    relative = motion.lung_px - motion.wall_px
    seen = np.isfinite(relative).any(axis=1)
    return SlideOverTime(t_s=motion.t_s[seen], px=np.nanmedian(relative[seen], axis=1).astype(np.float32))


def _seen(shifts: Shifts, count: int) -> NDArray[np.float32]:
    """Along the pleura, of the first `count` columns; NaN where the band was lost, (P, count)."""
    return np.where(shifts.tracking > MIN_TRACKING, shifts.along_px, np.nan)[:, :count].astype(np.float32)


def _stack(rows: list[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    return np.stack(rows) if rows else np.empty((0, count), np.float32)
