"""What the clips were like that a model was made from: bins that can be counted on fingers, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from service.cine.reference import FEWEST_CLIPS, Bins, InputReference
from service.errors import BadBundle
from tests.fakes.analysis import INPUTS


def clips(*lung_greys: float | None) -> list[Any]:
    return [replace(INPUTS, lung_grey=grey) for grey in lung_greys]


def test_ten_values_lie_two_by_two_in_five_bins() -> None:
    assert Bins.of([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) == Bins((2.0, 4.0, 6.0, 8.0), (2, 2, 2, 2, 2))


def test_equal_values_are_not_parted() -> None:
    # Frame rates: 15, and 25 for most.
    assert Bins.of([15] * 3 + [25] * 6 + [37]) == Bins((15.0, 25.0), (3, 6, 1))
    assert Bins.of([30] * 10) == Bins((30.0,), (10, 0))


def test_a_value_lies_in_the_first_bin_whose_edge_it_does_not_exceed() -> None:
    bins = Bins((15.0, 25.0), (3, 6, 1))

    assert [bins.place(value) for value in (7, 15, 15.1, 25, 26, 1000)] == [0, 0, 1, 1, 2, 2]


def test_edges_have_four_digits() -> None:
    assert Bins.of([85.41454320987654, 90.0]).edges == (85.41, 90.0)


def test_a_statistic_that_too_few_clips_have_is_left_out() -> None:
    reference = InputReference.of(clips(*range(FEWEST_CLIPS - 1), None))

    assert reference is not None
    assert "lung_grey" not in reference.bins
    assert reference.bins["quality"].counts == (FEWEST_CLIPS, 0)


def test_of_too_few_clips_nothing_is_told() -> None:
    assert InputReference.of(clips(*range(FEWEST_CLIPS - 1))) is None


def test_what_was_written_is_what_is_read() -> None:
    reference = InputReference.of(clips(*range(40)))

    assert reference is not None
    assert InputReference.from_json(json.loads(json.dumps(reference.to_json()))) == reference
    assert reference.to_json()["lung_grey"] == {"edges": [7.0, 15.0, 23.0, 31.0], "counts": [8, 8, 8, 8, 8]}


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"lung_gray": {"edges": [1.0], "counts": [1, 1]}},
        {"lung_grey": 7},
        {"lung_grey": {"edges": [1.0]}},
        {"lung_grey": {"edges": [], "counts": [5]}},
        {"lung_grey": {"edges": [2.0, 1.0], "counts": [1, 1, 1]}},
        {"lung_grey": {"edges": [1.0, 1.0], "counts": [1, 1, 1]}},
        {"lung_grey": {"edges": [float("nan")], "counts": [1, 1]}},
        {"lung_grey": {"edges": ["1.0"], "counts": [1, 1]}},
        {"lung_grey": {"edges": [1.0], "counts": [1, 1, 1]}},
        {"lung_grey": {"edges": [1.0], "counts": [0, 0]}},
        {"lung_grey": {"edges": [1.0], "counts": [-1, 2]}},
        {"lung_grey": {"edges": [1.0], "counts": [0.5, 0.5]}},
    ],
)
def test_statistics_that_are_none_are_refused(stated: dict[str, Any]) -> None:
    with pytest.raises(BadBundle, match="^The bundle's input_statistics are not ones this version can read.$"):
        InputReference.from_json(stated)
