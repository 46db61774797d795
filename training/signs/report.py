"""The report of one preset: what was fitted, on what, the published table with ours beside it, and what went wrong."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from service.metrics import calibration_error, reliability
from service.report.document import Block, Document, Figure, Heading, Paragraph, Table
from service.report.plots import Confusion, Curve, confusion_plot, curves_plot, reliability_plot
from training.curve import read_curve
from training.signs.answers import SignAnswers
from training.signs.confusion import OneOfSigns
from training.signs.localisation import Localised
from training.signs.mistakes import mistakes_table
from training.signs.published import NOTES, model_of
from training.signs.tables import (
    binary_table,
    data_table,
    family_table,
    localisation_table,
    settings_table,
    sign_tables,
    sign_title,
)
from training.study.figures import THRESHOLD

SIMULATED = "simulated data"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Finished:
    """One preset, fitted and judged."""

    preset: str
    """A name of `training.signs.published.MODELS`, or one of one's own."""
    simulated: bool
    answers: SignAnswers
    settings: Mapping[str, Any]
    """What was fitted and how; tables within it are shown as "augment.mirror"."""
    curves: Sequence[Path]
    """Learning curves, one a fold, as `training.curve` writes them."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What is in no figure, and how many."""
    beside: Mapping[str, SignAnswers] = field(default_factory=dict)
    """Answers of other presets of its family on the same data, for the table that they share."""


def build_report(finished: Finished) -> Document:
    blocks = tuple(_blocks(finished))
    return Document(titled(finished.preset, finished.simulated), said_to_be_simulated(blocks) if finished.simulated else blocks)


def titled(preset: str, simulated: bool) -> str:
    return f"{model_of(preset).words} ({preset}){f', on {SIMULATED}' if simulated else ''}"


