"""Figures as cells and sentences. A figure is never said without how many clips and patients it rests on."""

import math

from service.evidence.words import REASON_WORDS
from service.findings import ReasonCode
from service.validation.cases import Case
from service.validation.estimates import FEW_PATIENTS, Estimate
from service.validation.figures import Accuracy

FIGURE_NAMES = {
    "auroc": "AUROC of the probability",
    "present_of_given": "sliding lungs called present, of those called present or absent",
    "absent_of_given": "still lungs called absent, of those called present or absent",
    "present_of_all": "sliding lungs called present, of all sliding lungs",
    "absent_of_all": "still lungs called absent, of all still lungs",
    "lung_points": "lung points suspected and not called present",
    "opposite": "labelled clips given the opposite answer",
    "coverage": "clips called present or absent, of all clips",
}
"""Fields of `Accuracy` in the order of the table. Sensitivity and specificity are not said: it depends on whom one asks of what."""


def estimates(accuracy: Accuracy) -> dict[str, Estimate]:
    return {name: getattr(accuracy, name) for name in FIGURE_NAMES}


def estimate_row(name: str, estimate: Estimate) -> tuple[str, str, str, str]:
    """What, the figure with its interval, the clips and patients behind it, how the interval was made."""
    if not estimate.is_defined:
        return FIGURE_NAMES[name], "—", counted(estimate), f"not computed: {estimate.missing}"
    small = "; few patients" if estimate.is_small else ""
    return FIGURE_NAMES[name], value_words(estimate), counted(estimate), estimate.method + small


def value_words(estimate: Estimate) -> str:
    """ "0.93 (0.81 to 0.98)"; a dash where there is none."""
    if not estimate.is_defined:
        return "—"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def counted(estimate: Estimate) -> str:
    hits = "" if estimate.num_hits is None else f"{estimate.num_hits} of "
    return f"{hits}{clips(estimate.num_clips)}, {patients(estimate.num_patients)}"


def short_cell(estimate: Estimate) -> str:
    """For a table of groups: the figure, its interval, and of how many clips."""
    if not estimate.is_defined:
        return f"— (n = {estimate.num_clips})"
    of = f"{estimate.num_hits}/{estimate.num_clips}" if estimate.num_hits is not None else f"n = {estimate.num_clips}"
    return f"{value_words(estimate)}, {of}"


def clips(number: int) -> str:
    return f"{number} clip{'' if number == 1 else 's'}"


def patients(number: int) -> str:
    return f"{number} patient{'' if number == 1 else 's'}"


def rows_words(rows: tuple[int, ...], most: int = 20) -> str:
    """ "rows 3, 8 and 12"; cut short when there are very many."""
    shown = [str(row) for row in rows[:most]]
    if len(rows) > most:
        shown.append(f"{len(rows) - most} more")
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"row{'' if len(rows) == 1 else 's'} {listed}"


def reason_words(code: str) -> str:
    """Of a reason's code; "" is an answer without one."""
    return REASON_WORDS[ReasonCode(code)] if code else "neither clearly sliding nor clearly still"


def answer_words(case: Case) -> str:
    """One answer in half a sentence: "answered absent (probability of sliding 0.04, 95 %: 0.01 to 0.10)"."""
    answer = case.answer
    if not answer.is_read:
        return f"not read: {answer.error}"
    if answer.probability is None:
        return f"not assessable: {', '.join(REASON_WORDS[code] for code in answer.reasons) or 'lung sliding could not be read'}"
    interval = f", 95 %: {answer.interval[0]:.2f} to {answer.interval[1]:.2f}" if answer.interval else ""
    because = f"; {', '.join(REASON_WORDS[code] for code in answer.reasons)}" if answer.reasons else ""
    return f"answered {case.outcome} (probability of sliding {answer.probability:.2f}{interval}{because})"


def case_sentence(case: Case) -> str:
    """ "Row 12: labelled present, answered absent (...)." """
    weight = ", which is the opposite" if case.is_opposite else ""
    return f"Row {case.clip.row}: labelled {case.label_words}, {answer_words(case)}{weight}."


def p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def number_words(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "—"


METHOD = (
    "Every clip went through the code that serves, with nothing told to it but the manifest's region. Intervals are of 95 %. "
    "Clips of one patient are not independent, so they come from a bootstrap over patients; where that is blind, because nearly "
    f"all answers are alike or fewer than {FEW_PATIENTS} patients are behind the figure, they are Wilson's with one trial a patient "
    "(for the AUROC, one a patient of the rarer class), which is wider. A figure of few patients is not yet known, whatever it says."
)
