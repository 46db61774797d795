"""One row of the study in pictures: curves, confusion, reliability, learning, and the clips it called wrong."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import RequestError
from service.metrics import precision_recall_points, reliability, roc_points
from service.report.document import Block, Figure, Heading, Paragraph
from service.report.plots import Confusion, Curve, confusion_plot, curves_plot, precision_recall_plot, reliability_plot, roc_plot
from training.curve import read_curve
from training.fit import CURVE
from training.study.clips import StudyClip
from training.study.failures import Failure, draw, worst
from training.study.figures import Answers
from training.study.grid import Row


def row_blocks(row: Row, answers: Answers, clips: Sequence[StudyClip], folder: Path, num_failures: int) -> Iterator[Block]:
    """The section of one finished row, whose results lie in `folder`."""
    pooled = answers.by_clip()
    yield Heading(row.name)
    yield from _curves(row, {"by patch": answers, "by clip": pooled})
    for by, chosen in (("patch", answers), ("clip", pooled)):
        counts = chosen.counts
        alt = (
            f"Of {counts.true_present + counts.false_absent} that slide {counts.true_present} are called present; "
            f"of {counts.true_absent + counts.false_present} that do not {counts.true_absent} are called absent."
        )
        yield Figure(confusion_plot(Confusion.of(counts)), "svg", f"{row.name}: answers by {by}", alt)
        bins = reliability(chosen.label, chosen.probability)
        filled = ", ".join(f"{b.mean_probability:.2f} given, {b.share_present:.2f} true" for b in bins if b.num_clips)
        yield Figure(reliability_plot(bins), "svg", f"{row.name}: reliability by {by}; n counts {_PLURAL[by]}", filled)
    yield _learning(row, folder / "fit" / CURVE)
    yield from _failures(row, worst(answers, clips, num_failures))


def _curves(row: Row, answers: dict[str, Answers]) -> Iterator[Block]:
    """Both classes are there: a row without them is not run."""
    roc = [_curve(name, roc_points(a.label, a.probability)) for name, a in answers.items()]
    yield Figure(roc_plot(roc), "svg", f"{row.name}: ROC", "Sensitivity against 1 − specificity, by patch and by clip.")
    precision = [_curve(name, precision_recall_points(a.label, a.probability)) for name, a in answers.items()]
    prevalence = float(answers["by patch"].label.mean())
    drawn = precision_recall_plot(precision, prevalence=prevalence)
    yield Figure(drawn, "svg", f"{row.name}: precision and recall", f"Precision against recall; {prevalence:.2f} of the patches slide.")


def _curve(name: str, points: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Curve:
    x, y = points
    return Curve(name, x.tolist(), y.tolist())


def _learning(row: Row, path: Path) -> Figure:
    epochs = read_curve(path)
    x = [float(epoch["epoch"]) + 1 for epoch in epochs]
    curves = [
        Curve(words, x, [float(epoch[name] or math.nan) for epoch in epochs], is_marked=True)
        for name, words in (("train_loss", "fitted to"), ("val_loss", "judged on"))
    ]
    lowest = min(epochs, key=lambda epoch: float(epoch["val_loss"]))
    alt = f"Binary cross-entropy by epoch; lowest on the judged part after epoch {int(lowest['epoch']) + 1}: {lowest['val_loss']}."
    return Figure(curves_plot(curves, x_label="epoch", y_label="binary cross-entropy"), "svg", f"{row.name}: learning curves", alt)


def _failures(row: Row, failures: Sequence[Failure]) -> Iterator[Block]:
    if not failures:
        yield Paragraph("No clip was called wrong.")
    for failure in failures:
        try:
            yield Figure(draw(failure, row.patches), "png", f"{row.name}: {failure.words}", _ALT)
        except (RequestError, ValueError, OSError):
            yield Paragraph(f"{failure.words}. It cannot be shown: the file is gone or has changed since its patches were cut.")


_ALT = (
    "Left, the middle frame with the pleural line in green and its patches, blue where they are called sliding and orange where not. "
    "Right, the M-mode of the middle column, time to the right, the pleural line marked at the left edge."
)
_PLURAL = {"patch": "patches", "clip": "clips"}
