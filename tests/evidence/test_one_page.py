"""The one-page report, read back: what stands on it, that it is one page whatever there is to say, and always the same bytes."""

import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from service import __version__
from service.cine.clip import EchoRegion
from service.evidence import words
from service.evidence.identity import Identity
from service.evidence.one_page import MORE_TO_SAY, NO_IDENTITY, write_report
from service.evidence.one_page_figures import NOTHING_MEASURED, WITHHELD
from service.evidence.paper_charts import Limits
from service.findings import Analysis, Reason, ReasonCode, SlideOverTime, Verdict
from tests.fakes import pdf
from tests.fakes.analysis import PROBE_MOVING, example_analysis, example_signs, six_signs
from tests.fakes.clip import MemoryClip

AT = datetime(2026, 11, 21, 17, 15, tzinfo=UTC)
LIMITS = Limits(0.35, 0.65)
JANE = Identity("Doe^Jane^M^Dr", "84-1177", "19470302", "20261120", "A2026-4711")


def answer(verdict: Verdict = Verdict.PRESENT, *reasons: Reason, lung_point: bool = False) -> Analysis:
    return example_analysis(num_windows=1, verdict=verdict, reasons=reasons, lung_point=lung_point, with_saliency=False)[0]


def clip_of(analysis: Analysis, level: int = 90) -> MemoryClip:
    frame = np.full((analysis.clip.height, analysis.clip.width), level, np.uint8)
    return MemoryClip([frame] * analysis.clip.num_frames)


def report(analysis: Analysis, identity: Identity | None = None, limits: Limits | None = LIMITS, *, show_outside: bool = True) -> bytes:
    out = io.BytesIO()
    write_report(clip_of(analysis), analysis, out, analysed_at=AT, identity=identity, limits=limits, show_outside_region=show_outside)
    return out.getvalue()


ANSWERS = {
    "present": answer(),
    "absent": answer(Verdict.ABSENT),
    "indeterminate": answer(Verdict.INDETERMINATE),
    "probe moved": answer(Verdict.INDETERMINATE, PROBE_MOVING),
    "lung point": answer(lung_point=True),
    "not assessable": answer(Verdict.NOT_ASSESSABLE),
    "doubts": example_analysis(num_windows=1, network=Verdict.ABSENT, wall_control=0.9, with_saliency=False)[0],
}


@pytest.mark.parametrize("analysis", ANSWERS.values(), ids=ANSWERS)
def test_quality_comes_first_then_the_headline_then_the_number_then_what_to_do(analysis: Analysis) -> None:
    read = pdf.lines(report(analysis))
    said = [line.text for line in read]
    wanted = [
        words.quality_line(analysis.quality),
        words.headline(analysis),
        *filter(None, [words.probability_line(analysis.lung_sliding)]),
        *words.doubts(analysis),
        *words.reason_lines(analysis.quality),
    ]

    assert [line.text for line in read if line.text in wanted] == wanted
    assert max(read, key=lambda line: line.size).text == words.headline(analysis)
    assert said.count(words.NOT_FOR_DIAGNOSIS) == 1
    assert words.INTENDED_USE in pdf.text(report(analysis)).replace("\n", " ")


def test_it_says_which_clip_which_model_where_and_when() -> None:
    said = pdf.text(report(answer()))

    for fact in (
        "60 frames, 30.0 frames a second, 2.0 s",
        "640 x 480 px",
        "convex",
        "0.25 mm a pixel",
        "2026-11-21 17:15 UTC",
        "resnet3d18-w16:0.1.0",
        "sha256 0000000000000000",
        "cpu (OpenVINO)",
        f"Seashore {__version__}",
        "Control: the chest wall itself reads 0.12",
        "Measured slide: 5.64 px (1.41 mm) past the wall, median of 10 places; wall past wall 0.70 px",
        "Frame 31 of 60, at 1.00 s",
    ):
        assert fact in said.split("\n")


def test_what_is_not_known_of_the_clip_is_said() -> None:
    analysis = answer(Verdict.NOT_ASSESSABLE)
    clip = replace(analysis.clip, probe="unknown", mm_per_px=None)

    said = pdf.text(report(replace(analysis, clip=clip))).split("\n")

    assert "not known" in said
    assert "not stated in the clip: lengths are in pixels" in said


