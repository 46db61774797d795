"""Clips to time with: phantoms drawn and encoded here, kept in the temporary directory, and a real one where there is one."""

import os
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from training.phantom import simulate
from training.phantom.presets import PRESETS

CLIP_S = 5.0
CACHE = Path(tempfile.gettempdir()) / f"seashore-bench-clips-{os.getuid()}"
REAL_CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
"""Beside the checkout, where a developer has some. Never in the repository."""


def phantom_clip(seconds: float = CLIP_S) -> Path:
    """640x480, 30 fps, H.264 (crf 23): breathing, sliding, convex."""
    path = CACHE / f"phantom-{seconds:g}s.mp4"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        simulate(replace(PRESETS["present"], duration_s=seconds), seed=0).write(path, crf=23)
    return path


def real_clip(folder: Path = REAL_CLIPS) -> Path | None:
    """The clip there whose length is nearest to 5 s; None without any."""
    films = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mp4", ".mov", ".avi")) if folder.is_dir() else []
    return min(films, key=lambda path: abs(_seconds(path) - CLIP_S), default=None)


def long_clip(seconds: float, *, width: int = 640, height: int = 480) -> Path:
    """A phantom of 10 s, scaled to fit, encoded once; its packets again and again until the clip is `seconds` long."""
    path = CACHE / f"long-{width}x{height}-{seconds:g}s.mp4"
    if not path.exists():
        _repeat(_ten_seconds(width, height), path, seconds)
    return path


def _seconds(path: Path) -> float:
    try:
        with av.open(str(path)) as container:
            return (container.duration or 0) / av.time_base
    except av.FFmpegError:
        return float("inf")


def _ten_seconds(width: int, height: int) -> Path:
    """There and back, so that the loop has no jump."""
    path = CACHE / f"ten-seconds-{width}x{height}.mp4"
    if path.exists():
        return path
    CACHE.mkdir(exist_ok=True)
    there = simulate(replace(PRESETS["present"], duration_s=5.0), seed=0).frames
    frames = np.concatenate([there, there[::-1]])
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"crf": "23", "preset": "veryfast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(_fit(frame, width, height), format="gray")))
        output.mux(stream.encode(None))
    return path


def _fit(frame: np.ndarray, width: int, height: int) -> np.ndarray:  # type: ignore[type-arg]
    """Scaled to the height, black on both sides."""
    scaled = cv2.resize(frame, (frame.shape[1] * height // frame.shape[0], height))
    fitted = np.zeros((height, width), np.uint8)
    left = (width - scaled.shape[1]) // 2
    fitted[:, left : left + scaled.shape[1]] = scaled
    return fitted


def _repeat(source: Path, path: Path, seconds: float) -> None:
    """Packets copied with their times moved on: nothing is encoded."""
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as output:
        stream, written_s = None, 0.0
        while written_s < seconds:
            with av.open(str(source)) as container:
                (film,) = container.streams.video
                stream = stream or output.add_stream_from_template(film)
                tick: Fraction = film.time_base or Fraction(1, 30)
                shift = round(written_s / tick)
                for packet in container.demux(film):
                    if packet.dts is None or written_s + float(packet.pts * tick) >= seconds:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)
            written_s += 10.0
    part.rename(path)
