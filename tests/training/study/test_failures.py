"""The clips called wrong: which, what is said of them, and that the picture shows their patches."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.study.clips import StudyClip
from training.study.failures import HEIGHT_PX, MMODE_WIDTH_PX, Failure, draw, worst
from training.study.figures import Answers
from training.study.grid import PATCH_SETS
from training.study.patches import cut_clips

TWO_ROWS = PATCH_SETS[0]


def clip(number: int, *, slides: bool) -> StudyClip:
    return StudyClip(f"row {number}", Path("nowhere"), f"{number}", f"P{number}", slides)


def test_the_most_confident_mistake_comes_first_and_right_answers_never() -> None:
    clips = [clip(2, slides=True), clip(3, slides=False), clip(4, slides=True)]
    keys = np.array([c.key for c in clips])
    answers = Answers(np.array([1, 0, 1]), np.array([0.4, 0.9, 0.8]), np.array(["A", "B", "C"]), keys)

    assert [failure.clip.title for failure in worst(answers, clips, 3)] == ["row 3", "row 2"]
    assert len(worst(answers, clips, 1)) == 1


def test_a_failure_is_said_with_its_truth_and_its_probability() -> None:
    assert Failure(clip(3, slides=False), 0.9, np.array([0.9])).words == (
        "Row 3: does not slide, called “slides” (probability of sliding 0.90)"
    )


def test_the_picture_shows_still_patches_orange_and_sliding_ones_blue(clips: tuple[StudyClip, ...], tmp_path: Path) -> None:
    ((piece,),) = cut_clips(clips[:1], [TWO_ROWS], tmp_path)
    still, sliding = (
        cv2.imdecode(np.frombuffer(draw(Failure(clips[0], p, np.full(piece.num_patches, p)), TWO_ROWS), np.uint8), 1).astype(int)
        for p in (0.0, 1.0)
    )
    assert still.shape[0] == HEIGHT_PX
    assert still.shape[1] > MMODE_WIDTH_PX + HEIGHT_PX  # a 4:3 frame and the M-mode
    changed = np.abs(still - sliding).sum(axis=2) > 60
    blue, red = still[changed][:, 0] - still[changed][:, 2], sliding[changed][:, 0] - sliding[changed][:, 2]

    assert changed.sum() > 100
    assert blue.mean() < 0 < red.mean()  # OpenCV's order: blue, green, red
    assert not changed[:, -MMODE_WIDTH_PX:].any()


def test_a_clip_that_lost_its_pleura_cannot_be_drawn(clips: tuple[StudyClip, ...]) -> None:
    failure = Failure(replace(clips[0], region="0,0 2,0 2,2"), 0.9, np.array([0.9]))

    with pytest.raises(ValueError, match="The clip has no pleura any more; it has changed since its patches were cut."):
        draw(failure, TWO_ROWS)
