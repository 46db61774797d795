"""Who a received instance says it is: its UIDs and nothing else. The rest of it is read by the job, not while a sender waits."""

import io
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from service.cine.dicom_object import text
from service.pacs.incoming.inbox import Received, RefusedInstance

DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""PS3.4 B.2.3."""

MAX_INFLATED_HEAD_BYTES = 4 * 2**20
"""Of a deflated object: a small file may inflate to any size, and its UIDs come early."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TAGS: dict[str, BaseTag | int] = {
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
}
_LAST = 0x0020000E


@dataclass(frozen=True, slots=True)
class Identity:
    """Empty where the object does not say. What is not empty is a UID: digits and dots, so that it may become a file's name."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str


def read_identity(path: Path) -> Identity:
    """Of a Part-10 file. Raises: RefusedInstance (0xC000) when it cannot be parsed, or has no SOP class, instance or transfer syntax."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their texts quote values
            meta, head = _head(file)
    except Exception as error:  # pydicom raises whatever a broken object breaks
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise RefusedInstance(CANNOT_UNDERSTAND, "The data set cannot be parsed.") from None
    sop_class, sop_instance, study, series = (_uid(head, keyword) for keyword in _TAGS)
    found = Identity(sop_class, sop_instance, study, series, _uid(meta, "TransferSyntaxUID"))
    if not (found.sop_class_uid and found.sop_instance_uid and found.transfer_syntax_uid):
        raise RefusedInstance(CANNOT_UNDERSTAND, "The data set has no valid SOP Class UID, SOP Instance UID or transfer syntax.")
    return found


def is_uid(value: str) -> bool:
    """PS3.5 9.1, but for leading zeros, which some machines write."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def check_matches(identity: Identity, sop_class_uid: str, sop_instance_uid: str) -> None:
    """PS3.4 B.2.3: the data set is the one that the request named. Raises: RefusedInstance (0xA900)."""
    if identity.sop_class_uid != sop_class_uid:
        raise RefusedInstance(DOES_NOT_MATCH, "The data set is of another SOP Class than the request.")
    if identity.sop_instance_uid != sop_instance_uid:
        raise RefusedInstance(DOES_NOT_MATCH, "The data set is another SOP Instance than the request.")


def received_of(path: Path, identity: Identity, *, calling_ae_title: str, size_bytes: int) -> Received:
    return Received(
        path=path,
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        transfer_syntax_uid=identity.transfer_syntax_uid,
        calling_ae_title=calling_ae_title,
        size_bytes=size_bytes,
    )


def _head(file: BinaryIO) -> tuple[Dataset, Dataset]:
    """The file meta information, and of the data set what lies before its pixels."""
    read_preamble(file, force=False)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = UID(text(meta, "TransferSyntaxUID"))
    source = _inflated(file) if syntax == DeflatedExplicitVRLittleEndian else file
    encoding = (syntax.is_implicit_VR, syntax.is_little_endian)
    return meta, read_dataset(source, *encoding, stop_when=lambda tag, vr, length: tag > _LAST, specific_tags=[*_TAGS.values()])


def _inflated(file: BinaryIO) -> BinaryIO:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    return io.BytesIO(inflater.decompress(file.read(MAX_INFLATED_HEAD_BYTES), MAX_INFLATED_HEAD_BYTES))


def _uid(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    return value if is_uid(value) else ""
