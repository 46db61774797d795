"""The answer in words that are read in two seconds. The annotated clip, the command line and the page all say these."""

from collections.abc import Iterable
from statistics import median

from service.findings import Analysis, LungSliding, PleuraFinding, Quality, Reason, ReasonCode, SignFinding, Verdict

NOT_FOR_DIAGNOSIS = "Research software: not for diagnosis"
INTENDED_USE = (
    "Decision support for clinicians trained in lung ultrasound; not for diagnosis. Absent sliding is not by itself "
    "pneumothorax, and sliding seen here does not exclude one elsewhere."
)

REASON_WORDS: dict[ReasonCode, str] = {
    ReasonCode.TOO_SHORT: "the clip is too short",
    ReasonCode.FROZEN: "the picture is frozen",
    ReasonCode.FRAME_RATE_TOO_LOW: "the frame rate is too low",
    ReasonCode.NO_PLEURA: "no pleural line was found",
    ReasonCode.PLEURA_DOUBTFUL: "the pleural line is doubtful",
    ReasonCode.PROBE_MOVING: "the probe moved",
    ReasonCode.TOO_DARK: "the picture is too dark",
    ReasonCode.NOT_ULTRASOUND: "this does not look like ultrasound",
    ReasonCode.TRACKING_LOST: "the chest wall could not be followed",
}

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.PRESENT: "PRESENT",
    Verdict.ABSENT: "ABSENT",
    Verdict.INDETERMINATE: "CANNOT TELL",
    Verdict.NOT_ASSESSABLE: "NOT ASSESSABLE",
}
"""One or two words, for a table's cell."""

DOUBTS: dict[str, str] = {
    "doubt_still_patches": "Look twice: the network alone does not see most patches slide. The verdict rests on the measured slide.",
    "doubt_sliding_patches": "Look twice: the network alone calls most patches sliding. The verdict rests on the measured slide.",
    "doubt_control": "Look twice: the chest wall, which cannot slide, reads as if it did. The probe may have moved.",
}
"""By their names in the page's texts (service/web/texts/en.js), which say the same."""

SIGN_WORDS: dict[str, str] = {
    "a_lines": "A-lines",
    "b_lines": "B-lines",
    "effusion": "effusion",
    "consolidation": "consolidation",
    "fluid_or_solid": "fluid or solid lung",
    "lung_sliding": "lung sliding, second reader",
}
_COUNTED = SIGN_WORDS | {"lung_sliding": "sliding"}
"""What the number is the probability of."""
SIGNS_HEADING = "Signs beside sliding (research findings; each stands for itself)"
SIGN_IS_RESEARCH = (
    "Research finding. It stands for itself: nothing is concluded from it about lung sliding, nor from several signs at once."
)


def headline(analysis: Analysis) -> str:
    """The verdict, without its numbers: "Lung sliding: PRESENT", "Cannot tell: the probe moved"."""
    sliding = analysis.lung_sliding
    if sliding.verdict is Verdict.NOT_ASSESSABLE:
        return f"Not assessable: {_first_reason(analysis.quality, 'lung sliding could not be read')}"
    if is_lung_point_said(analysis):
        return "Suspected lung point: slides on one side only"
    if sliding.verdict is Verdict.INDETERMINATE:
        return f"Cannot tell: {_first_reason(analysis.quality, 'neither clearly sliding nor clearly still')}"
    return f"Lung sliding: {VERDICT_WORDS[sliding.verdict]}"


def is_lung_point_said(analysis: Analysis) -> bool:
    """A suspected lung point goes before every other reason but one: what may not be pleura has no lung point."""
    return analysis.lung_point.suspected and all(reason.code is not ReasonCode.PLEURA_DOUBTFUL for reason in analysis.quality.reasons)


def probability_line(sliding: LungSliding) -> str:
    """The number and its interval, with what it is the probability of; "" when nothing could be assessed."""
    if sliding.probability is None:
        return ""
    return f"Probability of sliding {_share(sliding.probability)}" + (f" (95 %: {_interval(sliding)})" if sliding.interval else "")


def one_line(analysis: Analysis) -> str:
    """The whole answer on one line: "Lung sliding: PRESENT (0.93, 0.85-0.97)".

    Unless the verdict is "present" the number says what it counts, lest "ABSENT (0.07)" be read as 7 % sure of absence.
    """
    sliding = analysis.lung_sliding
    if sliding.probability is None:
        return headline(analysis)
    number = _share(sliding.probability) + (f", {_interval(sliding)}" if sliding.interval else "")
    what = "" if sliding.verdict is Verdict.PRESENT else "probability of sliding "
    return f"{headline(analysis)} ({what}{number})"


def quality_line(quality: Quality) -> str:
    """Picture quality in a word and a number: "Picture quality: good (0.90)"."""
    if not quality.assessable:
        return f"Picture quality: not sufficient ({quality.probability:.2f})"
    word = "good" if quality.probability >= 0.75 else "fair" if quality.probability >= 0.5 else "poor"
    return f"Picture quality: {word} ({quality.probability:.2f})"


