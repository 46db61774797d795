"""Runs the rows of the study, one after the other; what is finished is not done again.

work/  patches/            every clip cut every way (training.study.patches)
       phantoms/           clips made where there is no manifest
       grid.json           which rows are finished, which cannot be run, and why
       rows/<row>/  fit/   training.fit: goes on where it was stopped
                    answers.npz  figures.json
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from training.batches import Indices
from training.examples import ExampleSet, read_examples
from training.fit import BEST, RECORD, fit, load_fitted, predict_logits
from training.records import write_json
from training.splits import check_no_patient_twice
from training.study.clips import FITTED, JUDGED
from training.study.figures import Answers
from training.study.fit_row import run_job, write_job
from training.study.grid import Row, Study
from training.study.patches import ClipPatches

ANSWERS, FIGURES, GRID = "answers.npz", "figures.json", "grid.json"


class RowImpossible(ValueError):
    """The clips give this row nothing to learn from, or nothing to be judged on."""


@dataclass(frozen=True, slots=True)
class RowInput:
    """What one row is run on."""

    folders: tuple[Path, ...]
    examples: ExampleSet
    parts: Mapping[str, Indices]


def open_row(row: Row, cut: Sequence[ClipPatches], patients: Mapping[str, frozenset[str]]) -> RowInput:
    """The patches of a row, dealt by patient. Raises: RowImpossible, PatientInTwoParts."""
    folders = tuple(piece.folder for piece in cut if piece.patches == row.patches and piece.num_patches)
    if not folders:
        raise RowImpossible("No clip gave a patch.")
    examples = read_examples(*folders)
    parts = {part: np.flatnonzero(np.isin(examples.patient, sorted(patients[part]))) for part in (FITTED, JUDGED)}
    check_no_patient_twice(examples.patient.tolist(), parts)
    for part, indices in parts.items():
        num_sliding = int(examples.label[indices].sum())
        if num_sliding in (0, len(indices)):
            raise RowImpossible(
                f"The {part} part has {num_sliding} patches that slide and {len(indices) - num_sliding} that do not; both are needed."
            )
    return RowInput(folders, examples, parts)


def run_row(row: Row, given: RowInput, study: Study, folder: Path, *, progress: bool) -> None:
    """Fit the row, or go on with it, and judge it. Raises: FitError."""
    settings = replace(study.fit, model=row.model)
    if settings.num_devices > 1:
        run_job(write_job(folder, given.folders, settings, given.parts, progress=progress))
    fit(given.examples, settings, folder / "fit", parts=given.parts, progress=progress)
    stamp = _digest(folder / "fit" / RECORD, folder / "fit" / BEST)
    if _stamp_of(folder / FIGURES) != stamp:
        _judge(given, folder, stamp)


def _judge(given: RowInput, folder: Path, stamp: str) -> None:
    """Answers and figures on the judged part, by the weights of lowest validation loss."""
    fitted = load_fitted(folder / "fit" / BEST)
    on_gpu = fitted.settings.device == "auto" and torch.cuda.is_available()
    judged = given.parts[JUDGED]
    logits = predict_logits(fitted.model.to("cuda" if on_gpu else "cpu"), given.examples, judged).astype(np.float64)
    label = given.examples.label[judged].astype(np.int64)
    answers = Answers(label, 1 / (1 + np.exp(-logits)), given.examples.patient[judged], given.examples.clip[judged])
    answers.write(folder / ANSWERS)
    figures = {"patch": answers.figures(), "clip": answers.by_clip().figures(), "epoch": fitted.epoch}
    write_json(folder / FIGURES, {"of": stamp} | figures)


def _stamp_of(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["of"]) if path.exists() else ""


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
