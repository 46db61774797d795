"""M-mode strips of drawn clips, and the beam they are taken along."""

from dataclasses import replace

import numpy as np
import pytest

from service.evidence.mmode import best_beam, line_height, mmode
from service.findings import Column, LungPoint, PleuraFinding, SlideOverTime, TrackedMotion, Verdict
from tests.fakes.analysis import example_analysis


def test_a_column_of_the_picture_through_time() -> None:
    frames = [np.array([[0, 10 * t, 0], [0, 20 * t, 0], [0, 30 * t, 0]], np.uint8) for t in range(4)]

    strip = mmode(frames, (1.0, 0.0), (1.0, 2.0))

    assert strip.tolist() == [[0, 10, 20, 30], [0, 20, 40, 60], [0, 30, 60, 90]]  # depth down, time across


def test_a_slanted_line_takes_one_sample_a_pixel_of_its_length() -> None:
    frame = np.tile(np.arange(0, 50, 10, dtype=np.uint8), (5, 1))  # grey = 10 x

    strip = mmode([frame], (0.0, 0.0), (3.0, 4.0))  # 5 px long: x goes by 0.6

    assert strip[:, 0].tolist() == [0, 6, 12, 18, 24, 30]


def test_outside_the_frame_it_is_black() -> None:
    strip = mmode([np.full((3, 3), 200, np.uint8)], (1.0, -2.0), (1.0, 4.0))

    assert strip[:, 0].tolist() == [0, 0, 200, 200, 200, 0, 0]


def test_no_frames_make_an_empty_strip() -> None:
    assert mmode([], (0.0, 0.0), (0.0, 9.0)).shape == (10, 0)


def test_the_beam_goes_through_the_best_tracked_column_along_its_patches() -> None:
    analysis, _ = example_analysis(num_windows=1, with_saliency=False)
    assert analysis.pleura is not None

    beam = best_beam(analysis)

    assert beam is not None
    # Columns 1-3 and 6-8 lie away from the ribs; of these 8 is tracked best (0.95 where the index is a multiple of 4).
    assert beam.pleura[0] == pytest.approx(analysis.pleura.columns[8].x_px)
    assert beam.pleura[1] == pytest.approx(line_height(analysis.pleura.line, beam.pleura[0]))
    # The fan's beams meet at (320, -168): the two slopes agree, to the bounding boxes' accuracy.
    to_centre = np.array(beam.pleura) - (320.0, -168.0)
    along = np.array(beam.bottom) - beam.top
    assert np.degrees(np.arctan2(*to_centre) - np.arctan2(*along)) == pytest.approx(0.0, abs=3.0)
    assert 0.2 < beam.pleura_share < 0.5


def test_without_patches_the_beam_is_square_to_the_line_and_ends_at_the_frame() -> None:
    analysis, _ = example_analysis(100, 80, num_windows=1, with_saliency=False)
    nothing = np.zeros(0, np.float32)
    level = PleuraFinding(
        confidence=1.0,
        line=((10.0, 30.0), (90.0, 30.0)),
        interspaces=((10.0, 90.0),),
        columns=(Column(50.0, 1.0, None, 0.1, 0.9, None),),
        slide_over_time=SlideOverTime(nothing, nothing),
        motion=TrackedMotion(nothing, (), (), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)),
    )

    beam = best_beam(replace(analysis, windows=(), sector=(), pleura=level))

    assert beam is not None
    assert (beam.top, beam.pleura, beam.bottom) == ((50.0, 0.0), (50.0, 30.0), (50.0, 79.0))
    assert beam.pleura_share == pytest.approx(30 / 79)


def test_without_a_pleura_there_is_no_beam() -> None:
    analysis, _ = example_analysis(verdict=Verdict.NOT_ASSESSABLE)

    assert best_beam(analysis) is None
    assert analysis.lung_point == LungPoint(suspected=False, x_px=None)
