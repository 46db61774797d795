"""The report's parts, one function each: text, tables and pictures out of what was found."""

from collections.abc import Iterator, Sequence
from itertools import chain

from service import __version__
from service.evidence.words import NOT_FOR_DIAGNOSIS
from service.metrics import roc_points
from service.report.document import Block, Document, Figure, Heading, Paragraph, Table
from service.report.plots import Confusion, Curve, Mark, confusion_plot, coverage_risk_plot, reliability_plot, roc_plot
from service.validation import wording
from service.validation.cases import OUTCOMES
from service.validation.comparison_chapter import comparison, picture_blocks
from service.validation.figures import GROUPED_BY, Figures, Group, ranked
from service.validation.findings import Findings, ModelFindings, Shown

INTENDED_USE = f"{NOT_FOR_DIAGNOSIS}. The figures are of these clips with these labels, and of no others."
MOST_GROUPS = 25
"""Rows of a table of groups: a column that names each clip's own source is no grouping."""


def report_of(found: Findings) -> Document:
    chapters = (
        summary(found),
        accuracy(found),
        opposite(found.first),
        outcomes(found.first.figures),
        groups(found.first.figures),
        not_answered(found.first.figures),
        ranking(found),
        calibration(found.first.figures),
        abstention(found.first.figures),
        comparison(found),
        worst(found.worst),
        method(found),
    )
    against = f" against {found.second.name}" if found.second else ""
    return Document(f"Validation of {found.first.name}{against}", list(chain.from_iterable(chapters)))


def summary(found: Findings) -> Iterator[Block]:
    figures = found.first.figures
    labels = ", ".join(f"{number} {label}" for label, number in found.labels.most_common())
    yield Paragraph(INTENDED_USE)
    yield Paragraph(
        f"{wording.clips(figures.accuracy.num_clips)} of {wording.patients(figures.accuracy.num_patients)} were given to "
        f"{found.first.name}, of which {_num_read(found.first)} could be read. Labels: {labels}.{_healthy_sentence(found)}"
    )
    yield Paragraph(_opposite_sentence(found.first))
    yield Table(("", ""), _identity(found), "What was validated")


def _num_read(model: ModelFindings) -> int:
    return sum(case.answer.is_read for case in model.cases)


def _healthy_sentence(found: Findings) -> str:
    if "healthy" not in found.labels:
        return ""
    if found.healthy_is_present:
        return " Healthy lungs are taken to slide, as was asked for; nobody has looked at these clips for it."
    return " Healthy lungs most likely slide, but nobody has looked: they count for coverage and not for accuracy."


def _opposite_sentence(model: ModelFindings) -> str:
    rate, rows = model.figures.accuracy.opposite, model.figures.opposite_rows
    if not rate.is_defined:
        return "No clip has a label to judge by, so nothing is said of right and wrong."
    of = f"of {wording.clips(rate.num_clips)} with a label"
    if not rows:
        return f"None {of} was given the opposite answer; up to {rate.high:.0%} can still be expected."
    return f"{len(rows)} {of} {'was' if len(rows) == 1 else 'were'} given the opposite answer: {wording.rows_words(rows)}."


def _identity(found: Findings) -> list[tuple[str, str]]:
    rows = [("made on", found.made.isoformat()), ("software", f"seashore {__version__}")]
    for title, model in (("model", found.first), ("against", found.second)):
        if model is not None:
            rows += [(title, model.name), ("sha256 of its graph", model.sha256), ("read on", ", ".join(model.devices))]
    ms = found.first.figures.total_ms_median
    at_once = f", {found.jobs} at a time" if found.jobs > 1 else ""
    longest = found.first.figures.total_ms_longest
    return [*rows, ("time a clip", f"median {ms / 1000:.2f} s, longest {longest / 1000:.2f} s{at_once}, without saliency maps")]


def accuracy(found: Findings) -> Iterator[Block]:
    yield Heading("Figures")
    for model in (found.first, found.second):
        if model is not None:
            rows = [wording.estimate_row(name, estimate) for name, estimate in wording.estimates(model.figures.accuracy).items()]
            yield Table(("Figure", "Value (95 % interval)", "Behind it", "Interval by"), rows, model.name)


def opposite(model: ModelFindings) -> Iterator[Block]:
    yield Heading("Opposite answers")
    cases = [case for case in model.cases if case.is_opposite]
    yield Paragraph(_opposite_sentence(model))
    if cases:
        rows = [(str(case.clip.row), case.label_words, wording.answer_words(case)) for case in cases]
        yield Table(("Row of the manifest", "Labelled", "Answer"), rows)


def outcomes(figures: Figures) -> Iterator[Block]:
    yield Heading("What became of every clip")
    rows = [(label, *(str(counts[name]) for name in OUTCOMES), str(sum(counts.values()))) for label, counts in figures.confusion.items()]
    yield Table(
        ("Labelled", *OUTCOMES, "all"), rows, "Answers by label. “lung point”: one is suspected, and sliding is not called present."
    )
    labels = list(figures.confusion)
    counts = [[figures.confusion[label][name] for name in OUTCOMES] for label in labels]
    picture = confusion_plot(Confusion(labels, OUTCOMES, counts))
    yield Figure(picture, "svg", "Answers by label", "Grid of the table above: one row a label, one column an answer.")


