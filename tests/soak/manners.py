"""How a request is sent: as a program should, and in every way in which it should not. Gives the bytes on the wire, with pauses between."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

BOUNDARY = b"seashoresoak"
TOTAL_PAUSE_S = 12.0
"""Of a slow upload: longer than the service waits for one here."""
PIECES = 12

ODD_ADDRESSES = (
    "/v1/predict?saliency=%00",
    "/v1/predict?region=" + "1,2%20" * 500,
    "//v1//predict",
    "/v1/predict/../jobs",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/v1/predict?mm_per_px=nan",
    "/v1/predict?model=%ff%fe",
    "/v1/jobs/%2e%2e/result",
    "http://elsewhere/v1/predict",
    "*",
    "/v1/predict#a",
)
ODD_HEADERS = (
    "X: \x00",
    "X\xff: 1",
    ": empty",
    "Accept: " + "," * 5000,
    "Accept: application/json;q=nan",
    "Range: bytes=-1-5",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Host: a\r\nHost: b",
    "Authorization: Bearer " + "x" * 5000,
    "Cookie: " + "a=b;" * 3000,
    "Content-Type: " + "a/" * 3000,
)
ODD_FORMS = (
    "multipart/form-data",
    "multipart/form-data; boundary=other",
    "multipart/form-data; boundary=" + "b" * 5000,
    "multipart/mixed",
    "multipart/form-data; boundary=\xff",
)
NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"",
)

Wire = Iterator[bytes | float]
"""Bytes to send, and seconds to wait."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Where a clip goes."""

    path: str
    accept: str = "*/*"
    media_type: str = "application/octet-stream"

    def head(self, *headers: str, method: str = "POST", path: str = "") -> bytes:
        lines = [f"{method} {path or self.path} HTTP/1.1", "Host: 127.0.0.1", f"Accept: {self.accept}", "Connection: close", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True, slots=True)
class Manner:
    send: Callable[[Errand, bytes, Random], Wire]
    may_be_hung_up: bool = True
    """The service may close the connection without an answer: what came was no request, or not a whole one."""
    is_cut_off: bool = False
    """The sender hangs up itself, without waiting for an answer."""


def as_body(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Type: {errand.media_type}", f"Content-Length: {len(clip)}")
    yield clip


def as_form(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield from _form(errand, part("clip", clip))


def in_chunks(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head("Transfer-Encoding: chunked")
    step = random.choice((977, 4096, 65536))
    for at in range(0, len(clip), step):
        yield chunk(clip[at : at + step])
    yield b"0\r\n\r\n"


def half(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip)}")
    yield clip[: random.randrange(len(clip))]


def half_a_form(errand: Errand, clip: bytes, random: Random) -> Wire:
    content = part("clip", clip)
    yield errand.head(_form_type(), f"Content-Length: {len(content)}")
    yield content[: random.randrange(len(content))]


def slow(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip)}")
    step = len(clip) // PIECES + 1
    for at in range(0, len(clip), step):
        yield clip[at : at + step]
        yield TOTAL_PAUSE_S / PIECES


def slow_headers(errand: Errand, clip: bytes, random: Random) -> Wire:
    head = errand.head(f"Content-Length: {len(clip)}")
    for at in range(0, len(head), 20):
        yield head[at : at + 20]
        yield 0.1
    yield clip


def length_too_large(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip) + random.choice((1, 1000, 10**7))}")
    yield clip


def length_too_small(errand: Errand, clip: bytes, random: Random) -> Wire:
    """What is left over is no request."""
    yield errand.head(f"Content-Length: {random.randrange(len(clip))}").replace(b"Connection: close\r\n", b"")
    yield clip


def length_of_nonsense(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {random.choice(('-1', '0x10', '1e3', '', '9' * 30, '5, 7', '+4', '99999999999999'))}")
    yield clip


def two_lengths(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip)}", "Content-Length: 4")
    yield clip


def chunked_and_of_a_length(errand: Errand, clip: bytes, random: Random) -> Wire:
    """A proxy and a server that disagree here can be made to smuggle requests (RFC 9112 6.1)."""
    yield errand.head("Transfer-Encoding: chunked", f"Content-Length: {len(clip)}")
    yield chunk(clip) + b"0\r\n\r\n"


