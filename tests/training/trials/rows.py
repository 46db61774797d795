"""Rows made by hand, whose figures can be checked in the head."""

from service.findings import Verdict
from training.trials.answers import Kind, Row


def row(
    probability: float | None,
    *,
    slides: bool | None = None,
    kind: Kind = Kind.COUNTERFACTUAL,
    condition: str = "plain",
    number: int = 0,
    found: float | None = None,
    true: float | None = None,
    verdict: Verdict | None = None,
    is_plain: bool = True,
    base: str = "locked",
) -> Row:
    """Present above 0.8, absent below 0.2; a lung point found keeps the answer open."""
    said = verdict or (Verdict.INDETERMINATE if found is not None else _verdict(probability))
    return Row(kind, base, condition, f"patient-{number}", f"{kind}-{number}", slides, probability, str(said), is_plain, found, true)


def _verdict(probability: float | None) -> Verdict:
    if probability is None:
        return Verdict.NOT_ASSESSABLE
    return Verdict.PRESENT if probability > 0.8 else Verdict.ABSENT if probability < 0.2 else Verdict.INDETERMINATE


def pair(still: float, sliding: float, number: int = 0, condition: str = "plain", kind: Kind = Kind.COUNTERFACTUAL) -> list[Row]:
    return [row(p, slides=s, number=number, condition=condition, kind=kind) for p, s in ((still, False), (sliding, True))]
