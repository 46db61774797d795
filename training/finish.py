"""What hand, scanner and file do to a picture: drawn once, and done alike to both twins of a pair.

hand       tremor and drift along the pleura, a cough's jolt
scanner    gain and display curve, gain turned up or down in the middle of the clip, persistence, electronic noise
file       a lower frame rate (frames repeated, or blended by a converter), lossy coding
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.prepare import StripWindow
from training.recording import Codec, Coding, Quality, Recording, coded

Floats = NDArray[np.float32]
Finish = Callable[[StripWindow], StripWindow]

FRAME_RATES_FPS = (9.0, 10.0, 12.0, 15.0, 18.0, 20.0, 22.0, 25.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0)
BLENDED_SHARE = 0.15
"""Of slower clips: a converter mixed neighbouring frames."""
CODECS = (Codec.NONE, Codec.NONE, Codec.H264, Codec.H264, Codec.MPEG4, Codec.MPEG2, Codec.MJPEG, Codec.MJPEG, Codec.GIF)
JOLT_SHARE, TURNED_GAIN_SHARE = 0.1, 0.1


def draw_finish(shape: tuple[int, ...], rng: np.random.Generator) -> Finish:
    """`shape` (T, rows, columns) of the windows it is for."""
    steps = [_draw_hand(shape, rng), _draw_scanner(shape, rng)]
    in_time = _draw_frame_rate(shape[0], rng)
    coding = Coding(Codec(rng.choice(CODECS)), Quality(rng.choice(list(Quality))))

    def finish(window: StripWindow) -> StripWindow:
        strip = window.strip.astype(np.float32)
        for step in steps:
            strip = step(strip)
        pictures, taken_s = in_time(np.clip(np.rint(strip), 0, 255).astype(np.uint8), window.taken_s)
        return StripWindow(window.start_frame, through(pictures, coding), taken_s)

    return finish


def through(strip: NDArray[np.uint8], coding: Coding) -> NDArray[np.uint8]:
    """The strip (T, rows, columns) written to a file and read again."""
    sides = [(0, 0), *((0, side % 2) for side in strip.shape[1:])]  # yuv420p knows even sizes only
    even = np.pad(strip, sides, mode="edge")
    return coded(Recording.at(even, 30.0), coding).grey[:, : strip.shape[1], : strip.shape[2]]


def _draw_hand(shape: tuple[int, ...], rng: np.random.Generator) -> Callable[[Floats], Floats]:
    path = tremor(shape[0], rng) if rng.random() < 0.5 else np.zeros(shape[0], np.float32)
    if rng.random() < JOLT_SHARE:
        path = path + _jolt(shape[0], rng)
    return lambda strip: shifted(strip, path)


def _jolt(num_frames: int, rng: np.random.Generator) -> Floats:
    """A cough: chest and probe jump along together for a third of a second, and come back."""
    since = (np.arange(num_frames) - rng.uniform(0.1, 0.9) * num_frames) / rng.uniform(3, 6)
    return np.asarray(rng.choice([-1, 1]) * rng.uniform(2, 10) * np.exp(-(since**2)), dtype=np.float32)


def _draw_scanner(shape: tuple[int, ...], rng: np.random.Generator) -> Callable[[Floats], Floats]:
    gamma, gain = np.exp(rng.uniform(-0.35, 0.35)), np.full(shape[0], np.exp(rng.uniform(-0.3, 0.3)))
    if rng.random() < TURNED_GAIN_SHARE:
        gain[int(rng.integers(5, shape[0] - 5)) :] *= np.exp(rng.uniform(-0.3, 0.3))
    persistence = float(rng.choice([0.0, 0.0, float(rng.uniform(0.1, 0.6))]))
    noise_level, grain = float(rng.choice([0.0, float(rng.uniform(0.5, 7.0))])), float(rng.uniform(0.5, 1.5))
    noise = rng.normal(0, 1, shape).astype(np.float32)

    def scan(strip: Floats) -> Floats:
        seen = 255 * np.clip(strip / 255 * gain[:, None, None].astype(np.float32), 0, 1) ** np.float32(gamma)
        for t in range(1, len(seen)):
            seen[t] = persistence * seen[t - 1] + (1 - persistence) * seen[t]
        if noise_level:
            seen += noise_level * np.stack([cv2.GaussianBlur(frame, (0, 0), grain) * 2 * grain for frame in noise])
        return np.asarray(seen, dtype=np.float32)

    return scan


def _draw_frame_rate(
    num_frames: int, rng: np.random.Generator
) -> Callable[[NDArray[np.uint8], NDArray[np.float64]], tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Frames of a slower scanner on 30 ticks a second: repeated with their first time, or blended, which hides that they are."""
    fps = float(rng.choice(FRAME_RATES_FPS))
    place = np.arange(num_frames) * fps / 30.0
    kept = np.minimum(np.ceil(np.floor(place + 1e-9) * 30.0 / fps - 1e-9).astype(int), num_frames - 1)
    if fps == 30.0 or rng.random() >= BLENDED_SHARE:
        return lambda strip, taken_s: (strip[kept], taken_s[kept])
    after = np.minimum(np.ceil((np.floor(place + 1e-9) + 1) * 30.0 / fps - 1e-9).astype(int), num_frames - 1)
    share = (place - np.floor(place + 1e-9))[:, None, None].astype(np.float32)
    return lambda strip, taken_s: (np.rint((1 - share) * strip[kept] + share * strip[after]).astype(np.uint8), taken_s)


def tremor(num_frames: int, rng: np.random.Generator) -> Floats:
    """A hand's unrest along the pleura, px, (T,)."""
    steps = cv2.GaussianBlur(rng.normal(0, 1, (1, num_frames)), (0, 0), float(rng.uniform(1, 8)))[0]
    path = np.cumsum(steps * rng.uniform(0.2, 2.0))
    return np.asarray(path - path.mean(), dtype=np.float32)


def tremble(strip: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """The whole strip moved along the pleura by a hand's tremor and a slow drift, (T, rows, columns)."""
    num_frames = len(strip)
    sway = 4 * np.sin(2 * np.pi * (np.arange(num_frames) / num_frames * rng.uniform(0.3, 1.5) + rng.random()))
    return shifted(strip.astype(np.float32), (tremor(num_frames, rng) + sway).astype(np.float32))


def shifted(strip: Floats, path: Floats) -> Floats:
    """Each frame of `strip` (T, rows, columns) moved along by `path` (T,) px, all of it alike."""
    columns = strip.shape[2]
    return move_along(strip, np.repeat(path[:, None], columns, axis=1).astype(np.float32))


def carry(texture: Floats, path: Floats) -> Floats:
    """Each frame of `texture` (T, rows, columns) displaced by `path` (T, columns, 2): along and down, px.

    Lanczos, over 8 pixels: between two pixels bilinear interpolation loses a quarter of the finest detail, so that a lung that slides
    flickers, and one that does not stays as it is. Networks found that after a few epochs, and were worse on real lungs for it.
    """
    rows, columns = texture.shape[1:]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.stack(
        [
            cv2.remap(frame, x - p[None, :, 0], y - p[None, :, 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
            for frame, p in zip(texture, path, strict=True)
        ]
    )


def move_along(texture: Floats, displacement: Floats) -> Floats:
    """Each frame displaced along the pleura by (T, columns) px."""
    return carry(texture, np.stack([displacement, np.zeros_like(displacement)], axis=-1))
