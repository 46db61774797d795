"""The annotated clip as a Multi-frame True Color Secondary Capture: the one result that every viewer shows.

Each frame is a JPEG of its own (Baseline, the transfer syntax that viewers know best; RLE was eight times larger). Frames are drawn,
compressed and written one at a time.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.cine.ahead import ahead
from service.cine.clip import Clip, ClipInfo
from service.evidence.outside import echoes_only
from service.evidence.overlay import CANVASES_AHEAD, Annotator
from service.findings import Analysis
from service.pacs.objects import codes
from service.pacs.objects.heading import put_heading, save, source_item
from service.pacs.objects.source import SourceInstance
from service.pacs.site import ResultKind

JPEG_QUALITY = 90
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422)
"""4:2:2, as the photometric interpretation says: 4:2:0 smears thin coloured outlines upwards and downwards."""
_MAX_DS_BYTES = 65_534
"""Of one element with explicit VR (PS3.5 7.1.2): a vector of ten minutes needs short numbers."""
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"


def write_annotated_clip(
    path: Path, source: SourceInstance, clip: Clip, analysis: Analysis, written_at: datetime, *, show_outside_region: bool = False
) -> None:
    """Write the clip with its findings drawn on it, as a Part 10 file, playable at the clip's own times.

    Pixels outside the echoes are black unless `show_outside_region`. Raises: RequestError when the clip can no longer be decoded.
    """
    shown = clip if show_outside_region else echoes_only(clip, analysis)
    annotator = Annotator(shown, analysis)
    width, height = annotator.layout.canvas_width, annotator.layout.canvas_height
    with TemporaryFile(dir=path.parent) as frames:
        lengths = _write_frames(frames, ahead(annotator.draw_all(shown), CANVASES_AHEAD))
        capture = _described(source, clip.info, analysis, written_at, is_masked=not show_outside_region)
        _put_pixels(capture, source, width, height, lengths)
        with path.open("wb") as file:
            save(capture, file)
            _write_pixel_data(file, frames, lengths)


# What the object says


def _described(source: SourceInstance, info: ClipInfo, analysis: Analysis, written_at: datetime, *, is_masked: bool) -> Dataset:
    capture = Dataset()
    put_heading(capture, source, analysis.model, ResultKind.SC, written_at)
    capture.update(source.picture)
    if source.laterality is not None:
        capture.ImageLaterality = source.laterality.value
    else:
        capture.Laterality = None  # type 2C: lungs are a pair
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.PatientOrientation = None
    capture.DerivationDescription = "Lung sliding, pleural line, patches and M-mode drawn on the clip by Seashore; not for diagnosis"
    origin = source_item(source)
    origin.PurposeOfReferenceCodeSequence = [codes.code_item(codes.PROCESSED_IMAGE)]
    capture.SourceImageSequence = [origin]
    capture.BurnedInAnnotation = "YES" if may_show_identity(source, is_masked=is_masked) else "NO"
    _put_timing(capture, info)
    return capture


def may_show_identity(source: SourceInstance, *, is_masked: bool) -> bool:
    """Burned In Annotation asks for text that identifies the patient and the date (PS3.3 C.7.6.1), not for any text: ours has neither.

    Sure to be free of it: a source that says so, or one that states where its echoes are and is black elsewhere. Where echoes
    were told from pixels alone, a name may have been taken for them.
    """
    return source.shows_identity is not False and not (is_masked and source.region is not None)


def _put_timing(capture: Dataset, info: ClipInfo) -> None:
    """Cine and Multi-frame modules. One time where frames are evenly shown (to 0.5 ms), else a vector of them."""
    capture.NumberOfFrames = info.num_frames
    if info.num_frames < 2:
        return
    steps_ms = np.diff(info.times_s) * 1000
    vector = None if float(np.ptp(steps_ms)) <= 0.5 else _vector(info.times_s)
    if vector is None:
        capture.FrameTime, capture.FrameIncrementPointer = f"{float(steps_ms.mean()):.6g}", 0x00181063
    else:
        capture.FrameTimeVector, capture.FrameIncrementPointer = vector, 0x00181065
    capture.CineRate = capture.RecommendedDisplayFrameRate = max(1, round(info.fps))
    capture.StartTrim, capture.StopTrim = 1, info.num_frames


def _vector(times_s: NDArray[np.float64]) -> list[str] | None:
    """Milliseconds from frame to frame, the first 0; rounded as times, lest errors add up. None where it does not fit an element."""
    for digits in (3, 0):
        steps_ms = np.diff(np.round(times_s * 1000, digits), prepend=0.0)
        words = [f"{step:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{step:.0f}" for step in steps_ms.tolist()]
        if len("\\".join(words)) <= _MAX_DS_BYTES:
            return words
    return None


def _put_pixels(capture: Dataset, source: SourceInstance, width: int, height: int, lengths: list[int]) -> None:
    capture.SamplesPerPixel, capture.PlanarConfiguration = 3, 0
    capture.PhotometricInterpretation = "YBR_FULL_422"
    capture.Rows, capture.Columns = height, width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    ratio = 3 * width * height * len(lengths) / sum(lengths)
    compressed = [*source.compressed, (f"{ratio:.1f}", "ISO_10918_1")]
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionRatio = [ratio for ratio, _ in compressed]
    capture.LossyImageCompressionMethod = [method for _, method in compressed]


# Its frames (PS3.5 A.4: items in a sequence of undefined length, the first of them the table of the others' places)


def _write_frames(file: BinaryIO, canvases: Iterator[NDArray[np.uint8]]) -> list[int]:
    """Each as an item. The items' lengths, without their own 8 bytes."""
    lengths = []
    for canvas in canvases:
        _, coded = cv2.imencode(".jpg", canvas[..., ::-1], _JPEG)
        item = coded.tobytes() + bytes(len(coded) % 2)
        file.write(_ITEM + len(item).to_bytes(4, "little") + item)
        lengths.append(len(item))
    return lengths


def _write_pixel_data(file: BinaryIO, frames: BinaryIO, lengths: list[int]) -> None:
    """The table has 32 bits a frame: beyond 4 GiB it is left empty, as the standard allows."""
    starts = np.cumsum([0, *(length + 8 for length in lengths[:-1])], dtype=np.int64)
    table = starts.astype("<u4").tobytes() if starts[-1] < 2**32 else b""
    file.write(_PIXEL_DATA + _ITEM + len(table).to_bytes(4, "little") + table)
    frames.seek(0)
    shutil.copyfileobj(frames, file, 2**20)
    file.write(_END)
