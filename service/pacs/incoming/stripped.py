"""An instance without the patient's identity: what decoding needs is kept, and nothing else. Pixels are copied as they are.

A closed list of what stays, not a list of what goes (PS3.15 E.1.1 asks for the same of private elements): machines hide names in
elements that no list of names knows. What is burned into the pixels stays in the copy; results are black outside the echoes.
"""

import os
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from service.cine.dicom_object import DicomObject, guarded, locate, text
from service.errors import UnreadableClip
from service.jobs.folder import write_whole
from service.pacs.objects.uids import IMPLEMENTATION_CLASS_UID, stripped_uid

METHOD = "Seashore: kept is only what decoding the frames needs"
UNDEFINED = 0xFFFFFFFF
DELIMITER = b"\xfe\xff\xdd\xe0"


def strip_identity(path: Path, sop_instance_uid: str) -> None:
    """Replace a Part-10 file by its copy without identity: another SOP Instance UID, made from this one; no study, no series.

    Raises: UnreadableClip, UnsupportedFormat (deflated, for one) when it cannot be told apart; the file is untouched then.
    """
    located = locate(path)
    if located.value_at is None:
        raise UnreadableClip("The DICOM object has no pixel data, or is cut off before it.")
    write_whole(path, lambda part: _copy(located, stripped_uid(sop_instance_uid), path, part))


def _copy(located: DicomObject, uid: str, source: Path, out: Path) -> None:
    with source.open("rb") as whole, out.open("wb") as file:
        with guarded():
            _write_head(file, located, uid)
        _copy_pixels(located, whole, file)


def _write_head(file: BinaryIO, located: DicomObject, uid: str) -> None:
    kept = Dataset()
    kept.update(located.dataset)
    kept.SOPInstanceUID = uid
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = METHOD
    file.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(DicomFileLike(file), _meta(kept, located.transfer_syntax))
    out = DicomFileLike(file)
    out.is_implicit_VR, out.is_little_endian = located.transfer_syntax.is_implicit_VR, located.transfer_syntax.is_little_endian
    write_dataset(out, kept)


def _meta(kept: Dataset, transfer_syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(text(kept, "SOPClassUID") or "1.2.840.10008.5.1.4.1.1.3.1")
    meta.MediaStorageSOPInstanceUID = kept.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    return meta


def _copy_pixels(located: DicomObject, whole: BinaryIO, file: BinaryIO) -> None:
    """The element Pixel Data alone: what follows it may be a digital signature, which names who signed."""
    assert located.value_at is not None
    little = "little" if located.transfer_syntax.is_little_endian else "big"
    whole.seek(located.value_at - 4)
    length = int.from_bytes(whole.read(4), little)  # type: ignore[arg-type]
    header = 12 if _is_long(whole, located) else 8
    end = _end_of_fragments(whole, located.value_at) if length == UNDEFINED else located.value_at + length
    whole.seek(located.value_at - header)
    _pour(whole, file, end - located.value_at + header)


def _is_long(whole: BinaryIO, located: DicomObject) -> bool:
    """Whether the element's header has 12 bytes (PS3.5 7.1): a VR stands four bytes after the tag."""
    assert located.value_at is not None
    tag = b"\xe0\x7f\x10\x00" if located.transfer_syntax.is_little_endian else b"\x7f\xe0\x00\x10"
    whole.seek(located.value_at - 12)
    return whole.read(4) == tag


def _end_of_fragments(whole: BinaryIO, at: int) -> int:
    """Behind the sequence delimiter; where a cut-off object ends (PS3.5 A.4)."""
    whole.seek(0, os.SEEK_END)
    size = whole.tell()
    while at + 8 <= size:
        whole.seek(at)
        tag, length = whole.read(4), int.from_bytes(whole.read(4), "little")
        at += 8 + (0 if tag == DELIMITER else length)
        if tag == DELIMITER:
            return at
    return size


def _pour(whole: BinaryIO, file: BinaryIO, num_bytes: int) -> None:
    while num_bytes > 0 and (chunk := whole.read(min(num_bytes, 1 << 20))):
        file.write(chunk)
        num_bytes -= len(chunk)
