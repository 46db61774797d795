"""The trials as a page: targets first, then each table with what was expected of it, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.metrics import ReliabilityBin
from service.report.document import Block, Document, Figure, Heading, Paragraph, Table
from service.report.plots import Curve, curves_plot, reliability_plot
from training.trials.answers import Kind

_KINDS = {
    "all": "all twins",
    "plain pleura": "of these, with a plain pleura",
    "with controls": "all twins and controls",
    "counterfactual": "made of real clips",
    "swapped": "another patient's lung",
    "control": "controls of real clips",
    "phantom": "phantoms as recorded",
    "phantom_rate": "phantoms by frame rate",
    "as_is": "real clips as they are",
    "composite": "two real clips",
    "composite_plain": "of these, both with a plain pleura",
    "phantom_point": "phantoms",
}
_HOW = (
    "Every clip here is made up, so that the truth is known: the lung of a real clip is bound to its own chest wall, or made to "
    "slide past it, and nothing else differs between the two (twins). One slide is drawn for the whole clip. They are read by the "
    "code that serves uploads, with the bundle's own graphs, calibration and thresholds. Where the service doubts that the line "
    "is the pleura it gives no verdict, whatever moves: those clips count against the coverage. So do phantoms that it cannot read; "
    "of a real clip that it cannot read nothing is made. Intervals are 95 %, over patients (a pair of phantoms is a patient)."
)
_TWINS = (
    "AUROC: the chance that a sliding clip is given a higher probability than a still one, over all clips; twins in order: the "
    "same within a pair; both of the clips that could be read, so that there is none where none could be. "
    "Frame rates are thinned from the clip's own, so that few real clips are there at 25 and more; phantoms "
    "are scanned at 60."
)
_CONTROLS = (
    "Nothing slides in any of them, so none may be called present. AUROC is against the sliding twins of the same clips. Own "
    "wall: the chest wall read as if it were lung. Wall: real wall video from further along in the lung's place; where walls bend "
    "it does move past the wall above it. Mirror: the wall's mirror image. Locked: the lung carried by the tracked wall. Shaken "
    "and frozen: a still, moved by a hand's tremor or not at all."
)
_UNCHANGED = (
    "Reversed: a breath backwards is a breath, so the answer must stay. Half and double speed: a slide half as fast is a slide "
    "still; no verdict may turn into its opposite (a clip that becomes shorter than a breath may no longer be called absent). "
    "Shuffled: frames in a random order within each window. A still lung is at the same place of its wall in every frame, so in "
    "no order may it be called present. A sliding lung is somewhere else in each; no breath looks like that, so present and "
    "cannot tell are both right, and absent is not."
)
_POINTS = (
    "Two real clips: the sliding lung of one patient beside the wall-locked lung of another, each below its own wall, with at "
    "least two patches of pleura in view on either side. The service's doubt about a line is left out here. Phantoms: the lung "
    "point travels up to 4 mm with the breath. The error is a share of the pleura's width."
)


def document_of(figures: Mapping[str, Any]) -> Document:
    clips = f"{figures['clips']} of {figures['clips_given']} real clips could be read"
    opening = Paragraph(
        f"{figures['rows']} readings by {figures['bundle']}; {clips}; seed {figures['seed']}. Written by seashore train trials."
    )
    blocks: list[Block] = [opening, Paragraph(_HOW), *_targets(figures["targets"]), *_whole(figures["whole"])]
    blocks += [*_conditions(figures["conditions"]), *_controls(figures["controls"]), *_unchanged(figures["unchanged"])]
    return Document("Does motion against the wall decide?", [*blocks, *_lung_points(figures["lung_points"])])


def without_pictures(document: Document) -> Document:
    """For a page that stands alone."""
    return replace(document, blocks=[block for block in document.blocks if not isinstance(block, Figure)])


def _targets(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("Targets")
    cells = [
        [row["what"], _wanted(row), _said(row["found"]), {None: "not tried", True: "met", False: "NOT met"}[row["is_met"]]] for row in rows
    ]
    yield Table(["What", "Wanted", "Found", ""], cells)


def _wanted(row: Mapping[str, Any]) -> str:
    return f"at least {row['at_least']:g}" if row["at_least"] is not None else f"at most {row['at_most']:g}"


def _whole(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("Calibration, opposite verdicts, coverage")
    if rows and rows[0]["reliability"]:
        bins = [_bin(fields) for fields in rows[0]["reliability"]]
        yield Figure(reliability_plot(bins), "svg", "Reliability over all twins", "Share that slides against the probability given.")
    names = {
        "clips": "Clips",
        "patients": "Patients",
        "auroc": "AUROC",
        "ece": "ECE",
        "opposite": "Opposite",
        "opposite_interval": "95 %",
        "opposite_of_answered": "of the answered",
        "false_present": "still called present",
        "false_absent": "sliding called absent",
        "coverage": "Coverage",
    }
    yield Table(["Of", *names.values()], [[_KINDS[row["of"]], *(_said(row[name]) for name in names)] for row in rows])


def _bin(fields: Mapping[str, Any]) -> ReliabilityBin:
    known = {name: float("nan") if value is None else value for name, value in fields.items()}
    return ReliabilityBin(known["low"], known["high"], int(known["num_clips"]), known["mean_probability"], known["share_present"])


def _conditions(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("Twins, condition by condition")
    yield Paragraph(_TWINS)
    curves = [curve for kind in (Kind.COUNTERFACTUAL, Kind.PHANTOM_RATE) if (curve := _rate_curve(kind, rows)).x]
    if curves:
        plot = curves_plot(curves, x_label="frames a second", y_label="AUROC", y_range=(0.4, 1.02))
        yield Figure(plot, "svg", "AUROC of twins by frame rate", "AUROC of sliding against still at each frame rate, with intervals.")
    header = ["Made of", "Lung", "Condition", "Clips", "Read", "Patients", "AUROC", "95 %", "Twins in order", "Opposite", "Answered"]
    keys = ["clips", "read", "patients", "auroc", "interval", "twins_in_order", "opposite", "answered"]
    cells = [[_KINDS[row["kind"]], row["base"] or "all", row["condition"], *(_said(row[key]) for key in keys)] for row in rows]
    yield Table(header, cells)


def _rate_curve(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> Curve:
    here = [
        row for row in rows if row["kind"] == kind and row["condition"].endswith(" fps") and None not in (row["auroc"], *row["interval"])
    ]
    here = sorted(here, key=lambda row: float(row["condition"].split()[0]))
    x = [float(row["condition"].split()[0]) for row in here]
    low, high = ([row["interval"][edge] for row in here] for edge in (0, 1))
    return Curve(_KINDS[kind], x, [row["auroc"] for row in here], low, high, is_marked=True)


def _controls(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("Controls: nothing slides")
    yield Paragraph(_CONTROLS)
    keys = ["clips", "auroc", "interval", "called_present", "called_absent", "called_indeterminate", "called_not_assessable"]
    header = ["Control", "Clips", "AUROC", "95 %", "Called present", "Absent", "Cannot tell", "Not assessable"]
    yield Table(header, [[row["control"].replace("_", " "), *(_said(row[key]) for key in keys)] for row in rows])


def _unchanged(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading("The order and the speed of the frames")
    yield Paragraph(_UNCHANGED)
    keys = ["clips", "mean_change", "median_absolute_change", "same_verdict", "opposite_verdict", "called_present", "called_absent"]
    header = ["Clips made of", "Frames", "Clips", "Mean change", "Median size", "Same verdict", "Opposite", "Called present", "Absent"]
    truth = {None: "", True: ", sliding", False: ", still"}
    cells = [[_KINDS[row["kind"]] + truth[row["slides"]], row["condition"], *(_said(row[key]) for key in keys)] for row in rows]
    yield Table(header, cells, "Against the same clips as they were; changes are of the probability.")


def _lung_points(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("Lung points")
    yield Paragraph(_POINTS)
    keys = ["clips", "found", "found_interval", "median_error", "p90_error", "near", "called_present", "called_absent"]
    header = ["Of", "Clips", "Found", "95 %", "Median error", "Nine of ten below", "Within 8 %", "Called present", "Called absent"]
    yield Table(
        header, [[_KINDS[kind], *(_said(found[kind][key]) for key in keys)] for kind in ("composite", "composite_plain", "phantom_point")]
    )
    alarms = found["false_alarms"]
    names = _KINDS | {"all": "all twins and controls"}
    cells = [[names[name], _said(row["clips"]), _said(row["suspected"])] for name, row in alarms.items()]
    yield Table(
        ["Of", "Clips", "Suspected"], cells, "A lung point suspected where there is none; of real clips as they are, hardly any has one."
    )


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "" if None in value else f"{value[0]:.3f} to {value[1]:.3f}"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
