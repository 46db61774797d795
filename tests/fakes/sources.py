"""Ultrasound objects as an archive sends them, with much or little said of the patient; and what dciodvfy says of the results."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.pacs.objects.source import SourceInstance, read_source
from tests.fakes import dicom
from tests.fakes.media import Frames

FULL: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "SOPInstanceUID": "1.2.3.4",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.1",
    "SeriesNumber": 2,
    "InstanceNumber": 7,
    "PatientName": "Müller^Jörg",
    "PatientID": "P-1",
    "PatientBirthDate": "19500102",
    "PatientSex": "M",
    "StudyDate": "20260101",
    "StudyTime": "101112",
    "StudyID": "S1",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "House^Gregory",
    "StudyDescription": "Lung",
    "Manufacturer": "Acme",
    "ManufacturerModelName": "Probe 3000",
    "BodyPartExamined": "CHEST",
    "Laterality": "L",
    "AcquisitionDateTime": "20260101101530",
    "PatientComments": "afraid of needles",
}

dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")


def full_file(path: Path, frames: Frames | None = None, **elements: Any) -> Path:
    """An object that says everything; `elements` by keyword, None leaves one out."""
    path.write_bytes(dicom.native(frames, **{keyword: said for keyword, said in {**FULL, **elements}.items() if said is not None}))
    return path


def bare_file(path: Path) -> Path:
    """An object that says next to nothing: no patient, no study, no times."""
    path.write_bytes(dicom.native(frame_time_ms=None, PatientName=None))
    return path


def full_source(folder: Path, **elements: Any) -> SourceInstance:
    return read_source(full_file(folder / "source.dcm", **elements))


def bare_source(folder: Path) -> SourceInstance:
    return read_source(bare_file(folder / "source.dcm"))


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error in this file."""
    run = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60)
    said = (run.stdout + run.stderr).splitlines()
    assert any(not line.startswith(("Error", "Warning")) for line in said), "dciodvfy names the object it knows"
    return [line for line in said if line.startswith("Error")]
