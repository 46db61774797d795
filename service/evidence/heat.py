"""Saliency as heat inside the patches: each patch's map bent onto its outline, weighed by how much the frame mattered."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.evidence.layout import Box, Layout
from service.evidence.outline import length, points_along, sides
from service.evidence.palette import Image, heat_table
from service.findings import PatchFinding, PatchSaliency, WindowFinding

FloatArray = NDArray[np.float64]

SMOOTH_FRAMES = 5
"""Time weights are averaged over this many frames, or the heat flickers with the model's temporal stride."""


class Heat:
    """The heat of one window. `Heat(window, layout).over(canvas, t)`; does nothing without saliency."""

    def __init__(self, window: WindowFinding, layout: Layout) -> None:
        self._start_s, self._end_s = window.start_s, window.end_s
        shown = [(p, p.saliency) for p in window.patches if p.saliency is not None]
        self._box = _bounds([p for p, _ in shown], layout)
        self._patch = np.zeros((self._box.height, self._box.width), np.int32)
        self._map = np.zeros((self._box.height, self._box.width), np.float32)
        self._weights = np.stack([_smooth(s.time) for _, s in shown]) if shown else np.zeros((0, 1), np.float32)
        for index, (patch, saliency) in enumerate(shown):
            self._lay(index, patch, saliency, layout)
        colours, opacity = heat_table()
        self._colours = np.round(colours * opacity[:, None]).astype(np.uint8)[:, None]
        self._shines_through = np.repeat(np.round(255 * (1 - opacity)).astype(np.uint8)[:, None, None], 3, axis=2)

    def over(self, canvas: Image, t_s: float) -> None:
        """Lay the heat of the moment `t_s` over the canvas, in place."""
        if not self._map.size:  # OpenCV dies of empty images (5.0: a floating point exception, not an error)
            return
        level = np.round(255 * self._map * self._weights[:, self._frame(t_s)][self._patch]).astype(np.uint8)
        view = canvas[self._box.slices]
        lit = cv2.multiply(view, cv2.applyColorMap(level, self._shines_through), scale=1 / 255)
        view[:] = cv2.add(lit, cv2.applyColorMap(level, self._colours))

    def _frame(self, t_s: float) -> int:
        num_frames = int(self._weights.shape[1])
        share = (t_s - self._start_s) / max(self._end_s - self._start_s, 1e-9)
        return min(num_frames - 1, max(0, int(share * num_frames)))

    def _lay(self, index: int, patch: PatchFinding, saliency: PatchSaliency, layout: Layout) -> None:
        """Where patches overlap, the one that mattered more is seen."""
        x0, y0, across, down = _place(layout.to_canvas(patch.polygon))
        height, width = saliency.map.shape
        values = cv2.remap(
            np.ascontiguousarray(saliency.map, np.float32),
            (across * width - 0.5).astype(np.float32),
            (down * height - 0.5).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        values[np.isnan(across)] = -1.0
        rows, columns = np.nonzero(values >= 0)
        ys, xs = rows + y0 - self._box.top, columns + x0 - self._box.left
        inside = (ys >= 0) & (ys < self._box.height) & (xs >= 0) & (xs < self._box.width)
        ys, xs, seen = ys[inside], xs[inside], values[rows[inside], columns[inside]]
        stronger = seen >= self._map[ys, xs]
        self._map[ys[stronger], xs[stronger]] = seen[stronger]
        self._patch[ys[stronger], xs[stronger]] = index


def _smooth(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(weights, SMOOTH_FRAMES // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTH_FRAMES, 1 / SMOOTH_FRAMES), mode="valid").astype(np.float32)


def _bounds(patches: list[PatchFinding], layout: Layout) -> Box:
    """The part of the picture that holds these patches; empty without any."""
    if not patches:
        return Box(layout.picture.left, layout.picture.top, layout.picture.left, layout.picture.top)
    points = np.concatenate([layout.to_canvas(p.polygon) for p in patches])
    (left, top), (right, bottom) = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int) + 1
    picture = layout.picture
    left, right = (int(np.clip(x, picture.left, picture.right)) for x in (left, right))
    top, bottom = (int(np.clip(y, picture.top, picture.bottom)) for y in (top, bottom))
    return Box(left, top, right, bottom)


def _place(outline: FloatArray) -> tuple[int, int, FloatArray, FloatArray]:
    """For the pixels of an outline's bounds: how far across and down the patch each one lies, 0..1; NaN outside.

    The patch is spanned by its four sides (a Coons patch) and sampled twice as densely as pixels lie.
    Returns (x0, y0, across, down), the first two being the bounds' corner.
    """
    top, right, bottom, left = sides(outline)
    longest = max(length(side) for side in (top, right, bottom, left))
    steps = np.linspace(0, 1, max(2, int(2 * longest) + 1))
    u, v = np.meshgrid(steps, steps)  # across, down
    upper, lower = points_along(top, steps)[None], points_along(bottom, steps)[None]
    west, east = points_along(left, steps)[:, None], points_along(right, steps)[:, None]
    u3, v3 = u[..., None], v[..., None]
    corners = (1 - u3) * (1 - v3) * top[0] + u3 * (1 - v3) * top[-1] + (1 - u3) * v3 * bottom[0] + u3 * v3 * bottom[-1]
    points = np.round((1 - v3) * upper + v3 * lower + (1 - u3) * west + u3 * east - corners).astype(int)
    x0, y0 = points.reshape(-1, 2).min(axis=0).tolist()
    x1, y1 = points.reshape(-1, 2).max(axis=0).tolist()
    across = np.full((y1 - y0 + 1, x1 - x0 + 1), np.nan)
    down = across.copy()
    across[points[..., 1] - y0, points[..., 0] - x0] = u
    down[points[..., 1] - y0, points[..., 0] - x0] = v
    return x0, y0, across, down
