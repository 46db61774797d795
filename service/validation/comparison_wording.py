"""What the comparison of two models comes to, in sentences: the report and the terminal say the same."""

from service.validation import wording
from service.validation.findings import Findings


def comparison_sentences(found: Findings) -> list[str]:
    c, second = found.comparison, found.second
    if c is None or second is None:
        return []
    sentences = [_auroc_sentence(found)]
    if c.num_judged:
        sentences += [
            f"Of {wording.clips(c.num_judged)} with a label, {c.only_first_right} were answered rightly by {found.first.name} alone and "
            f"{c.only_second_right} by {second.name} alone: {wording.p_words(c.mcnemar_p)} (exact McNemar, two-sided; "
            "it takes clips of one patient as independent, so it is surer than it should be)."
        ]
    else:
        sentences += ["No clip has a label to judge by, so the two are only compared in where they differ."]
    if c.few_patients:
        sentences += ["Few patients are behind this comparison: it decides nothing."]
    return sentences


def _auroc_sentence(found: Findings) -> str:
    c = found.comparison
    assert c is not None
    if c.auroc_first != c.auroc_first:
        return f"The AUROCs are not compared: {found.first.figures.accuracy.auroc.missing or 'both need a probability of both classes'}."
    low, high = c.difference
    interval = (
        f"95 % {low:+.3f} to {high:+.3f}, paired bootstrap over patients"
        if high > low
        else "too few patients, or too alike, for an interval"
    )
    both = f"AUROC on {wording.clips(c.num_ranked)} to which both gave a probability: {c.auroc_first:.3f} and {c.auroc_second:.3f}"
    return f"{both}, difference {c.auroc_difference:.3f} ({interval})."