def test_the_limits_of_the_verdicts_stand_on_the_scale_where_they_are_known() -> None:
    with_limits, without = pdf.text(report(answer())).split("\n"), pdf.text(report(answer(), limits=None)).split("\n")

    assert {"ABSENT", "cannot tell", "PRESENT", "0.35", "0.65"} <= set(with_limits)
    assert {"ABSENT", "PRESENT", "0.35"} & set(without) == set()
    assert {"still", "sliding"} <= set(without)


@pytest.mark.parametrize("name", ["probe moved", "lung point"])
def test_where_a_doubt_decides_no_mark_lies_in_a_field_called_present(name: str) -> None:
    assert "PRESENT" not in pdf.text(report(ANSWERS[name])).split("\n")


def test_a_lung_point_is_named_where_it_is() -> None:
    assert "lung point?" in pdf.text(report(ANSWERS["lung point"])).split("\n")
    assert "lung point?" not in pdf.text(report(ANSWERS["present"])).split("\n")


def test_without_a_pleura_there_is_the_frame_alone() -> None:
    said = pdf.text(report(ANSWERS["not assessable"])).split("\n")

    assert NOTHING_MEASURED in said
    assert "M-mode along the dotted beam" not in said
    assert "Probability" not in " ".join(said)


# -- whose clip -----------------------------------------------------------------------------------------------------


def test_the_patient_is_named_as_a_person_reads_it() -> None:
    said = pdf.text(report(answer(), JANE)).split("\n")

    assert {"Doe, Jane M Dr", "84-1177", "1947-03-02", "2026-11-20", "A2026-4711"} <= set(said)
    assert NO_IDENTITY not in said


def test_a_clip_without_an_identity_says_so() -> None:
    assert NO_IDENTITY in pdf.text(report(answer())).split("\n")
    assert pdf.text(report(answer(), Identity())).split("\n").count("not stated") == 5


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Иванова^Ольга", "Иванова, Ольга"),
        ("Κωνσταντίνου^Ελένη", "Κωνσταντίνου, Ελένη"),
        ("Šťastná^Ľubica^Žofia", "Šťastná, Ľubica Žofia"),
        ("Nguyễn^Thị Hằng", "Nguyễn, Thị Hằng"),
        ("Zoe\u0308^Ö", "Zoë, Ö"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("=山田^太郎=Yamada^Tarou", "Yamada, Tarou"),
        ("山田^太郎", "(see the archive)"),
        ("פלוני", "(see the archive)"),
        ("O'Neil^<b>Ann\x00\x1b</b>", "O'Neil, <b>Ann </b>"),
        ("^^^^", "not stated"),
    ],
)
def test_a_name_is_shown_whole_or_not_at_all(written: str, read: str) -> None:
    assert read in pdf.text(report(answer(Verdict.NOT_ASSESSABLE), Identity(patient_name=written))).split("\n")


def test_the_documents_metadata_and_the_identitys_repr_name_nobody() -> None:
    information = pdf.information(report(answer(), JANE))

    assert b"Doe" not in information
    assert b"84-1177" not in information
    assert b"(Lung sliding: report of one clip)" in information
    assert repr(JANE) == "Identity(...)"


# -- one page, the same bytes ---------------------------------------------------------------------------------------


def overfull() -> Analysis:
    analysis = answer(Verdict.INDETERMINATE, *[Reason(code, f"<b>{code}</b> & \x00\x1b[31m" + 40 * "word ") for code in ReasonCode])
    model = replace(analysis.model, name="m" * 300, device="d" * 300)
    return replace(analysis, warnings=("x" * 3000, "\n" * 50 + "\u202e" + "山" * 50), model=model)


def shapes() -> Iterator[Analysis]:
    for width, height in ((64, 64), (360, 640), (1600, 400), (3840, 2160)):
        yield example_analysis(width, height, num_windows=1, mm_per_px=None, with_saliency=False)[0]


LONG = tuple(replace(found, measured=f"{found.sign}: " + 60 * "word ") for found in six_signs())


@pytest.mark.parametrize("analysis", [*ANSWERS.values(), overfull(), *shapes(), *(replace(a, signs=LONG) for a in (overfull(), *shapes()))])
def test_it_is_one_page_and_nothing_is_written_beyond_its_edges(analysis: Analysis) -> None:
    few = replace(analysis, clip=replace(analysis.clip, num_frames=2))
    long = Identity("N" * 200 + "^" + "M" * 200, "9" * 64, "19700101", "20260101", "A" * 16)

    made = report(few, long)

    assert pdf.num_pages(made) == 1
    for line in pdf.lines(made):
        assert 0 < line.left < pdf.PAGE_WIDTH
        assert 0 < line.baseline < pdf.PAGE_HEIGHT
        assert line.size >= 6.5


