"""The coded frames of a DICOM object, and how each becomes grey levels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from service.cine.dicom_object import DicomObject, guarded, number, text, unsupported_syntax
from service.cine.ffmpeg import decode_jpeg
from service.errors import UnreadableClip

_JPEG_START = b"\xff\xd8"
_IMAGE_STARTS = (_JPEG_START, b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")  # JPEG, JPEG 2000 codestream, JPEG 2000 file

# Who decodes what. Not GDCM, which pydicom would take first: on damaged JPEG it ends the whole process ("terminate called after
# throwing an instance of gdcm::Exception"), and it is the slowest. OpenCV reads lossy JPEG to the same grey levels in a seventh of
# its time (0.9 ms and 6.3 ms for 640 x 480 in colour), because it leaves out the colours where only luma is wanted.
_LOSSY_JPEG_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit)
_JPEG_SYNTAXES = (*_LOSSY_JPEG_SYNTAXES, JPEGLossless, JPEGLosslessSV1)
_LUMA_FIRST = ("MONOCHROME2", "YBR_FULL", "YBR_FULL_422")
_PLUGINS = {
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    RLELossless: "pydicom",
}
_RLE_HEADER_BYTES = 64
"""PS3.5 G.5."""
_DECODABLE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, *_JPEG_SYNTAXES, *_PLUGINS}


def fragments(file: BinaryIO) -> Iterator[bytes]:
    """The items of Pixel Data without the Basic Offset Table, which is the first (PS3.5 A.4); up to where they break off."""
    try:
        items = generate_fragments(file)
        first = next(items, b"")
        if first.startswith(_IMAGE_STARTS):  # some writers leave the table out
            yield first
        yield from items
    except ValueError:
        return


@dataclass(frozen=True)
class Layout:
    """How one coded frame becomes pixels."""

    transfer_syntax: UID
    options: dict[str, Any]
    palette: NDArray[np.uint8] | None
    """Colour of each stored value, (2**bits, 3)."""
    native_frame_bytes: int

    def coded_frames(self, file: BinaryIO, num_frames: int) -> Iterator[bytes]:
        """From `file`, which stands at the value of Pixel Data; up to where it breaks off."""
        return self._encapsulated_frames(file) if self.transfer_syntax.is_encapsulated else self._native_frames(file, num_frames)

    def _native_frames(self, file: BinaryIO, num_frames: int) -> Iterator[bytes]:
        """Whole frames only: the rest of a cut-off one is not a picture."""
        for _ in range(num_frames):
            frame = file.read(self.native_frame_bytes)
            if len(frame) < self.native_frame_bytes:
                return
            yield frame

    def _encapsulated_frames(self, file: BinaryIO) -> Iterator[bytes]:
        """A fragment that begins as an image begins, begins a frame; of RLE, every fragment is one (PS3.5 A.4.2).

        The offset tables say the same, where they are there and right; this also reads objects that are cut off.
        """
        pending: list[bytes] = []
        for fragment in fragments(file):
            if pending and (self.transfer_syntax == RLELossless or fragment.startswith(_IMAGE_STARTS)):
                yield b"".join(pending)
                pending = []
            pending.append(fragment)
        if pending:
            yield b"".join(pending)

    def decode(self, coded: bytes) -> "Pixels | LumaJpeg | None":
        """None when the frame is damaged."""
        if not self.transfer_syntax.is_encapsulated:
            return self._by_pydicom(coded)
        if not self._is_sound(coded):
            return None
        if self.transfer_syntax not in _JPEG_SYNTAXES:
            return self._by_pydicom(encapsulate([coded], has_bot=False))
        photometric = _conformed(str(self.options["photometric_interpretation"]), coded)
        if self.transfer_syntax in _LOSSY_JPEG_SYNTAXES and photometric in _LUMA_FIRST:
            return _by_opencv(coded)
        stored = decode_jpeg(coded, self.options["rows"] * self.options["columns"])
        return self._pixels(stored, photometric) if stored is not None else None

    def _by_pydicom(self, source: bytes) -> "Pixels | None":
        plugin = _PLUGINS.get(self.transfer_syntax, "")
        try:
            with guarded():
                stored, properties = get_decoder(self.transfer_syntax).as_array(
                    source, index=0, raw=True, decoding_plugin=plugin, **self.options
                )
        except UnreadableClip:
            return None
        return self._pixels(stored, str(properties["photometric_interpretation"]))

    def _pixels(self, stored: NDArray[Any], photometric: str) -> "Pixels | None":
        samples = 1 if stored.ndim == 2 else stored.shape[2]
        if samples != _SAMPLES.get(photometric):
            return None
        bits, signed = int(self.options["bits_stored"]), bool(self.options["pixel_representation"])
        return Pixels(stored, photometric, self.palette, bits, signed)

    def _is_sound(self, coded: bytes) -> bool:
        """Whole, and as large as the object says: a cut-off JPEG decodes to half a picture, a forged one could unpack to gigabytes."""
        if self.transfer_syntax == RLELossless:
            return len(coded) >= _RLE_HEADER_BYTES
        is_whole = not coded.startswith(_JPEG_START) or coded.rstrip(b"\x00").endswith(b"\xff\xd9")
        return is_whole and _coded_size(coded) == (self.options["columns"], self.options["rows"])


def pixel_layout(located: DicomObject) -> Layout:
    dataset = located.dataset
    options = {name: int(number(dataset, keyword) or 0) for name, keyword in _LAYOUT_NUMBERS.items()}
    photometric = text(dataset, "PhotometricInterpretation")
    _check_layout(located, options, photometric)
    pixel_options: dict[str, Any] = {
        **options,
        "bits_stored": options["bits_stored"] or options["bits_allocated"],
        "photometric_interpretation": photometric,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        "pixel_vr": located.pixel_vr,
    }
    palette = _palette(dataset, options["bits_allocated"]) if photometric == "PALETTE COLOR" else None
    return Layout(located.transfer_syntax, pixel_options, palette, _native_frame_bytes(options, photometric))


_LAYOUT_NUMBERS = {
    "rows": "Rows",
    "columns": "Columns",
    "samples_per_pixel": "SamplesPerPixel",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
    "pixel_representation": "PixelRepresentation",
    "planar_configuration": "PlanarConfiguration",
}
_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}
_SAMPLES |= {"RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3}


def _check_layout(located: DicomObject, options: dict[str, int], photometric: str) -> None:
    """Raises: UnreadableClip, UnsupportedFormat."""
    if located.transfer_syntax not in _DECODABLE:
        raise unsupported_syntax(located.transfer_syntax)
    sound = _SAMPLES.get(photometric) == options["samples_per_pixel"] and options["bits_allocated"] in (8, 16)
    if not sound or not options["rows"] or not options["columns"] or options["bits_stored"] > options["bits_allocated"]:
        raise UnreadableClip("The DICOM object's description of its pixels is missing, contradicts itself or is not that of a picture.")


def _native_frame_bytes(options: dict[str, int], photometric: str) -> int:
    num_bytes = options["rows"] * options["columns"] * options["samples_per_pixel"] * options["bits_allocated"] // 8
    return num_bytes // 3 * 2 if photometric == "YBR_FULL_422" else num_bytes


def _palette(dataset: Dataset, bits: int) -> NDArray[np.uint8]:
    with guarded():
        table = apply_color_lut(np.arange(2**bits, dtype=np.uint16 if bits > 8 else np.uint8), dataset)
    return (table >> 8).astype(np.uint8) if table.dtype.itemsize > 1 else table.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class LumaJpeg:
    """One frame of a JPEG stream that is grey, or luma and two colours."""

    coded: bytes
    luma: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        return self.luma.shape[1], self.luma.shape[0]

    def grey(self) -> NDArray[np.uint8]:
        return self.luma

    def rgb(self) -> NDArray[np.uint8]:
        colours = _imdecode(self.coded, cv2.IMREAD_COLOR_RGB)
        return colours if colours is not None else np.repeat(self.luma[..., None], 3, axis=2)


def _by_opencv(coded: bytes) -> LumaJpeg | None:
    luma = _imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return LumaJpeg(coded, luma) if luma is not None else None


def _imdecode(coded: bytes, colours: int) -> NDArray[np.uint8] | None:
    decoded = cv2.imdecode(np.frombuffer(coded, np.uint8), colours | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Pixels:
    """One frame as stored: (H, W) or (H, W, 3), in the colours its photometric interpretation names."""

    stored: NDArray[Any]
    photometric: str
    palette: NDArray[np.uint8] | None
    bits: int
    signed: bool

    @property
    def size(self) -> tuple[int, int]:
        return self.stored.shape[1], self.stored.shape[0]

    def grey(self) -> NDArray[np.uint8]:
        if self.photometric.startswith("MONOCHROME"):
            return self._monochrome()
        if self.photometric.startswith("YBR_FULL"):
            return np.ascontiguousarray(self._bytes()[..., 0])
        return np.asarray(cv2.cvtColor(self.rgb(), cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def rgb(self) -> NDArray[np.uint8]:
        if self.photometric.startswith("MONOCHROME"):
            return np.asarray(cv2.cvtColor(self._monochrome(), cv2.COLOR_GRAY2RGB), dtype=np.uint8)
        if self.palette is not None:
            return np.asarray(self.palette[self.stored], dtype=np.uint8)
        if self.photometric.startswith("YBR_FULL"):
            # PS3.3 C.7.6.3.1.2: full range BT.601, as in JPEG; OpenCV wants Y Cr Cb.
            return np.asarray(cv2.cvtColor(np.ascontiguousarray(self._bytes()[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
        return np.ascontiguousarray(self._bytes())

    def _monochrome(self) -> NDArray[np.uint8]:
        grey = self._bytes()
        return np.asarray(255 - grey if self.photometric == "MONOCHROME1" else grey, dtype=np.uint8, order="C")

    def _bytes(self) -> NDArray[np.uint8]:
        """All stored bits onto 0..255. Windows (0028,1050) are for the eye and are not applied."""
        if self.bits == 8 and not self.signed:
            return np.asarray(self.stored, dtype=np.uint8)
        lowest = 2 ** (self.bits - 1) if self.signed else 0
        share = (self.stored.astype(np.float32) + lowest) / (2**self.bits - 1)
        return np.asarray(np.rint(255 * np.clip(share, 0, 1)), dtype=np.uint8)


def _coded_size(coded: bytes) -> tuple[int, int] | None:
    """(width, height) of a JPEG, JPEG-LS or JPEG 2000 image, from its own header."""
    return _jpeg_size(coded) if coded.startswith(b"\xff\xd8") else _jpeg_2000_size(coded)


def _jpeg_2000_size(coded: bytes) -> tuple[int, int] | None:
    """SIZ follows the start of the codestream: marker, length, capabilities, then the grid's far and near corner."""
    at = coded.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0 or at + 24 > len(coded):
        return None
    x1, y1, x0, y0 = (int.from_bytes(coded[at + field : at + field + 4], "big") for field in (8, 12, 16, 20))
    return x1 - x0, y1 - y0


