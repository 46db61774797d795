"""Runs a preset, whole: clips into runs, each fold fitted and judged on patients it has not seen. What is fitted is not fitted again.

clips/                     runs of each clip (training.signs.runs), for all presets that are given the same
out/  fold-0/ fold-1/ ...  a fit each (training.trainer)
      answers.npz          what was said of all held-out runs
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from training.batches import Indices
from training.signs.answers import SignAnswers
from training.signs.deal import KEPT, deal
from training.signs.fit import ask, check_classes, fit_sign, load_sign
from training.signs.make import make_runs
from training.signs.networks import build_network
from training.signs.preset import Preset
from training.signs.runs import ClipRuns, RunSet, open_runs
from training.signs.sources import Source
from training.trainer import BEST

T = TypeVar("T")

CLIPS, ANSWERS = "clips", "answers.npz"
Count = Callable[[str, Iterable[T], int], Iterable[T]]
"""Shows how far a loop is: its words, what it goes over, how many that are."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A preset that was run."""

    preset: Preset
    clips: tuple[ClipRuns, ...]
    """All that were asked for, also those that gave none."""
    answers: SignAnswers
    folds: tuple[Path, ...]
    """Where each was fitted."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """What was asked for and is in no figure: clips by reason, and single runs of the others."""
        reasons = Counter(f"clips: {clip.reason}" for clip in self.clips if clip.reason)
        num_unclear = sum(clip.num_unclear for clip in self.clips if not clip.reason)
        return dict(reasons) | ({"runs that show the sign for a moment only": num_unclear} if num_unclear else {})


def run_preset(
    preset: Preset,
    sources: Sequence[Source],
    out: Path,
    clips: Path,
    count: Count[ClipRuns],
    *,
    num_processes: int = 1,
    progress: bool,
) -> Ran:
    """`clips`: where runs are kept. Raises: SplitError, FitError, NoRuns."""
    with torch.device("meta"):
        build_network(preset)  # what cannot be built is told now, not once all clips are made
    made, runs = _made(preset, sources, clips, count, num_processes)
    dealt = deal(preset, runs)
    for parts in dealt:
        check_classes(runs, parts)
    folds, answers, of_kept = [], [], []
    for number, parts in enumerate(dealt):
        folds.append(out / f"fold-{number}")
        checkpoint = fit_sign(preset, runs, parts, folds[-1], progress=progress)
        answers.append(_answers(checkpoint, runs, parts["test"], number, preset.fit.device))
        if KEPT in parts:
            of_kept.append(_answers(checkpoint, runs, parts[KEPT], len(dealt), preset.fit.device))
    joined = _joined([*answers, _mean_of(of_kept)] if of_kept else answers)
    joined.write(out / ANSWERS)
    return Ran(preset, made, joined, tuple(folds))


def judge(
    preset: Preset,
    checkpoint: Path,
    sources: Sequence[Source],
    out: Path,
    clips: Path,
    count: Count[ClipRuns],
    *,
    num_processes: int = 1,
) -> Ran:
    """Nothing is fitted: the network of `checkpoint` answers every run of these clips. Raises: NoRuns."""
    made, runs = _made(preset, sources, clips, count, num_processes)
    answers = _answers(checkpoint, runs, np.arange(len(runs)), 0, preset.fit.device)
    out.mkdir(parents=True, exist_ok=True)
    answers.write(out / ANSWERS)
    return Ran(preset, made, answers, ())


def _made(
    preset: Preset, sources: Sequence[Source], clips: Path, count: Count[ClipRuns], num_processes: int
) -> tuple[tuple[ClipRuns, ...], RunSet]:
    made = tuple(count("clips into runs of frames", make_runs(preset, sources, clips, num_processes=num_processes), len(sources)))
    return made, open_runs(clips, made)


def _answers(checkpoint: Path, runs: RunSet, test: Indices, fold: int, device: str) -> SignAnswers:
    fitted = load_sign(checkpoint)
    on_gpu = device == "auto" and torch.cuda.is_available()
    fitted.model.to("cuda" if on_gpu else "cpu")
    told = ask(fitted, runs, test)
    return SignAnswers(
        signs=fitted.preset.signs,
        label=runs.label[test],
        probability=told.probability,
        patient=runs.patient[test],
        clip=runs.clip[test],
        start_s=runs.start_s[test],
        fold=np.full(len(test), fold, np.int64),
        attention=told.attention,
        frame_label=runs.frame_label[test],
        probe=runs.probe[test],
        distinct_fps=runs.distinct_fps[test],
    )


def _joined(answers: Sequence[SignAnswers]) -> SignAnswers:
    first = answers[0]
    return SignAnswers(first.signs, **{name: np.concatenate([one.of_runs[name] for one in answers]) for name in first.of_runs})


def _mean_of(answers: Sequence[SignAnswers]) -> SignAnswers:
    """What the networks of all folds say together of the same runs."""
    attended = [one.attention for one in answers if one.attention is not None]
    attention = np.mean(attended, axis=0) if attended else None
    return replace(answers[0], probability=np.mean([one.probability for one in answers], axis=0), attention=attention)


def best_of(ran: Ran) -> Path:
    """The checkpoint of the first fold: what is exported, where one is asked for."""
    return ran.folds[0] / BEST
