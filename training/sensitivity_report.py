"""The curves as a report: what was found in words and numbers, setting by setting, with a diagram of each axis."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.report.document import Block, Document, Figure, Heading, Paragraph, Table
from service.report.plots import Curve, curves_plot

_AXES = {
    "frame_rate_fps": ("Frame rate", "frames a second", "The scanner's own rate. Under about 20 the lung moves far between two frames."),
    "compression": ("Compression", "", "The same frames through real encoders, at three qualities each."),
    "zoom": ("Zoom of the stored picture", "factor", "Above 1 the rim of the picture is lost, below 1 there is black around it."),
    "gain_db": ("Gain", "dB", "Of the stored picture, on a scale of 60 dB; high gain turns bright echoes into white."),
    "tremor_mm": ("Tremor of the hand", "mm RMS", "Wall and lung tremble together."),
    "rocking_deg": ("Rocking of the probe", "degrees RMS", "The probe turns about the skin, so that deep echoes swing further."),
    "noise_grey_levels": ("Noise", "grey levels RMS", "New in each frame, added to the stored picture."),
    "dropped_share": ("Dropped frames", "share", "Missing, the others keep their times."),
    "repeated_share": ("Repeated frames", "share", "The frame before once more, as late grabbers store it."),
    "export_rate_fps": ("Export rate, repeating frames", "frames a second", "Scanned at 30."),
    "blended_rate_fps": ("Export rate, blending frames", "frames a second", "Scanned at 30; each new frame a mixture of two."),
}
_NOTE = (
    "Phantoms, not patients: speckle, walls and motion are simulated. The curves say where reading breaks, not how well it does on people. "
    "Each pair of twins differs in the slide alone; the probability is that sliding is present."
)
_MEASURES = {"slide_mm": "Peak to peak, mm", "peak_mm_per_s": "Peak speed, mm/s", "peak_px_per_s": "Peak speed, px/s"}


def document_of(figures: Mapping[str, Any]) -> Document:
    """The report of `curves.json`."""
    title = f"Sensitivity curves of {figures['bundle']}"
    opening = Paragraph(f"{figures['pairs']} pairs of phantoms, seed {figures['seed']}. {_NOTE}")
    return Document(
        title, [opening, *_psychometric(figures["psychometric"]), *_axes(figures["axes"]), *_measured(figures["measured_slide"])]
    )


def _psychometric(found: Mapping[str, Any]) -> Iterator[Block]:
    rows = found["rows"]
    yield Heading("The smallest and slowest slide that is seen")
    names = {"called_present": "called present", "probability": "mean probability", "called_absent": "called absent"}
    curves = [_curve(label, rows, "slide_mm", name) for name, label in names.items()]
    plot = curves_plot(curves, x_label="slide, peak to peak (mm)", y_label="share, probability", is_log_x=True, y_range=(-0.02, 1.02))
    yield Figure(plot, "svg", "Answers against the size of the slide", "Share called present, mean probability and share called absent.")
    header = ["Slide (mm)", "Clips", "Peak (mm/s)", "Peak (px/s)", "Probability", "Called present", "Called absent"]
    keys = ["slide_mm", "clips", "peak_mm_per_s", "peak_px_per_s", "probability", "called_present", "called_absent"]
    yield Table(header, [[_said(row[key]) for key in keys] for row in rows], "By the size of the slide.")
    points = [[_MEASURES[name], *(_said(at) for at in thresholds.values())] for name, thresholds in found["thresholds"].items()]
    yield Table(["Measure", "Seen in 50 %", "Seen in 90 %"], points, "Where a fitted logistic curve passes; seen means called present.")


def _axes(axes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Block]:
    for axis, rows in axes.items():
        title, unit, why = _AXES[axis]
        yield Heading(title)
        yield Paragraph(why)
        if unit and len(rows) > 1:
            curves = [_curve(name, rows, "setting", key) for name, key in _PROBABILITIES.items()]
            plot = curves_plot(curves, x_label=f"{title.lower()} ({unit})", y_label="probability, AUROC", y_range=(-0.02, 1.02))
            yield Figure(plot, "svg", f"Answers against {title.lower()}", "Mean probability of sliding and of still phantoms, and AUROC.")
        yield Table(["Setting", *_COLUMNS], [[row["setting"], *_cells(row)] for row in rows], "")


_PROBABILITIES = {"sliding": "probability_sliding", "still": "probability_still", "AUROC": "auroc"}
_COLUMNS = {
    "Answered": "answered_share",
    "AUROC": "auroc",
    "Sliding: probability": "probability_sliding",
    "called present": "sliding_called_present",
    "called absent": "sliding_called_absent",
    "Still: probability": "probability_still",
    "called absent ": "still_called_absent",
    "called present ": "still_called_present",
    "At rest (px)": "measured_at_rest_px",
    "Tracking": "tracking",
}
"""Of the tables of an axis; a blank tells apart what is said of the sliding and of the still."""


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [_said(row[key]) for key in _COLUMNS.values()]


def _measured(measured: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Block]:
    yield Heading("The measured slide against the truth")
    yield Paragraph(
        "RMS shift of the lung past the wall within 0.13 s, column by column, px of the frame. Bias is the median of measured less true; "
        "spread is half of what holds the middle 68 %."
    )
    header = ["From", "Below", "Columns", "True (px)", "Bias (px)", "Spread (px)", "Bias (%)", "Spread (%)"]
    keys = ["from", "below", "columns", "true_px", "bias_px", "spread_px", "bias_percent", "spread_percent"]
    for name, caption in (("by_true_slide", "By the size of the true slide (px)."), ("by_tracking", "By tracking quality.")):
        if measured[name]:
            yield Table(header, [[_said(row[key]) for key in keys] for row in measured[name]], caption)


def _curve(name: str, rows: Sequence[Mapping[str, Any]], x: str, y: str) -> Curve:
    return Curve(name, [float(row[x]) for row in rows], [_or_nan(row[y]) for row in rows], is_marked=True)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _said(value: float | int | None) -> str:
    return "not defined" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
