"""What a DICOM object says of its clip, and where its pixels begin. With `dicom_pixels`, the only place that calls pydicom.

Only the elements named in `_TAGS` are read: nothing about the patient is ever in memory as a value. No message holds a value of
the object but its modality and its transfer syntax (both only where they are of the standard's kind), and numbers.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.cine.clip import EchoRegion
from service.cine.handed import ClipFile
from service.cine.sniff import ACCEPTED
from service.errors import SeashoreError, UnreadableClip, UnsupportedFormat, WrongModality

_PIXEL_DATA = BaseTag(0x7FE00010)
_TAGS: list[BaseTag | int] = [
    0x00080016,  # SOP Class UID
    0x00080060,  # Modality
    0x00181063,  # Frame Time, ms
    0x00181065,  # Frame Time Vector, ms from the frame before
    0x00082144,  # Recommended Display Frame Rate
    0x00180040,  # Cine Rate
    0x00186011,  # Sequence of Ultrasound Regions
    0x00280002,  # Samples per Pixel
    0x00280004,  # Photometric Interpretation
    0x00280006,  # Planar Configuration
    0x00280008,  # Number of Frames
    0x00280009,  # Frame Increment Pointer
    0x00280010,  # Rows
    0x00280011,  # Columns
    0x00280100,  # Bits Allocated
    0x00280101,  # Bits Stored
    0x00280102,  # High Bit
    0x00280103,  # Pixel Representation
    *(0x00281101, 0x00281102, 0x00281103),  # Palette Color Lookup Table Descriptors
    *(0x00281201, 0x00281202, 0x00281203),  # ... and Data
    *(0x00281221, 0x00281222, 0x00281223),  # ... and Segmented Data
]
_ULTRASOUND_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image (retired)
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image (retired)
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
}


# Where things are in the file


@dataclass(frozen=True)
class DicomObject:
    """The object's own description of its frames, and where its Pixel Data begins."""

    data: ClipFile
    transfer_syntax: UID
    dataset: Dataset
    value_at: int | None
    """Byte at which the value of Pixel Data begins; None when there is none."""
    pixel_vr: str
    """"OB" or "OW": old big-endian writers swap the bytes of 8-bit pixels in pairs when they call them OW."""

    @contextmanager
    def pixel_data(self) -> Iterator[BinaryIO]:
        with _file(self.data) as file:
            file.seek(self.value_at or 0)
            yield file

    @cached_property
    def num_frames(self) -> int:
        """As stated; the frames are counted later."""
        return max(1, int(number(self.dataset, "NumberOfFrames") or 1))

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return int(number(self.dataset, "Columns") or 0), int(number(self.dataset, "Rows") or 0)


def _file(data: ClipFile) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


@contextmanager
def guarded() -> Iterator[None]:
    """Around every call into pydicom. On broken objects it raises whatever the broken value happens to break."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        try:
            yield
        except (SeashoreError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's; pydicom's own have no number
                raise
            raise UnreadableClip(
                "The DICOM object is damaged or cut off: its description of the frames could not be read.", log_detail=type(error).__name__
            ) from error


def locate(data: ClipFile) -> DicomObject:
    with _file(data) as file, guarded():
        has_preamble = file.read(132)[128:] == b"DICM"
        file.seek(132 if has_preamble else 0)
        meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2) if _at_meta(file) else Dataset()
        transfer_syntax = _transfer_syntax(meta, file)
        dataset = read_dataset(
            file,
            transfer_syntax.is_implicit_VR,
            transfer_syntax.is_little_endian,
            stop_when=lambda tag, vr, length: tag >= _PIXEL_DATA,
            specific_tags=_TAGS,
        )
        value_at, pixel_vr = _pixel_data_element(file, transfer_syntax)
    if not has_preamble and "Modality" not in dataset and "Rows" not in dataset:
        raise UnsupportedFormat(f"This is not a clip of a known kind. {ACCEPTED} clips can be read.")
    return DicomObject(data, transfer_syntax, dataset, value_at, pixel_vr)


def _at_meta(file: BinaryIO) -> bool:
    group = file.read(2)
    file.seek(-len(group), io.SEEK_CUR)
    return group == b"\x02\x00"


def _transfer_syntax(meta: Dataset, file: BinaryIO) -> UID:
    """As stated; of an object without file meta information, told from whether its first element names its VR."""
    stated = UID(text(meta, "TransferSyntaxUID"))
    if not stated:
        start = file.read(6)
        file.seek(-len(start), io.SEEK_CUR)
        return ExplicitVRLittleEndian if start[4:].isalpha() else ImplicitVRLittleEndian
    if stated not in AllTransferSyntaxes:
        raise UnsupportedFormat("The DICOM object is in a transfer syntax that is not in the standard. Please export it in another.")
    if stated == DeflatedExplicitVRLittleEndian:  # rare in ultrasound, and a small file may inflate to any size
        raise unsupported_syntax(stated)
    return stated


def unsupported_syntax(transfer_syntax: UID) -> UnsupportedFormat:
    return UnsupportedFormat(f"The DICOM object is in the transfer syntax {transfer_syntax.name}, which cannot be read.")


def _pixel_data_element(file: BinaryIO, transfer_syntax: UID) -> tuple[int | None, str]:
    """Where its value begins, and its VR; `file` stands before the element.

    PS3.5 7.1: the header has 12 bytes with a VR of OB or OW, else 8. The bytes are believed, and not the transfer syntax: pydicom, too,
    reads objects that wrongly leave their VRs out.
    """
    start = file.read(12)
    tag = b"\xe0\x7f\x10\x00" if transfer_syntax.is_little_endian else b"\x7f\xe0\x00\x10"
    if len(start) < 8 or start[:4] != tag:
        return None, "OW"
    if start[4:8] in (b"OB\x00\x00", b"OW\x00\x00"):
        return file.tell(), start[4:6].decode()
    return file.tell() - len(start) + 8, "OW"


# What it is, and when its frames were taken


def check_modality(dataset: Dataset) -> None:
    modality = text(dataset, "Modality")
    if modality == "US" or (not modality and text(dataset, "SOPClassUID") in _ULTRASOUND_CLASSES):
        return
    # Defined Terms are short and upper case (PS3.3 C.7.3.1.1.1); anything else may be somebody's name.
    known = modality if re.fullmatch(r"[A-Z0-9]{2,12}", modality) else ""
    what = f"has the modality {known}" if known else "does not say that it is ultrasound"
    raise WrongModality(f"The DICOM object {what}; only ultrasound (modality US) can be read.")


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value; None when it is missing, empty or broken (pydicom converts on access)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        try:
            return dataset.get(keyword)
        except Exception:  # whatever the broken value breaks
            return None


def text(dataset: Dataset, keyword: str) -> str:
    return str(value(dataset, keyword) or "").strip()


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """The element's values as finite numbers; empty when it is missing, empty or broken."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, str):
        return []
    try:
        listed = [float(entry) for entry in (found if hasattr(found, "__len__") else [found])]
    except (TypeError, ValueError):
        return []
    return listed if all(np.isfinite(listed)) else []