_FRAME_HEADERS = {0xF7} | set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF of JPEG-LS and of the JPEG family; not DHT, JPG, DAC


def _jpeg_size(coded: bytes) -> tuple[int, int] | None:
    for marker, segment in _jpeg_segments(coded):
        if marker in _FRAME_HEADERS and len(segment) >= 5:
            return int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big")
    return None


def _conformed(photometric: str, coded: bytes) -> str:
    """What the stream itself says of its colours goes before the object: a JFIF marker means luma first, components called RGB do not."""
    if photometric in _LUMA_ONLY:
        return photometric
    for marker, segment in _jpeg_segments(coded):
        if marker == 0xE0 and segment.startswith(b"JFIF"):
            return photometric if photometric.startswith("YBR") else "YBR_FULL"
        if marker in _FRAME_HEADERS and bytes(segment[6:15:3]).upper() == b"RGB":
            return "RGB"
    return photometric


_LUMA_ONLY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


def _jpeg_segments(coded: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, what follows its length), up to where the picture itself starts."""
    at = 2
    while at + 4 <= len(coded) and coded[at] == 0xFF and coded[at + 1] != 0xDA:
        marker = coded[at + 1]
        length = int.from_bytes(coded[at + 2 : at + 4], "big") if marker != 0xFF else -1  # 0xFF: a fill byte
        if marker != 0xFF:
            yield marker, coded[at + 4 : at + 2 + length]
        at += 2 + length
