"""The annotated clip as a Secondary Capture: what it shows, when, and what it must not show."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame, parse_basic_offsets
from pydicom.pixels import iter_pixels

from service.cine.clip import Clip, EchoRegion
from service.cine.dicom_object import frame_timing
from service.evidence.layout import lay_out
from service.evidence.overlay import Annotator
from service.evidence.rendition import render
from service.findings import Analysis, Verdict
from service.pacs.objects import sc
from service.pacs.objects.sc import Draw, write_annotated_clip
from service.pacs.objects.source import SourceInstance
from tests.fakes import dicom
from tests.fakes.analysis import example_analysis
from tests.fakes.clip import MemoryClip
from tests.fakes.sources import bare_source, dciodvfy, errors_of, full_source

WRITTEN_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
EVEN_S = [0.0, 0.04, 0.08, 0.12]
UNEVEN_S = [0.0, 0.04, 0.1, 0.12]
WIDTH, HEIGHT = 160, 120


def grey_clip(times_s: list[float] = EVEN_S) -> MemoryClip:
    """Frame i is grey level 40 (i + 1) all over: wherever it is not blank, it is seen."""
    return MemoryClip([np.full((HEIGHT, WIDTH), 40 * (i % 5 + 1), np.uint8) for i in range(len(times_s))], times_s)


def colour_clip() -> MemoryClip:
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    return MemoryClip([red] * 4, EVEN_S)


def example(**options: Any) -> Analysis:
    return example_analysis(WIDTH, HEIGHT, num_windows=1, **options)[0]


def nothing_drawn() -> Analysis:
    return example(verdict=Verdict.NOT_ASSESSABLE)


def drawing(clip: Clip) -> Draw:
    return lambda out, marks: render(clip, out, marks=marks)


def written(folder: Path, source: SourceInstance, clip: MemoryClip, analysis: Analysis | None = None, **options: Any) -> Path:
    path = folder / "sc.dcm"
    write_annotated_clip(path, source, drawing(clip), analysis or example(), WRITTEN_AT, **options)
    return path


def capture(folder: Path, clip: MemoryClip, analysis: Analysis | None = None, *, show: bool = False, **elements: Any) -> Dataset:
    return dcmread(written(folder, full_source(folder, **elements), clip, analysis, show_outside_region=show))


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """The part of each frame that is the clip's own picture."""
    return [frame[lay_out(WIDTH, HEIGHT).picture.slices] for frame in iter_pixels(path)]


@dciodvfy
@pytest.mark.parametrize(
    "clip", [grey_clip(), grey_clip(UNEVEN_S), grey_clip([0.0]), colour_clip()], ids=["grey", "uneven", "one", "colour"]
)
@pytest.mark.parametrize("source", [full_source, bare_source], ids=["full", "bare"])
def test_dciodvfy_finds_no_error(tmp_path: Path, source: Any, clip: MemoryClip) -> None:
    assert errors_of(written(tmp_path, source(tmp_path), clip)) == []


@dciodvfy
def test_dciodvfy_finds_no_error_where_nothing_could_be_assessed(tmp_path: Path) -> None:
    assert errors_of(written(tmp_path, full_source(tmp_path), grey_clip(), nothing_drawn())) == []


def test_its_frames_are_those_of_the_annotated_clip(tmp_path: Path) -> None:
    clip, analysis = grey_clip(), example()
    path = written(tmp_path, full_source(tmp_path), clip, analysis, show_outside_region=True)

    annotator = Annotator(clip, analysis)
    drawn = [annotator.draw(frame, t_s) for frame, t_s in zip(clip.rgb_frames(), EVEN_S, strict=True)]
    read = list(iter_pixels(path))
    assert len(read) == 4
    for one, other in zip(read, drawn, strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).mean() < 3  # JPEG


def test_colour_is_kept(tmp_path: Path) -> None:
    frame = pictures(written(tmp_path, full_source(tmp_path), colour_clip(), nothing_drawn(), show_outside_region=True))[0]

    assert frame[2, 2].tolist() == pytest.approx([200, 0, 0], abs=8)


