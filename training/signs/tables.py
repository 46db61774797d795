"""The tables of the reports: the published figures with ours beside them, and what they were found on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.report.document import Block, Paragraph, Table
from training.signs import confusion, localisation
from training.signs.answers import NOT_KNOWN, SignAnswers
from training.signs.confusion import OneOfSigns
from training.signs.figures import BINARY, Estimate, binary_figures
from training.signs.localisation import Localised
from training.signs.published import MODELS, OTHER_READING, SLIPS, model_of, published
from training.study.figures import written
from training.study.published import NOT_AT_HAND

DIGITS = 3
SIGN_TITLES = {"a_lines": "A-lines", "b_lines": "B-lines", "absent": "absent sliding"}
TITLES = {
    "f1": "F1",
    "auroc": "AUROC",
    "kappa": "Cohen's kappa",
    **{name: f"IoU of {least:g} or more" for name, least in zip(localisation.OVERLAP_FIGURES, localisation.OVERLAPS, strict=True)},
    localisation.REPRESENTATIVE: "representative frame",
}


def sign_title(sign: str) -> str:
    return SIGN_TITLES.get(sign, sign)


def title(figure: str) -> str:
    return TITLES.get(figure, figure)


def estimate_text(estimate: Estimate) -> str:
    return written(estimate, digits=DIGITS)


def published_text(preset: str, figure: str, row: str = "") -> str:
    found = published(preset, figure, row)
    return NOT_AT_HAND if found is None else f"{found.value:g}{'*' if found.is_doubtful else ''}"


def settings_table(settings: Mapping[str, Any]) -> Table:
    return Table(("setting", "value"), list(_flat(settings, "")), "What was fitted, and how.")


def _flat(settings: Mapping[str, Any], under: str) -> Iterator[tuple[str, str]]:
    """A table within the table as "augment.mirror"."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", str(value)


def data_table(answers: SignAnswers) -> Table:
    """Fold by fold, then all; how many runs show each sign, and of how many that is not known."""
    header = ("fold", "patients", "clips", "runs", *(f"runs with {sign_title(sign)}" for sign in answers.signs), *_rest(answers))
    folds = [(str(fold), answers.fold == fold) for fold in np.unique(answers.fold).tolist()]
    rows = [_data_row(name, answers, held_out) for name, held_out in (*folds, ("all", np.ones(len(answers), np.bool_)))]
    return Table(header, rows, "What it was judged on: each fold's patients were answered by a model that had not seen them.")


def _rest(answers: SignAnswers) -> tuple[str, ...]:
    return ("with several", "with none", "not known") if len(answers.signs) > 1 else ("without", "not known")


def _data_row(name: str, answers: SignAnswers, held_out: NDArray[np.bool_]) -> tuple[str, ...]:
    label = answers.label[held_out]
    is_known, num_signs = (label != NOT_KNOWN).all(axis=1), (label == 1).sum(axis=1)
    none, several = (is_known & (num_signs == 0)).sum(), (num_signs > 1).sum()
    rest = (several, none, (~is_known).sum()) if len(answers.signs) > 1 else (none, (~is_known).sum())
    sizes = (len(set(answers.patient[held_out].tolist())), len(set(answers.clip[held_out].tolist())), len(label))
    return name, *map(str, (*sizes, *(label == 1).sum(axis=0).tolist(), *(int(n) for n in rest)))


def binary_table(preset: str, answers: SignAnswers, pooled: SignAnswers) -> Table:
    """Of a model of one sign."""
    (sign,) = answers.signs
    by_run, by_clip = binary_figures(answers, sign), binary_figures(pooled, sign)
    rows = [(title(name), published_text(preset, name), estimate_text(by_run[name]), estimate_text(by_clip[name])) for name in BINARY]
    return Table(
        ("figure", "published", "ours by run", "ours by clip"), rows, f"{sign_title(sign)}, the positive, beside {_whose(preset)}."
    )


def family_table(presets: Mapping[str, SignAnswers], preset: str) -> Table | None:
    """The published table of F1 of a preset's family; None where none is at hand."""
    family = [name for name, model in MODELS.items() if model.family == model_of(preset).family and published(name, "f1")]
    if len(family) < 2:
        return None
    rows = [(MODELS[name].words.partition(":")[0], published_text(name, "f1"), _f1(presets.get(name))) for name in family]
    return Table(("model", "published F1", "ours by run"), rows, f"The variants, beside {_whose(preset)}.")