def number(dataset: Dataset, keyword: str) -> float | None:
    return next(iter(numbers(dataset, keyword)), None)


@dataclass(frozen=True, slots=True)
class Timing:
    """When the frames of an object were taken. `starts_s`: of each frame, where the object lists them."""

    interval_s: float
    starts_s: tuple[float, ...] = ()

    def time_s(self, index: int) -> float | None:
        if not self.starts_s:
            return index * self.interval_s
        return self.starts_s[index] if index < len(self.starts_s) else None

    def length_s(self, num_frames: int) -> float:
        return self.starts_s[-1] + self.interval_s if self.starts_s else num_frames * self.interval_s


def frame_timing(dataset: Dataset, num_frames: int) -> Timing | None:
    """PS3.3 C.7.6.5 and C.7.6.6: Frame Increment Pointer names the vector or the time; rates only recommend, so they come last."""
    steps_s = _frame_time_vector(dataset, num_frames)
    interval_s = _plausible_s(number(dataset, "FrameTime"), 1e-3)
    prefers_interval = interval_s is not None and value(dataset, "FrameIncrementPointer") == 0x00181063
    if steps_s and not prefers_interval:
        return Timing(float(np.median(steps_s)), tuple(accumulate(steps_s, initial=0.0)))
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = number(dataset, keyword)
        interval_s = interval_s or _plausible_s(1 / rate if rate else None, 1.0)
    return Timing(interval_s) if interval_s else None


def _plausible_s(value: float | None, unit_s: float) -> float | None:
    """From 1 ms to 10 s between two frames; some exporters write 0, or seconds for milliseconds."""
    return value * unit_s if value is not None and 1e-3 <= value * unit_s <= 10.0 else None


def _frame_time_vector(dataset: Dataset, num_frames: int) -> list[float]:
    """Seconds from each frame to the next, (num_frames - 1,); empty when the vector is missing or does not fit the frames."""
    steps_s = [step_ms / 1000 for step_ms in numbers(dataset, "FrameTimeVector")]
    fits = len(steps_s) == num_frames and all(0 < step_s <= 10 for step_s in steps_s[1:])  # the first step is 0, from nothing
    return steps_s[1:] if fits else []


def echo_region(dataset: Dataset, width: int, height: int) -> EchoRegion | None:
    """The largest region of 2-D tissue (PS3.3 C.8.5.5: Region Spatial Format 1, Region Data Type 1), within the frame."""
    found = value(dataset, "SequenceOfUltrasoundRegions")
    items = [item for item in found if isinstance(item, Dataset)] if hasattr(found, "__iter__") else []
    regions = [EchoRegion(box, _mm_per_px(item)) for item in items if _is_tissue(item) and (box := _box(item, width, height))]
    return max(regions, key=_area_px, default=None)


def _area_px(region: EchoRegion) -> int:
    x0, y0, x1, y1 = region.box
    return (x1 - x0) * (y1 - y0)


def _is_tissue(item: Dataset) -> bool:
    return number(item, "RegionSpatialFormat") == 1 and number(item, "RegionDataType") == 1


_CORNERS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")


def _box(item: Dataset, width: int, height: int) -> tuple[int, int, int, int] | None:
    """DICOM's maxima are the last pixels inside."""
    x0, y0, x1, y1 = (number(item, keyword) for keyword in _CORNERS)
    if x0 is None or y0 is None or x1 is None or y1 is None:
        return None
    box = max(int(x0), 0), max(int(y0), 0), min(int(x1) + 1, width), min(int(y1) + 1, height)
    return box if box[0] < box[2] and box[1] < box[3] else None


_CENTIMETRES = 3  # PS3.3 C.8.5.5.1.15


def _mm_per_px(item: Dataset) -> float | None:
    """None unless both directions are in centimetres and agree to 5 %."""
    units = (number(item, "PhysicalUnitsXDirection"), number(item, "PhysicalUnitsYDirection"))
    across, down = (abs(number(item, keyword) or 0.0) for keyword in ("PhysicalDeltaX", "PhysicalDeltaY"))
    if units != (_CENTIMETRES, _CENTIMETRES) or not across or abs(across / (down or np.inf) - 1) > 0.05:
        return None
    return 10 * (across + down) / 2
