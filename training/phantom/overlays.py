"""What scanners write around the picture: text, a depth ruler, a grey bar, a logo. Never on the echoes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom.geometry import Geometry


def burn_in(frame: NDArray[np.uint8], geometry: Geometry, at: int) -> NDArray[np.uint8]:
    """The frame with overlays outside the sector; `at` is the frame's number, which the running text shows."""
    drawn = np.zeros_like(frame)
    height, width = frame.shape
    _write(drawn, "LUNG  MI 0.9  TIS 0.2", 6, 14)
    _write(drawn, f"FR {geometry.spec.fps:.0f} Hz", 6, 30)
    _write(drawn, f"{at:04d}", width - 44, height - 8)
    _ruler(drawn, geometry)
    _grey_bar(drawn)
    cv2.circle(drawn, (width - 20, 18), 8, 200, 2)
    outside = cv2.fillPoly(np.ones_like(frame), [np.round(geometry.polygon()).astype(np.int32)], 0)
    outside = cv2.erode(outside, np.ones((5, 5), np.uint8))
    return np.where(outside > 0, np.maximum(frame, drawn), frame)


def _write(drawn: NDArray[np.uint8], text: str, x: int, y: int) -> None:
    cv2.putText(drawn, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, 210, 1, cv2.LINE_AA)


def _ruler(drawn: NDArray[np.uint8], geometry: Geometry) -> None:
    """A tick each centimetre at the right edge."""
    spec, x = geometry.spec, drawn.shape[1] - 4
    for centimetre in range(int(spec.depth_mm / 10) + 1):
        y = round(spec.top_px + 10 * centimetre / spec.mm_per_px)
        cv2.line(drawn, (x - (6 if centimetre % 5 == 0 else 3), y), (x, y), 220, 1)


def _grey_bar(drawn: NDArray[np.uint8]) -> None:
    room = drawn[50:140, 6:14]
    room[:] = np.linspace(255, 0, 90).astype(np.uint8)[: len(room), None]