def groups(figures: Figures) -> Iterator[Block]:
    yield Heading("By device, probe, site and source")
    for column in GROUPED_BY:
        members = [group for group in figures.groups if group.column == column]
        yield from _group_table(column, members)


def _group_table(column: str, members: Sequence[Group]) -> Iterator[Block]:
    if not members:
        yield Paragraph(f"{column.capitalize()}: the manifest has no such column, or it says the same of all clips.")
        return
    header = (
        column.capitalize(),
        "Clips",
        "Patients",
        "Called present or absent",
        "AUROC",
        "Sliding called present",
        "Still called absent",
        "Opposite",
    )
    rows = [_group_row(group) for group in members[:MOST_GROUPS]]
    more = f" The {MOST_GROUPS} largest of {len(members)}; all are in figures.json." if len(members) > MOST_GROUPS else ""
    yield Table(header, rows, f"By {column}; shares are of all such clips, 95 % intervals.{more}")


def _group_row(group: Group) -> tuple[str, ...]:
    a = group.accuracy
    cells = [wording.short_cell(e) for e in (a.coverage, a.auroc, a.present_of_all, a.absent_of_all, a.opposite)]
    return (group.value or "not stated", str(a.num_clips), str(a.num_patients), *cells)


def not_answered(figures: Figures) -> Iterator[Block]:
    yield Heading("Why there was no verdict")
    for title, reasons in (("Not assessable because", figures.reasons), ("Cannot tell because", figures.doubts)):
        if reasons:
            yield Table((title, "Clips"), [(wording.reason_words(code), str(number)) for code, number in reasons.items()])
    if figures.errors:
        errors = [(code, wording.rows_words(rows)) for code, rows in figures.errors.items()]
        yield Table(("Not read: code of the error", "Which"), errors)
    else:
        yield Paragraph("Every clip could be read.")


def ranking(found: Findings) -> Iterator[Block]:
    yield Heading("Ranking")
    curves = [curve for model in (found.first, found.second) if model is not None for curve in _roc(model)]
    if not curves:
        yield Paragraph(f"No ROC curve: {found.first.figures.accuracy.auroc.missing}.")
        return
    yield Paragraph("Sliding is the positive here. The verdicts follow more than the probability, so they are not a point of this curve.")
    yield Figure(roc_plot(curves), "svg", "ROC curve of the probability", "ROC curve; its area is in the table of figures.")


def _roc(model: ModelFindings) -> Iterator[Curve]:
    rows = ranked(model.cases)
    if model.figures.accuracy.auroc.is_defined:
        one_minus_specificity, sensitivity = roc_points([row[0] for row in rows], [row[1] for row in rows])
        name = f"{model.name}: {model.figures.accuracy.auroc.value:.2f}"
        yield Curve(name, one_minus_specificity.tolist(), sensitivity.tolist())


def calibration(figures: Figures) -> Iterator[Block]:
    yield Heading("Calibration")
    found = figures.calibration
    if found is None:
        yield Paragraph(f"No reliability diagram: {figures.accuracy.auroc.missing}.")
        return
    yield Paragraph(
        f"Of {wording.clips(found.num_clips)}: expected calibration error {found.expected_error:.3f} (0 is best), "
        f"Brier score {found.brier:.3f} (0 is best, 0.25 is always saying 0.5)."
    )
    alt = "Share of clips that slide against the probability given; on the diagonal the probability is right."
    yield Figure(reliability_plot(found.bins), "svg", "Reliability of the probability, in tenths", alt)


def abstention(figures: Figures) -> Iterator[Block]:
    yield Heading("Abstention")
    found = figures.abstention
    if found is None:
        yield Paragraph(f"No risk-coverage curve: {figures.accuracy.auroc.missing}.")
        return
    yield Paragraph(
        f"Of the clips labelled present or absent {found.chosen_coverage:.0%} were called one or the other; "
        f"of these answers {_percent(found.chosen_risk)} were wrong. The curve shows what answering fewer or more of them would cost, "
        "were the clips with a probability nearest to 0.5 left out first."
    )
    curve = Curve("by distance from 0.5", found.coverage, found.risk)
    marks = [Mark("the verdicts given", found.chosen_coverage, found.chosen_risk)] if found.chosen_coverage else []
    alt = "Share of wrong answers against the share of clips answered, with a ring where the verdicts lie."
    yield Figure(coverage_risk_plot([curve], marks), "svg", "Risk and coverage", alt)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share == share else "none"


def worst(shown: Sequence[Shown]) -> Iterator[Block]:
    yield Heading("Worst clips")
    if not shown:
        yield Paragraph("No clip with a label was answered opposite, or leans the wrong way.")
        return
    yield Paragraph(
        "Opposite answers first, then healthy lungs called still, then clips whose probability leans the wrong way. "
        "Only the echoes are shown; what stands around them is left out, as machines write names there."
    )
    yield from picture_blocks(shown)


def method(found: Findings) -> Iterator[Block]:
    yield Heading("How this was made")
    yield Paragraph(wording.METHOD)
    yield Paragraph(
        "Clips are named by their row in the manifest, the header being row 1. A lung point is right when it is suspected and sliding is "
        "not called present, and opposite when it is. Unknown labels count for coverage only."
    )
