"""A setting's grid: a row a value, its figures drawn, and cells that cannot be compared refused."""

import pytest

from service.report.document import Figure, Table
from tests.fakes.sign_answers import frame_answers, of_one_sign
from training.signs.grid_report import Grid, build_grid_report


def cell(*probability: float) -> object:
    return of_one_sign([1, 1, 0, 0], probability, signs=("absent",))


def grid(*cells: tuple[float, object], simulated: bool = True) -> Grid:
    return Grid("cmwru", "dropout", "Table II", simulated, cells)  # type: ignore[arg-type]


GOOD, FAIR = cell(0.9, 0.8, 0.2, 0.1), cell(0.9, 0.3, 0.2, 0.1)


def test_each_value_has_its_row_by_run_and_by_clip() -> None:
    document = build_grid_report(grid((0.4, GOOD), (0.65, FAIR)))
    by_run, by_clip = (block for block in document.blocks if isinstance(block, Table) and block.header[0] == "dropout")

    assert by_run.caption == "Table II again, ours by run (simulated data)."
    assert [(row[0], row[1].split()[0], row[3].split()[0], row[-1]) for row in by_run.rows] == [
        ("0.4", "1.000", "1.000", "not at hand"),
        ("0.65", "0.750", "0.500", "not at hand"),
    ]
    assert [row[:2] for row in by_clip.rows] == [row[:2] for row in by_run.rows]


def test_the_figures_are_drawn_against_the_setting() -> None:
    document = build_grid_report(grid((0.4, GOOD), (0.65, FAIR), simulated=False))
    drawn = next(block for block in document.blocks if isinstance(block, Figure))

    assert (
        drawn.alt == "accuracy: 1.000 at 0.4, 0.750 at 0.65; recall: 1.000 at 0.4, 0.500 at 0.65; specificity: 1.000 at 0.4, 1.000 at 0.65"
    )
    assert drawn.caption == "Figures by run against dropout"
    assert document.title == "Dropout of CMWRU: absent sliding by 3-D residual convolutions (cmwru)"


def test_cells_on_different_clips_or_of_several_signs_are_refused() -> None:
    with pytest.raises(
        ValueError, match="The cells of a grid answer different clips, or in other folds; their figures cannot be compared."
    ):
        grid((0.4, GOOD), (0.5, of_one_sign([1, 0], [0.9, 0.1])))
    with pytest.raises(ValueError, match="A grid needs a cell or more, each of a model of one sign."):
        grid((0.4, frame_answers("AA")))
    with pytest.raises(ValueError, match="A grid needs a cell or more"):
        grid()
