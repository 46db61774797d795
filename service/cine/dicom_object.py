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
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.cine.clip import EchoRegion
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

    data: bytes | Path
    transfer_syntax: UID
    dataset: Dataset
    value_at: int | None
    """Byte at which the value of Pixel Data begins; None when there is none."""

    @contextmanager
    def pixel_data(self) -> Iterator[io.BufferedIOBase]:
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


def _file(data: bytes | Path) -> io.BufferedIOBase:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


@contextmanager
def guarded() -> Iterator[None]:
    """Around every call into pydicom. On broken objects it raises whatever the broken value happens to break."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote values
        try:
            yield
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise UnreadableClip(
                "The DICOM object is damaged or cut off: its description of the frames could not be read.", log_detail=type(error).__name__
            ) from error


def locate(data: bytes | Path) -> DicomObject:
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
        value_at = _value_of_pixel_data(file, transfer_syntax)
    if not has_preamble and "Modality" not in dataset and "Rows" not in dataset:
        raise UnsupportedFormat(f"This is not a clip of a known kind. {ACCEPTED} clips can be read.")
    return DicomObject(data, transfer_syntax, dataset, value_at)


def _at_meta(file: io.BufferedIOBase) -> bool:
    group = file.read(2)
    file.seek(-len(group), io.SEEK_CUR)
    return group == b"\x02\x00"


def _transfer_syntax(meta: Dataset, file: io.BufferedIOBase) -> UID:
    """As stated; of an object without file meta information, told from whether its first element names its VR."""
    stated = UID(str(meta.get("TransferSyntaxUID", "")))
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


def _value_of_pixel_data(file: io.BufferedIOBase, transfer_syntax: UID) -> int | None:
    """Where the value begins, when `file` stands before an element. PS3.5 7.1: 8 bytes without a VR, 12 with the VRs OB and OW."""
    order = "little" if transfer_syntax.is_little_endian else "big"
    start = file.read(8 if transfer_syntax.is_implicit_VR else 12)
    group, element = (int.from_bytes(start[at : at + 2], order) for at in (0, 2))  # type: ignore[arg-type]
    return file.tell() if len(start) >= 8 and (group, element) == (0x7FE0, 0x0010) else None


# What it is, and when its frames were taken


def check_modality(dataset: Dataset) -> None:
    modality = str(dataset.get("Modality") or "").strip()
    if modality == "US" or (not modality and str(dataset.get("SOPClassUID", "")) in _ULTRASOUND_CLASSES):
        return
    # Defined Terms are short and upper case (PS3.3 C.7.3.1.1.1); anything else may be somebody's name.
    known = modality if re.fullmatch(r"[A-Z0-9]{2,12}", modality) else ""
    what = f"has the modality {known}" if known else "does not say that it is ultrasound"
    raise WrongModality(f"The DICOM object {what}; only ultrasound (modality US) can be read.")


def number(dataset: Dataset, keyword: str) -> float | None:
    """The element's (first) value as a finite number; None when it is missing, empty or no number."""
    try:
        value = dataset.get(keyword)
        value = value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value
        number = float(value) if value is not None else None
    except Exception:  # pydicom converts on access, and raises whatever the value breaks
        return None
    return number if number is not None and np.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Timing:
    """`interval_s`: between two frames, None when the object does not say. `starts_s`: of each frame, where it lists them."""

    interval_s: float | None
    starts_s: tuple[float, ...] | None = None

    def time_s(self, index: int) -> float | None:
        if self.starts_s is not None:
            return self.starts_s[index] if index < len(self.starts_s) else None
        return index * self.interval_s if self.interval_s is not None else None


def timing(dataset: Dataset, num_frames: int) -> Timing:
    """PS3.3 C.7.6.5, C.7.6.6: Frame Increment Pointer names the vector or the time; rates only recommend, so they come last."""
    vector = _frame_time_vector(dataset, num_frames)
    interval_s = _plausible_s(number(dataset, "FrameTime"), 1e-3)
    points_to_time = dataset.get("FrameIncrementPointer") == 0x00181063 and interval_s is not None
    if vector is not None and not points_to_time:
        starts_s = tuple(accumulate(vector[1:], initial=0.0))
        return Timing(float(np.median(vector[1:])), starts_s)
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = number(dataset, keyword)
        interval_s = interval_s or _plausible_s(1 / rate if rate else None, 1.0)
    return Timing(interval_s)


def _plausible_s(value: float | None, unit_s: float) -> float | None:
    """From 1 ms to 10 s between two frames; some exporters write 0, or seconds for milliseconds."""
    return value * unit_s if value is not None and 1e-3 <= value * unit_s <= 10.0 else None


def _frame_time_vector(dataset: Dataset, num_frames: int) -> list[float] | None:
    """In seconds, one entry a frame (the first is 0), or None when it is missing or does not fit the frames."""
    try:
        steps_s = [float(step) / 1000 for step in dataset.get("FrameTimeVector") or ()]
    except Exception:  # as in _number
        return None
    fits = len(steps_s) == num_frames > 1 and all(0 < step_s <= 10 for step_s in steps_s[1:])
    return steps_s if fits else None


def echo_region(dataset: Dataset) -> EchoRegion | None:
    """The largest region of 2-D tissue (PS3.3 C.8.5.5: Region Spatial Format 1, Region Data Type 1)."""
    try:
        items = [item for item in dataset.get("SequenceOfUltrasoundRegions") or () if _is_tissue(item)]
    except Exception:  # as in _number
        return None
    regions = [region for region in (_echo_region(item, dataset) for item in items) if region is not None]
    return max(regions, key=lambda region: (region.box[2] - region.box[0]) * (region.box[3] - region.box[1]), default=None)


def _is_tissue(item: Dataset) -> bool:
    return number(item, "RegionSpatialFormat") == 1 and number(item, "RegionDataType") == 1


_CORNERS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")


def _echo_region(item: Dataset, dataset: Dataset) -> EchoRegion | None:
    corners = [number(item, keyword) for keyword in _CORNERS]
    width, height = int(number(dataset, "Columns") or 0), int(number(dataset, "Rows") or 0)
    x0, y0, x1, y1 = (int(corner) if corner is not None else -1 for corner in corners)
    box = (x0, y0, min(x1 + 1, width), min(y1 + 1, height))  # DICOM's own maxima are inside the region
    return EchoRegion(box, _mm_per_px(item)) if 0 <= x0 < box[2] and 0 <= y0 < box[3] else None


_CENTIMETRES = 3  # PS3.3 C.8.5.5.1.15


def _mm_per_px(item: Dataset) -> float | None:
    """None unless both directions are in centimetres and agree to 5 %."""
    units = (number(item, "PhysicalUnitsXDirection"), number(item, "PhysicalUnitsYDirection"))
    across, down = (abs(number(item, keyword) or 0.0) for keyword in ("PhysicalDeltaX", "PhysicalDeltaY"))
    if units != (_CENTIMETRES, _CENTIMETRES) or not across or abs(across / (down or np.inf) - 1) > 0.05:
        return None
    return 10 * (across + down) / 2


