"""What clinicians say of an answer. Lines are added, never changed; kept when the job itself is forgotten.

The clip is known by its content's hash, so that a site that keeps its clips can make a manifest of them; the note is the
clinician's own text and may say anything, so it is written here and nowhere else: not in logs, not in metrics.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from service.findings import Analysis
from service.jobs.folder import append_line

FEEDBACK = "feedback.jsonl"


class Opinion(StrEnum):
    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Feedback:
    opinion: Opinion
    note: str


def keep_feedback(data_dir: Path, job: str, clip: Path, analysis: Analysis, feedback: Feedback) -> None:
    """On the disk when this returns."""
    sliding = analysis.lung_sliding
    with clip.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "job": job,
        "clip_sha256": sha256,
        "model": f"{analysis.model.name}:{analysis.model.version}",
        "model_sha256": analysis.model.sha256,
        "verdict": sliding.verdict.value,
        "probability": sliding.probability,
        "opinion": feedback.opinion.value,
        "note": feedback.note,
    }
    append_line(data_dir / FEEDBACK, json.dumps(line, ensure_ascii=False))
