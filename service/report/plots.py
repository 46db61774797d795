"""The diagrams of a model's figures, each as the bytes of an SVG. What is drawn has been computed elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.metrics import Counts, ReliabilityBin
from service.report.canvas import QUIET, SERIES, Canvas, plain

Numbers = Sequence[float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a diagram, with a band about it where `low` and `high` are given. NaN leaves a gap."""

    name: str
    """In the legend; "" leaves it out."""
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    is_marked: bool = False
    """Each point with a mark, as measured points are."""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.low) != len(self.high) or (len(self.low) and len(self.low) != len(self.x)):
            raise ValueError(f"A curve has {len(self.x)} x, {len(self.y)} y and a band of {len(self.low)}; they must be as many.")


@dataclass(frozen=True, slots=True)
class Mark:
    """One point of a diagram that is said by name."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many of each truth (a row) were given each answer (a column)."""

    truths: Sequence[str]
    answers: Sequence[str]
    counts: Sequence[Sequence[int]] = field(default_factory=tuple)

    @classmethod
    def of(cls, counts: Counts) -> "Confusion":
        names = ("present", "absent")
        return cls(names, names, ((counts.true_present, counts.false_absent), (counts.false_present, counts.true_absent)))


def roc_plot(curves: Sequence[Curve]) -> bytes:
    """x is 1 - specificity, y is sensitivity, each from 0 to 1; the diagonal is chance."""
    canvas = Canvas.blank("1 − specificity", "sensitivity", height_in=4.8)
    canvas.axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
    _lines(canvas, curves)
    canvas.unit_square()
    return _finished(canvas)


def precision_recall_plot(curves: Sequence[Curve], *, prevalence: float | None = None) -> bytes:
    """x is recall, y is precision; a dotted line at the prevalence, which is what chance reaches."""
    canvas = Canvas.blank("recall (sensitivity)", "precision", height_in=4.8)
    if prevalence is not None:
        canvas.axes.axhline(prevalence, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
    _lines(canvas, curves)
    canvas.unit_square()
    return _finished(canvas)


def reliability_plot(bins: Sequence[ReliabilityBin], *, positive: str = "sliding") -> bytes:
    """Share that really slides against the probability given, the number of clips at each point; on the diagonal it is right.

    `positive` is what a probability is of, where it is not sliding.
    """
    canvas = Canvas.blank("mean probability given", f"share with {plain(positive)}", height_in=4.8)
    canvas.axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
    filled = [b for b in bins if b.num_clips]
    colour, line, mark = SERIES[0]
    canvas.axes.plot([b.mean_probability for b in filled], [b.share_present for b in filled], color=colour, linestyle=line, marker=mark)
    for b in filled:
        canvas.axes.annotate(
            f"n = {b.num_clips}", (b.mean_probability, b.share_present), xytext=_beside(b), textcoords="offset points", fontsize=8
        )
    canvas.unit_square()
    return _finished(canvas)


def confusion_plot(confusion: Confusion) -> bytes:
    """The counts as a grid, darker for a larger share of its row."""
    rows, columns = len(confusion.truths), len(confusion.answers)
    canvas = Canvas.blank("answered", "labelled", width_in=2.2 + 1.1 * columns, height_in=1.4 + 0.6 * rows)
    shares = [[n / max(1, sum(row)) for n in row] for row in confusion.counts]
    canvas.axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(confusion.counts):
        for j, number in enumerate(row):
            canvas.axes.text(j, i, str(number), ha="center", va="center", color="white" if shares[i][j] > 0.55 else "black")
    canvas.axes.grid(False)
    canvas.axes.set_xticks(range(columns), [plain(name) for name in confusion.answers])
    canvas.axes.set_yticks(range(rows), [plain(name) for name in confusion.truths])
    return _finished(canvas)


def curves_plot(
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    is_log_x: bool = False,
    is_log_y: bool = False,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[Mark] = (),
) -> bytes:
    """Any lines over one axis, with their bands."""
    canvas = Canvas.blank(x_label, y_label)
    _lines(canvas, curves)
    _marks(canvas, marks)
    if is_log_x:
        canvas.axes.set_xscale("log")
    if is_log_y:
        canvas.axes.set_yscale("log")
    if y_range is not None:
        canvas.axes.set_ylim(*y_range)
    return _finished(canvas)


def coverage_risk_plot(curves: Sequence[Curve], marks: Sequence[Mark] = ()) -> bytes:
    """x is the share of clips answered, y the share of the answers that is wrong; marks are the bands chosen."""
    canvas = Canvas.blank("share of clips answered (coverage)", "share of answers wrong (risk)")
    _lines(canvas, curves)
    canvas.axes.set_xlim(-0.02, 1.02)
    _marks(canvas, marks)
    highest = max([y for curve in curves for y in curve.y] + [mark.y for mark in marks], default=0.0)
    canvas.axes.set_ylim(-0.02, max(0.2, 1.1 * highest))
    return _finished(canvas)


def _lines(canvas: Canvas, curves: Sequence[Curve]) -> None:
    for k, curve in enumerate(curves):
        colour, line, mark = SERIES[k % len(SERIES)]
        if len(curve.low):
            canvas.axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        canvas.axes.plot(
            curve.x,
            curve.y,
            color=colour,
            linestyle=line,
            marker=mark if curve.is_marked else "",
            markersize=4,
            label=plain(curve.name) or None,
        )


def _marks(canvas: Canvas, marks: Sequence[Mark]) -> None:
    """A ring, its name on the side where the diagram has more room."""
    low, high = canvas.axes.get_xlim()
    for mark in marks:
        canvas.axes.plot([mark.x], [mark.y], marker="o", markersize=9, markerfacecolor="none", color="black", markeredgewidth=1.5)
        beside, side = (-8, "right") if mark.x > (low + high) / 2 else (8, "left")
        canvas.axes.annotate(plain(mark.name), (mark.x, mark.y), xytext=(beside, 9), textcoords="offset points", fontsize=9, ha=side)


def _beside(b: ReliabilityBin) -> tuple[int, int]:
    """Away from the picture's edge."""
    return (-34 if b.mean_probability > 0.85 else 7, -12 if b.share_present > 0.9 else 6)


def _finished(canvas: Canvas) -> bytes:
    canvas.legend()
    return canvas.svg()
