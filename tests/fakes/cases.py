"""Clips with answers, without anything being read."""

from dataclasses import replace
from pathlib import Path

from service.cine.clip import Clip
from service.engine.turn import Lane
from service.findings import Analysis, Arrays, ReasonCode, Verdict
from service.manifest import Label, LabelledClip
from service.pipeline import Options, Progress
from service.shelf import ModelEntry
from service.validation.answers import Answer
from service.validation.cases import Case
from tests.fakes.service import WordReader

PATIENT = "Doe^Jane"


class PatchlessReader(WordReader):
    """Its answers are drawn quickly: the patches of a 640x480 answer on the fake clip of 64x48 take seconds to lay out."""

    def read(
        self,
        clip: Clip,
        entry: ModelEntry,
        options: Options,
        on_progress: Progress | None = None,
        *,
        decode_ms: float = 0.0,
        lane: Lane = Lane.INTERACTIVE,
        keeps_arrays: bool = False,
    ) -> tuple[Analysis, Arrays | None]:
        analysis, arrays = super().read(clip, entry, options, on_progress, decode_ms=decode_ms)
        return replace(analysis, windows=()), arrays


def case(
    label: Label,
    verdict: Verdict | None = Verdict.PRESENT,
    probability: float | None = None,
    *,
    row: int = 2,
    patient: str = PATIENT,
    lung_point: bool = False,
    reasons: tuple[ReasonCode, ...] = (),
    healthy_is_present: bool = False,
    **columns: str,
) -> Case:
    """What was answered to one clip; `verdict` None is a clip that was not read."""
    clip = LabelledClip(Path("/ward/Doe_Jane.mp4"), patient, label, row=row, **columns)  # type: ignore[arg-type]
    if verdict is None:
        answer = Answer(f"key {row}", row, "unreadable_clip", "Nothing of the clip could be decoded.")
    else:
        answer = Answer(
            f"key {row}",
            row,
            verdict=verdict,
            probability=probability,
            interval=None if probability is None else (probability, probability),
            lung_point=lung_point,
            reasons=reasons,
            total_ms=1000.0,
            model_sha256="ab" * 32,
            device="cpu",
        )
    return Case(clip, answer, healthy_is_present)


def ward(num_patients: int, *, wrong: int = 0) -> list[Case]:
    """Two clips a patient, one that slides (0.9) and one that does not (0.1), all answered rightly but the first `wrong` present ones."""
    cases = []
    for k in range(num_patients):
        said, probability = (Verdict.ABSENT, 0.05) if k < wrong else (Verdict.PRESENT, 0.9)
        cases.append(case(Label.PRESENT, said, probability, row=2 * k + 2, patient=f"P{k}"))
        cases.append(case(Label.ABSENT, Verdict.ABSENT, 0.1, row=2 * k + 3, patient=f"P{k}"))
    return cases
