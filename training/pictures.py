"""`python -m training.pictures`: the pictures of the README, phantoms as the shipped model answers them."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from training.phantom import simulate
from training.phantom.presets import PRESETS

PICTURED = ("present", "linear_absent", "lung_point")
"""Presets of `training.phantom.presets`, one for each answer the README shows."""
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
GREY_STEP = 6
"""Levels of colour are rounded to multiples of it: speckle in 256 levels takes twice the bytes and looks the same."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m training.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the PNGs (default: docs/pictures)")
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for preset in PICTURED:
            clip, annotated = Path(scratch, f"{preset}.mp4"), Path(scratch, f"{preset}_annotated.mp4")
            simulate(PRESETS[preset], seed=0).write(clip)
            print(f"{preset}: {_answered(clip, annotated)}")
            (folder / f"{preset}.png").write_bytes(png(middle_frame(annotated)))


def _answered(clip: Path, annotated: Path) -> str:
    """What the command says, in one line. The command and not its parts: the pictures show what a user gets."""
    command = [sys.executable, "-m", "service.cli", "predict", str(clip), "--overlay", str(annotated)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]


def middle_frame(clip: Path) -> NDArray[np.uint8]:
    """(H, W, 3), RGB."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.asarray(frames[len(frames) // 2], np.uint8)


def png(frame: NDArray[np.uint8]) -> bytes:
    """RGB (H, W, 3) -> the file's bytes, every level rounded to `GREY_STEP`."""
    levels = (frame.astype(np.int16) + GREY_STEP // 2) // GREY_STEP * GREY_STEP
    rounded = np.clip(levels, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".png", cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])


if __name__ == "__main__":
    main()
