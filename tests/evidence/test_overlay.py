"""The annotated clip: where things are drawn, to the pixel, and that every frame is kept and shown when it was."""

import gc
import io
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.evidence.layout import LEAST_CONTENT_PX
from service.evidence.overlay import Annotator, annotate, window_at
from service.evidence.palette import DOUBT, LUNG_POINT, PLEURA, probability_colour
from service.findings import Analysis, PatchFinding, Point, Reason, ReasonCode, Verdict, WindowFinding
from tests.fakes.analysis import PROBE_MOVING, example_analysis
from tests.fakes.clip import MemoryClip

DOUBTFUL = Reason(ReasonCode.PLEURA_DOUBTFUL, "It may be fluid.")


def black(width: int, height: int, num_frames: int = 1) -> MemoryClip:
    return MemoryClip([np.zeros((height, width), np.uint8)] * num_frames)


def bare(width: int, height: int) -> Analysis:
    """An answer with nothing drawn on the picture."""
    analysis, _ = example_analysis(width, height, verdict=Verdict.NOT_ASSESSABLE)
    return replace(analysis, sector=())


def with_patch(width: int, height: int, probability: float, *polygon: Point) -> Analysis:
    window = WindowFinding(0.0, 2.0, probability, (PatchFinding(polygon, 0, 0, probability, None),))
    return replace(bare(width, height), windows=(window,))


def picture_of(clip: Clip, analysis: Analysis, t_s: float = 0.0) -> NDArray[np.uint8]:
    annotator = Annotator(clip, analysis)
    return annotator.draw(next(iter(clip.rgb_frames())), t_s)[annotator.layout.picture.slices]


def times_and_frames(source: Path | io.BytesIO) -> tuple[list[float], list[NDArray[np.uint8]]]:
    with av.open(source) as container:
        frames = list(container.decode(video=0))
    return [float(f.time or 0.0) for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def test_a_patch_is_outlined_where_it_lies_at_scale_1() -> None:
    picture = picture_of(black(640, 480), with_patch(640, 480, 1.0, (10.0, 20.0), (40.0, 20.0), (40.0, 50.0), (10.0, 50.0)))
    grey = picture.sum(axis=2, dtype=int)

    assert picture.shape == (480, 640, 3)
    assert int(grey[35, :25].argmax()) == 10
    assert int(grey[35, 25:].argmax()) + 25 == 40
    assert int(grey[:35, 25].argmax()) == 20
    assert int(grey[35:, 25].argmax()) + 35 == 50
    assert np.allclose(picture[35, 10], probability_colour(1.0), atol=25)
    assert np.allclose(picture[35, 25], np.array(probability_colour(1.0)) * 0.1, atol=2)  # a tenth of tint
    assert grey[35, :8].max() == grey[35, 43:].max() == grey[:18].max() == grey[53:].max() == 0


def test_a_patch_is_outlined_where_it_lies_at_scale_2() -> None:
    picture = picture_of(black(360, 300), with_patch(360, 300, 1.0, (10.0, 20.0), (40.0, 20.0), (40.0, 50.0), (10.0, 50.0)))
    row = picture[70].sum(axis=1, dtype=int)  # frame row 35

    assert picture.shape == (600, 720, 3)
    assert row[20] == pytest.approx(row[21], rel=0.1)  # frame pixel 10 is picture pixels 20 and 21: the line lies between
    assert sorted(np.argsort(row)[-4:].tolist()) == [20, 21, 80, 81]


def test_still_patches_are_dashed_and_sliding_ones_whole() -> None:
    def gaps(probability: float) -> int:
        polygon = ((100.0, 100.0), (200.0, 100.0), (200.0, 200.0), (100.0, 200.0))
        top = picture_of(black(640, 480), with_patch(640, 480, probability, *polygon))[100, 100:200].sum(axis=1, dtype=int)
        return int((np.diff((top > top.max() / 2).astype(int)) == -1).sum())

    assert gaps(0.9) == 0
    assert 8 <= gaps(0.1) <= 10  # dashes of 7 px every 11 px
    assert 18 <= gaps(0.5) <= 21  # dots every 5 px


def test_the_pleural_line_passes_through_its_points() -> None:
    analysis, _ = example_analysis(640, 480, num_windows=1, with_saliency=False)
    assert analysis.pleura is not None
    picture = picture_of(black(640, 480), analysis)

    x0, x1 = analysis.pleura.interspaces[0]
    inside = [(x, y) for x, y in analysis.pleura.line if x0 + 5 < x < x1 - 5]
    assert len(inside) > 10
    for x, y in inside:
        assert np.allclose(picture[round(y), round(x)], PLEURA, atol=90)


def test_the_clip_itself_is_shown_unchanged_where_nothing_is_drawn() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)

    assert np.array_equal(picture_of(MemoryClip([frame]), bare(640, 480)), frame)


