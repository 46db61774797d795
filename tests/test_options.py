"""What a caller writes, read; and each refusal, word for word."""

import pytest

from service.errors import BadOption
from service.findings import ALL_SIGNS
from service.options import parse_options, quoted, signs_text
from service.pipeline import Options, Rows
from service.reading import Saliency

FORM = "Write it as three or more corners, 'x,y x,y x,y', in pixels of the clip's frame."


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("none", ()),
        ("all", ALL_SIGNS),
        ("effusion", ("effusion",)),
        ("effusion,a_lines", ("a_lines", "effusion")),
        ("b_lines,b_lines", ("b_lines",)),
    ],
)
def test_signs_are_named_in_any_order_and_told_in_one(text: str, signs: tuple[str, ...]) -> None:
    assert parse_options(signs=text).signs == signs
    assert parse_options(signs=signs_text(signs)).signs == signs


@pytest.mark.parametrize("text", ["", "b-lines", "b_lines;effusion", "all,b_lines", "none,b_lines"])
def test_what_is_no_sign_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(BadOption) as raised:
        parse_options(signs=text)
    known = "a_lines, b_lines, effusion, consolidation, fluid_or_solid, lung_sliding"
    words = f"it can be none, all, or one or more of {known} with commas between them."
    assert str(raised.value) == f"signs is {quoted(text)}; {words}"


def test_nothing_given_is_the_default() -> None:
    assert parse_options() == Options(Saliency.VANILLA, Rows.PLEURA, region=None, mm_per_px=None)


@pytest.mark.parametrize(
    "text", ["0,0 20,0 20,10", " 0,0;20,0;20,10 ", "0.0,0 2e1,0\n20,10", "[[0,0],[20,0],[20,10]]", " [[0, 0], [20.0, 0], [20, 10]]"]
)
def test_a_region_is_written_plainly_or_as_json(text: str) -> None:
    assert parse_options(region=text).region == ((0.0, 0.0), (20.0, 0.0), (20.0, 10.0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", f"region has 0 corners; it needs between 3 and 200. {FORM}"),
        ("1,2 3,4", f"region has 2 corners; it needs between 3 and 200. {FORM}"),
        (" ".join(["1,2"] * 201), f"region has 201 corners; it needs between 3 and 200. {FORM}"),
        ("a circle", f"region is 'a circle', which is not a polygon. {FORM}"),
        ("1,2,3 4,5,6 7,8,9", f"region is '1,2,3 4,5,6 7,8,9', which is not a polygon. {FORM}"),
        ("[[1,2],[3]]", f"region is '[[1,2],[3]]', which is not a polygon. {FORM}"),
        ("[1,2,3]", f"region is '[1,2,3]', which is not a polygon. {FORM}"),
        ("[" * 100_000, f"region is '{'[' * 40}...', which is not a polygon. {FORM}"),
        ("0,0 20,0 nan,10", f"region has a corner outside 0 to 16384 px. {FORM}"),
        ("0,0 inf,0 20,10", f"region has a corner outside 0 to 16384 px. {FORM}"),
        ("-1,0 20,0 20,10", f"region has a corner outside 0 to 16384 px. {FORM}"),
        ("0,0 20000,0 20,10", f"region has a corner outside 0 to 16384 px. {FORM}"),
        ("0,0 10,10 20,20", f"region encloses no area: its corners lie on one line. {FORM}"),
    ],
)
def test_a_region_that_is_no_polygon_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadOption) as refusal:
        parse_options(region=text)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("text", ["0", "-0.1", "nan", "inf", "3"])
def test_a_scale_no_ultrasound_has_is_refused(text: str) -> None:
    with pytest.raises(BadOption) as refusal:
        parse_options(mm_per_px=text)

    assert str(refusal.value) == f"mm_per_px is '{text}'; one pixel of an ultrasound clip shows between 0.005 and 2.0 mm."


def test_what_the_caller_wrote_is_repeated_short_and_printable() -> None:
    assert quoted("a\x1b[31m\n") == "'a?[31m?'"
    assert quoted("x" * 50) == f"'{'x' * 40}...'"
