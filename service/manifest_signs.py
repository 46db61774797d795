"""The signs around sliding as a manifest names them, read in the words that people write."""

from service.findings import LABELLED_SIGNS
from service.manifest_rows import ManifestError

OTHER_SIGNS = ("air_bronchogram", "comet_tails", "lung_pulse", "pleural_irregularities", "pleural_thickening")
"""What may stand there too, because readers say it in one breath. Kept apart: that one of these is missing says nothing."""
NONE = "none"

_ALSO_CALLED = {
    **dict.fromkeys(("a_line",), "a_lines"),
    # Coalescent B-lines are white lung (Volpicelli 2012, doi 10.1007/s00134-012-2513-4).
    **dict.fromkeys(("b_line", "confluent_b_lines", "white_lung"), "b_lines"),
    **dict.fromkeys(("pleural_effusion", "effusions", "pleural_effusions"), "effusion"),
    **dict.fromkeys(("consolidations", "subpleural_consolidation", "subpleural_consolidations"), "consolidation"),
    **dict.fromkeys(("air_bronchograms",), "air_bronchogram"),
    **dict.fromkeys(("comet_tail",), "comet_tails"),
    **dict.fromkeys(("pleural_irregularity", "pleural_line_irregularities"), "pleural_irregularities"),
}
_NOT_STATED = ("?", "na", "n/a", "nan", "unknown", "unclear", "not_stated")


def read_signs(text: str, number: int) -> tuple[frozenset[str] | None, frozenset[str]]:
    """(those of LABELLED_SIGNS, those of OTHER_SIGNS) in a cell of row `number`; (None, none) where it says nothing.

    Raises: ManifestError, when a word is none of them, or "none" stands beside another.
    """
    words = {_word(part) for part in text.split(";") if part.strip()}
    if not words:
        return None, frozenset()
    if words == {NONE}:
        return frozenset(), frozenset()
    _check(words, number)
    return frozenset(words.intersection(LABELLED_SIGNS)), frozenset(words.intersection(OTHER_SIGNS))


def signs_text(signs: frozenset[str] | None, others: frozenset[str] = frozenset()) -> str:
    """As `read_signs` reads it, always in the same order."""
    if signs is None:
        return ""
    return ";".join(name for name in (*LABELLED_SIGNS, *OTHER_SIGNS) if name in signs | others) or NONE


def _word(text: str) -> str:
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    return _ALSO_CALLED.get(word, word)


def _check(words: set[str], number: int) -> None:
    choices = f'{", ".join(LABELLED_SIGNS)}, joined by ";", or {NONE}'
    unknown = words.difference(LABELLED_SIGNS, OTHER_SIGNS)
    if not unknown:
        return
    if unknown == {NONE}:
        raise ManifestError(f"Row {number}: the signs are {NONE} and something else; only one of the two can be meant.")
    if words <= set(_NOT_STATED):
        raise ManifestError(f"Row {number}: nobody knows the signs; leave the cell empty if that is meant. It can be {choices}.")
    # Not quoted: where columns are mixed up this is a patient.
    raise ManifestError(f"Row {number}: the signs are not {choices}. Are the columns in the header's order?")
