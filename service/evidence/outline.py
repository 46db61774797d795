"""Geometry of a patch's outline: its four sides, and points along them.

 a ------ top ------> b
 |                    |
left                right       read from corner a on, either way round
 v                    v
 d ----- bottom ----> c
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def sides(outline: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """An outline from its top left corner on -> top and bottom (left to right), right and left (top to bottom).

    The four corners are where it turns most sharply. It may run either way round.
    """
    x, y = outline.T
    if np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0:  # the shoelace formula: counter-clockwise on the screen
        outline = np.concatenate([outline[:1], outline[:0:-1]])
    ahead, behind = np.roll(outline, -1, axis=0) - outline, outline - np.roll(outline, 1, axis=0)
    turn = np.abs(np.angle((ahead @ (1, 1j)) * np.conj(behind @ (1, 1j))))
    a, b, c, d = np.sort(np.argsort(-turn, kind="stable")[:4]).tolist()
    closed = np.concatenate([outline[d:], outline[: a + 1]])
    return outline[a : b + 1], outline[b : c + 1], outline[c : d + 1][::-1], closed[::-1]


def length(path: FloatArray) -> float:
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


def points_along(path: FloatArray, shares: FloatArray) -> FloatArray:
    """Points at these shares of a path's length (n, 2)."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    at = shares * along[-1]
    return np.stack([np.interp(at, along, path[:, 0]), np.interp(at, along, path[:, 1])], axis=1)
