"""The annotated clip as a Multi-frame True Color Secondary Capture: the one result that every viewer shows.

Each frame is a JPEG of its own (Baseline, the transfer syntax that viewers know best; RLE was eight times larger). Frames are drawn,
compressed where clips are decoded, and wrapped here one at a time.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.evidence.rendition import Marks, Rendition
from service.findings import Analysis
from service.pacs.objects import codes
from service.pacs.objects.heading import put_heading, save, source_item
from service.pacs.objects.source import SourceInstance
from service.pacs.site import ResultKind

_MAX_DS_BYTES = 65_534
"""Of one element with explicit VR (PS3.5 7.1.2): a vector of ten minutes needs short numbers."""
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"


Draw = Callable[[Path, Marks], Rendition]
"""Draws every frame with marks on it as a JPEG (4:2:2), as `Reader.render` does: in a process of its own, for the clip is a stranger's."""


def write_annotated_clip(
    path: Path, source: SourceInstance, draw: Draw, analysis: Analysis, written_at: datetime, *, show_outside_region: bool = False
) -> None:
    """Write the clip with its findings drawn on it, as a Part 10 file, playable at the clip's own times.

    Pixels outside the echoes are black unless `show_outside_region`. Raises: whatever `draw` raises.
    """
    with TemporaryDirectory(prefix=".seashore-", dir=path.parent) as folder:
        jpegs = Path(folder) / "frames"
        drawn = draw(jpegs, Marks(analysis, show_outside_region))
        capture = _described(source, drawn, analysis, written_at, is_masked=not show_outside_region)
        _put_pixels(capture, source, drawn)
        with path.open("wb") as file, jpegs.open("rb") as frames:
            save(capture, file)
            _write_pixel_data(file, frames, drawn)


# What the object says


def _described(source: SourceInstance, drawn: Rendition, analysis: Analysis, written_at: datetime, *, is_masked: bool) -> Dataset:
    capture = Dataset()
    put_heading(capture, source, analysis, ResultKind.SC, written_at)
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
    _put_timing(capture, drawn)
    return capture


def may_show_identity(source: SourceInstance, *, is_masked: bool) -> bool:
    """Burned In Annotation asks for text that identifies the patient and the date (PS3.3 C.7.6.1), not for any text: ours has neither.

    Sure to be free of it: a source that says so, or one that states where its echoes are and is black elsewhere. Where echoes
    were told from pixels alone, a name may have been taken for them.
    """
    return source.shows_identity is not False and not (is_masked and source.region is not None)


def _put_timing(capture: Dataset, drawn: Rendition) -> None:
    """Cine and Multi-frame modules. One time where frames are evenly shown (to 0.5 ms), else a vector of them."""
    num_frames, times_s = len(drawn.times_s), np.array(drawn.times_s)
    capture.NumberOfFrames = num_frames
    if num_frames < 2:
        return
    steps_ms = np.diff(times_s) * 1000
    vector = None if float(np.ptp(steps_ms)) <= 0.5 else _vector(times_s)
    if vector is None:
        capture.FrameTime, capture.FrameIncrementPointer = f"{float(steps_ms.mean()):.6g}", 0x00181063
    else:
        capture.FrameTimeVector, capture.FrameIncrementPointer = vector, 0x00181065
    capture.CineRate = capture.RecommendedDisplayFrameRate = max(1, round((num_frames - 1) / float(times_s[-1])))
    capture.StartTrim, capture.StopTrim = 1, num_frames


def _vector(times_s: NDArray[np.float64]) -> list[str] | None:
    """Milliseconds from frame to frame, the first 0; rounded as times, lest errors add up. None where it does not fit an element."""
    for digits in (3, 0):
        steps_ms = np.diff(np.round(times_s * 1000, digits), prepend=0.0)
        words = [f"{step:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{step:.0f}" for step in steps_ms.tolist()]
        if len("\\".join(words)) <= _MAX_DS_BYTES:
            return words
    return None


def _put_pixels(capture: Dataset, source: SourceInstance, drawn: Rendition) -> None:
    capture.SamplesPerPixel, capture.PlanarConfiguration = 3, 0
    capture.PhotometricInterpretation = "YBR_FULL_422"
    capture.Rows, capture.Columns = drawn.height, drawn.width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    ratio = 3 * drawn.width * drawn.height * len(drawn.times_s) / drawn.offsets[-1]
    compressed = [*source.compressed, (f"{ratio:.1f}", "ISO_10918_1")]
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionRatio = [ratio for ratio, _ in compressed]
    capture.LossyImageCompressionMethod = [method for _, method in compressed]


# Its frames (PS3.5 A.4: items in a sequence of undefined length, the first of them the table of the others' places)


def _write_pixel_data(file: BinaryIO, jpegs: BinaryIO, drawn: Rendition) -> None:
    """The table has 32 bits a frame: beyond 4 GiB it is left empty, as the standard allows. Items have even lengths."""
    lengths = [end - begin for begin, end in pairwise(drawn.offsets)]
    starts = np.cumsum([0, *(length + length % 2 + 8 for length in lengths[:-1])], dtype=np.int64)
    table = starts.astype("<u4").tobytes() if starts[-1] < 2**32 else b""
    file.write(_PIXEL_DATA + _ITEM + len(table).to_bytes(4, "little") + table)
    for length in lengths:
        item = jpegs.read(length) + bytes(length % 2)
        file.write(_ITEM + len(item).to_bytes(4, "little") + item)
    file.write(_END)