def said_to_be_simulated(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Every table and picture says it for itself: they are looked at, and copied, one by one."""
    return tuple(
        replace(block, caption=f"{block.caption.removesuffix('.')} ({SIMULATED}).") if isinstance(block, Table | Figure) else block
        for block in blocks
    )


def _blocks(finished: Finished) -> Iterator[Block]:
    answers, pooled = finished.answers, finished.answers.by_clip()
    yield Paragraph(_summary(finished, len(pooled)))
    yield data_table(answers)
    if finished.left_out:
        rows = [(what, str(number)) for what, number in finished.left_out.items()]
        yield Table(
            ("left out", "number"), rows, "What was asked for and is in no figure: what is hard to label flatters who leaves it out."
        )
    yield Heading("The published table, with ours beside it")
    yield Paragraph(HOW_TO_READ)
    yield from _comparison(finished, pooled)
    yield from _time(finished)
    yield Heading("Answers and truth")
    for by, chosen in (("run", answers), ("clip", pooled)):
        yield _confusion(chosen, by)
    for sign in answers.signs:
        yield _reliability(answers, sign)
    yield Heading("Learning curves")
    yield from _learning(finished.curves)
    yield Heading("Called wrong with the most confidence")
    yield from mistakes_table(pooled)
    yield Heading("How it was fitted")
    yield settings_table(finished.settings)


def _summary(finished: Finished, num_clips: int) -> str:
    kind = (
        f"This is {SIMULATED}: its figures say that the model can learn what the simulator draws, and nothing of patients."
        if finished.simulated
        else "These are labelled clips."
    )
    return (
        f"Judged on {len(finished.answers)} runs of {num_clips} clips of {len(set(finished.answers.patient.tolist()))} patients, "
        f"beside {model_of(finished.preset).whose}.\n{kind}"
    )


HOW_TO_READ = (
    "“not at hand” is a figure that the sources at hand do not hold; nothing is filled in by guess. An asterisk marks a figure that its "
    "source contradicts. In brackets a 95 % interval, by a bootstrap over patients of 1000 draws, the same for all figures of a column; of "
    "few patients, or where nothing is wrong, it is too narrow. A dash is a figure that is not defined, as the precision of what was never "
    "said.\n"
    "Ours are of the answers of all folds together. A clip's probability is the mean of its runs'; a clip shows a sign when one of its "
    "runs does. Published figures are by run."
)


def _comparison(finished: Finished, pooled: SignAnswers) -> Iterator[Block]:
    answers, preset = finished.answers, finished.preset
    if len(answers.signs) > 1:
        yield from sign_tables(preset, answers, pooled)
        return
    family = family_table({**finished.beside, preset: answers}, preset)
    if family is not None:
        yield family
    yield binary_table(preset, answers, pooled)
    if preset in NOTES:
        yield Paragraph(NOTES[preset])


def _time(finished: Finished) -> Iterator[Block]:
    localised = Localised.of(finished.answers)
    if localised is not None:
        yield Heading("When the sign is there")
        yield Paragraph(_HOW_TO_POINT)
        yield localisation_table(finished.preset, localised)


_HOW_TO_POINT = (
    "The attention points at the frames that have about their even share of it or more (0.9 of 1/T; how the paper chose them is not at "
    "hand). Its overlap with the frames that truly show the sign is the intersection over the union of the two (IoU). The representative "
    "frame, that of greatest attention, is right when it shows the sign. The last column is what a model has that knows nothing of time."
)


def _confusion(answers: SignAnswers, by: str) -> Figure:
    names, counts, words = _binary_counts(answers) if len(answers.signs) == 1 else _sign_counts(answers)
    alt = "; ".join(f"{names[i]}: " + ", ".join(f"{n} called {names[j]}" for j, n in enumerate(row) if n) for i, row in enumerate(counts))
    return Figure(confusion_plot(Confusion(names, names, counts)), "svg", f"{words} by {by}", alt)


def _binary_counts(answers: SignAnswers) -> tuple[list[str], list[list[int]], str]:
    known = answers.known(answers.signs[0])
    is_there, is_said = answers.label[known, 0] == 1, answers.probability[known, 0] >= THRESHOLD
    counts = [[int((truth & said).sum()) for said in (is_said, ~is_said)] for truth in (is_there, ~is_there)]
    return ["there", "not there"], counts, f"{sign_title(answers.signs[0])}: answers"


def _sign_counts(answers: SignAnswers) -> tuple[list[str], list[list[int]], str]:
    return [sign_title(sign) for sign in answers.signs], OneOfSigns.of(answers).matrix().tolist(), "Which sign was taken for which,"


def _reliability(answers: SignAnswers, sign: str) -> Figure:
    known, k = answers.known(sign), answers.signs.index(sign)
    bins = reliability(answers.label[known, k], answers.probability[known, k])
    filled = ", ".join(f"{b.mean_probability:.2f} given, {b.share_present:.2f} true" for b in bins if b.num_clips)
    caption = f"{sign_title(sign)}: reliability by run, expected calibration error {calibration_error(bins):.3f}; n counts runs"
    return Figure(reliability_plot(bins, positive=sign_title(sign)), "svg", caption, filled)


def _learning(paths: Sequence[Path]) -> Iterator[Block]:
    folds = [read_curve(path) for path in paths]
    if not folds:
        yield Paragraph("No learning curve is at hand.")
        return
    for column, words in (("train_loss", "Loss on what was learned from"), ("val_loss", "Loss on what was set aside to choose the epoch")):
        curves = [_curve(f"fold {k}", rows, column) for k, rows in enumerate(folds)]
        alt = "; ".join(f"{curve.name}: {_lowest(curve)}" for curve in curves)
        yield Figure(curves_plot(curves, x_label="epoch", y_label="loss"), "svg", f"{words}, fold by fold", alt)


def _curve(name: str, rows: Sequence[Mapping[str, str]], column: str) -> Curve:
    x = [float(row["epoch"]) + 1 for row in rows]
    return Curve(name, x, [float(row.get(column) or math.nan) for row in rows], is_marked=True)


def _lowest(curve: Curve) -> str:
    if not np.isfinite(curve.y).any():
        return "not defined"
    best = int(np.nanargmin(curve.y))
    return f"lowest after epoch {curve.x[best]:g}, {curve.y[best]:.4g}"
