"""The panel of signs on the annotated clip: whole, below what was there before, its lanes readable to the pixel."""

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.evidence.overlay import Annotator, annotate
from service.evidence.palette import CURSOR, PANEL, SIGN, TEXT, Pen
from service.evidence.sign_panel import LANE_PX, height_px
from service.findings import Analysis, SignFinding, SignMoment, Verdict
from tests.fakes.analysis import PROBE_MOVING, example_analysis, example_signs, six_signs
from tests.fakes.clip import MemoryClip

WIDTH, HEIGHT = 1600, 400
"""The lowest canvas that there is."""
BARE = example_analysis(WIDTH, HEIGHT, num_windows=2, network=Verdict.ABSENT, wall_control=0.9, reasons=(PROBE_MOVING,))[0]


def drawn(analysis: Analysis, t_s: float = 0.0) -> tuple[Annotator, NDArray[np.uint8]]:
    frame = np.zeros((analysis.clip.height, analysis.clip.width, 3), np.uint8)
    annotator = Annotator(MemoryClip([frame]), analysis)
    return annotator, annotator.draw(frame, t_s)


def lanes(analysis: Analysis, t_s: float = 0.0) -> list[NDArray[np.uint8]]:
    annotator, canvas = drawn(analysis, t_s)
    axis = annotator._cursor.axis
    return [canvas[top:bottom, axis.left : axis.right] for top, bottom in annotator._cursor.lanes]


def with_moments(*probabilities: float) -> Analysis:
    """B-lines, a second each of the clip's four, without a frame that shows them best."""
    moments = tuple(SignMoment(float(k), k + 1.0, probability, None) for k, probability in enumerate(probabilities))
    return replace(BARE, signs=(replace(example_signs()[1], moments=moments, representative=None),))


def test_what_stood_there_without_signs_stands_there_with_them_pixel_for_pixel() -> None:
    (plain, without), (annotator, canvas) = drawn(BARE), drawn(replace(BARE, signs=example_signs()))

    for part in ("banner", "picture", "side", "slide", "footer"):
        before, after = getattr(plain.layout, part), getattr(annotator.layout, part)
        assert np.array_equal(without[before.slices], canvas[after.slices]), part
    assert plain.layout.signs.height == 0


@pytest.mark.parametrize("signs", [example_signs(), example_signs()[3:], tuple(replace(s, measured=80 * "word ") for s in six_signs())])
def test_nothing_is_written_beyond_its_edges(signs: tuple[SignFinding, ...]) -> None:
    annotator, canvas = drawn(replace(BARE, signs=signs))
    panel = canvas[annotator.layout.signs.slices]

    assert (panel[:6] == PANEL).all()
    assert (panel[-6:] == PANEL).all()
    assert (panel[:, :10] == PANEL).all()
    assert (panel[:, -10:] == PANEL).all()
    assert (panel != PANEL).any()


def test_a_lane_is_as_high_as_its_moments_are_probable() -> None:
    (lane,) = lanes(with_moments(1.0, 0.5, 0.0, 1.0), t_s=9.0)
    heights = (lane == SIGN).all(axis=2).sum(axis=0)
    middles = [round(len(heights) * (k + 0.5) / 4) for k in range(4)]

    assert lane.shape[0] == LANE_PX
    assert [int(heights[x]) for x in middles] == [LANE_PX, 1 + round(0.5 * (LANE_PX - 1)), 1, LANE_PX]


def test_the_frame_that_shows_it_best_is_ticked_and_the_cursor_goes_along() -> None:
    _, b_lines, effusion = lanes(replace(BARE, signs=example_signs()), t_s=3.0)
    width = b_lines.shape[1]

    for lane, t_s in ((b_lines, 1.4), (effusion, 2.0)):  # of 4 s
        assert (lane[5:-2, round(t_s / 4 * (width - 1))] == TEXT).all()
        assert (lane[:, round(3 / 4 * (width - 1))] == CURSOR).all()


def test_a_sign_that_was_not_read_has_no_lane() -> None:
    assert lanes(replace(BARE, signs=example_signs()[3:])) == []
    assert len(lanes(replace(BARE, signs=six_signs()))) == 5


def test_without_signs_the_panel_has_no_height() -> None:
    assert height_px((), Pen.sans()) == 0


def test_a_clip_that_cannot_be_assessed_for_sliding_still_shows_its_signs() -> None:
    analysis = example_analysis(160, 120, num_windows=1, verdict=Verdict.NOT_ASSESSABLE)[0]
    out = io.BytesIO()

    annotate(MemoryClip([np.zeros((120, 160), np.uint8)] * 2), replace(analysis, signs=example_signs()), out)

    assert out.getvalue()[4:8] == b"ftyp"
    assert len(lanes(replace(analysis, signs=example_signs()))) == 3
