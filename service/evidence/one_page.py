"""The one-page report of one analysed clip, as PDF on A4: quality first, then the finding, why, and the evidence in pictures.

    +------------------------------------------+
    | what this is                not for ...  |
    | patient, where known                     |
    | quality, verdict, probability on a scale |
    | reasons and what to do, control          |
    | pictures and charts                      |
    | signs beside sliding, where asked for    |
    | clip, model, date                        |
    | limits of use                            |
    +------------------------------------------+

(`service.report` writes another thing: the report of a validation.)
"""

import os
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from service import __version__
from service.cine.clip import Clip
from service.evidence import words
from service.evidence.identity import Identity
from service.evidence.one_page_figures import draw_figures
from service.evidence.one_page_signs import draw_signs
from service.evidence.outside import echoes_only
from service.evidence.paper import BLACK, PAGE_HEIGHT, PAGE_WIDTH, QUIET, RULE, WASH, Align, Area, Face, Paper
from service.evidence.paper_charts import NORMAL, TINY, Limits, draw_probability, draw_sign, verdict_ink
from service.findings import Analysis, ClipSummary, ModelRef, Verdict

TITLE = "Lung sliding: report of one clip"
MARGIN = 36.0
LEFT, RIGHT = MARGIN, PAGE_WIDTH - MARGIN
FOOTER_TOP = PAGE_HEIGHT - 54
FACTS_TOP = FOOTER_TOP - 68
LARGE_NOTES = 11.0
LEADING = 1.34
MAX_NOTE_LINES = 12
LEAST_FIGURES = 330.0
"""Height that pictures and charts keep, however much there is to say above them."""
LEAST_NOTE_LINES = 4
"""Beside signs: what limits the verdict on sliding goes before the size of its pictures."""
MORE_TO_SAY = "There is more to say than fits on this page; the full answer (JSON or structured report) has all of it."
NO_IDENTITY = "Patient: not stated. The clip was given without an identity."


def write_report(
    clip: Clip,
    analysis: Analysis,
    out: Path | BinaryIO,
    *,
    analysed_at: datetime,
    identity: Identity | None = None,
    limits: Limits | None = None,
    show_outside_region: bool = True,
) -> None:
    """Write the report; exactly one page, whatever there is to say. The same arguments write the same bytes.

    The clip is walked through once. `limits` are the model's own, drawn where they are given. Without
    `show_outside_region` the pictures are black outside the echoes. A path is written whole or not at all.
    """
    paper = Paper(TITLE, analysed_at)
    y = _header(paper)
    y = _identity(paper, y, identity)
    y = _finding(paper, y, analysis, limits)
    signs_top = draw_signs(paper, Area(LEFT, y, RIGHT, FACTS_TOP), analysis.signs)
    y = _notes(paper, Area(LEFT, y, RIGHT, signs_top), analysis)
    draw_figures(paper, Area(LEFT, y, RIGHT, signs_top), clip if show_outside_region else echoes_only(clip, analysis), analysis)
    _facts(paper, analysis, analysed_at)
    _footer(paper)
    if isinstance(out, Path):
        _write_whole(paper, out)
    else:
        paper.close(out)


def _write_whole(paper: Paper, out: Path) -> None:
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            paper.close(file)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def _header(paper: Paper) -> float:
    """Returns, as everything below, the y that the next part begins at."""
    y = MARGIN + 10
    paper.write(TITLE, (LEFT, y), 13, BLACK, Face.BOLD)
    width = paper.text_width(words.NOT_FOR_DIAGNOSIS, NORMAL, Face.BOLD)
    paper.box(Area(RIGHT - width - 12, y - 12, RIGHT, y + 5), outline=BLACK, thickness=1.0)
    paper.write(words.NOT_FOR_DIAGNOSIS, (RIGHT - 6, y), NORMAL, BLACK, Face.BOLD, Align.RIGHT)
    return y + 14


# -- whose clip -----------------------------------------------------------------------------------------------------


def _identity(paper: Paper, y: float, identity: Identity | None) -> float:
    if identity is None:
        paper.write(NO_IDENTITY, (LEFT, y + 10), NORMAL, QUIET)
        return y + 20
    paper.box(Area(LEFT, y, RIGHT, y + 34), WASH)
    for (label, text), (left, right) in zip(identity.cells(), _columns((0.36, 0.2, 0.13, 0.13, 0.18)), strict=True):
        paper.write(label, (left + 6, y + 10), TINY, QUIET)
        _value(paper, text, left + 6, y + 23, right - left - 10)
    return y + 44


def _value(paper: Paper, text: str, left: float, y: float, width: float) -> None:
    """On one line, smaller where need be; on two where that is too small, the second one cut off at its end."""
    size = paper.fitting_size(text, width, 10, 7, Face.BOLD)
    if paper.text_width(text, size, Face.BOLD) <= width:
        paper.write(text, (left, y), size, BLACK, Face.BOLD)
        return
    for number, line in enumerate(paper.wrap(text, width, 7, Face.BOLD, max_lines=2)):
        paper.write(line, (left, y - 3 + 9 * number), 7, BLACK, Face.BOLD)


def _columns(shares: tuple[float, ...]) -> list[tuple[float, float]]:
    """The page's width cut into these shares: (left, right) of each."""
    ends = [LEFT + (RIGHT - LEFT) * sum(shares[:n]) for n in range(len(shares) + 1)]
    return list(zip(ends[:-1], ends[1:], strict=True))


# -- what was found -------------------------------------------------------------------------------------------------


