"""What clinicians say of an answer. Lines are added, never changed; kept when the job itself is forgotten.

Each says what a row of a manifest needs: the clip by its content's hash, what the opinion says of sliding, the region it was
asked of. Whose clip it is and who read it is not known here. The note is the clinician's own text and may say anything, so it is
written here and nowhere else: not in logs, not in metrics.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from service.errors import BadOption
from service.findings import Analysis, Verdict
from service.jobs.folder import append_line, flush_to_disk, make_folder
from service.manifest import Label

FEEDBACK = "feedback.jsonl"
KEPT_CLIPS = "feedback"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Opinion(StrEnum):
    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


class Sign(StrEnum):
    """What the clinician sees of sliding, where they say it."""

    PRESENT = "present"
    ABSENT = "absent"
    LUNG_POINT = "lung_point"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Feedback:
    opinion: Opinion
    note: str = ""
    sign: Sign | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """One line, read back. What a predecessor of this service did not write down is empty."""

    at: datetime
    job: str
    clip_sha256: str
    model: str
    verdict: Verdict
    opinion: Opinion
    sign: Sign | None
    region: str
    """Drawn by hand, as `seashore predict --region` takes it: the opinion is of this region only."""
    probe: str
    note: str

    @property
    def label(self) -> Label | None:
        return implied_label(self.verdict, self.opinion, self.sign)


_SIGNS = {Sign.PRESENT: Label.PRESENT, Sign.ABSENT: Label.ABSENT, Sign.LUNG_POINT: Label.LUNG_POINT}
_IMPLIED = {
    (Verdict.PRESENT, Opinion.AGREE): Label.PRESENT,
    (Verdict.PRESENT, Opinion.DISAGREE): Label.ABSENT,
    (Verdict.ABSENT, Opinion.AGREE): Label.ABSENT,
    (Verdict.ABSENT, Opinion.DISAGREE): Label.PRESENT,
}


def implied_label(verdict: Verdict, opinion: Opinion, sign: Sign | None) -> Label | None:
    """What an opinion says of sliding in the clip: the sign where one is said. None: nothing, as of a verdict that is open."""
    if opinion is Opinion.UNSURE:
        return None
    return _IMPLIED.get((verdict, opinion)) if sign is None else _SIGNS.get(sign)


def check_feedback(verdict: Verdict, feedback: Feedback) -> None:
    """Raises: BadOption, when opinion and sign cannot both be meant of this verdict."""
    if feedback.sign is None or feedback.opinion is Opinion.UNSURE or verdict not in (Verdict.PRESENT, Verdict.ABSENT):
        return
    if (feedback.sign.value == verdict.value) is not (feedback.opinion is Opinion.AGREE):
        raise BadOption(f"The verdict is {verdict}; the opinion {feedback.opinion} and the sign {feedback.sign} contradict each other.")


def keep_feedback(data_dir: Path, job: str, clip: Path, analysis: Analysis, region: str, feedback: Feedback) -> None:
    """On the disk when this returns. `region`: the one that was asked about, "" for the whole pleura. Raises: BadOption."""
    sliding = analysis.lung_sliding
    check_feedback(sliding.verdict, feedback)
    label = implied_label(sliding.verdict, feedback.opinion, feedback.sign)
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "job": job,
        "clip_sha256": sha256_of(clip),
        "model": f"{analysis.model.name}:{analysis.model.version}",
        "model_sha256": analysis.model.sha256,
        "verdict": sliding.verdict.value,
        "probability": sliding.probability,
        "opinion": feedback.opinion.value,
        "sign": feedback.sign and feedback.sign.value,
        "label": label and label.value,
        "region": region,
        "probe": analysis.clip.probe,
        "note": feedback.note,
    }
    append_line(data_dir / FEEDBACK, json.dumps(line, ensure_ascii=False))


def read_feedback(data_dir: Path) -> tuple[list[Said], int]:
    """All that was said, in the order of the lines, and how many lines cannot be read. Nothing where nobody has said anything."""
    try:
        lines = (data_dir / FEEDBACK).read_bytes().splitlines()
    except FileNotFoundError:
        return [], 0
    read = [_read(line) for line in lines]
    return [said for said in read if said is not None], read.count(None)


def _read(line: bytes) -> Said | None:
    """None for a line that is not whole: a disk may fill up."""
    try:
        return _said(json.loads(line))
    except (ValueError, KeyError, TypeError):
        return None


def _said(fields: dict[str, Any]) -> Said:
    if not _SHA256.fullmatch(fields["clip_sha256"]):
        raise ValueError("not a hash")
    return Said(
        at=datetime.fromisoformat(fields["at"]),
        job=str(fields["job"]),
        clip_sha256=fields["clip_sha256"],
        model=str(fields["model"]),
        verdict=Verdict(fields["verdict"]),
        opinion=Opinion(fields["opinion"]),
        sign=None if fields.get("sign") is None else Sign(fields["sign"]),
        region=str(fields.get("region", "")),
        probe=str(fields.get("probe", "")),
        note=str(fields["note"]),
    )


def sha256_of(clip: Path) -> str:
    with clip.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Clips kept for as long as what was said of them, where the site has chosen so


def kept_clip(data_dir: Path, job: str) -> Path:
    return data_dir / KEPT_CLIPS / job


def keep_clip(data_dir: Path, job: str, clip: Path) -> None:
    """Under a second name for the same bytes: it takes no room while the job is there, and stays when its time is over."""
    make_folder(data_dir / KEPT_CLIPS)
    with suppress(FileExistsError):
        os.link(clip, kept_clip(data_dir, job))
    flush_to_disk(data_dir / KEPT_CLIPS)


def forget_clip(data_dir: Path, job: str) -> bool:
    """Whether there was one."""
    try:
        kept_clip(data_dir, job).unlink()
    except FileNotFoundError:
        return False
    return True
