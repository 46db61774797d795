"""Ultrasound DICOM objects, frame by frame: native, compressed frame by frame, or a film inside the object."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import HEVCM10P51, HEVCMP51, MPEGTransferSyntaxes

from service.cine.clip import DecodeLimits
from service.cine.dicom_object import DicomObject, Timing, check_modality, echo_region, frame_timing, locate
from service.cine.dicom_pixels import LumaJpeg, Pixels, fragments, pixel_layout
from service.cine.ffmpeg import FFmpegSource
from service.cine.handed import ClipFile
from service.cine.sniff import HEAD_BYTES, Film, sniff
from service.cine.survey import ASSUMED_FPS, DAMAGED, Damaged, Header, Picture, Source, check_size, too_long
from service.errors import NoVideo, UnreadableClip

_FILM_SYNTAXES = frozenset(MPEGTransferSyntaxes)  # pydicom counts HEVC among them


def open_source(data: ClipFile, limits: DecodeLimits) -> Source:
    """The clip in a DICOM object.

    Raises: UnsupportedFormat, WrongModality, NoVideo, UnreadableClip, FrameTooLarge, FrameTooSmall, ClipTooLong.
    """
    located = locate(data)
    check_modality(located.dataset)
    if located.value_at is None:
        raise NoVideo("The DICOM object has no pixel data, or is cut off before it.")
    if located.transfer_syntax in _FILM_SYNTAXES:
        return DicomFilmSource(located, limits)
    return DicomSource(located, limits)


class DicomSource:
    """Native frames, or frames each compressed by itself (RLE, the JPEG family).

    Raises, before any pixel is decoded: FrameTooLarge, FrameTooSmall, ClipTooLong; UnreadableClip, UnsupportedFormat.
    """

    def __init__(self, located: DicomObject, limits: DecodeLimits) -> None:
        check_size(*located.size, limits)
        stated = frame_timing(located.dataset, located.num_frames)
        self._timing = stated or Timing(1.0 / ASSUMED_FPS)
        self._layout = pixel_layout(located)
        self._located = located
        self.header = _header(located, self._timing, (_ASSUMED,) if stated is None and located.num_frames > 1 else ())
        self._check_length(limits)

    def _check_length(self, limits: DecodeLimits) -> None:
        """Proved by counting the frames that are really there."""
        if (self.header.stated_s or 0.0) <= limits.max_seconds:
            return
        for index, _ in enumerate(self._coded_frames()):
            if (self._timing.time_s(index) or 0.0) > limits.max_seconds:
                raise too_long(limits)

    def pictures(self) -> Iterator[Picture | Damaged]:
        for index, coded in enumerate(self._coded_frames()):
            pixels = self._layout.decode(coded)
            yield DicomPicture(pixels, self._timing.time_s(index), self._timing.interval_s) if pixels is not None else DAMAGED

    def _coded_frames(self) -> Iterator[bytes]:
        with self._located.pixel_data() as file:
            yield from self._layout.coded_frames(file, self._located.num_frames)


_ASSUMED = f"The object does not say when its frames were taken; {ASSUMED_FPS:g} frames a second were assumed."


def _header(located: DicomObject, timing: Timing, warnings: tuple[str, ...]) -> Header:
    return Header(
        container="dicom",
        nominal_s=timing.interval_s,
        stated_s=timing.length_s(located.num_frames),
        region=echo_region(located.dataset, *located.size),
        warnings=warnings,
    )


@dataclass(frozen=True, slots=True)
class DicomPicture:
    pixels: Pixels | LumaJpeg
    time_s: float | None
    shown_s: float | None

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.size

    def grey(self) -> NDArray[np.uint8]:
        return self.pixels.grey()

    def rgb(self) -> NDArray[np.uint8]:
        return self.pixels.rgb()


class DicomFilmSource:
    """A film inside a DICOM object: MPEG-2, MPEG-4 AVC, HEVC. The object's frame times go before the stream's own.

    Raises: UnreadableClip, NoVideo, FrameTooLarge, FrameTooSmall, ClipTooLong.
    """

    def __init__(self, located: DicomObject, limits: DecodeLimits) -> None:
        self._film = _film(located, limits)
        self._timing = frame_timing(located.dataset, located.num_frames)
        own = self._film.header
        region = echo_region(located.dataset, *located.size)
        self.header = replace(own, region=region) if self._timing is None else _header(located, self._timing, own.warnings)

    def pictures(self) -> Iterator[Picture | Damaged]:
        for index, picture in enumerate(self._film.pictures()):
            if self._timing is None or isinstance(picture, Damaged):
                yield picture
            else:
                yield TimedPicture(picture, self._timing.time_s(index), self._timing.interval_s)


@dataclass(frozen=True, slots=True)
class TimedPicture:
    """A picture with another time than its stream's."""

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


def _film(located: DicomObject, limits: DecodeLimits) -> FFmpegSource:
    """PS3.5 8.2.5 to 8.2.9 allow transport streams and MP4; bare streams are seen as well."""
    with located.pixel_data() as file:
        stream = b"".join(fragments(file))
    if not stream:
        raise UnreadableClip("The DICOM object is cut off: its pixel data is empty.")
    film = sniff(stream[:HEAD_BYTES])
    bare = "hevc" if located.transfer_syntax in (HEVCMP51, HEVCM10P51) else "h264"
    return FFmpegSource(stream, film.av_format if isinstance(film, Film) else bare, "dicom", limits)
