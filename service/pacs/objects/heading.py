"""What every result says first: of which patient and study it is, which series it makes, which equipment made it."""

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)

from service import __version__
from service.findings import Analysis, ModelRef
from service.pacs.objects import codes
from service.pacs.objects.codes import code_item
from service.pacs.objects.source import SourceInstance
from service.pacs.objects.uids import IMPLEMENTATION_CLASS_UID, device_uid, read_by, result_uid, series_uid
from service.pacs.site import ResultKind

MANUFACTURER = "Seashore"
SOP_CLASSES = {
    ResultKind.SR: Comprehensive3DSRStorage,
    ResultKind.SC: MultiFrameTrueColorSecondaryCaptureImageStorage,
    ResultKind.PDF: EncapsulatedPDFStorage,
}
TRANSFER_SYNTAXES = {kind: JPEGBaseline8Bit if kind is ResultKind.SC else ExplicitVRLittleEndian for kind in ResultKind}
_MODALITIES = {ResultKind.SR: "SR", ResultKind.SC: "OT", ResultKind.PDF: "DOC"}
"""The annotated clip is not "US": a route that sends all ultrasound here would send our own results back, to be analysed again."""
_SERIES_NUMBERS = {ResultKind.SR: 9901, ResultKind.SC: 9902, ResultKind.PDF: 9903}
"""High, so that they stand below what was recorded."""
_SERIES_WORDS = {ResultKind.SR: "measurements", ResultKind.SC: "annotated clip", ResultKind.PDF: "report"}


def put_heading(result: Dataset, source: SourceInstance, analysis: Analysis, kind: ResultKind, written_at: datetime) -> None:
    """`written_at` knows its time zone; the object gives it in the source's own, where the source states one."""
    if source.character_set is not None:
        result.SpecificCharacterSet = source.character_set
    result.update(source.patient_and_study)
    result.StudyInstanceUID = source.study_instance_uid
    result.SOPClassUID = SOP_CLASSES[kind]
    result.SOPInstanceUID = result_uid(source.sop_instance_uid, read_by(analysis), kind)
    result.InstanceNumber = 1
    _put_series(result, source, analysis, kind)
    _put_times(result, source, written_at)
    _put_equipment(result, source, analysis.model, written_at)
    result.file_meta = _file_meta(result, kind)


def save(result: Dataset, file: Path | BinaryIO) -> None:
    """As a Part 10 file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        dcmwrite(file, result, enforce_file_format=True)


def series_description(source: SourceInstance, kind: ResultKind) -> str:
    """Says of which clip, as a study holds several: "Seashore lung sliding, report: series 2 image 7"."""
    numbers = {"series": source.series_number, "image": source.instance_number}
    of = " ".join(f"{name} {number}" for name, number in numbers.items() if number is not None)
    said = f"Seashore lung sliding, {_SERIES_WORDS[kind]}"
    return (f"{said}: {of}" if of else said)[:64]  # LO


def source_item(source: SourceInstance) -> Dataset:
    """An item that refers to the clip, all frames of it."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
    return item


def _put_series(result: Dataset, source: SourceInstance, analysis: Analysis, kind: ResultKind) -> None:
    result.SeriesInstanceUID = series_uid(source.sop_instance_uid, read_by(analysis), kind)
    result.SeriesNumber = _SERIES_NUMBERS[kind]
    result.SeriesDescription = series_description(source, kind)
    result.Modality = _MODALITIES[kind]


def _put_times(result: Dataset, source: SourceInstance, written_at: datetime) -> None:
    here = written_at.astimezone(source.timezone)
    if source.timezone is not None:
        result.TimezoneOffsetFromUTC = f"{here:%z}"
    date, time = f"{here:%Y%m%d}", f"{here:%H%M%S.%f}"
    result.InstanceCreationDate = result.ContentDate = result.SeriesDate = date
    result.InstanceCreationTime = result.ContentTime = result.SeriesTime = time


def _put_equipment(result: Dataset, source: SourceInstance, model: ModelRef, written_at: datetime) -> None:
    result.Manufacturer = MANUFACTURER
    result.ManufacturerModelName = "Seashore"
    result.DeviceSerialNumber = model.sha256[:16]
    result.SoftwareVersions = software_versions(model)
    result.ContributingEquipmentSequence = [*_acquisition(source), _processing(model, written_at)]


def software_versions(model: ModelRef) -> list[str]:
    return [f"seashore {__version__}", f"{model.name} {model.version}"[:64]]


def _acquisition(source: SourceInstance) -> list[Dataset]:
    if not source.equipment.get("Manufacturer"):  # type 1 in an item
        return []
    item = Dataset()
    item.update(source.equipment)
    item.PurposeOfReferenceCodeSequence = [code_item(codes.ACQUISITION_EQUIPMENT)]
    return [item]


def _processing(model: ModelRef, written_at: datetime) -> Dataset:
    """IHE AI Results: the Device UID stands for one trained model, and changes with the next."""
    item = Dataset()
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = f"{model.name} {model.version}"[:64]
    item.SoftwareVersions = software_versions(model)
    item.DeviceUID = device_uid(model.sha256)
    item.ContributionDateTime = f"{written_at.astimezone(UTC):%Y%m%d%H%M%S.%f%z}"
    item.ContributionDescription = "Lung sliding read from an ultrasound clip by a neural network and by tracking"
    item.PurposeOfReferenceCodeSequence = [code_item(codes.PROCESSING_EQUIPMENT)]
    return item


def _file_meta(result: Dataset, kind: ResultKind) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SOP_CLASSES[kind], UID(result.SOPInstanceUID)
    meta.TransferSyntaxUID = TRANSFER_SYNTAXES[kind]
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"SEASHORE_{__version__}"[:16]
    return meta