def test_outside_the_echoes_it_is_black(tmp_path: Path) -> None:
    picture = pictures(written(tmp_path, full_source(tmp_path), grey_clip(), nothing_drawn()))[-1]
    height, width = picture.shape[:2]

    # The example's sector is a fan below the middle of the upper edge; the corners are outside it.
    corners = [picture[y : y + 20, x : x + 20] for y in (0, height - 20) for x in (0, width - 20)]
    assert max(int(corner.max()) for corner in corners) <= 4  # JPEG rings a little
    assert picture[height // 2, width // 2].tolist() == pytest.approx([160] * 3, abs=4)


def test_a_site_may_ask_for_what_lies_outside(tmp_path: Path) -> None:
    picture = pictures(written(tmp_path, full_source(tmp_path), grey_clip(), nothing_drawn(), show_outside_region=True))[-1]

    assert picture[2, 2].tolist() == pytest.approx([160] * 3, abs=4)


def test_where_nobody_knows_where_the_echoes_are_nothing_is_shown(tmp_path: Path) -> None:
    path = written(tmp_path, full_source(tmp_path), grey_clip(), replace(nothing_drawn(), sector=()))

    assert max(int(picture.max()) for picture in pictures(path)) <= 4


REGION = EchoRegion((10, 10, 150, 110), None)


@pytest.mark.parametrize(
    ("stated", "region", "is_masked", "may_show"),
    [
        (False, None, True, False),
        (False, None, False, False),
        (None, REGION, True, False),  # black outside the region that the machine itself states
        (True, REGION, True, False),
        (None, REGION, False, True),
        (None, None, True, True),  # where the echoes are was told from pixels: a name may lie among them
        (True, None, True, True),
        (None, None, False, True),
    ],
)
def test_it_says_honestly_whether_identity_may_be_burnt_in(
    tmp_path: Path, stated: bool | None, region: EchoRegion | None, is_masked: bool, may_show: bool
) -> None:
    source = replace(full_source(tmp_path), shows_identity=stated, region=region)

    assert sc.may_show_identity(source, is_masked=is_masked) is may_show


def test_the_object_says_so_too(tmp_path: Path) -> None:
    inside = [dicom.region(10, 10, 149, 109)]

    assert capture(tmp_path, grey_clip()).BurnedInAnnotation == "YES"
    assert capture(tmp_path, grey_clip(), SequenceOfUltrasoundRegions=inside).BurnedInAnnotation == "NO"
    assert capture(tmp_path, grey_clip(), SequenceOfUltrasoundRegions=inside, show=True).BurnedInAnnotation == "YES"


def test_even_frames_have_one_frame_time(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip())

    assert (held.NumberOfFrames, held.FrameTime, held.FrameIncrementPointer) == (4, 40.0, 0x00181063)
    assert (held.CineRate, held.RecommendedDisplayFrameRate) == (25, 25)
    assert "FrameTimeVector" not in held


def test_uneven_frames_are_each_shown_when_they_were(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip(UNEVEN_S))

    assert held.FrameTimeVector == [0, 40, 60, 20]
    assert held.FrameIncrementPointer == 0x00181065
    timing = frame_timing(held, 4)  # as Seashore itself reads it
    assert timing is not None
    assert [timing.time_s(i) for i in range(4)] == pytest.approx(UNEVEN_S)


def test_errors_of_rounding_do_not_add_up() -> None:
    vector = sc._vector(np.arange(300) / 30)

    assert vector is not None
    assert vector[:4] == ["0", "33.333", "33.334", "33.333"]
    assert sum(map(float, vector)) == pytest.approx(299 / 30 * 1000, abs=0.001)


def test_a_vector_of_ten_minutes_is_in_whole_milliseconds() -> None:
    vector = sc._vector(np.arange(18_000) / 30)

    assert vector is not None
    assert vector[:4] == ["0", "33", "34", "33"]
    assert sum(map(int, vector)) == round(17_999 / 30 * 1000)


def test_a_vector_that_fits_no_element_is_left_out() -> None:
    assert sc._vector(np.arange(30_000) / 30) is None


def test_one_frame_has_no_times(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip([0.0]))

    assert held.NumberOfFrames == 1
    assert "FrameIncrementPointer" not in held


def test_every_frame_is_found_through_the_offset_table(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip())

    assert len(parse_basic_offsets(held.PixelData)) == 4
    frames = [get_frame(held.PixelData, index, number_of_frames=4) for index in range(4)]
    assert all(frame[:2] == b"\xff\xd8" and frame.rstrip(b"\0")[-2:] == b"\xff\xd9" for frame in frames)
    assert held.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"


def test_the_compression_is_added_to_what_the_clip_has_been_through(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip(), LossyImageCompressionRatio=["12.5"], LossyImageCompressionMethod=["ISO_14495_1"])

    assert held.LossyImageCompression == "01"
    first, last = held.LossyImageCompressionRatio
    coded = sum(len(get_frame(held.PixelData, index, number_of_frames=4)) for index in range(4))
    assert (first, last) == (12.5, round(held.Rows * held.Columns * 3 * 4 / coded, 1))
    assert list(held.LossyImageCompressionMethod) == ["ISO_14495_1", "ISO_10918_1"]


def test_it_says_what_it_is_and_of_which_clip(tmp_path: Path) -> None:
    held = capture(tmp_path, grey_clip())

    assert list(held.ImageType) == ["DERIVED", "SECONDARY"]
    assert held.Modality == "OT"
    assert (held.ConversionType, held.ImageLaterality, held.BodyPartExamined) == ("WSD", "L", "CHEST")
    (origin,) = held.SourceImageSequence
    assert origin.ReferencedSOPInstanceUID == "1.2.3.4"
    assert origin.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert (held.StudyInstanceUID, held.SeriesNumber) == ("1.2.3", 9902)


class BreakingClip(MemoryClip):
    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        yield np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        raise OSError("the disk is gone")


def test_frames_are_written_as_they_are_drawn(tmp_path: Path) -> None:
    source = full_source(tmp_path)

    with pytest.raises(OSError, match="the disk is gone"):
        written(tmp_path, source, BreakingClip([np.zeros((HEIGHT, WIDTH), np.uint8)] * 2))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.dcm"]  # no spool is left, nor half an object
