"""Ultrasound DICOM objects, frame by frame: native, compressed frame by frame, or a film inside the object."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import HEVCM10P51, HEVCMP51, MPEGTransferSyntaxes

from service.cine.clip import DecodeLimits
from service.cine.dicom_object import DicomObject, Timing, check_modality, echo_region, locate, timing
from service.cine.dicom_pixels import Layout, Pixels, coded_frames, fragments, layout
from service.cine.ffmpeg import FFmpegSource
from service.cine.sniff import HEAD_BYTES, Film, sniff
from service.cine.survey import ASSUMED_FPS, DAMAGED, Damaged, Header, Picture, Source, check_size, too_long
from service.errors import NoVideo, UnreadableClip

def open_source(data: bytes | Path, limits: DecodeLimits) -> Source:
    """The clip in a DICOM object.

    Raises: UnsupportedFormat, WrongModality, NoVideo, UnreadableClip, FrameTooLarge, FrameTooSmall, ClipTooLong.
    """
    located = locate(data)
    check_modality(located.dataset)
    if located.value_at is None:
        raise NoVideo("The DICOM object has no pixel data, or is cut off before it.")
    if located.transfer_syntax in _STREAMS:
        return _stream_source(located, limits)
    source = DicomSource(located)
    source.check(limits)
    return source


# Frames coded one by one


class DicomSource:
    """Native frames, or frames each compressed by itself (RLE, the JPEG family)."""

    def __init__(self, located: DicomObject) -> None:
        self._located = located
        self._timing = timing(located.dataset, located.num_frames)
        self._layout = layout(located)
        self.header = _dicom_header(located, self._timing, assumes=True)

    def check(self, limits: DecodeLimits) -> None:
        """Before any pixel is decoded. Length is proved by counting the frames that are really there.

        Raises: FrameTooLarge, FrameTooSmall, ClipTooLong.
        """
        check_size(*self._located.size, limits)
        if (self.header.stated_s or 0.0) <= limits.max_seconds:
            return
        for index, _ in enumerate(self._coded_frames()):
            if (self._timing.time_s(index) or 0.0) > limits.max_seconds:
                raise too_long(limits)

    def pictures(self) -> Iterator[Picture | Damaged]:
        for index, coded in enumerate(self._coded_frames()):
            try:
                pixels = self._layout.decode(coded)
            except UnreadableClip:
                yield DAMAGED
                continue
            yield DicomPicture(pixels, self._timing.time_s(index), self.header.nominal_s)

    def _coded_frames(self) -> Iterator[bytes]:
        encapsulated = self._located.transfer_syntax.is_encapsulated
        with self._located.pixel_data() as file:
            yield from _encapsulated_frames(file, self._located) if encapsulated else _native_frames(file, self._layout, self._located.num_frames)


def _dicom_header(located: DicomObject, timing: Timing, assumes: bool) -> Header:
    length_s = timing.interval_s * located.num_frames if timing.interval_s else None
    missing = f"The object does not say when its frames were taken; {ASSUMED_FPS:g} frames a second were assumed."
    return Header(
        container="dicom",
        nominal_s=timing.interval_s or 1.0 / ASSUMED_FPS,
        stated_s=(timing.starts_s[-1] + (timing.interval_s or 0.0)) if timing.starts_s else length_s,
        region=echo_region(located.dataset),
        warnings=(missing,) if assumes and timing.interval_s is None and located.num_frames > 1 else (),
    )


@dataclass(frozen=True, slots=True)
class DicomPicture:
    pixels: Pixels
    time_s: float | None
    shown_s: float | None

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.stored.shape[1], self.pixels.stored.shape[0]

    def grey(self) -> NDArray[np.uint8]:
        return self.pixels.grey()

    def rgb(self) -> NDArray[np.uint8]:
        return self.pixels.rgb()


# Frames coded together: MPEG-2, MPEG-4 AVC, HEVC


class DicomStreamSource:
    """A film inside a DICOM object. The object's frame times, where it states them, go before the stream's."""

    def __init__(self, film: FFmpegSource, located: DicomObject) -> None:
        self._film = film
        self._timing = timing(located.dataset, located.num_frames)
        stated = _dicom_header(located, self._timing, assumes=False)
        own = film.header
        self.header = own if self._timing.interval_s is None else stated
        self.header = replace(self.header, container="dicom", region=stated.region, warnings=(*own.warnings, *stated.warnings))

    def pictures(self) -> Iterator[Picture | Damaged]:
        for index, picture in enumerate(self._film.pictures()):
            known = self._timing.interval_s is not None and not isinstance(picture, Damaged)
            yield _TimedPicture(picture, self._timing.time_s(index), self._timing.interval_s) if known else picture  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _TimedPicture:
    picture: Picture
    time_s: float | None
    shown_s: float | None

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.size

    def grey(self) -> NDArray[np.uint8]:
        return self.picture.grey()

    def rgb(self) -> NDArray[np.uint8]:
        return self.picture.rgb()


def _stream_source(located: DicomObject, limits: DecodeLimits) -> DicomStreamSource:
    with located.pixel_data() as file:
        stream = b"".join(fragments(file))
    if not stream:
        raise UnreadableClip("The DICOM object is cut off: its pixel data is empty.")
    film = sniff(stream[:1024])
    if not isinstance(film, Film):
        hevc = located.transfer_syntax in (HEVCMP51, HEVCM10P51)
        film = Film("hevc" if hevc else "h264", "dicom")
    return DicomStreamSource(FFmpegSource(stream, film.av_format, "dicom", limits), located)
