"""`seashore train curves`: how a bundle's answers change as clips get worse, on phantoms with exact truth."""

import json
import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from service.bundle import read_bundle, resolve
from service.report.document import write_report
from training.sensitivity import FULL, QUICK, Design, Observation, observe
from training.sensitivity_figures import figures_of
from training.sensitivity_report import document_of

CURVES = "curves.json"
SEED = 11
"""Apart from those of the recipe's phantoms, so that no model is judged on what it was trained on."""

Counted = Callable[[str, Iterable[tuple[Observation, ...]], int], Iterable[tuple[Observation, ...]]]
"""(words, pieces, their number) -> the pieces, shown as progress."""


def draw_curves(store: Path, bundle: str | None, out: Path, *, quick: bool, seed: int, counted: Counted) -> Path:
    """Read the phantoms with the bundle NAME[:VERSION] of the store, write `curves.json` and the report into `out`; gives the report.

    Raises: UnknownModel, BadBundle, EngineFailed.
    """
    directory, design = resolve(store, bundle), QUICK if quick else FULL
    read_bundle(directory)
    out.mkdir(parents=True, exist_ok=True)
    pieces = observe(directory, design, seed, processes=1 if quick else os.cpu_count() or 1)
    observations = list(chain.from_iterable(counted("Twins of phantoms", pieces, 2 * design.pairs)))
    figures = _figures(observations, str(read_bundle(directory)), design, seed)
    (out / CURVES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return write_report(document_of(figures), out)


def _figures(observations: list[Observation], bundle: str, design: Design, seed: int) -> dict[str, Any]:
    return {"bundle": bundle, "seed": seed, "pairs": design.pairs, **figures_of(observations)}