def _f1(answers: SignAnswers | None) -> str:
    return "not in this report" if answers is None else estimate_text(binary_figures(answers, answers.signs[0])["f1"])


def sign_tables(preset: str, answers: SignAnswers, pooled: SignAnswers) -> Iterator[Block]:
    """Of a model of several signs: the published table, then each sign for itself."""
    yield Paragraph(_HOW_TO_READ)
    for by, chosen in (("run", answers), ("clip", pooled)):
        one = OneOfSigns.of(chosen)
        left_out = f"; {len(chosen) - len(one)} with none, several or unknown signs are left out" if len(one) < len(chosen) else ""
        caption = f"Ours by {by}, {len(one)} {by}s that show one sign{left_out}. Beside {_whose(preset)}."
        yield Table(
            ("", *map(title, confusion.FIGURES)), [*_our_rows(one), *(_their_rows(preset, answers.signs) if by == "run" else ())], caption
        )
    yield _one_by_one(answers, pooled)
    yield from _slips(preset)


_HOW_TO_READ = (
    "Of each sign the figures are those of the sign against all the others. A run is said to show the sign of greatest probability. The "
    "total is made twice: macro is the mean over the signs, each counting alike; weighted is the mean by the number of runs that show "
    "the sign. Accuracy and kappa of a total are in both those of the whole matrix: the share of runs answered rightly (which the weighted "
    "recall equals always), and the agreement beyond chance."
)


def _our_rows(one: OneOfSigns) -> Iterator[tuple[str, ...]]:
    found = one.figures()
    for row in (*one.signs, confusion.MACRO, confusion.WEIGHTED):
        words = sign_title(row) if row in one.signs else f"total, {row}"
        yield f"ours: {words}", *(estimate_text(found[row, name]) for name in confusion.FIGURES)


def _their_rows(preset: str, signs: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """None of a preset that nothing is published of."""
    if published(preset, confusion.FIGURES[0], confusion.MACRO) is None:
        return
    for sign in signs:
        yield f"published: {sign_title(sign)}", *(published_text(preset, name, sign) for name in confusion.FIGURES)
    total = [published_text(preset, name, confusion.MACRO) for name in confusion.FIGURES]
    other = [f"{OTHER_READING[name]:g}*" if name in OTHER_READING else text for name, text in zip(confusion.FIGURES, total, strict=True)]
    yield "published: total", *total
    yield "published: total, the other reading", *other


def _one_by_one(answers: SignAnswers, pooled: SignAnswers) -> Table:
    rows = [
        (sign_title(sign), by, *(estimate_text(found[name]) for name in BINARY))
        for sign in answers.signs
        for by, found in (("run", binary_figures(answers, sign)), ("clip", binary_figures(pooled, sign)))
    ]
    caption = "Each sign for itself, there from a probability of 0.5 on: runs and clips of which it is known, also with several or none."
    return Table(("sign", "by", *map(title, BINARY)), rows, caption)


def localisation_table(preset: str, localised: Localised) -> Table:
    found = localised.figures()
    columns = (localisation.ALL, localisation.COMES_AND_GOES, localisation.EVERY_FRAME)
    rows = [
        (title(name), published_text(preset, name), *(estimate_text(found[column, name]) for column in columns))
        for name in localisation.FIGURES
    ]
    header = ("figure", "published", "ours", "ours, where the sign comes and goes", "there, by pointing at every frame")
    num_some = len(localised.comes_and_goes)
    return Table(
        header, rows, f"When the sign is there: share of the {len(localised)} runs that show it, in {num_some} of which it comes and goes."
    )


def _slips(preset: str) -> Iterator[Paragraph]:
    """Not a table: tables say of themselves that their data is simulated."""
    lines = [f"{slip.found} Taken here: {slip.taken}" for slip in SLIPS if slip.source == model_of(preset).whose]
    if lines:
        yield Paragraph("\n".join(["Where the source contradicts itself (*).", *lines]))


def _whose(preset: str) -> str:
    return model_of(preset).whose