def test_every_frame_is_kept_and_shown_when_it_was(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 0.12, 0.2, 0.7, 0.74]
    clip = MemoryClip([np.full((120, 160), 40 * i, np.uint8) for i in range(6)], times_s, duration_s=0.8)
    out = tmp_path / "annotated.mp4"

    annotate(clip, bare(160, 120), out)

    shown_at_s, frames = times_and_frames(out)
    assert shown_at_s == pytest.approx(times_s, abs=1e-4)
    middles = [int(f[300, 250].mean()) for f in frames]
    assert middles == pytest.approx([0, 40, 80, 120, 160, 200], abs=6)
    with av.open(out) as container:
        assert container.duration == pytest.approx(800_000, abs=1000)  # microseconds: the last frame keeps its 0.06 s


def test_frames_closer_than_the_clock_of_mpeg_can_tell_are_kept_in_their_order(tmp_path: Path) -> None:
    """Found by soaking: the muxer refuses two frames at one time."""
    times_s = np.array([0.0, 1e-6, 2e-6, 0.5])

    annotate(MemoryClip(np.zeros((4, 240, 320), np.uint8), times_s, 0.6), bare(320, 240), tmp_path / "out.mp4")

    shown_s, _ = times_and_frames(tmp_path / "out.mp4")
    assert len(shown_s) == 4
    assert shown_s == sorted(set(shown_s))
    assert shown_s[-1] == pytest.approx(0.5, abs=1e-4)


def test_it_is_h264_that_plays_anywhere_with_its_index_first(tmp_path: Path) -> None:
    out = tmp_path / "annotated.mp4"
    annotate(black(139, 141, 3), bare(139, 141), out)

    with av.open(out) as container:
        (stream,) = container.streams
        context = container.streams.video[0].codec_context
        assert (stream.type, context.name, context.pix_fmt) == ("video", "h264", "yuv420p")
        assert (context.width % 2, context.height % 2) == (0, 0)
        assert container.metadata["title"] == "Seashore annotated clip: not for diagnosis"
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_stream_gets_the_same_as_a_file(tmp_path: Path) -> None:
    clip, analysis = black(160, 120, 3), bare(160, 120)
    stream = io.BytesIO()

    annotate(clip, analysis, stream)
    annotate(clip, analysis, tmp_path / "annotated.mp4")

    assert stream.getvalue() == (tmp_path / "annotated.mp4").read_bytes()


@pytest.mark.parametrize(("width", "height"), [(33, 35), (139, 139), (370, 371), (61, 480), (1201, 399)])
def test_odd_and_lopsided_sizes_are_drawn(width: int, height: int) -> None:
    analysis, _ = example_analysis(width, height, num_windows=1)
    out = io.BytesIO()

    annotate(black(width, height, 2), analysis, out)

    out.seek(0)
    assert len(times_and_frames(out)[0]) == 2


def test_one_frame_is_a_clip_of_one_frame() -> None:
    out = io.BytesIO()

    annotate(MemoryClip([np.full((48, 64), 90, np.uint8)], duration_s=0.0), bare(64, 48), out)

    out.seek(0)
    assert times_and_frames(out)[0] == [0.0]


def test_colour_is_kept() -> None:
    red = np.zeros((480, 640, 3), np.uint8)
    red[..., 0] = 200
    out = io.BytesIO()

    annotate(MemoryClip([red]), bare(640, 480), out)

    out.seek(0)
    _, (frame,) = times_and_frames(out)
    assert frame[350, 300].tolist() == pytest.approx([200, 0, 0], abs=8)


@pytest.mark.parametrize(
    "analysis",
    [
        example_analysis(160, 120, num_windows=1)[0],
        example_analysis(160, 120, num_windows=1, lung_point=True)[0],
        example_analysis(160, 120, num_windows=1, verdict=Verdict.INDETERMINATE, reasons=(PROBE_MOVING,) * 5)[0],
        example_analysis(160, 120, num_windows=1, verdict=Verdict.INDETERMINATE, lung_point=True, reasons=(DOUBTFUL,))[0],
        example_analysis(160, 120, num_windows=1, network=Verdict.ABSENT, wall_control=0.9, reasons=(PROBE_MOVING,) * 5)[0],
        example_analysis(160, 120, num_windows=1, mm_per_px=None, with_saliency=False)[0],
        example_analysis(160, 120, verdict=Verdict.NOT_ASSESSABLE)[0],
        bare(160, 120),
    ],
    ids=["present", "lung point", "many reasons", "doubtful pleura", "doubts", "no scale, no saliency", "no pleura", "no sector"],
)
def test_every_kind_of_answer_is_drawn(analysis: Analysis) -> None:
    out = io.BytesIO()

    annotate(black(160, 120, 2), analysis, out)

    assert out.getvalue()[4:8] == b"ftyp"


def test_a_doubtful_pleura_is_asked_about_on_the_picture() -> None:
    sure = example_analysis(320, 240, num_windows=1)[0]
    doubtful = replace(sure, quality=replace(sure.quality, reasons=(DOUBTFUL,)))

    yellow = [int((picture_of(black(320, 240), one) == LUNG_POINT).all(axis=2).sum()) for one in (sure, doubtful)]

    assert yellow[0] == 0
    assert yellow[1] > 50


