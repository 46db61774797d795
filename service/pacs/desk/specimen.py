"""A clip of nobody, for a round trip through the hospital's network: a bundle's golden clip as an ultrasound multi-frame object.

Who finds it in an archive must see at once that it is no patient's.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import cv2
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from service.cine.clip import Clip
from service.pacs.objects.heading import save
from service.pacs.objects.uids import IMPLEMENTATION_CLASS_UID

PATIENT_NAME, PATIENT_ID = "SEASHORE^TEST", "SEASHORE-TEST"
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Specimen:
    """Where it lies, and its UIDs: new ones each time, or it would be known already and not be read."""

    path: Path
    study: str
    series: str
    instance: str


def write_specimen(clip: Clip, folder: Path, written_at: datetime) -> Specimen:
    """As a Part 10 file in `folder`, each frame a JPEG, the frames evenly spaced. Raises: RequestError when the clip cannot be decoded."""
    specimen = Specimen(folder / "specimen.dcm", *(f"2.25.{uuid4().int}" for _ in range(3)))
    made = Dataset()
    _put_identity(made, specimen, written_at)
    _put_picture(made, clip)
    made.file_meta = _file_meta(specimen)
    save(made, specimen.path)
    return specimen


def _put_identity(made: Dataset, specimen: Specimen, written_at: datetime) -> None:
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = PATIENT_NAME, PATIENT_ID, "", "O"
    made.QualityControlSubject = "YES"  # PS3.3 C.7.1.1: a phantom
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = specimen.study, specimen.series, specimen.instance
    made.SOPClassUID = UltrasoundMultiFrameImageStorage
    made.StudyDate, made.StudyTime = f"{written_at:%Y%m%d}", f"{written_at:%H%M%S}"
    made.ReferringPhysicianName = made.StudyID = made.AccessionNumber = ""
    made.StudyDescription = "Seashore test lung, not a patient"
    made.Modality, made.BodyPartExamined, made.SeriesNumber, made.InstanceNumber = "US", "CHEST", 1, 1
    made.Manufacturer = "Seashore test"  # not "Seashore": that is our results' own, which nobody wants read again
    made.ImageType, made.PatientOrientation = ["ORIGINAL", "PRIMARY"], None
    made.BurnedInAnnotation = "NO"


def _put_picture(made: Dataset, clip: Clip) -> None:
    info = clip.info
    made.NumberOfFrames, made.Rows, made.Columns = info.num_frames, info.height, info.width
    made.FrameTime, made.FrameIncrementPointer = f"{1000 * info.duration_s / info.num_frames:.6g}", 0x00181063
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    frames = [cv2.imencode(".jpg", frame, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes() for frame in clip.frames()]
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.LossyImageCompressionRatio = f"{info.width * info.height * len(frames) / sum(map(len, frames)):.1f}"
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True


def _file_meta(specimen: Specimen) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundMultiFrameImageStorage, UID(specimen.instance)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = JPEGBaseline8Bit, UID(IMPLEMENTATION_CLASS_UID)
    return meta
