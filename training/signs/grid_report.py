"""The report of a grid: one preset fitted several times with one setting changed, as its paper's table has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.report.document import Block, Document, Figure, Heading, Paragraph, Table
from service.report.plots import Curve, curves_plot
from training.signs.answers import SignAnswers
from training.signs.figures import BINARY, Estimate, binary_figures
from training.signs.published import model_of
from training.signs.report import HOW_TO_READ, SIMULATED, said_to_be_simulated, titled
from training.signs.tables import data_table, estimate_text, sign_title, title
from training.study.published import NOT_AT_HAND

DRAWN = ("accuracy", "recall", "specificity")
"""What the published tables of grids are about."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Grid:
    """One preset of one sign, with one setting changed. Every cell answers the same clips."""

    preset: str
    setting: str
    """"dropout"."""
    where: str
    """What the published table is called, "Table II"."""
    simulated: bool
    cells: Sequence[tuple[float, SignAnswers]]
    """The setting's value, and the answers of the models fitted with it."""

    def __post_init__(self) -> None:
        if not self.cells or {len(answers.signs) for _, answers in self.cells} != {1}:
            raise ValueError("A grid needs a cell or more, each of a model of one sign.")
        if len({frozenset(zip(a.clip.tolist(), a.fold.tolist(), strict=True)) for _, a in self.cells}) > 1:
            raise ValueError("The cells of a grid answer different clips, or in other folds; their figures cannot be compared.")


def build_grid_report(grid: Grid) -> Document:
    blocks = tuple(_blocks(grid))
    words = f"{grid.setting} of {titled(grid.preset, grid.simulated)}"
    return Document(words[0].upper() + words[1:], said_to_be_simulated(blocks) if grid.simulated else blocks)


def _blocks(grid: Grid) -> Iterator[Block]:
    yield Paragraph(_summary(grid))
    yield data_table(grid.cells[0][1])
    yield Heading(f"{grid.where}, with our figures")
    yield Paragraph(HOW_TO_READ)
    for by in ("run", "clip"):
        found = [(value, _figures(answers if by == "run" else answers.by_clip())) for value, answers in grid.cells]
        yield _table(grid, by, found)
        yield _drawn(grid, by, found)


def _summary(grid: Grid) -> str:
    kind = f"This is {SIMULATED}: it says nothing of patients. " if grid.simulated else ""
    values = ", ".join(f"{value:g}" for value, _ in grid.cells)
    return (
        f"{model_of(grid.preset).words}, with {grid.setting} of {values} and all else the same. {kind}"
        f"The positive is {sign_title(grid.cells[0][1].signs[0])}.\nThe best of several is a little too good: it is chosen on the "
        "clips that it is judged on. Where intervals overlap by much, nothing was found between two values."
    )


def _figures(answers: SignAnswers) -> dict[str, Estimate]:
    return binary_figures(answers, answers.signs[0])


def _table(grid: Grid, by: str, found: Sequence[tuple[float, dict[str, Estimate]]]) -> Table:
    rows = [(f"{value:g}", *(estimate_text(figures[name]) for name in BINARY), NOT_AT_HAND) for value, figures in found]
    return Table((grid.setting, *map(title, BINARY), "published"), rows, f"{grid.where} again, ours by {by}.")


def _drawn(grid: Grid, by: str, found: Sequence[tuple[float, dict[str, Estimate]]]) -> Figure:
    curves = [_curve(name, [(value, figures[name]) for value, figures in found]) for name in DRAWN]
    alt = "; ".join(f"{curve.name}: " + ", ".join(f"{y:.3f} at {x:g}" for x, y in zip(curve.x, curve.y, strict=True)) for curve in curves)
    drawn = curves_plot(curves, x_label=grid.setting, y_label="figure, with its 95 % interval", y_range=(-0.02, 1.02))
    return Figure(drawn, "svg", f"Figures by {by} against {grid.setting}", alt)


def _curve(name: str, points: Sequence[tuple[float, Estimate]]) -> Curve:
    x, y, low, high = ([float(number) for number in column] for column in zip(*((value, *found) for value, found in points), strict=True))
    return Curve(title(name), x, y, low, high, is_marked=True)
