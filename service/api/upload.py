"""A clip on its way in: from the request's body to a file, counted as it streams, so that no limit is passed unseen.

The body is the clip itself, or a multipart form whose field `clip` holds it. The name and the declared type of the
file are not kept: they are patient data as often as not, and the type is told from the content.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from service.disk import needing_room
from service.errors import BadOption, DeadlineExceeded, EmptyUpload, UnreadableClip, UploadTooLarge
from service.options import quoted

FORM_OVERHEAD_BYTES = 64 * 1024
"""Allowed on top of the clip for a form's boundaries and headers."""

CURL = "curl -F clip=@CLIP http://HOST:PORT/v1/predict"


@dataclass(frozen=True, slots=True)
class Upload:
    """A clip that has arrived."""

    path: Path
    num_bytes: int
    sha256: str


async def receive_clip(request: Request, path: Path, *, max_bytes: int, deadline_s: float) -> Upload:
    """Write the clip of a request to `path`.

    Raises: EmptyUpload; UploadTooLarge, as soon as one byte too many has come; UnreadableClip for a broken form;
    BadOption for a form with other fields; DeadlineExceeded when the body takes longer than `deadline_s`; NoRoom.
    """
    try:
        with needing_room(), path.open("xb") as file:
            sink = _Sink(file, max_bytes)
            async with asyncio.timeout(deadline_s):
                await _pour(request, sink)
    except TimeoutError:
        raise DeadlineExceeded(f"The clip did not arrive within {deadline_s:g} s.") from None
    if sink.num_bytes == 0:
        raise EmptyUpload(f"The clip has 0 bytes. Send it as the field 'clip' of a form, or as the body itself: {CURL}")
    return Upload(path, sink.num_bytes, sink.digest.hexdigest())


async def _pour(request: Request, sink: "_Sink") -> None:
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type == b"multipart/form-data":
        _refuse_declared_size(request, sink.max_bytes + FORM_OVERHEAD_BYTES, sink.max_bytes)
        await _pour_form(request.stream(), parameters.get(b"boundary", b""), sink)
    else:
        _refuse_declared_size(request, sink.max_bytes, sink.max_bytes)
        async for chunk in request.stream():
            sink.write(chunk)


def _refuse_declared_size(request: Request, max_body_bytes: int, max_bytes: int) -> None:
    """A body that says it is too large is not received at all."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_body_bytes:
        raise _too_large(max_bytes)


async def _pour_form(chunks: AsyncIterator[bytes], boundary: bytes, sink: "_Sink") -> None:
    if not 0 < len(boundary) <= 256:
        raise UnreadableClip("The form has no boundary in its Content-Type. Let the client set that header itself.")
    form = _ClipForm(boundary, sink.write)
    num_bytes = 0
    async for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > sink.max_bytes + FORM_OVERHEAD_BYTES:
            raise _too_large(sink.max_bytes)
        form.feed(chunk)
    form.close()


def _too_large(max_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(f"The clip is larger than the {_size(max_bytes)} this service accepts.")


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:.0f} MiB" if num_bytes >= 2**20 else f"{num_bytes} bytes"


class _Sink:
    """A file that takes no more than `max_bytes`."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.file = file
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.num_bytes += len(data)
        if self.num_bytes > self.max_bytes:
            raise _too_large(self.max_bytes)
        self.digest.update(data)
        self.file.write(data)


class _ClipForm:
    """Picks the one field `clip` out of a multipart body as it streams by; any other field is refused."""

    def __init__(self, boundary: bytes, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._num_clips = 0
        self._is_complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._start_part,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken_form(str(error)) from error

    def close(self) -> None:
        if not self._is_complete:
            raise _broken_form("no closing boundary")
        if self._num_clips == 0:
            raise EmptyUpload(f"The form has no field 'clip': {CURL}")

    def _begin_part(self) -> None:
        self._headers.clear()

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _start_part(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition", b""))
        field = parameters.get(b"name", b"").decode("utf-8", "replace")
        if field != "clip":
            raise BadOption(f"The form has a field {quoted(field)}; it takes 'clip' alone. Options go in the address: ?saliency=none")
        self._num_clips += 1
        if self._num_clips > 1:
            raise BadOption("The form has more than one field 'clip'; send one clip a request.")

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._write(data[start:end])

    def _end(self) -> None:
        self._is_complete = True


def _broken_form(log_detail: str) -> UnreadableClip:
    return UnreadableClip("The form is cut off or damaged, so the clip in it cannot be read.", log_detail=log_detail)