def test_what_does_not_fit_is_said_to_be_elsewhere() -> None:
    said = pdf.lines(report(overfull()))

    assert [line.text for line in said].count(MORE_TO_SAY) == 1
    assert any(line.text.startswith("<b>too_short</b> & [31mword word") for line in said)
    assert MORE_TO_SAY not in pdf.text(report(ANSWERS["probe moved"]))


def test_doubts_are_there_however_much_else_there_is_to_say() -> None:
    full, doubted = overfull(), ANSWERS["doubts"]
    both = replace(doubted, quality=full.quality, warnings=full.warnings)

    said = pdf.text(report(both)).split("\n")
    assert [line for line in said if line.startswith("Look twice: ")] == [*words.doubts(doubted)]
    assert MORE_TO_SAY in said


def test_notes_end_above_the_pictures() -> None:
    said = pdf.lines(report(overfull()))
    more = next(line for line in said if line.text == MORE_TO_SAY)
    title = next(line for line in said if line.text.startswith("Frame "))

    assert more.baseline + 9 < title.baseline


# -- signs beside sliding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["present", "not assessable", "doubts"])
def test_signs_stand_below_everything_on_sliding_as_research_with_how_their_models_did(name: str) -> None:
    signs = example_signs()
    read = pdf.lines(report(replace(ANSWERS[name], signs=signs)))
    said = [line.text for line in read]

    first = said.index(words.SIGNS_HEADING)
    assert said[first + 1 : first + 7] == [
        "A-lines: ABSENT (probability of A-lines 0.08)",
        "B-lines: PRESENT (0.91), best seen at 1.4 s (frame 43)",
        "Effusion: CANNOT TELL (probability of effusion 0.52), most like it at 2.0 s (frame 61)",
        words.sign_line(signs[3]),
        *words.measured_lines(signs),
    ]
    heights = [line.baseline for line in read[first : first + 7]]
    assert heights == sorted(heights)
    assert max(line.baseline for line in read[:first] if line.text not in ("Clip", "Analysed")) < heights[0]
    assert next(line.baseline for line in read if line.text == "Analysed") > heights[-1] + 7


def test_of_six_models_each_has_its_whole_sentence_and_the_pictures_keep_their_room() -> None:
    signs = six_signs()
    read = pdf.lines(report(replace(ANSWERS["present"], signs=signs)))
    said = [line.text for line in read]

    first = said.index(words.SIGNS_HEADING)
    assert said[first + 5 : first + 7] == [
        "Fluid or solid lung: PRESENT (0.86), best seen at 2.0 s (frame 61)",
        "Lung sliding, second reader: ABSENT (probability of sliding 0.07)",
    ]
    assert " ".join(said[first + 7 : first + 19]) == " ".join(words.measured_lines(signs))
    assert read[first].baseline > 500  # points of 842: above it stand the pictures


def test_without_signs_nothing_is_said_of_them() -> None:
    assert words.SIGNS_HEADING not in pdf.text(report(ANSWERS["present"])).split("\n")


def test_sentences_on_models_that_do_not_fit_end_in_dots_and_what_limits_sliding_is_still_there() -> None:
    said = [line.text for line in pdf.lines(report(replace(overfull(), signs=LONG)))]
    measured = [said.index(next(line for line in said if line.startswith(f"Measured ({name};"))) for name in words.SIGN_WORDS.values()]

    assert [said[at + 1][-1] for at in measured] == ["…"] * 6
    assert said.count(MORE_TO_SAY) == 1
    assert any(line.startswith("<b>too_short</b>") for line in said)


def test_the_same_answer_is_the_same_document() -> None:
    assert report(ANSWERS["lung point"], JANE) == report(ANSWERS["lung point"], JANE)
    assert report(ANSWERS["lung point"], JANE) != report(ANSWERS["lung point"])


