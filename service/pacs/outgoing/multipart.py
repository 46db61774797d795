"""Reads the first part of a multipart/related answer (RFC 2387) in chunks, so that a clip of any length passes through little memory.

dicomweb-client 0.61 collects a whole part before it gives it out, and then parses it.
"""

from collections.abc import Iterable, Iterator
from email.message import Message

MAX_HEADER_BYTES = 2**16


def first_part(content_type: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What lies between the first part's headers and the next delimiter; all of it where the answer has no parts, as some services
    answer who are asked for one object. Raises: ValueError when the answer ends before the part does, or is of another type.
    """
    declared = Message()
    declared["Content-Type"] = content_type
    if declared.get_content_type() == "application/dicom":
        return iter(chunks)
    boundary = declared.get_param("boundary")
    if declared.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise ValueError("neither DICOM nor multipart/related")
    return _until(b"\r\n--" + boundary.encode(), _after_headers(iter(chunks)))


def _after_headers(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        held += chunk
        _, end, body = held.partition(b"\r\n\r\n")
        if end:
            yield body
            yield from chunks
            return
        if len(held) > MAX_HEADER_BYTES:
            break
    raise ValueError("the headers of the part do not end")


def _until(delimiter: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Holds back as many bytes as a delimiter's beginning may take at the end of a chunk."""
    held = b""
    for chunk in chunks:
        held += chunk
        part, end, _ = held.partition(delimiter)
        if end:
            yield part
            return
        keep = len(delimiter) - 1
        yield held[:-keep]
        held = held[-keep:]
    raise ValueError("the part does not end")