def wall_control_line(sliding: LungSliding) -> str:
    """What the same model says of the clip's own chest wall, which cannot slide."""
    if sliding.wall_control is None:
        return "Control: too little chest wall to check against"
    return f"Control: the chest wall itself reads {sliding.wall_control:.2f}"


def measured_slide_line(pleura: PleuraFinding) -> str:
    """The median column, beside what the same measurement reads of the wall; "" where no column could be followed."""
    if not pleura.columns:
        return ""
    slide_px, wall_px = median(c.slide_px for c in pleura.columns), median(c.wall_px for c in pleura.columns)
    slides_mm = [c.slide_mm for c in pleura.columns if c.slide_mm is not None]
    in_mm = f" ({median(slides_mm):.2f} mm)" if slides_mm else ""
    places = f"{len(pleura.columns)} place{'s' if len(pleura.columns) > 1 else ''}"
    return f"Measured slide: {slide_px:.2f} px{in_mm} past the wall, median of {places}; wall past wall {wall_px:.2f} px"


def reason_lines(quality: Quality) -> tuple[str, ...]:
    """Each reason as sentences to act on, the first one decisive."""
    return tuple(_sentence(reason) for reason in quality.reasons)


DOUBTED_STILL = 0.15
"""Median patch of a clip that is called present: six of 29 such real clips read lower. On nearly all of them the network alone reads
below a half, and a warning that is always there is not read; the legend says that the verdict weighs the slide more."""
DOUBTED_CONTROL = 0.65
"""Wall control of the same: five of 29 read higher, half of them above a half."""


def doubts(analysis: Analysis) -> tuple[str, ...]:
    """What a careful reader should look at twice: a verdict that the patches drawn below it, or the chest wall, do not bear out.

    The rule of the page (service/web/words.js), on the numbers as the JSON gives them: no reader gets less than another.
    """
    verdict, control = analysis.lung_sliding.verdict, analysis.lung_sliding.wall_control
    patches = [round(float(patch.probability), 4) for window in analysis.windows for patch in window.patches]
    says = median(patches) if patches else 0.5
    holds = {
        "doubt_still_patches": verdict is Verdict.PRESENT and says < DOUBTED_STILL,
        "doubt_sliding_patches": verdict is Verdict.ABSENT and says > 0.5,
        "doubt_control": verdict is Verdict.PRESENT and control is not None and round(float(control), 4) > DOUBTED_CONTROL,
    }
    return tuple(sentence for name, sentence in DOUBTS.items() if holds[name])


# -- signs beside sliding -------------------------------------------------------------------------------------------


def sign_line(found: SignFinding) -> str:
    """One sign: "B-lines: PRESENT (0.91), best seen at 1.4 s", "Consolidation: not assessable: Its model was ...".

    As of sliding, unless the verdict is "present" the number says what it counts.
    """
    name, verdict = SIGN_WORDS[found.sign], found.verdict
    if found.probability is None:
        return f"{name.capitalize()}: not assessable" + (f": {found.reason.detail}" if found.reason else "")
    what = "" if verdict is Verdict.PRESENT else f"probability of {_COUNTED[found.sign]} "
    return f"{name.capitalize()}: {VERDICT_WORDS[verdict]} ({what}{_share(found.probability)}){_best_seen(found)}"


def _best_seen(found: SignFinding) -> str:
    if found.representative is None:
        return ""
    is_seen = found.verdict is Verdict.PRESENT
    return f", {'best seen' if is_seen else 'most like it'} at {found.representative.t_s:.1f} s"


def signs_in_a_cell(signs: Iterable[SignFinding]) -> str:
    """For a table: "A-lines ABSENT, B-lines PRESENT"."""
    return ", ".join(f"{SIGN_WORDS[found.sign]} {VERDICT_WORDS[found.verdict]}" for found in signs)


def measured_lines(signs: Iterable[SignFinding]) -> tuple[str, ...]:
    """On what clips each model was measured and how well it did, once: "Measured (A-lines, effusion; signs-small 1.0.0): 47 public ..."."""
    about: dict[tuple[str, str], dict[str, None]] = {}
    for found in signs:
        model = f"{found.model.name} {found.model.version}"
        about.setdefault((model, found.measured), {})[SIGN_WORDS[found.sign]] = None
    return tuple(f"Measured ({', '.join(names)}; {model}): {sentence}" for (model, sentence), names in about.items())


def _sentence(reason: Reason) -> str:
    return reason.detail or f"{REASON_WORDS[reason.code].capitalize()}."


def _first_reason(quality: Quality, otherwise: str) -> str:
    return REASON_WORDS[quality.reasons[0].code] if quality.reasons else otherwise


def _interval(sliding: LungSliding) -> str:
    low, high = sliding.interval or (0.0, 1.0)
    return f"{_share(low)}-{_share(high)}"


def _share(probability: float) -> str:
    """Never 0.00 or 1.00: nothing that is read off a clip is certain."""
    return f"{min(max(probability, 0.01), 0.99):.2f}"
