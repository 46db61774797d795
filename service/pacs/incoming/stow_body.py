"""The body of a STOW-RS request, cut into the instances it holds as it streams by."""

from pathlib import Path
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import UnreadableClip, UnsupportedFormat, UploadTooLarge
from service.pacs.incoming.inbox import Limits, Part

MAX_PARTS = 1000
HINT = 'Send multipart/related; type="application/dicom", or one instance as application/dicom.'


class Body(Protocol):
    def feed(self, chunk: bytes) -> list[Part]:
        """The instances that this chunk completed. Raises: UnreadableClip, UnsupportedFormat, UploadTooLarge."""
        ...

    def close(self) -> list[Part]:
        """The rest. Raises: UnreadableClip when the body is cut off."""
        ...

    def discard(self) -> None:
        """Leave no file of what nobody has taken."""
        ...


def open_body(content_type: str, folder: Path, limits: Limits) -> "Body":
    """`folder`: where the instances are written. Raises: UnsupportedFormat; UnreadableClip without a boundary."""
    media_type, parameters = parse_options_header(content_type)
    if media_type == b"application/dicom":
        return _Single(folder, limits)
    if media_type != b"multipart/related" or parameters.get(b"type", b"application/dicom").lower() != b"application/dicom":
        raise UnsupportedFormat(f"This is not a STOW-RS request of DICOM instances. {HINT}")
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= 256:
        raise UnreadableClip("The request has no boundary in its Content-Type.")
    return _Related(boundary, folder, limits)


class _Single:
    """The body is one instance."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._part = Part(folder, limits)
        self._has_bytes = False

    def feed(self, chunk: bytes) -> list[Part]:
        self._has_bytes |= len(chunk) > 0
        self._part.write(chunk)
        return []

    def close(self) -> list[Part]:
        return [self._part] if self._has_bytes else []

    def discard(self) -> None:
        self._part.discard()


class _Related:
    """multipart/related (RFC 2387), one instance a part."""

    def __init__(self, boundary: bytes, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._part: Part | None = None
        self._whole: list[Part] = []
        self._num_parts = 0
        self._is_complete = False
        self._header, self._value = b"", b""
        self._media_type = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._check_part,
                "on_part_data": self._take,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> list[Part]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UnreadableClip("The request's parts are damaged: a boundary or a header is not where it must be.") from error
        whole, self._whole = self._whole, []
        return whole

    def close(self) -> list[Part]:
        if not self._is_complete:
            raise UnreadableClip("The request is cut off: its closing boundary is missing.")
        return []

    def discard(self) -> None:
        for part in [*self._whole, *([self._part] if self._part else [])]:
            part.discard()

    def _begin_part(self) -> None:
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise UploadTooLarge(f"The request holds more than {MAX_PARTS} instances; send them in several.")
        self._media_type = b""
        self._part = Part(self._folder, self._limits)

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-type":
            self._media_type, _ = parse_options_header(self._value)
        self._header, self._value = b"", b""

    def _check_part(self) -> None:
        if self._media_type not in (b"", b"application/dicom"):
            raise UnsupportedFormat("A part of the request is not application/dicom; metadata and bulk data apart are not taken.")

    def _take(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self._part.write(data[start:end])

    def _end_part(self) -> None:
        assert self._part is not None
        self._whole.append(self._part)
        self._part = None

    def _end(self) -> None:
        self._is_complete = True
