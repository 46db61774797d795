"""Answers of runs, written by hand: each run a clip and a patient of its own unless said otherwise."""

from collections.abc import Sequence

import numpy as np

from training.signs.answers import SignAnswers

FOUR = ("a_lines", "b_lines", "effusion", "consolidation")


def sign_answers(
    label: Sequence[Sequence[int]],
    probability: Sequence[Sequence[float]],
    *,
    signs: tuple[str, ...] = ("b_lines",),
    patient: str | Sequence[str] = "",
    clip: str | Sequence[str] = "",
    start_s: Sequence[float] = (),
    fold: Sequence[int] = (),
    attention: Sequence[Sequence[float]] | None = None,
    frame_label: Sequence[Sequence[int]] | None = None,
    probe: Sequence[str] | None = None,
    distinct_fps: Sequence[float] | None = None,
) -> SignAnswers:
    """`patient` and `clip`: one letter a run, "AAB"."""
    n = len(label)
    patients = list(patient) or [f"P{k}" for k in range(n)]
    return SignAnswers(
        signs,
        np.array(label, np.int64).reshape(n, len(signs)),
        np.array(probability, np.float64).reshape(n, len(signs)),
        np.array(patients, np.str_),
        np.array(list(clip) or [f"c{k}" for k in range(n)], np.str_),
        np.array(start_s or [0.0] * n),
        np.array(fold or [0] * n, np.int64),
        None if attention is None else np.array(attention, np.float64),
        None if frame_label is None else np.array(frame_label, np.int64),
        None if probe is None else np.array(probe),
        None if distinct_fps is None else np.array(distinct_fps),
    )


def of_one_sign(label: Sequence[int], probability: Sequence[float], **given: object) -> SignAnswers:
    return sign_answers([[value] for value in label], [[value] for value in probability], **given)  # type: ignore[arg-type]


def frame_answers(pairs: str) -> SignAnswers:
    """Of one frame each, "AB" for A-lines that were taken for B-lines: A, B, E(ffusion), C(onsolidation)."""
    truth, said = zip(*(("ABEC".index(pair[0]), "ABEC".index(pair[1])) for pair in pairs.split()), strict=True)
    probability = np.full((len(truth), 4), 0.1)
    probability[np.arange(len(truth)), list(said)] = 0.7
    return sign_answers(np.eye(4, dtype=int)[list(truth)].tolist(), probability.tolist(), signs=FOUR)
