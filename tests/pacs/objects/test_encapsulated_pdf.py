"""The report as an Encapsulated PDF."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.pacs.objects.encapsulated_pdf import encapsulated_pdf
from service.pacs.objects.heading import save
from service.pacs.objects.source import SourceInstance
from tests.fakes.analysis import example_analysis
from tests.fakes.sources import bare_source, dciodvfy, errors_of, full_source

PDF = b"%PDF-1.4\n%%EOF\n"
"""15 bytes: DICOM pads to an even length, and says the true one."""


def written(folder: Path, source: SourceInstance) -> Path:
    analysis, _ = example_analysis(160, 120, num_windows=1, with_saliency=False)
    path = folder / "pdf.dcm"
    save(encapsulated_pdf(source, analysis, PDF, datetime(2026, 3, 4, 12, 30, tzinfo=UTC)), path)
    return path


def document(folder: Path, **elements: Any) -> Dataset:
    return dcmread(written(folder, full_source(folder, **elements)))


@dciodvfy
@pytest.mark.parametrize("source", [full_source, bare_source], ids=["full", "bare"])
def test_dciodvfy_finds_no_error(tmp_path: Path, source: Any) -> None:
    assert errors_of(written(tmp_path, source(tmp_path))) == []


def test_the_pdf_comes_out_as_it_went_in(tmp_path: Path) -> None:
    held = document(tmp_path)

    assert held.EncapsulatedDocument[: held.EncapsulatedDocumentLength] == PDF
    assert held.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_it_says_what_it_is_and_of_which_clip(tmp_path: Path) -> None:
    held = document(tmp_path)

    assert held.DocumentTitle == "Seashore lung sliding report: not for diagnosis"
    assert held.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurement Report"
    assert held.SourceInstanceSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert (held.Modality, held.BurnedInAnnotation, held.ImageLaterality) == ("DOC", "YES", "L")
    assert held.SeriesDescription == "Seashore lung sliding, report: series 2 image 7"


@pytest.mark.parametrize(
    ("elements", "acquired_at"),
    [
        ({}, "20260101101530"),
        ({"AcquisitionDateTime": None, "AcquisitionDate": "20260102", "AcquisitionTime": "0304"}, "202601020304"),
        ({"AcquisitionDateTime": None, "AcquisitionTime": "0304"}, ""),
        ({"AcquisitionDateTime": None}, ""),
    ],
)
def test_it_says_when_the_clip_was_recorded(tmp_path: Path, elements: dict[str, Any], acquired_at: str) -> None:
    assert (document(tmp_path, **elements).AcquisitionDateTime or "") == acquired_at
