"""Where the results of a job lie, and which queue takes them where."""

from pathlib import Path

from service.jobs.folder import JobFolder
from service.pacs.site import ResultKind


def result_path(folder: JobFolder, kind: ResultKind) -> Path:
    return folder.file(f"{kind.value}.dcm")


def queue_of(destination: str) -> str:
    """One a destination, so that a dead one holds up nobody else."""
    return f"to-{destination}"
