"""What went wrong, as pictures: a clip's middle frame with its patches coloured by probability, and its M-mode beside it.

+----------------------+--------------+
| middle frame         | M-mode       |
| patches: blue slides,| of the middle|
| orange still         | column       |
+----------------------+--------------+
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.strip import StripGrid
from service.cine.tiling import Patch, Plan
from service.evidence.mmode import mmode
from service.evidence.palette import PLEURA, Image, probability_colour, probability_stroke
from service.evidence.strokes import Points, draw_line, tint
from training.study.clips import StudyClip
from training.study.figures import THRESHOLD, Answers
from training.study.grid import PatchSet
from training.study.patches import locate_clip, lung_plan

HEIGHT_PX = 420
"""Of a picture; the frame is scaled to it."""
MMODE_WIDTH_PX = 360
GAP_PX = 8
TINT = 0.25


@dataclass(frozen=True, slots=True, repr=False)
class Failure:
    """A clip called wrong."""

    clip: StudyClip
    probability: float
    """Of the clip."""
    patch_probabilities: NDArray[np.float64]
    """In the order written: window by window, (W * P,)."""

    @property
    def words(self) -> str:
        truth, said = ("slides", "does not slide") if self.clip.slides else ("does not slide", "slides")
        return (
            f"{self.clip.title[0].upper()}{self.clip.title[1:]}: {truth}, called “{said}” (probability of sliding {self.probability:.2f})"
        )


def worst(answers: Answers, clips: Sequence[StudyClip], num: int) -> list[Failure]:
    """The clips called wrong with the most confidence, worst first, at most `num`."""
    pooled = answers.by_clip()
    known = {clip.key: clip for clip in clips}
    wrong = np.flatnonzero((pooled.probability >= THRESHOLD) != (pooled.label == 1))
    ranked = sorted(wrong, key=lambda k: -abs(pooled.probability[k] - THRESHOLD))[:num]
    return [
        Failure(known[pooled.clip[k]], float(pooled.probability[k]), answers.probability[answers.clip == pooled.clip[k]]) for k in ranked
    ]


def draw(failure: Failure, patches: PatchSet) -> bytes:
    """A PNG. Raises: RequestError when the clip can no longer be decoded, ValueError when it is no longer the same."""
    opened = open_clip(failure.clip.file, DEFAULT_LIMITS)
    located = locate_clip(failure.clip, opened, patches)
    if located.grid is None or located.plan is None:
        raise ValueError("The clip has no pleura any more; it has changed since its patches were cut.")
    plan = lung_plan(located.plan)
    frame = _draw_patches(_middle_frame(opened), located.grid, plan, _by_place(failure, plan))
    strip = _draw_mmode(opened, located.grid, plan)
    gap = np.zeros((HEIGHT_PX, GAP_PX, 3), np.uint8)
    sheet = np.concatenate([_scaled(frame, HEIGHT_PX), gap, cv2.resize(strip, (MMODE_WIDTH_PX, HEIGHT_PX))], axis=1)
    return bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())


def _by_place(failure: Failure, plan: Plan) -> NDArray[np.float64]:
    """Each place's probability, the mean over the windows, (P,)."""
    return np.asarray(failure.patch_probabilities.reshape(-1, len(plan.patches)).mean(axis=0))


def _middle_frame(opened: Clip) -> Image:
    (frame,) = islice(opened.frames(), opened.info.num_frames // 2, opened.info.num_frames // 2 + 1)
    return np.repeat(frame[..., None], 3, axis=2)


def _draw_patches(frame: Image, grid: StripGrid, plan: Plan, probabilities: NDArray[np.float64]) -> Image:
    canvas = frame.copy()
    for patch, probability in zip(plan.patches, probabilities.tolist(), strict=True):
        outline = _outline(grid, plan, patch)
        tint(canvas, outline, probability_colour(probability), TINT)
        draw_line(canvas, outline, probability_colour(probability), stroke=probability_stroke(probability), closed=True)
    line = np.array([grid.to_frame(column, 0.0) for column in np.linspace(0, grid.num_columns - 1, 60)])
    draw_line(canvas, line, PLEURA)
    return canvas


def _outline(grid: StripGrid, plan: Plan, patch: Patch) -> Points:
    """Its corners and the middles of its upper and lower side, on the frame, (6, 2)."""
    left, top, size = plan.columns[patch.column].x0 - 0.5, patch.y0 - 0.5, plan.patch_px
    across = (left, left + size / 2, left + size)
    return np.array([grid.to_frame(x, top) for x in across] + [grid.to_frame(x, top + size) for x in reversed(across)])


def _draw_mmode(opened: Clip, grid: StripGrid, plan: Plan) -> Image:
    """Of the column of patches in the middle, from the top of the strip to its bottom, with the pleural line."""
    shown = sorted({patch.column for patch in plan.patches})
    column = float(plan.centres[shown[len(shown) // 2]])
    top, bottom = grid.to_frame(column, grid.first_row - grid.zero_row), grid.to_frame(column, grid.lung_rows - 1)
    beam = mmode(opened.frames(), top, bottom)
    canvas = np.repeat(beam[..., None], 3, axis=2)
    depth = beam.shape[0] * (grid.zero_row - grid.first_row) / max(1, grid.x.shape[0] - grid.first_row)
    draw_line(canvas, np.array([[0.0, depth], [min(12.0, beam.shape[1] / 8), depth]]), PLEURA, thickness=2)
    return canvas


def _scaled(picture: Image, height_px: int) -> Image:
    width_px = round(picture.shape[1] * height_px / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)
