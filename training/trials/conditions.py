"""What is done to a clip's strip after its lung was made: a slower scanner, a file, the order of the frames. Alike for both twins."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from service.cine.prepare import StripWindow
from training.finish import draw_finish, through
from training.recipe import Source
from training.recording import Codec, Coding, Quality

TICKS_FPS = 30.0
"""Of the strips: `InputSpec.fps` of every bundle there has been."""
RATES_FPS = (9.0, 12.0, 15.0, 20.0, 25.0, 30.0)
CODECS = (Codec.H264, Codec.MPEG4, Codec.MPEG2, Codec.MJPEG, Codec.GIF)


class Order(StrEnum):
    """Of the frames."""

    REVERSED = "reversed"
    SHUFFLED = "shuffled"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of these at most; none of them is the strip as it was made."""

    rate_fps: float | None = None
    coding: Coding | None = None
    order: Order | None = None
    is_trained: bool = False
    """Hand, scanner and file drawn at random, as for the twins of training."""

    def __str__(self) -> str:
        if self.rate_fps is not None:
            return f"{self.rate_fps:g} fps"
        return str(self.coding or self.order or ("as in training" if self.is_trained else "plain"))


PLAIN = Condition()
AS_TRAINED = Condition(is_trained=True)
ORDERS = tuple(Condition(order=order) for order in Order)


def of_files(clip_fps: float) -> tuple[Condition, ...]:
    """Every frame rate that a clip of `clip_fps` can be thinned to, and every codec at every quality."""
    rates = tuple(Condition(rate_fps=fps) for fps in RATES_FPS if fps <= clip_fps + 0.5)
    return rates + tuple(Condition(coding=Coding(codec, quality)) for codec in CODECS for quality in Quality)


def under(source: Source, condition: Condition, seed: list[int]) -> Source:
    """The clip under the condition. The same seed does the same to both twins."""
    rng = np.random.default_rng(seed)
    return replace(source, windows=tuple(_changed(source.windows, condition, rng)))


def _changed(windows: tuple[StripWindow, ...], condition: Condition, rng: np.random.Generator) -> Iterator[StripWindow]:
    if condition.is_trained:
        yield from map(draw_finish(windows[0].strip.shape, rng), windows)
    elif condition.order is Order.REVERSED:
        yield from (backwards(window) for window in reversed(windows))
    else:
        yield from (_changed_window(window, condition, rng) for window in windows)


def _changed_window(window: StripWindow, condition: Condition, rng: np.random.Generator) -> StripWindow:
    if condition.rate_fps is not None:
        kept = slower(len(window.strip), condition.rate_fps)
        return StripWindow(window.start_frame, window.strip[kept], window.taken_s[kept])
    if condition.coding is not None:
        return StripWindow(window.start_frame, through(window.strip, condition.coding), window.taken_s)
    if condition.order is Order.SHUFFLED:
        # Repeated frames are no longer neighbours, so that each counts as taken when it is shown.
        ticks_s = (window.start_frame + np.arange(len(window.strip))) / TICKS_FPS
        return StripWindow(window.start_frame, window.strip[rng.permutation(len(window.strip))], ticks_s)
    return window


def slower(num_frames: int, fps: float) -> NDArray[np.int64]:
    """Which of the frames at 30 a second is on the screen at each tick, when the scanner makes `fps`, (T,)."""
    place = np.floor(np.arange(num_frames) * fps / TICKS_FPS + 1e-9)
    return np.asarray(np.ceil(place * TICKS_FPS / fps - 1e-9), np.int64)


def backwards(window: StripWindow) -> StripWindow:
    """The window from its end to its beginning. A breath backwards is a breath."""
    return StripWindow(window.start_frame, window.strip[::-1], (window.taken_s[0] + window.taken_s[-1] - window.taken_s)[::-1])
