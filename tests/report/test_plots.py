"""Diagrams are the same bytes each time, and say in text what they show."""

from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import pytest

from service.metrics import Counts, reliability
from service.report.plots import (
    Confusion,
    Curve,
    Mark,
    confusion_plot,
    coverage_risk_plot,
    curves_plot,
    precision_recall_plot,
    reliability_plot,
    roc_plot,
)

CURVE = Curve("$our model$", [0.0, 0.2, 1.0], [0.0, 0.8, 1.0])
BANDED = Curve("banded", [1, 10, 100], [0.1, 0.5, 0.9], [0.0, 0.4, 0.8], [0.2, 0.6, 1.0], is_marked=True)
BINS = reliability([0, 1, 1], [0.05, 0.9, 0.95])

PLOTS: dict[str, Callable[[], bytes]] = {
    "roc": lambda: roc_plot([CURVE]),
    "precision": lambda: precision_recall_plot([CURVE], prevalence=0.5),
    "reliability": lambda: reliability_plot(BINS),
    "confusion": lambda: confusion_plot(Confusion.of(Counts(11, 2, 33, 4))),
    "curves": lambda: curves_plot([BANDED], x_label="frames a second", y_label="AUROC", is_log_x=True, y_range=(0, 1)),
    "coverage": lambda: coverage_risk_plot([CURVE], [Mark("the verdicts", 0.9, 0.1)]),
}


def words(svg: bytes) -> set[str]:
    return {"".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_figures_are_the_same_bytes_without_a_date(name: str) -> None:
    first = PLOTS[name]()

    assert PLOTS[name]() == first
    assert b"dc:date" not in first


def test_a_name_is_text_and_never_a_formula() -> None:
    assert "$our model$" in words(PLOTS["roc"]())


def test_the_axes_say_what_they_show() -> None:
    assert {"sensitivity", "1 − specificity"} <= words(PLOTS["roc"]())
    assert {"frames a second", "AUROC", "banded"} <= words(PLOTS["curves"]())
    assert "the verdicts" in words(PLOTS["coverage"]())


def test_a_reliability_of_another_sign_says_whose_share_it_is() -> None:
    assert "share with sliding" in words(PLOTS["reliability"]())
    assert "share with B-lines" in words(reliability_plot(BINS, positive="B-lines"))


def test_each_bin_says_how_many_clips_it_rests_on_and_empty_ones_are_left_out() -> None:
    assert {word for word in words(PLOTS["reliability"]()) if word.startswith("n =")} == {"n = 1", "n = 2"}


def test_the_confusion_of_counts_has_a_row_for_each_truth() -> None:
    assert Confusion.of(Counts(true_present=11, false_present=2, true_absent=33, false_absent=4)).counts == ((11, 4), (2, 33))
    assert {"11", "4", "2", "33", "present", "absent"} <= words(PLOTS["confusion"]())


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    PLOTS["roc"]()

    assert dict(matplotlib.rcParams) == before


def test_a_curve_has_as_many_x_as_y() -> None:
    with pytest.raises(ValueError, match="^A curve has 2 x, 1 y and a band of 0; they must be as many.$"):
        Curve("", [0, 1], [0])
