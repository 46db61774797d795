"""The one-page report as an Encapsulated PDF."""

from datetime import datetime

from pydicom.dataset import Dataset

from service.findings import Analysis
from service.pacs.objects import codes
from service.pacs.objects.heading import put_heading, source_item
from service.pacs.objects.source import SourceInstance
from service.pacs.site import ResultKind

TITLE = "Seashore lung sliding report: not for diagnosis"


def encapsulated_pdf(source: SourceInstance, analysis: Analysis, pdf: bytes, written_at: datetime) -> Dataset:
    """PS3.3 A.45.1."""
    document = Dataset()
    put_heading(document, source, analysis, ResultKind.PDF, written_at)
    document.ConversionType = "WSD"
    document.AcquisitionDateTime = _acquired_at(source)
    if source.laterality is not None:
        document.ImageLaterality = source.laterality.value
    # What the page shows is up to whoever wrote it; "NO" would be a promise to those who publish what bears no name.
    document.BurnedInAnnotation = "YES"
    document.SourceInstanceSequence = [source_item(source)]
    document.DocumentTitle = TITLE
    # Not LOINC's "Diagnostic imaging report" (18748-4): that is what a physician signs.
    document.ConceptNameCodeSequence = [codes.code_item(codes.MEASUREMENT_REPORT)]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.EncapsulatedDocument = pdf + bytes(len(pdf) % 2)
    return document


def _acquired_at(source: SourceInstance) -> str | None:
    """When the clip was recorded, as far as it says."""
    date, time = (source.picture.get(f"Acquisition{what}") for what in ("Date", "Time"))
    stated = source.picture.get("AcquisitionDateTime")
    return str(stated) if stated else f"{date}{time or ''}" if date else None
