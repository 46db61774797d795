"""Ultrasound DICOM objects made by code, in every transfer syntax that an encoder exists for here. Each returns a file's bytes."""

import io
import struct
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from tests.fakes.media import EVERY_KIND, Frames, encode, texture

PATIENT = "DOE^JANE"
"""In every object; must be in no message."""


def dataset(frames: Frames | None = None, *, frame_time_ms: float | None = 40.0, **elements: Any) -> Dataset:
    """A native multi-frame ultrasound object, MONOCHROME2 or RGB after the frames' shape. `elements` by keyword; None removes."""
    levels = texture() if frames is None else frames
    made = Dataset()
    made.SOPClassUID = UltrasoundMultiFrameImageStorage
    made.SOPInstanceUID = "1.2.3.4"
    made.Modality = "US"
    made.PatientName = PATIENT
    if frame_time_ms is not None:
        made.FrameTime, made.FrameIncrementPointer = frame_time_ms, 0x00181063
    made.NumberOfFrames, made.Rows, made.Columns = levels.shape[:3]
    made.SamplesPerPixel = 3 if levels.ndim == 4 else 1
    made.PhotometricInterpretation = "RGB" if levels.ndim == 4 else "MONOCHROME2"
    if levels.ndim == 4:
        made.PlanarConfiguration = 0
    bits = 8 * levels.dtype.itemsize
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits, bits - 1, 0
    made.PixelData = _padded(levels.tobytes())
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def _padded(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def file_of(made: Dataset, transfer_syntax: UID = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    made.file_meta = meta
    if "PixelData" in made:
        made["PixelData"].VR = "OB" if transfer_syntax.is_encapsulated or made.BitsAllocated == 8 else "OW"
        made["PixelData"].is_undefined_length = transfer_syntax.is_encapsulated
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def bare(made: Dataset, implicit: bool) -> bytes:
    """The data set alone: no preamble, no file meta information."""
    file = io.BytesIO()
    made.save_as(file, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return file.getvalue()


def native(frames: Frames | None = None, transfer_syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    return file_of(dataset(frames, **elements), transfer_syntax)


def without_vrs(frames: Frames) -> bytes:
    """Compressed, and yet with the data set in Implicit VR, which the standard forbids and some writers do."""
    made = dataset(frames, PixelData=encapsulate([jpeg_coder(frame) for frame in frames], has_bot=False))
    head = jpeg_baseline(frames)
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    return head[: 132 + 12 + int.from_bytes(head[140:144], "little")] + bare(made, implicit=True)


# Colour models


def colour(num_frames: int = 4) -> Frames:
    """(F, 120, 160, 3): the texture in three different shades."""
    levels = texture(num_frames)
    return np.stack([levels, 255 - levels, levels // 2], axis=-1)


def ybr(rgb: Frames) -> Frames:
    """YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] for frame in rgb])


def ybr_422_bytes(full: Frames) -> bytes:
    """YBR_FULL_422, native: Y1 Y2 B1 R1 of every two pixels."""
    pairs = np.stack([full[:, :, ::2, 0], full[:, :, 1::2, 0], full[:, :, ::2, 1], full[:, :, ::2, 2]], axis=-1)
    return pairs.tobytes()


def palette(made: Dataset, table: NDArray[np.uint16]) -> Dataset:
    """`made` in PALETTE COLOR, with `table` (256, 3) of 16-bit entries."""
    made.PhotometricInterpretation = "PALETTE COLOR"
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", table[:, channel].astype("<u2").tobytes())
    return made


# Compressed frame by frame


def encapsulated(frames: Frames, transfer_syntax: UID, coder: Callable[[Frames], bytes], **elements: Any) -> bytes:
    """Each frame by `coder`; without a Basic Offset Table."""
    coded = [coder(frame) for frame in frames]
    return file_of(dataset(frames, **elements, PixelData=encapsulate(coded, has_bot=False)), transfer_syntax)


def jpeg_coder(frame: Frames) -> bytes:
    return bytes(cv2.imencode(".jpg", frame if frame.ndim == 2 else frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1])


def jpeg_baseline(frames: Frames | None = None, **elements: Any) -> bytes:
    return encapsulated(texture() if frames is None else frames, JPEGBaseline8Bit, jpeg_coder, **elements)


def jpeg_rgb(frames: Frames, **elements: Any) -> bytes:
    """JPEG whose three components are red, green and blue, and are called so."""
    return encapsulated(frames, JPEGBaseline8Bit, _jpeg_rgb_coder, **elements)


def _jpeg_rgb_coder(frame: Frames) -> bytes:
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = frame.shape[1], frame.shape[0], "yuvj444p", Fraction(1, 30)
    encoder.qmin, encoder.qmax = 1, 1
    planes = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.moveaxis(frame, 2, 0)), format="yuvj444p")
    coded = bytearray(b"".join(bytes(packet) for packet in [*encoder.encode(planes), *encoder.encode(None)]))
    header, scan = coded.index(b"\xff\xc0"), coded.index(b"\xff\xda")
    coded[header + 10 : header + 17 : 3] = coded[scan + 5 : scan + 10 : 2] = b"RGB"
    return bytes(coded)


def compressed_by_pydicom(frames: Frames, transfer_syntax: UID, **elements: Any) -> bytes:
    """RLE, JPEG 2000."""
    made = dataset(frames, **elements)
    file_of(made)
    made.compress(transfer_syntax, generate_instance_uid=False)
    return file_of(made, transfer_syntax)


def compressed_by_gdcm(frames: Frames, transfer_syntax: int, **elements: Any) -> bytes:
    """JPEG lossless, JPEG-LS: `transfer_syntax` is one of `gdcm.TransferSyntax`."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        source.write_bytes(native(frames, **elements))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(transfer_syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return target.read_bytes()


@cache
def every_syntax() -> dict[str, Callable[[Frames], bytes]]:
    """How to write grey or colour frames in each transfer syntax."""
    syntax = gdcm.TransferSyntax
    return {
        "implicit little endian": lambda frames: native(frames, UID("1.2.840.10008.1.2")),
        "explicit little endian": lambda frames: native(frames),
        "explicit big endian": lambda frames: native(frames, UID("1.2.840.10008.1.2.2")),
        "RLE": lambda frames: compressed_by_pydicom(frames, RLELossless),
        "JPEG lossless": lambda frames: compressed_by_gdcm(frames, syntax.JPEGLosslessProcess14),
        "JPEG lossless SV1": lambda frames: compressed_by_gdcm(frames, syntax.JPEGLosslessProcess14_1),
        "JPEG-LS": lambda frames: compressed_by_gdcm(frames, syntax.JPEGLSLossless),
        "JPEG 2000 lossless": lambda frames: compressed_by_pydicom(frames, JPEG2000Lossless),
        "JPEG 2000 lossless by GDCM": lambda frames: compressed_by_gdcm(frames, syntax.JPEG2000Lossless),
    }


# Films inside an object

FILM_SYNTAXES = {
    "MPEG-2, program stream": ("1.2.840.10008.1.2.4.100", "mpeg program stream"),
    "MPEG-2, bare": ("1.2.840.10008.1.2.4.100", "mpeg bare stream"),
    "H.264, MP4": ("1.2.840.10008.1.2.4.102", "mp4 h264"),
    "H.264, transport stream": ("1.2.840.10008.1.2.4.102", "mpeg transport stream"),
    "H.264, bare": ("1.2.840.10008.1.2.4.102", "h264 bare"),
    "HEVC, bare": ("1.2.840.10008.1.2.4.107", "hevc bare"),
}
_BARE: dict[str, dict[str, Any]] = {
    "h264 bare": {"container": "h264", "codec": "libx264", "pix_fmt": "yuv420p", "options": {"crf": "5"}},
    "hevc bare": {"container": "hevc", "codec": "libx265", "pix_fmt": "yuv420p", "options": {"x265-params": "log-level=none:crf=5"}},
}


def film(name: str, frames: Frames | None = None, num_fragments: int = 1, **elements: Any) -> bytes:
    """`name`: a key of FILM_SYNTAXES. The stream itself runs at 30 frames a second."""
    transfer_syntax, kind = FILM_SYNTAXES[name]
    levels = texture() if frames is None else frames
    stream = encode(levels, **{**EVERY_KIND, **_BARE}[kind])
    data = encapsulate([stream], fragments_per_frame=num_fragments, has_bot=False)
    colours = {"PhotometricInterpretation": "YBR_PARTIAL_420", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    return file_of(dataset(levels, **{**colours, **elements}, PixelData=data), UID(transfer_syntax))


# Regions


def region(x0: int, y0: int, x1: int, y1: int, cm_per_px: float | None = 0.01, data_type: int = 1, **elements: Any) -> Dataset:
    """An item of Sequence of Ultrasound Regions: `x1`, `y1` are the last pixels inside."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, data_type, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    if cm_per_px is not None:
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
        item.PhysicalDeltaX = item.PhysicalDeltaY = cm_per_px
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def with_regions(items: Sequence[Dataset], **elements: Any) -> bytes:
    return native(texture(2), SequenceOfUltrasoundRegions=list(items), **elements)


# Wrong in one way each


def without_pixel_data() -> bytes:
    return native(PixelData=None)


def single_frame() -> bytes:
    return native(texture(1), NumberOfFrames=None)


def without_times() -> bytes:
    return native(frame_time_ms=None)


def of_modality(modality: str) -> bytes:
    """As written, even where the standard forbids it; of the CT class, so that only the modality could make it ultrasound."""
    value = modality.encode() + b" " * (len(modality) % 2)
    data = native(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    return data.replace(b"\x08\x00\x60\x00CS\x02\x00US", b"\x08\x00\x60\x00CS" + len(value).to_bytes(2, "little") + value, 1)


def deflated() -> bytes:
    return native(texture(4), DeflatedExplicitVRLittleEndian)


def bomb(side_px: int) -> bytes:
    """A JPEG 2000 frame of `side_px` squared by its own header, in an object of 64 x 64."""
    size = struct.pack(">HHHIIIIIIIIH", 0xFF51, 41, 0, side_px, side_px, 0, 0, side_px, side_px, 0, 0, 1)
    coded = b"\xff\x4f" + size + b"\x07\x01\x01" + bytes(64)
    return encapsulated(texture(2, 64, 64), JPEG2000Lossless, lambda frame: coded)
