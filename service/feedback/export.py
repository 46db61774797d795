"""What clinicians said -> a folder with `manifest.csv`, as training reads it, the clips, and `waiting.csv`: what is still lacking.

A row is complete when its clip is there and it is known whose it is: without a patient nobody could be kept from being both
trained on and tested on. What is filled in as patient in either table is taken over by the next export.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import RequestError
from service.feedback.choice import Choice, choose
from service.feedback.clips import ClipFolder, Laid
from service.jobs.feedback import Said, read_feedback
from service.jobs.folder import make_folder
from service.manifest import LabelledClip, Manifest, cells_by_name, read_rows
from service.manifest_writing import write_rows
from service.pseudonyms import key_beside, patient_pseudonym

MANIFEST, WAITING, CLIPS = "manifest.csv", "waiting.csv", "clips"
CLIP, PATIENT, UNTOLD = "clip", "patient", "header"
"""What a row may lack: the clip is nowhere; nobody knows whose it is; its header could not be taken off."""
_HASH = "clip_sha256"


class ExportError(ValueError):
    """The export cannot be done as asked. Names no clip and no patient."""


@dataclass(frozen=True, slots=True)
class Request:
    data_dir: Path
    folder: Path
    clips: Path | None = None
    """Where else clips may lie, under whatever names."""
    with_headers: bool = False
    with_notes: bool = False
    replace_it: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """One opinion that counts, and what is known of its clip."""

    said: Said
    laid: Laid | None
    patient: str
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    manifest: Manifest | None
    """None when no row is complete."""
    choice: Choice = field(repr=False)
    waiting: tuple[Row, ...] = field(repr=False)
    num_dicom: int
    """Clips in the manifest that are DICOM."""
    num_unreadable: int
    """Lines of the feedback that cannot be read."""


def export(request: Request) -> Exported:
    """Write all three. Raises: ExportError, ManifestError, BadKey."""
    manifest = request.folder / MANIFEST
    if manifest.exists() and not request.replace_it:
        raise ExportError(
            "That folder has a manifest already, perhaps corrected by hand; name another, or say --replace, which keeps its patients."
        )
    said, num_unreadable = read_feedback(request.data_dir)
    choice = choose(said)
    make_folder(request.folder)
    rows = _rows(request, choice.counted)
    complete = [row for row in rows if not row.lacks]
    waiting = tuple(row for row in rows if row.lacks)
    _write_waiting(request.folder / WAITING, waiting)
    num_dicom = sum(row.laid is not None and row.laid.is_dicom for row in complete)
    return Exported(_write(manifest, complete, with_notes=request.with_notes), choice, waiting, num_dicom, num_unreadable)


def _rows(request: Request, counted: Iterable[Said]) -> list[Row]:
    clips = ClipFolder(request.folder / CLIPS, request.data_dir, request.clips, with_headers=request.with_headers)
    known = _known_patients(request.folder)
    return [_row(request.folder / MANIFEST, said, clips, known) for said in counted]


def _row(manifest: Path, said: Said, clips: ClipFolder, known: Mapping[str, str]) -> Row:
    patient = known.get(said.clip_sha256, "")
    try:
        laid = clips.lay(said)
    except RequestError:
        return Row(said, None, patient, (UNTOLD,))
    if not patient and laid is not None and laid.identity:
        patient = patient_pseudonym(key_beside(manifest), laid.identity)
    return Row(said, laid, patient, tuple([CLIP] * (laid is None) + [PATIENT] * (not patient)))


def _known_patients(folder: Path) -> dict[str, str]:
    """Out of the tables of the export before, filled in by it or by hand."""
    known: dict[str, str] = {}
    for path in (folder / WAITING, folder / MANIFEST):
        if path.exists():
            header, rows = read_rows(path, (_HASH, "patient"), (), what=path.name)
            lines = [cells_by_name(header, cells, number) for number, cells in rows]
            known |= {line[_HASH]: line["patient"] for line in lines if line["patient"]}
    return known


def _write(path: Path, rows: Sequence[Row], *, with_notes: bool) -> Manifest | None:
    if not rows:
        path.unlink(missing_ok=True)  # none of its rows holds any more
        return None
    return write_rows(path, [_clip(row, with_notes=with_notes) for row in rows])


def _clip(row: Row, *, with_notes: bool) -> LabelledClip:
    said = row.said
    assert row.laid is not None
    assert said.label is not None
    spoken = {"model": said.model, "verdict": said.verdict.value, "opinion": said.opinion.value, "said_at": said.at.isoformat()}
    return LabelledClip(
        file=row.laid.file,
        patient=row.patient,
        label=said.label,
        probe=said.probe if said.probe != "unknown" else "",
        region=said.region,
        notes=said.note if with_notes else "",
        sha256=row.laid.sha256,
        other={_HASH: said.clip_sha256, "sign": said.sign.value if said.sign else "", **spoken},
    )


def _write_waiting(path: Path, rows: Sequence[Row]) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_HASH, "patient", "label", "region", "lacks"])
        writer.writerows([row.said.clip_sha256, row.patient, row.said.label, row.said.region, " and ".join(row.lacks)] for row in rows)