def side_of(analysis: Analysis) -> NDArray[np.uint8]:
    annotator = Annotator(black(analysis.clip.width, analysis.clip.height), analysis)
    return annotator.draw(np.zeros((analysis.clip.height, analysis.clip.width, 3), np.uint8), 0.0)[annotator.layout.side.slices]


def doubted(*, reasons: tuple[Reason, ...] = (), wall_control: float = 0.9) -> Analysis:
    """PRESENT, over patches that are still and, unless another control is given, a wall that slides."""
    return example_analysis(320, 240, num_windows=1, network=Verdict.ABSENT, wall_control=wall_control, reasons=reasons)[0]


def ground_rows(analysis: Analysis) -> list[int]:
    """Rows of the side panel whose right edge is a doubt's ground."""
    return np.flatnonzero((side_of(analysis)[:, -3] == DOUBT).all(axis=1)).tolist()


def test_each_doubt_has_its_own_field_at_the_top_of_the_notes() -> None:
    one, two = ground_rows(doubted(wall_control=0.1)), ground_rows(doubted())

    assert ground_rows(example_analysis(320, 240, num_windows=1)[0]) == []
    assert one == list(range(3 * 19 + 14))  # three lines
    assert two == [*one, *range(one[-1] + 5, one[-1] + 5 + 2 * 19 + 14)]  # and two, below a gap
    written = (side_of(doubted())[:, 46:] == LUNG_POINT).all(axis=2).sum(axis=1)  # right of the sign
    assert [int(written[top : top + 19].sum()) > 30 for top in (3, 22, 41, 78, 97)] == [True] * 5


def test_doubts_are_whole_however_much_else_there_is_to_say() -> None:
    many = tuple(Reason(code, 40 * "word ") for code in ReasonCode if code is not ReasonCode.PLEURA_DOUBTFUL)
    last = ground_rows(doubted())[-1]

    assert ground_rows(doubted(reasons=many)) == ground_rows(doubted())
    assert np.array_equal(side_of(doubted(reasons=many))[: last + 1], side_of(doubted())[: last + 1])


def test_doubts_and_notes_leave_the_m_mode_its_room() -> None:
    """On the lowest canvas that there is."""
    reasons = (Reason(ReasonCode.TOO_DARK, 400 * "word "),)
    analysis = example_analysis(1600, 400, num_windows=1, network=Verdict.ABSENT, wall_control=0.9, reasons=reasons)[0]
    annotator = Annotator(black(1600, 400), analysis)

    top, bottom = annotator._cursor.spans[0]
    assert annotator.layout.side.height == LEAST_CONTENT_PX
    assert bottom - top >= 100


def test_what_could_not_be_measured_is_left_out() -> None:
    analysis, _ = example_analysis(160, 120, num_windows=1)
    assert analysis.pleura is not None
    over_time = replace(analysis.pleura.slide_over_time, px=np.full_like(analysis.pleura.slide_over_time.px, np.nan))
    columns = tuple(replace(c, probability=None) for c in analysis.pleura.columns)
    unread = replace(
        analysis,
        windows=(replace(analysis.windows[0], probability=None, patches=()),),
        pleura=replace(analysis.pleura, columns=columns, slide_over_time=over_time),
    )

    no_columns = replace(unread, pleura=replace(analysis.pleura, columns=()), windows=())
    assert picture_of(black(160, 120), unread).max() > 0
    assert picture_of(black(160, 120), no_columns).max() > 0


def test_the_pulled_back_last_window_shares_its_time_with_the_one_before() -> None:
    analysis, _ = example_analysis(num_windows=2, with_saliency=False)
    first, last = analysis.windows
    pulled_back = replace(analysis, windows=(first, replace(last, start_s=1.0, end_s=3.0)))

    assert window_at(pulled_back, 1.4) is first
    assert window_at(pulled_back, 1.6) is pulled_back.windows[1]
    assert window_at(pulled_back, 9.0) is pulled_back.windows[1]
    assert window_at(bare(64, 48), 0.0) is None


class CountingClip(MemoryClip):
    """Makes its frames as they are asked for and counts how many are alive at once."""

    num_alive, most_alive = 0, 0

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        for _ in range(self.info.num_frames):
            frame = np.zeros((self.info.height, self.info.width, 3), np.uint8)
            self.num_alive += 1
            self.most_alive = max(self.most_alive, self.num_alive)
            weakref.finalize(frame, self._freed)
            yield frame

    def _freed(self) -> None:
        self.num_alive -= 1


def test_frames_are_not_gathered() -> None:
    gc.collect()
    clip = CountingClip([np.zeros((48, 64), np.uint8)] * 50)

    annotate(clip, bare(64, 48), io.BytesIO())

    assert clip.most_alive <= 2


class BreakingClip(MemoryClip):
    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        yield np.zeros((48, 64, 3), np.uint8)
        raise OSError("the disk is gone")


def test_when_it_breaks_off_no_file_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        annotate(BreakingClip([np.zeros((48, 64), np.uint8)] * 3), bare(64, 48), tmp_path / "annotated.mp4")

    assert list(tmp_path.iterdir()) == []
