"""The README's pictures are small, lossy only in their levels, and there."""

from pathlib import Path

import cv2
import numpy as np

from tests.fakes import media
from training import pictures


def test_levels_are_rounded_to_six_and_no_pixel_moves() -> None:
    frame = np.array([[[0, 2, 3], [8, 9, 255]]], np.uint8)

    image = cv2.imdecode(np.frombuffer(pictures.png(frame), np.uint8), cv2.IMREAD_COLOR)

    assert image[0, :, ::-1].tolist() == [[0, 0, 6], [6, 12, 255]]


def test_the_picture_is_the_middle_frame(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(media.mp4(np.stack([np.full((48, 64), level, np.uint8) for level in (20, 120, 220)])))

    assert abs(float(pictures.middle_frame(clip).mean()) - 120) < 4


def test_every_picture_is_there_and_under_250_kb() -> None:
    sizes = [(pictures.FOLDER / f"{preset}.png").stat().st_size for preset in pictures.PICTURED]

    assert [size for size in sizes if size >= 250_000] == []
