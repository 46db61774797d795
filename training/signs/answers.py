"""What a fitted model said of held-out runs of frames, sign by sign, with what is true of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.sign_bundle import Domain

NOT_KNOWN = -1


class NoDomain(ValueError):
    """It is not known whether the service would have answered these clips."""


OF_RUNS = ("label", "probability", "patient", "clip", "start_s", "fold", "attention", "frame_label", "probe", "distinct_fps")
"""Fields of SignAnswers with a row a run."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SignAnswers:
    """Runs of all folds, each answered by the model that did not learn from its patient."""

    signs: tuple[str, ...]
    """K names: ("b_lines",); ("a_lines", "b_lines", "effusion", "consolidation"); ("absent",) where absent sliding is the positive."""
    label: NDArray[np.int64]
    """1 is there, 0 is not, -1 not known, (n, K)."""
    probability: NDArray[np.float64]
    """Of the sign, (n, K)."""
    patient: NDArray[np.str_]
    clip: NDArray[np.str_]
    """Keys, never names; runs of one clip share theirs, (n,)."""
    start_s: NDArray[np.float64]
    """Where the run begins in its clip, (n,)."""
    fold: NDArray[np.int64]
    """In which it was held out, (n,)."""
    attention: NDArray[np.float64] | None = None
    """Of models that have it, over the frames of the run, adding up to 1, (n, T)."""
    frame_label: NDArray[np.int64] | None = None
    """1 the sign is seen in this frame, 0 it is not, -1 not known, (n, T)."""
    probe: NDArray[np.str_] | None = None
    """Of the run's clip, as its sector was found to be, (n,)."""
    distinct_fps: NDArray[np.float64] | None = None
    """Of the run's clip, (n,)."""

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)
        _check_keys(self)

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return f"SignAnswers({', '.join(self.signs)}: {len(self)} runs of {len(set(self.clip.tolist()))} clips)"

    @property
    def of_runs(self) -> dict[str, Any]:
        """Those of `OF_RUNS` that there are, by name."""
        return {name: rows for name in OF_RUNS if (rows := getattr(self, name)) is not None}

    def known(self, sign: str) -> NDArray[np.intp]:
        """The runs of which it is known whether the sign is there."""
        return np.flatnonzero(self.label[:, self.signs.index(sign)] != NOT_KNOWN)

    def by_clip(self) -> "SignAnswers":
        """One answer a clip: the mean of its runs' probabilities. A sign is there when it is in any run, and not when it is in none.

        Without attention and frames; it begins where the first run does.
        """
        clips, first, of_clip = np.unique(self.clip, return_index=True, return_inverse=True)
        starts = np.full(len(clips), np.inf)
        np.minimum.at(starts, of_clip, self.start_s)
        means = _sums(self.probability, of_clip, len(clips)) / np.bincount(of_clip)[:, None]
        return SignAnswers(
            self.signs, _label_of(self.label, of_clip, len(clips)), means, self.patient[first], clips, starts, self.fold[first]
        )

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        partial = path.with_name(f"partial-{path.name}")
        np.savez(partial, signs=np.array(self.signs), **self.of_runs)
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "SignAnswers":
        """`path` ends in .npz, as it was written."""
        with np.load(path) as saved:
            return cls(tuple(saved["signs"].tolist()), **{name: saved[name] for name in OF_RUNS if name in saved})

    def of(self, domain: Domain) -> "SignAnswers":
        """Those that a service with this domain would give. Raises: NoDomain."""
        if self.probe is None or self.distinct_fps is None:
            raise NoDomain("The answers do not say of which probes and frame rates they are. Run `seashore train signs` again.")
        of_clips = zip(self.probe.tolist(), self.distinct_fps.tolist(), strict=True)
        inside = np.array([domain.has_probe(probe) and domain.has_rate(fps) for probe, fps in of_clips], np.bool_)
        return replace(self, **{name: rows[inside] for name, rows in self.of_runs.items()})


def _sums(values: NDArray[np.float64], of_clip: NDArray[np.intp], num_clips: int) -> NDArray[np.float64]:
    """(n, K) -> (clips, K)"""
    sums = np.zeros((num_clips, values.shape[1]))
    np.add.at(sums, of_clip, values)
    return sums


def _label_of(label: NDArray[np.int64], of_clip: NDArray[np.intp], num_clips: int) -> NDArray[np.int64]:
    """Known to be absent only where it is known of every run."""
    is_there, is_unknown = (_sums((label == value).astype(np.float64), of_clip, num_clips) > 0 for value in (1, NOT_KNOWN))
    return np.where(is_there, 1, np.where(is_unknown, NOT_KNOWN, 0)).astype(np.int64)


def _check_shapes(answers: SignAnswers) -> None:
    n, wide = len(answers.label), (len(answers.label), len(answers.signs))
    if answers.label.shape != wide or answers.probability.shape != wide:
        raise ValueError(
            f"Labels are {answers.label.shape} and probabilities {answers.probability.shape}; both must be {wide}: runs, signs."
        )
    if {a.shape for a in (answers.patient, answers.clip, answers.start_s, answers.fold)} != {(n,)}:
        raise ValueError(f"Of {n} runs there must be {n} patients, clips, starts and folds.")
    of_frames = [a.shape for a in (answers.attention, answers.frame_label) if a is not None]
    if len(set(of_frames)) > 1 or any(len(shape) != 2 or shape[0] != n or shape[1] < 1 for shape in of_frames):
        raise ValueError(f"Attention and labels of frames are {of_frames}; needed is one row a run, {n}, and one column a frame.")


def _check_values(answers: SignAnswers) -> None:
    labels = [answers.label] if answers.frame_label is None else [answers.label, answers.frame_label]
    if not all(np.isin(label, (NOT_KNOWN, 0, 1)).all() for label in labels):
        raise ValueError("A label is neither 1 (there), 0 (not there) nor -1 (not known).")
    if not ((answers.probability >= 0) & (answers.probability <= 1)).all():
        raise ValueError("A probability is not a number from 0 to 1.")
    attention = answers.attention
    if attention is not None and not ((attention >= 0).all() and np.allclose(attention.sum(axis=1), 1, atol=1e-4)):
        raise ValueError("The attention of a run is not a share of 1 for each frame.")


def _check_keys(answers: SignAnswers) -> None:
    """Never says whom."""
    of_clips = set(zip(answers.clip.tolist(), answers.patient.tolist(), strict=True))
    of_patients = set(zip(answers.patient.tolist(), answers.fold.tolist(), strict=True))
    if len(of_clips) != len(set(answers.clip.tolist())):
        raise ValueError("A clip is of two patients.")
    if len(of_patients) != len(set(answers.patient.tolist())):
        raise ValueError("A patient was held out in two folds, so the model of either has learned from him.")
