"""What a file is, from its first bytes. Closed lists: nothing here, or after it, lets a library guess."""

from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 1024
"""How much of a file `sniff` wants to see."""

ACCEPTED = "MP4, MOV, AVI, MKV, WebM, MPEG, GIF and ultrasound DICOM"


@dataclass(frozen=True, slots=True)
class Film:
    """A container or bare stream that FFmpeg reads: the name of its demuxer, and ours."""

    av_format: str
    container: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Known, and not a clip. `what` reads after "This is"."""

    what: str


@dataclass(frozen=True, slots=True)
class Dicom:
    """A DICOM object; without the 128-byte preamble, only probably."""


_STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1", b"msf1", b"crx ")
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"styp", b"moof")

# (offset, bytes, what)
_MAGIC: tuple[tuple[int, bytes, Film | Foreign | Dicom], ...] = (
    (128, b"DICM", Dicom()),
    (0, b"\x1a\x45\xdf\xa3", Film("matroska", "matroska")),
    (0, b"GIF87a", Film("gif", "gif")),
    (0, b"GIF89a", Film("gif", "gif")),
    (0, b"\x00\x00\x01\xba", Film("mpeg", "mpeg")),
    (0, b"\x00\x00\x01\xb3", Film("mpegvideo", "mpeg")),
    (0, b"\x89PNG", Foreign("a PNG picture")),
    (0, b"\xff\xd8\xff", Foreign("a JPEG picture")),
    (0, b"BM", Foreign("a BMP picture")),
    (0, b"II*\x00", Foreign("a TIFF picture")),
    (0, b"MM\x00*", Foreign("a TIFF picture")),
    (0, b"%PDF", Foreign("a PDF document")),
    (0, b"PK\x03\x04", Foreign("a ZIP archive")),
    (0, b"\x1f\x8b", Foreign("a gzip archive")),
    (0, b"Rar!", Foreign("a RAR archive")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7-Zip archive")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Foreign("a Windows Media (WMV) clip")),
    (0, b"FLV", Foreign("a Flash clip")),
    (0, b"OggS", Foreign("an Ogg file")),
    (0, b"\x7fELF", Foreign("a program")),
    (0, b"MZ", Foreign("a program")),
)


def sniff(head: bytes) -> Film | Foreign | Dicom | None:
    """`head`: the first HEAD_BYTES of the file, or all of it. None: nothing known."""
    for offset, magic, what in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return what
    if head[4:8] in _BOXES:
        return Foreign("a HEIF or AVIF picture") if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS else Film("mp4", _mp4_or_mov(head))
    if head[:4] == b"RIFF":
        return _riff(head[8:12])
    if _is_transport_stream(head):
        return Film("mpegts", "mpegts")
    if _is_bare_dicom(head):
        return Dicom()
    return Foreign("text") if _is_text(head) else None


def _mp4_or_mov(head: bytes) -> str:
    return "mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else "mov"


def _riff(form: bytes) -> Film | Foreign:
    if form in (b"AVI ", b"AVIX"):
        return Film("avi", "avi")
    return {b"WEBP": Foreign("a WebP picture"), b"WAVE": Foreign("a sound file")}.get(form, Foreign("a RIFF file without a clip in it"))


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes that start with 0x47; with a 4-byte clock before each on Blu-ray and camcorders."""
    return any(all(head[first + n * step : first + n * step + 1] == b"\x47" for n in range(3)) for first, step in ((0, 188), (4, 192)))


def _is_bare_dicom(head: bytes) -> bool:
    """A data set without preamble: its first element is of group 0002 or 0008, and its length fits."""
    if len(head) < 12 or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if explicit else head[4:8], "little")
    return length <= 256


def _is_text(head: bytes) -> bool:
    sample = head[:512]
    try:
        text = sample.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 3:  # else a character cut in two by the sample's end
            return False
        text = sample[: error.start].decode("utf-8")
    return bool(text) and all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text)


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM object, told from its beginning."""
    with path.open("rb") as file:
        return isinstance(sniff(file.read(HEAD_BYTES)), Dicom)
