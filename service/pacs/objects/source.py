"""What the results of a clip take over from the DICOM object it came in: whose it is, which study it belongs to, what it shows.

Clips with missing, empty or broken elements are normal. Only one thing is needed: the object's own UIDs, or nothing could refer to it.
"""

import re
from dataclasses import dataclass
from datetime import timedelta, timezone
from enum import StrEnum
from pathlib import Path

from pydicom import dcmread
from pydicom.charset import python_encoding
from pydicom.config import RAISE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.valuerep import DA, DT, TM, validate_value

from service.cine.clip import EchoRegion
from service.cine.dicom_object import echo_region, guarded, number, text, value
from service.errors import UnreadableClip
from service.pacs.incoming.identity import is_uid
from service.pacs.objects.uids import missing_uid

PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID"),
    *("PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDsSequence", "QualityControlSubject"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence"),
    *("BreedRegistrationSequence", "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization", "PatientSexNeutered"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence"),
    *("StudyDescription", "ProcedureCodeSequence", "PatientAge", "PatientSize", "PatientWeight"),
    *("AdmissionID", "IssuerOfAdmissionIDSequence"),
)
"""Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2): what tells a patient and a study apart. Histories,
comments and allergies say nothing of a result and stay where they are."""
REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
"""Type 2: in every object, empty where unknown."""
PICTURE = ("BodyPartExamined", "AnatomicRegionSequence", "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")
EQUIPMENT = (
    *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    *("InstitutionName", "InstitutionalDepartmentName", "StationName"),
)
_READ = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"),
    *("TimezoneOffsetFromUTC", "NumberOfFrames", "Rows", "Columns", "SequenceOfUltrasoundRegions", "BurnedInAnnotation"),
    *("ImageLaterality", "Laterality", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)


class Laterality(StrEnum):
    """Defined terms of (0020,0060)."""

    LEFT = "L"
    RIGHT = "R"


_SIDES = {
    **{code: Laterality.LEFT for code in ("7771000", "G-A101", "53727004")},
    **{code: Laterality.RIGHT for code in ("24028007", "G-A100", "44788007")},
}
"""SNOMED CT and its older SRT codes: left, right, left and right pleura."""


@dataclass(frozen=True, slots=True, repr=False)
class SourceInstance:
    """One stored object. It holds the patient's identity: it goes into results, and nowhere else."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    series_number: int | None
    instance_number: int | None
    num_frames: int
    width: int
    height: int
    region: EchoRegion | None
    laterality: Laterality | None
    shows_identity: bool | None
    """Burned In Annotation (0028,0301); None where the object does not say."""
    compressed: tuple[tuple[str, str], ...]
    """Lossy compression it has been through: (ratio, method)."""
    timezone: timezone | None
    """Of its dates and times; None where the object does not say."""
    character_set: str | list[str] | None
    patient_and_study: Dataset
    """`PATIENT_AND_STUDY` as far as known, `REQUIRED` always."""
    picture: Dataset
    equipment: Dataset

    def __repr__(self) -> str:
        return f"SourceInstance({self.num_frames} frames, {self.width}x{self.height})"


def read_source(path: Path) -> SourceInstance:
    """The object in a Part 10 file (or a bare data set), without its pixels.

    A source without a Study or Series Instance UID is given one made from its SOP Instance UID: its results share it.
    Raises: UnreadableClip.
    """
    with guarded():
        keywords = (*_READ, *PATIENT_AND_STUDY, *PICTURE, *EQUIPMENT)
        tags = [tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None]
        dataset = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(tags))
        return source_of(dataset, getattr(dataset, "file_meta", Dataset()))


def source_of(dataset: Dataset, meta: Dataset) -> SourceInstance:
    """Raises: UnreadableClip."""
    sop_class_uid = _uid(dataset, "SOPClassUID") or _uid(meta, "MediaStorageSOPClassUID")
    sop_instance_uid = _uid(dataset, "SOPInstanceUID") or _uid(meta, "MediaStorageSOPInstanceUID")
    if not sop_class_uid or not sop_instance_uid:
        missing = "SOP Instance UID" if sop_class_uid else "SOP Class UID"
        raise UnreadableClip(f"The DICOM object has no {missing}; results need it to say what they are about.")
    width, height = int(number(dataset, "Columns") or 0), int(number(dataset, "Rows") or 0)
    character_set = _character_set(dataset)
    return SourceInstance(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        study_instance_uid=_uid(dataset, "StudyInstanceUID") or missing_uid("study", sop_instance_uid),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID") or missing_uid("series", sop_instance_uid),
        series_number=_whole(dataset, "SeriesNumber"),
        instance_number=_whole(dataset, "InstanceNumber"),
        num_frames=max(1, int(number(dataset, "NumberOfFrames") or 1)),
        width=width,
        height=height,
        region=echo_region(dataset, width, height),
        laterality=_laterality(dataset),
        shows_identity={"YES": True, "NO": False}.get(text(dataset, "BurnedInAnnotation")),
        compressed=_compressed(dataset),
        timezone=_timezone(text(dataset, "TimezoneOffsetFromUTC")),
        character_set=character_set,
        patient_and_study=_taken(dataset, PATIENT_AND_STUDY, REQUIRED),
        picture=_taken(dataset, PICTURE),
        equipment=_taken(dataset, EQUIPMENT),
    )


def _uid(dataset: Dataset, keyword: str) -> str:
    """ "" where it is missing or no UID."""
    stated = text(dataset, keyword)
    return stated if is_uid(stated) else ""


def _whole(dataset: Dataset, keyword: str) -> int | None:
    found = number(dataset, keyword)
    return None if found is None else int(found)


def _character_set(dataset: Dataset) -> str | list[str] | None:
    """As stated, so that names keep their bytes; UTF-8 where what is stated does not exist and they were read as best they could be."""
    stated = value(dataset, "SpecificCharacterSet")
    if not stated:
        return None
    named = [str(stated)] if isinstance(stated, str) else [str(one or "") for one in stated]
    if any(one not in python_encoding for one in named):
        return "ISO_IR 192"
    return named if len(named) > 1 else named[0]


def _laterality(dataset: Dataset) -> Laterality | None:
    for keyword in ("ImageLaterality", "Laterality"):
        if (stated := text(dataset, keyword)) in ("L", "R"):
            return Laterality(stated)
    regions = list(value(dataset, "AnatomicRegionSequence") or ())
    modifiers = [modifier for region in regions for modifier in value(region, "AnatomicRegionModifierSequence") or ()]
    return next((_SIDES[code] for item in (*modifiers, *regions) if (code := text(item, "CodeValue")) in _SIDES), None)


def _compressed(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Empty unless every ratio has its method (PS3.3 C.7.6.1.1.5)."""
    ratios, methods = (_texts(dataset, f"LossyImageCompression{what}") for what in ("Ratio", "Method"))
    return tuple(zip(ratios, methods, strict=True)) if len(ratios) == len(methods) else ()


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    found = value(dataset, keyword)
    listed = found if isinstance(found, list) or hasattr(found, "append") else [found]
    return [str(one) for one in listed if one not in (None, "")]


def _timezone(stated: str) -> timezone | None:
    """ "+0130" -> an hour and a half ahead."""
    parts = re.fullmatch(r"([+-])(\d\d)([0-5]\d)", stated)
    if parts is None or int(parts[2]) > 14:
        return None
    offset = timedelta(hours=int(parts[2]), minutes=int(parts[3]))
    return timezone(-offset if parts[1] == "-" else offset)


def _taken(dataset: Dataset, keywords: tuple[str, ...], required: tuple[str, ...] = ()) -> Dataset:
    taken = Dataset()
    for keyword in keywords:
        element = _sound(dataset, keyword)
        if element is not None:
            taken.add(element)
        elif keyword in required:
            setattr(taken, keyword, None)
    return taken


_PARSED = {"DA": DA, "DT": DT, "TM": TM}
_VALIDATED = ("AS", "CS", "DS", "IS")
_SEXES = ("M", "F", "O")


def _sound(dataset: Dataset, keyword: str) -> DataElement | None:
    """The element; None where it is missing, cannot be written again, or is no date, time, number or code.

    Names and identifiers are taken as they are, however malformed: changed, the result would be another patient's.
    """
    try:
        element = dataset[keyword]
        for one in element.value if element.VM > 1 else [element.value] * element.VM:
            _check(element.VR, keyword, str(one))
        _write(element)
    except Exception:  # whatever the broken value breaks, KeyError where there is none
        return None
    return element


def _check(vr: str, keyword: str, one: str) -> None:
    if one and vr in _PARSED:
        _PARSED[vr](one)
    if vr in _VALIDATED:
        validate_value(vr, one, RAISE)
    if keyword == "PatientSex" and one not in ("", *_SEXES):
        raise ValueError(keyword)


def _write(element: DataElement) -> None:
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_data_element(file, element, ["ISO_IR 192"])
