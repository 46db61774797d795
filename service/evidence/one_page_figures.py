"""The evidence half of the one-page report: the marked frame with the slide below it, the M-mode with the slide over time.

+----------------------+------------+
| frame, marked        | M-mode     |     without a pleura: the frame alone
+----------------------+------------+
| slide along the      | slide over |
| pleura (x aligned)   | time       |
+----------------------+------------+
"""

from service.cine.clip import Clip
from service.evidence.outside import EchoesOnly
from service.evidence.panels import slide_unit
from service.evidence.paper import BLACK, QUIET, Area, Face, Paper
from service.evidence.paper_charts import NORMAL, SMALL, AlongPicture, draw_slide, draw_slide_legend, draw_slide_over_time
from service.evidence.paper_pictures import Pictures, draw_mmode, encoded, look, marked_frame
from service.findings import Analysis, ClipSummary, PleuraFinding

GAP = 48.0
"""Between the two halves: both have numbers at their inner edge."""
PICTURE_SHARE = 0.58
"""Of the width, at most."""
LEAST_LEFT_SHARE = 0.5
"""Of the width, for what is written beside and below a picture that is taller than wide."""
CHART_HEIGHTS = (84.0, 140.0)
"""Least and most: what pictures of other proportions leave."""
ABOVE_CHARTS, BELOW_CHARTS = 66.0, 30.0
"""Captions, titles, legend; numbers."""
LARGEST_ALONE = 330.0
LEADING = 9.5

MARKS_CAPTION = (
    "Dashed line: the pleura, thick between rib shadows. Squares: what the network alone says of them "
    "(outline solid: slides, dotted: unclear, dashed: still)."
)
MMODE_CAPTION = "Below the pleural line (arrow) sliding lung is sand; a still one is straight lines."
WITHHELD = "The picture is not shown: where the echoes end is not known, and names may be burnt into the rest."
NOTHING_MEASURED = "Nothing was measured in this clip: there is no M-mode and no slide to show."


def draw_figures(paper: Paper, area: Area, clip: Clip, analysis: Analysis) -> None:
    """All pictures and charts of a clip, inside `area`. Walks through the clip once."""
    if isinstance(clip, EchoesOnly) and not clip.shown.any():
        paper.write(WITHHELD, (area.left, area.top + 8), NORMAL, QUIET)
        return
    pictures, pleura = look(clip, analysis), analysis.pleura
    if pleura is None or pictures.beam is None:
        _frame_alone(paper, area, pictures, analysis)
        return
    least, most = CHART_HEIGHTS
    upper_bottom = area.bottom - BELOW_CHARTS - least - ABOVE_CHARTS
    frame = _fitted(Area(area.left, area.top + 10, area.left + PICTURE_SHARE * area.width, upper_bottom), analysis.clip)
    left_half = max(frame.right, area.left + LEAST_LEFT_SHARE * area.width)
    strip = Area(left_half + GAP, frame.top, area.right - 9, frame.bottom)
    _frame(paper, frame, pictures, analysis)
    _captions(paper, area.left, frame.bottom + 3, left_half - area.left, MARKS_CAPTION)
    _strip(paper, strip, pictures, clip, analysis)
    top = frame.bottom + ABOVE_CHARTS
    bottom = min(top + most, area.bottom - BELOW_CHARTS)
    _slide(paper, Area(frame.left, top, frame.right, bottom), analysis, pleura)
    _slide_over_time(paper, Area(strip.left, top, strip.right, bottom), analysis, pleura)


def _title(paper: Paper, left: float, baseline: float, text: str) -> None:
    paper.write(text, (left, baseline), SMALL, BLACK, Face.BOLD)


def _captions(paper: Paper, left: float, top: float, width: float, text: str) -> None:
    for number, line in enumerate(paper.wrap(text, width, SMALL, max_lines=3), start=1):
        paper.write(line, (left, top + LEADING * number), SMALL, QUIET)


def _fitted(room: Area, clip: ClipSummary) -> Area:
    """The picture at its own proportions, as large as the room allows, from the room's top left corner."""
    scale = min(room.width / clip.width, room.height / clip.height)
    return Area(room.left, room.top, room.left + scale * clip.width, room.top + scale * clip.height)


def _frame(paper: Paper, place: Area, pictures: Pictures, analysis: Analysis) -> None:
    _title(paper, place.left, place.top - 5, f"Frame {pictures.number} of {analysis.clip.num_frames}, at {pictures.shown_at_s:.2f} s")
    paper.picture(encoded(marked_frame(pictures, analysis)), place)


def _frame_alone(paper: Paper, area: Area, pictures: Pictures, analysis: Analysis) -> None:
    place = _fitted(Area(area.left, area.top + 10, area.right, min(area.bottom - 15, area.top + LARGEST_ALONE)), analysis.clip)
    _frame(paper, place, pictures, analysis)
    _captions(paper, area.left, place.bottom + 3, area.width, NOTHING_MEASURED)


def _strip(paper: Paper, place: Area, pictures: Pictures, clip: Clip, analysis: Analysis) -> None:
    _title(paper, place.left, place.top - 5, "M-mode along the dotted beam")
    draw_mmode(paper, place, pictures, clip.info.times_s, analysis.clip.duration_s, analysis.clip.mm_per_px)
    _captions(paper, place.left, place.bottom + 13, place.width + 9, MMODE_CAPTION)


def _slide(paper: Paper, area: Area, analysis: Analysis, pleura: PleuraFinding) -> None:
    """Under the picture, each pair of bars below its place."""
    unit = slide_unit(pleura.columns, analysis.clip.mm_per_px)[1]
    _title(paper, area.left, area.top - 20, f"Slide past the wall in 0.13 s (RMS, {unit}), below its place in the picture")
    draw_slide_legend(paper, (area.left, area.top - 9))
    across = AlongPicture(area.left, area.width / analysis.clip.width)
    draw_slide(paper, area, across, pleura, analysis.lung_point, analysis.clip.mm_per_px)


def _slide_over_time(paper: Paper, area: Area, analysis: Analysis, pleura: PleuraFinding) -> None:
    unit = slide_unit(pleura.columns, analysis.clip.mm_per_px)[1]
    _title(paper, area.left, area.top - 9, f"Lung past wall through time ({unit} in 0.13 s)")
    draw_slide_over_time(paper, area, pleura, analysis.clip.duration_s, analysis.clip.mm_per_px)
