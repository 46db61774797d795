"""What was answered to one clip, and the file that keeps the answers as they come, so that an interrupted run can go on.

No patient, no file name and no picture is in it: a clip is known by its row in the manifest and by its content's hash.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.findings import Analysis, ReasonCode, Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """The public answer, without its picture; or the error's code where there is none."""

    key: str
    """Of clip, region, model and software together: the same question is not asked twice."""
    row: int
    """In the manifest at the time."""
    error: str = ""
    """Code of the error; "" where the clip was read."""
    detail: str = ""
    """The error's sentence."""
    verdict: Verdict | None = None
    """None where the clip was not read."""
    probability: float | None = None
    interval: tuple[float, float] | None = None
    wall_control: float | None = None
    lung_point: bool = False
    """Suspected."""
    reasons: tuple[ReasonCode, ...] = ()
    total_ms: float = 0.0
    model_sha256: str = ""
    device: str = ""

    @classmethod
    def of(cls, analysis: Analysis, key: str, row: int) -> "Answer":
        sliding = analysis.lung_sliding
        return cls(
            key=key,
            row=row,
            verdict=sliding.verdict,
            probability=sliding.probability,
            interval=sliding.interval,
            wall_control=sliding.wall_control,
            lung_point=analysis.lung_point.suspected,
            reasons=tuple(reason.code for reason in analysis.quality.reasons),
            total_ms=analysis.timings.total_ms,
            model_sha256=analysis.model.sha256,
            device=analysis.model.device,
        )

    @property
    def is_read(self) -> bool:
        return self.verdict is not None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Answer":
        """The inverse of `to_json`. Raises: TypeError, ValueError, KeyError."""
        verdict, interval = fields["verdict"], fields["interval"]
        return cls(
            **{
                **fields,
                "verdict": None if verdict is None else Verdict(verdict),
                "interval": None if interval is None else (float(interval[0]), float(interval[1])),
                "reasons": tuple(ReasonCode(code) for code in fields["reasons"]),
            }
        )


class Ledger:
    """Answers in a file, a JSON object a line, each written out as soon as it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Answer]:
        """By key. A line that cannot be read (cut off when the power went, or of another version) is as if it were not there."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        answers = (_answer_in(line) for line in lines)
        return {answer.key: answer for answer in answers if answer is not None}

    def add(self, answer: Answer) -> None:
        # The line end goes first: it ends a line that was cut off.
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(answer.to_json()))


def _answer_in(line: str) -> Answer | None:
    try:
        return Answer.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return None