def _finding(paper: Paper, y: float, analysis: Analysis, limits: Limits | None) -> float:
    """Quality first, then the verdict, then its number on a scale; a bar of the verdict's colour and its sign at the left."""
    sliding, left = analysis.lung_sliding, LEFT + 66
    said, room = words.headline(analysis), RIGHT - LEFT - 78
    size = paper.fitting_size(said, room, 20, 13, Face.BOLD)
    lines = paper.wrap(said, room, size, Face.BOLD, max_lines=2)
    is_read = sliding.probability is not None
    area = Area(LEFT, y, RIGHT, y + 34 + len(lines) * 1.2 * size + (50 if is_read else 0))
    paper.box(area, outline=BLACK, thickness=1.0)
    paper.box(Area(LEFT, y, LEFT + 6, area.bottom), verdict_ink(sliding.verdict))
    draw_sign(paper, (LEFT + 36, (area.top + area.bottom) / 2), 19, sliding.verdict)
    paper.write(words.quality_line(analysis.quality), (left, y + 17), 10, BLACK, _quality_face(analysis))
    y += 22
    for line in lines:
        y += 1.2 * size
        paper.write(line, (left, y), size, BLACK, Face.BOLD)
    if is_read:
        paper.write(words.probability_line(sliding), (left, y + 18), 10)
        draw_probability(paper, Area(left, y + 35, RIGHT - 14, y + 44), sliding, limits if _limits_decide(analysis) else None)
    return area.bottom + 8


def _quality_face(analysis: Analysis) -> Face:
    return Face.PLAIN if analysis.quality.assessable and analysis.quality.probability >= 0.75 else Face.BOLD


def _limits_decide(analysis: Analysis) -> bool:
    """A lung point and a doubt go before any number: beside "cannot tell", a mark in the field PRESENT would be read first."""
    is_open = analysis.lung_sliding.verdict is Verdict.INDETERMINATE
    return not (is_open and (analysis.lung_point.suspected or analysis.quality.reasons))


def _notes(paper: Paper, area: Area, analysis: Analysis) -> float:
    """Doubts in bold, each reason with what to do, then the warnings, the control and the measurement. Larger where nothing was read."""
    y, size = area.top, NORMAL if analysis.lung_sliding.probability is not None else LARGE_NOTES
    lines = [
        (n == 0, line, face) for text, face in _texts(analysis) for n, line in enumerate(paper.wrap(text, RIGHT - LEFT - 12, size, face))
    ]
    room = min(MAX_NOTE_LINES, max(LEAST_NOTE_LINES, int((area.bottom - LEAST_FIGURES - y) / (LEADING * size))))
    if len(lines) > room:
        lines = [*lines[: room - 1], (True, MORE_TO_SAY, Face.PLAIN)]
    for is_first, line, face in lines:
        y += LEADING * size
        if is_first:
            paper.box(Area(LEFT + 2, y - 0.5 * size, LEFT + 5.5, y - 0.5 * size + 3.5), BLACK)
        paper.write(line, (LEFT + 12, y), size, face=face)
    return y + 14


def _texts(analysis: Analysis) -> list[tuple[str, Face]]:
    said = [*words.reason_lines(analysis.quality), *analysis.warnings]
    if analysis.lung_sliding.probability is not None:
        said.append(words.wall_control_line(analysis.lung_sliding))
    if analysis.pleura is not None:
        said.append(words.measured_slide_line(analysis.pleura))
    return [*((doubt, Face.BOLD) for doubt in words.doubts(analysis)), *((text, Face.PLAIN) for text in said)]


# -- where it comes from --------------------------------------------------------------------------------------------


def _facts(paper: Paper, analysis: Analysis, analysed_at: datetime) -> None:
    """Nothing here differs between two readings of one clip by one model but the date, which is given."""
    paper.line(((LEFT, FACTS_TOP), (RIGHT, FACTS_TOP)), RULE)
    columns = _clip_facts(analysis.clip), _model_facts(analysis.model, analysed_at)
    for facts, (left, right) in zip(columns, _columns((0.5, 0.5)), strict=True):
        for row, (label, text) in enumerate(facts, start=1):
            y = FACTS_TOP + 2 + 11.5 * row
            paper.write(label, (left, y), 8, QUIET)
            paper.write(paper.shortened(text, right - left - 60, 8), (left + 54, y), 8)


def _clip_facts(clip: ClipSummary) -> tuple[tuple[str, str], ...]:
    return (
        ("Clip", f"{clip.num_frames} frames, {clip.fps:.1f} frames a second, {clip.duration_s:.1f} s"),
        ("Picture", f"{clip.width} x {clip.height} px"),
        ("Probe", "not known" if clip.probe == "unknown" else clip.probe),
        ("Scale", "not stated in the clip: lengths are in pixels" if clip.mm_per_px is None else f"{clip.mm_per_px:.3g} mm a pixel"),
    )


def _model_facts(model: ModelRef, analysed_at: datetime) -> tuple[tuple[str, str], ...]:
    return (
        ("Analysed", f"{analysed_at:%Y-%m-%d %H:%M %Z}".strip()),
        ("Model", f"{model.name}:{model.version}"),
        ("Digest", f"sha256 {model.sha256[:16]}"),
        ("Read on", model.device),
        ("Software", f"Seashore {__version__}"),
    )


def _footer(paper: Paper) -> None:
    paper.line(((LEFT, FOOTER_TOP), (RIGHT, FOOTER_TOP)), RULE)
    for number, line in enumerate(paper.wrap(words.INTENDED_USE, RIGHT - LEFT, 8, max_lines=2)):
        paper.write(line, (LEFT, FOOTER_TOP + 13 + 10 * number), 8, BLACK)
