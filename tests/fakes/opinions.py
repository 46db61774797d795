"""Opinions as they lie in a service's data folder, and the clips of their jobs; no service is needed."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from service.jobs.feedback import FEEDBACK, kept_clip
from service.jobs.folder import CLIP


def speak(data_dir: Path, clip: bytes, opinion: str = "agree", *, job: str = "", is_there: bool = True, **fields: Any) -> str:
    """Write one opinion down, on "absent" unless `fields` say another verdict. Gives the clip's hash."""
    digest = sha256(clip).hexdigest()
    job = job or digest[:32]
    line = {"at": "2026-11-01T08:00:00+00:00", "job": job, "clip_sha256": digest, "model": "m:1", "verdict": "absent", "note": ""}
    data_dir.mkdir(exist_ok=True)
    with (data_dir / FEEDBACK).open("a") as file:
        file.write(json.dumps(line | {"opinion": opinion} | fields) + "\n")
    if is_there:
        (data_dir / "jobs" / job).mkdir(parents=True, exist_ok=True)
        (data_dir / "jobs" / job / CLIP).write_bytes(clip)
    return digest


def outlive(data_dir: Path, digest: str) -> None:
    """The clip's job ends, and the site had chosen to keep such clips."""
    job = data_dir / "jobs" / digest[:32] / CLIP
    kept_clip(data_dir, digest[:32]).parent.mkdir(exist_ok=True)
    job.rename(kept_clip(data_dir, digest[:32]))