def test_another_process_writes_the_same_document(tmp_path: Path) -> None:
    """A retry after a crash: other hash seeds, another clock."""
    code = "import sys; from tests.evidence import test_one_page as t; sys.stdout.buffer.write(t.report(t.ANSWERS['present'], t.JANE))"
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True, env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    )

    assert run.stdout == report(ANSWERS["present"], JANE)


def test_neither_the_answers_id_nor_its_times_are_in_it() -> None:
    """Another reading of the clip by the same model says the same, whenever and however fast it was."""
    analysis = answer()
    again = replace(analysis, id="another", timings=replace(analysis.timings, total_ms=9.0))

    assert report(again) == report(analysis)


def test_the_date_is_the_analysis_own_in_its_own_zone() -> None:
    out = io.BytesIO()
    at = datetime(2026, 3, 1, 8, 5, 9, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    write_report(clip_of(ANSWERS["present"]), ANSWERS["present"], out, analysed_at=at)

    assert "2026-03-01 08:05 UTC-03:30" in pdf.text(out.getvalue()).split("\n")
    assert b"(D:20260301080509-03'30')" in pdf.information(out.getvalue())


# -- pictures -------------------------------------------------------------------------------------------------------


def test_outside_the_echoes_the_pictures_are_black_when_asked() -> None:
    analysis = answer()
    clip, regioned = clip_of(analysis), clip_of(analysis)
    regioned._info = replace(clip.info, region=EchoRegion((0, 0, 320, 480), None))
    everything, echoes, half = io.BytesIO(), io.BytesIO(), io.BytesIO()
    write_report(clip, analysis, everything, analysed_at=AT)
    write_report(clip, analysis, echoes, analysed_at=AT, show_outside_region=False)
    write_report(regioned, analysis, half, analysed_at=AT, show_outside_region=False)

    frames = [pdf.pictures(made.getvalue())[0] for made in (everything, echoes, half)]
    corner, middle = (5, 5), (360, 270)
    assert [int(frame[corner[1], corner[0]].max() > 60) for frame in frames] == [1, 0, 0]
    assert [int(frame[420, 350].max() > 60) for frame in frames] == [1, 1, 0]
    assert [int(frame[middle[1], 240].max() > 60) for frame in frames] == [1, 1, 1]


def test_a_picture_without_known_echoes_is_withheld_rather_than_shown() -> None:
    unknown = replace(answer(Verdict.NOT_ASSESSABLE), sector=())

    assert WITHHELD in pdf.text(report(unknown, show_outside=False)).split("\n")
    assert pdf.pictures(report(unknown, show_outside=False)) == []
    assert len(pdf.pictures(report(unknown))) == 1


def test_columns_that_were_not_read_and_gaps_in_time_are_drawn() -> None:
    analysis = answer()
    assert analysis.pleura is not None
    columns = tuple(replace(column, probability=None) for column in analysis.pleura.columns)
    gaps = SlideOverTime(np.arange(4, dtype=np.float32), np.array([1, np.nan, 2, 3], np.float32))
    bare = replace(analysis.pleura, columns=columns, slide_over_time=gaps)

    assert pdf.num_pages(report(replace(analysis, pleura=bare))) == 1
    nothing = replace(bare, columns=(), slide_over_time=SlideOverTime(np.zeros(0, np.float32), np.zeros(0, np.float32)))
    assert "No place along the pleura could be measured." in pdf.text(report(replace(analysis, pleura=nothing)))


def test_one_frame_is_reported_too() -> None:
    analysis = answer(Verdict.NOT_ASSESSABLE)
    one = replace(analysis, clip=replace(analysis.clip, num_frames=1, fps=0.0, duration_s=0.0))

    assert "Frame 1 of 1, at 0.00 s" in pdf.text(report(one)).split("\n")


# -- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    analysis = ANSWERS["not assessable"]
    write_report(clip_of(analysis), analysis, tmp_path / "report.pdf", analysed_at=AT, limits=LIMITS)

    assert (tmp_path / "report.pdf").read_bytes() == report(analysis)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_report(clip_of(analysis), analysis, tmp_path / "folder", analysed_at=AT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "report.pdf"]


def test_reports_written_at_the_same_time_do_not_disturb_each_other() -> None:
    names = [Identity(patient_name=name) for name in ("Иванова", "Κωνσταντίνου", "Šťastná", "Nguyễn")] * 3
    alone = [report(ANSWERS["present"], name) for name in names]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda name: report(ANSWERS["present"], name), names)) == alone