def broken_chunks(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head("Transfer-Encoding: chunked")
    yield chunk(clip[:100])
    yield random.choice(
        (b"zz\r\n", b"-5\r\n", b"ffffffffffffffffff\r\n", b"5\r\nabc", b"5;" + b"x" * 70_000 + b"\r\nabcde\r\n", b"\x00" * 50)
    )


def trailers(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head("Transfer-Encoding: chunked", "Trailer: X-Sum")
    yield chunk(clip) + b"0\r\n" + b"X-Sum: 1\r\n" * random.choice((1, 3000)) + b"\r\n"


def odd_coding(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Transfer-Encoding: {random.choice(('gzip', 'gzip, chunked', 'identity', 'chunked, chunked', 'xchunked'))}")
    yield clip


def said_to_be_compressed(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Encoding: {random.choice(('gzip', 'br', 'deflate', 'gzip, gzip'))}", f"Content-Length: {len(clip)}")
    yield clip


def huge_header(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head("X-Long: " + "a" * random.choice((10_000, 70_000, 1_000_000)), f"Content-Length: {len(clip)}")
    yield clip


def many_headers(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(*(f"X-{number}: 1" for number in range(random.choice((200, 20_000)))), f"Content-Length: {len(clip)}")
    yield clip


def long_address(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip)}", path=errand.path + "&" + "x" * random.choice((3000, 100_000)))
    yield clip


def odd_address(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Content-Length: {len(clip)}", path=random.choice(ODD_ADDRESSES))
    yield clip


def odd_method(errand: Errand, clip: bytes, random: Random) -> Wire:
    method = random.choice(("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "BREW"))
    yield errand.head(f"Content-Length: {len(clip)}", method=method)
    yield clip


def odd_headers(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(random.choice(ODD_HEADERS), f"Content-Length: {len(clip)}")
    yield clip


def expecting(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield errand.head(f"Expect: {random.choice(('100-continue', '200-ok'))}", f"Content-Length: {len(clip)}")
    yield clip


def many_parts(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield from _form(errand, part("clip", b"") * random.choice((2, 5000)) + part("clip", clip))


def many_part_headers(errand: Errand, clip: bytes, random: Random) -> Wire:
    headers = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 100) for number in range(random.choice((50, 3000))))
    yield from _form(errand, b"--" + BOUNDARY + b"\r\n" + headers + b'Content-Disposition: form-data; name="clip"\r\n\r\n' + clip + b"\r\n")


def odd_fields(errand: Errand, clip: bytes, random: Random) -> Wire:
    name = random.choice(("clips", "CLIP", "", "clip\x00", "a" * 5000, "../clip", "\xff"))
    yield from _form(
        errand, random.choice((part(name, clip), part(name, b"1") + part("clip", clip), part("clip", clip) + part(name, b"1")))
    )


def odd_form(errand: Errand, clip: bytes, random: Random) -> Wire:
    """A boundary that is missing, wrong or within the clip; forms in forms."""
    inner = part("clip", clip)
    yield errand.head(f"Content-Type: {random.choice(ODD_FORMS)}", f"Content-Length: {len(inner)}")
    yield inner


def no_http(errand: Errand, clip: bytes, random: Random) -> Wire:
    yield random.choice(NO_HTTP) + clip
    yield b"\r\n\r\n"


def part(name: str, content: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="clip.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    return b"--" + BOUNDARY + b"\r\n" + head.encode("latin-1") + content + b"\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content) if content else b""


def _form_type() -> str:
    return f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}"


def _form(errand: Errand, parts: bytes) -> Wire:
    content = parts + b"--" + BOUNDARY + b"--\r\n"
    yield errand.head(_form_type(), f"Content-Length: {len(content)}")
    yield content


BODY, FORM, CHUNKS = Manner(as_body, may_be_hung_up=False), Manner(as_form, may_be_hung_up=False), Manner(in_chunks, may_be_hung_up=False)
PROPER = (BODY, BODY, BODY, FORM, FORM, CHUNKS)
"""What mutated clips are sent in."""

IMPROPER: dict[str, Manner] = {
    "half an upload": Manner(half, is_cut_off=True),
    "half a form": Manner(half_a_form, is_cut_off=True),
    "length too large": Manner(length_too_large, is_cut_off=True),
    "length too small": Manner(length_too_small),
    "length of nonsense": Manner(length_of_nonsense),
    "two lengths": Manner(two_lengths),
    "chunked and of a length": Manner(chunked_and_of_a_length),
    "broken chunks": Manner(broken_chunks, is_cut_off=True),
    "trailers": Manner(trailers),
    "odd transfer coding": Manner(odd_coding, is_cut_off=True),
    "said to be compressed": Manner(said_to_be_compressed),
    "huge header": Manner(huge_header),
    "many headers": Manner(many_headers),
    "long address": Manner(long_address),
    "odd address": Manner(odd_address),
    "odd method": Manner(odd_method),
    "odd headers": Manner(odd_headers),
    "expecting": Manner(expecting),
    "many parts": Manner(many_parts),
    "many headers of a part": Manner(many_part_headers),
    "odd fields": Manner(odd_fields),
    "odd form": Manner(odd_form),
    "no HTTP": Manner(no_http, is_cut_off=True),
    "slow headers": Manner(slow_headers),
}
SLOW = Manner(slow)
