"""What lies outside the echoes is black in every frame, and nothing is shown where nobody knows where they are."""

from dataclasses import replace

import numpy as np

from service.cine.clip import ClipInfo, EchoRegion
from service.evidence.outside import EchoesOnly, echoes_only, shown_pixels
from service.findings import Point, Reason, ReasonCode, Verdict
from tests.fakes.analysis import example_analysis
from tests.fakes.clip import MemoryClip

SQUARE: tuple[Point, ...] = ((2.0, 2.0), (5.0, 2.0), (5.0, 5.0), (2.0, 5.0))


def info(region: EchoRegion | None = None) -> ClipInfo:
    return replace(MemoryClip([np.zeros((8, 10), np.uint8)]).info, region=region)


def test_the_sector_is_shown_with_its_outline() -> None:
    shown = shown_pixels(info(), SQUARE)

    assert shown.shape == (8, 10)
    assert shown[2:6, 2:6].all()
    assert shown.sum() == 16


def test_of_sector_and_stated_region_only_what_is_in_both_is_shown() -> None:
    shown = shown_pixels(info(EchoRegion((4, 0, 10, 8), None)), SQUARE)

    assert shown[2:6, 4:6].all()
    assert shown.sum() == 8


def test_the_stated_region_alone_will_do() -> None:
    shown = shown_pixels(info(EchoRegion((4, 1, 10, 8), None)), ())

    assert shown[1:8, 4:10].all()
    assert shown.sum() == 42


def test_without_either_nothing_is_shown() -> None:
    assert not shown_pixels(info(), ()).any()


def test_every_frame_is_black_outside_and_as_it_was_inside() -> None:
    analysis = replace(example_analysis(10, 8, verdict=Verdict.NOT_ASSESSABLE)[0], sector=SQUARE)
    clip = echoes_only(MemoryClip([np.full((8, 10), level, np.uint8) for level in (50, 200)]), analysis)

    grey, colour = list(clip.frames()), list(clip.rgb_frames())

    assert [int(frame[3, 3]) for frame in grey] == [50, 200]
    assert [int(frame.sum()) for frame in grey] == [16 * 50, 16 * 200]
    assert [frame[3, 3].tolist() for frame in colour] == [[50] * 3, [200] * 3]
    assert [int(frame[0].sum()) for frame in colour] == [0, 0]
    assert (grey[0].dtype, colour[0].dtype, clip.info.num_frames) == (np.uint8, np.uint8, 2)


def test_of_what_does_not_look_like_ultrasound_nothing_is_shown() -> None:
    coloured = Reason(ReasonCode.NOT_ULTRASOUND, "The picture is in colour.")
    analysis = replace(example_analysis(10, 8, verdict=Verdict.NOT_ASSESSABLE, reasons=(coloured,))[0], sector=SQUARE)

    assert not echoes_only(MemoryClip([np.full((8, 10), 90, np.uint8)]), analysis).shown.any()


def test_its_repr_shows_how_much_is_shown_and_no_pixels() -> None:
    clip = EchoesOnly(MemoryClip([np.zeros((2, 2), np.uint8)]), np.array([[True, False], [False, False]]))

    assert repr(clip).endswith(", 25% shown)")
